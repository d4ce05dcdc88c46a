/** The forms of strings in the `acme` section: URLs, e-mail addresses, keys. What is secret is never repeated in a message. */
import { isIP } from 'node:net'
import { type Formed, parseHostName } from './engine/forms.ts'

/** Whatever is sent to a directory must reach it and nobody else; on this machine nobody is between. */
export function directoryUrl(text: string): Formed<string> {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol))
    return { wrong: `${text} is not the URL of an ACME directory`, hint: 'as in https://acme.example/directory' }
  const isLoopback = /^(localhost|127\.[0-9.]+|\[::1\])$/.test(url.hostname)
  if (url.protocol === 'http:' && !isLoopback)
    return { wrong: `${text}: an ACME directory is reached over https`, hint: 'http is for localhost only' }
  return url.username === '' && url.password === ''
    ? { ok: text }
    : { wrong: 'the URL of a directory holds no user name or password', hint: 'accounts are made by themselves' }
}

/** Of a webhook or an `ask`; it may hold secrets, so it is not repeated. */
export function webUrl(text: string): Formed<string> {
  const url = URL.parse(text)
  if (url !== null && /^https?:$/.test(url.protocol)) return { ok: text }
  return { wrong: 'this is not an http or https URL', hint: 'as in https://hooks.example/dns' }
}

export function emailAddress(text: string): Formed<string> {
  return /^[\x21-\x3b\x3d\x3f-\x7e]{1,64}@[A-Za-z0-9.-]{1,253}$/.test(text) && !/[,?&%:]/.test(text)
    ? { ok: text }
    : { wrong: `${JSON.stringify(text)} is not one e-mail address`, hint: 'as in ops@example.com' }
}

/** HMAC keys of external accounts. */
export function base64UrlKey(text: string): Formed<string> {
  const bare = text.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_')
  return /^[A-Za-z0-9_-]{4,2000}$/.test(bare)
    ? { ok: bare }
    : { wrong: 'the key is not base64url, as the CA gave it' }
}

/** TSIG secrets, as in BIND's and Knot's key files. */
export function base64Key(text: string): Formed<string> {
  return /^[A-Za-z0-9+/]{8,2000}={0,2}$/.test(text)
    ? { ok: text }
    : { wrong: 'the secret is not base64', hint: 'as tsig-keygen or keymgr -t prints it' }
}

export function secretText(text: string): Formed<string> {
  return /^[\x21-\x7e]{1,4000}$/.test(text)
    ? { ok: text }
    : {
        wrong: 'this holds spaces, line breaks or characters beyond ASCII',
        hint: 'a trailing line break in a variable?',
      }
}

export function plainText(text: string): Formed<string> {
  return /^[^\x00-\x1f\x7f]{1,200}$/.test(text)
    ? { ok: text }
    : { wrong: 'this holds control characters, or nothing' }
}

export function profileName(text: string): Formed<string> {
  return /^[A-Za-z0-9._-]{1,64}$/.test(text)
    ? { ok: text }
    : { wrong: `${JSON.stringify(text)} is not a profile's name` }
}

export function dnsName(text: string): Formed<string> {
  const name = parseHostName(text)
  return name === null ? { wrong: `${text} is not a DNS name`, hint: 'as in example.com' } : { ok: name }
}

type ServerAddress = { readonly host: string; readonly port: number }

/** A DNS server: `192.0.2.53`, `ns1.example.com:5353`, `[2001:db8::1]:53`. */
export function dnsServer(text: string): Formed<ServerAddress> {
  const wrong: Formed<ServerAddress> = {
    wrong: `${text} is not a DNS server`,
    hint: 'as in 192.0.2.53, ns1.example.com:53 or [2001:db8::1]:53',
  }
  if (isIP(text) === 6) return { ok: { host: text, port: 53 } }
  const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+))(?::([0-9]{1,5}))?$/.exec(text)
  if (!found) return wrong
  const host = found[1] === undefined ? (isIP(found[2]!) === 4 ? found[2]! : parseHostName(found[2]!)) : found[1]
  const port = Number(found[3] ?? 53)
  const isHost = host !== null && (found[1] === undefined || isIP(host) === 6)
  return isHost && port >= 1 && port <= 65_535 ? { ok: { host, port } } : wrong
}

/** A name, or `*.` and a name for everything one label below it. */
export function namePattern(text: string): Formed<string> {
  const name = parseHostName(text.startsWith('*.') ? text.slice(2) : text)
  if (name === null) return { wrong: `${text} is not a name`, hint: 'as in shop.example.com or *.example.com' }
  return { ok: text.startsWith('*.') ? `*.${name}` : name }
}
