/**
 * The forms that strings of a configuration take: each function reads one, and answers its value or what is wrong with
 * it and what to do. Pure; schema rows name them.
 */
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { messageOf } from '../../base/errors.ts'
import { CidrSet } from '../../base/ip.ts'
import { isSpiffeId } from '../../model/spiffe.ts'
import { unixEndpoint } from './unix-endpoint.ts'

export type Formed<T> = { readonly ok: T } | { readonly wrong: string; readonly hint?: string }

export type Endpoint = {
  readonly scheme: 'http' | 'https' | 'h2c' | 'tcp'
  /** A name or an IP address without brackets; the path of a Unix socket */
  readonly host: string
  /** 0 for a Unix socket */
  readonly port: number
  readonly unix?: true
}

/** What `to` may be as one string. */
export type Target =
  | { readonly kind: 'endpoint'; readonly endpoint: Endpoint }
  | { readonly kind: 'name'; readonly name: string }

/** A DNS name in lower-case punycode without its trailing dot, or null. Underscores are let through: they exist. */
export function parseHostName(text: string): string | null {
  let name = text.endsWith('.') ? text.slice(0, -1) : text
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    if (!/[^\x00-\x7f]/.test(name) || /[\s/:@?#%[\]]/.test(name)) return null
    name = domainToASCII(name)
  }
  name = name.toLowerCase()
  if (name.length === 0 || name.length > 253) return null
  const labels = name.split('.')
  for (const label of labels) if (!/^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label)) return null
  // A number at the end is an IPv4 address or a mistake (WHATWG URL section 3.5): 10.0.1 is nobody's name.
  return /^[0-9]+$/.test(labels.at(-1)!) ? null : name
}

/** A site's host: a name, `*.` and a name, or an IP address (IPv6 in brackets, as in a Host header). */
export function siteHost(text: string): Formed<string> {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  if (isIP(bare) === 4) return { ok: bare }
  if (isIP(bare) === 6 && !bare.includes('%')) return { ok: new URL(`http://[${bare}]`).hostname }
  if (text === '*')
    return { wrong: '* is not a host', hint: 'for the site that serves every other name, write default: true' }
  if (/^[a-z]+:\/\//i.test(text))
    return { wrong: `${text} is a URL, not a host`, hint: `write only the name: ${text.split('/')[2]}` }
  if (/^[^:]+:[0-9]+$/.test(text)) {
    return { wrong: `${text} has a port`, hint: `a site is served on every listener; write ${text.split(':')[0]}` }
  }
  const wildcard = text.startsWith('*.')
  const name = parseHostName(wildcard ? text.slice(2) : text)
  if (text.lastIndexOf('*') > 0) {
    return { wrong: `${text}: a * stands only for the whole first label`, hint: 'as in *.example.com' }
  }
  if (name === null) return { wrong: `${text} is not a host name` }
  return { ok: wildcard ? `*.${name}` : name }
}

export function ipAddress(text: string): Formed<string> {
  if (isIP(text) !== 0) return { ok: text }
  const hint =
    text === 'localhost'
      ? 'write 127.0.0.1 or "::1"'
      : '"::" takes every IPv6 and IPv4 address, 127.0.0.1 only local ones'
  return { wrong: `${text} is not an IP address`, hint }
}

/** `10.0.0.0/8`, or one address, which becomes a full-length range. */
export function addressRange(text: string): Formed<string> {
  const [address, bits, more] = text.split('/')
  const family = isIP(address!)
  const most = family === 4 ? 32 : 128
  if (family === 0 || more !== undefined || address!.includes('%')) {
    return { wrong: `${text} is not an address or a range`, hint: 'as in 10.0.0.0/8 or 2001:db8::/32' }
  }
  if (bits === undefined) return { ok: `${address}/${most}` }
  if (!/^[0-9]{1,3}$/.test(bits) || Number(bits) > most) {
    return { wrong: `${text}: the prefix of an IPv${family} range is 0 to ${most} bits` }
  }
  const range = `${address}/${Number(bits)}`
  try {
    new CidrSet([range])
  } catch (error) {
    return { wrong: messageOf(error) }
  }
  return { ok: range }
}

/** A backend's host without brackets, or null. */
function endpointHost(text: string): string | null {
  if (text.startsWith('[')) {
    const inside = text.slice(1, -1)
    return text.endsWith(']') && isIP(inside) === 6 ? inside : null
  }
  return isIP(text) === 4 ? text : parseHostName(text)
}

function portOf(text: string): number | null {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? port : null
}

/** `http://host:port`, `https://host:port` or `h2c://host:port`; the port may be left out. Or a Unix socket: unix-endpoint.ts. */
export function endpointUrl(text: string): Formed<Endpoint> {
  const unix = unixEndpoint(text)
  if (unix !== null) return unix
  const found = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(.*)$/s.exec(text)
  if (!found) {
    const hint = parseHostPort(text) ? `write http://${text}, or https://${text}` : 'as in http://10.0.0.5:3000'
    return { wrong: `${text} is not a URL`, hint }
  }
  const scheme = found[1]!.toLowerCase()
  const authority = found[2]!
  if (scheme !== 'http' && scheme !== 'https' && scheme !== 'h2c') {
    const hint =
      scheme === 'ws' || scheme === 'wss'
        ? `WebSockets pass through http endpoints: write ${scheme === 'ws' ? 'http' : 'https'}://`
        : scheme === 'h2'
          ? 'HTTP/2 over TLS is https://, where ALPN chooses it; without TLS it is h2c://'
          : 'for raw TCP, give the site tcp: { to: [host:port] }'
    return { wrong: `${text}: an endpoint is http://, https:// or h2c://`, hint }
  }
  if (authority.includes('@'))
    return {
      wrong: 'an endpoint must not contain a user name or password',
      hint: 'clients send their own Authorization',
    }
  if (found[3] !== '' && found[3] !== '/') {
    return {
      wrong: `${text}: an endpoint has no path (${found[3]})`,
      hint: `requests are forwarded with the path they came with; write ${scheme}://${authority}`,
    }
  }
  const parts = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority)
  const host = parts ? endpointHost(parts[1]!) : null
  if (host === null) return { wrong: `${text}: ${authority || 'nothing'} is not a host` }
  const port = parts![2] === undefined ? (scheme === 'https' ? 443 : 80) : portOf(parts![2])
  if (port === null) return { wrong: `${text}: a port is 1 to 65535` }
  return { ok: { scheme, host, port } }
}

function parseHostPort(text: string): Endpoint | null {
  const found = /^(\[[^\]]*\]|[^:]*):([0-9]+)$/.exec(text)
  const host = found ? endpointHost(found[1]!) : null
  const port = found ? portOf(found[2]!) : null
  return host === null || port === null ? null : { scheme: 'tcp', host, port }
}

/** `host:port`, for raw TCP. */
export function hostPort(text: string): Formed<Endpoint> {
  const endpoint = parseHostPort(text)
  if (endpoint) return { ok: endpoint }
  if (text.includes('://'))
    return { wrong: `${text} is a URL`, hint: 'raw TCP goes to host:port, as in 10.0.2.9:443' }
  return { wrong: `${text} is not host:port`, hint: 'as in 10.0.2.9:443, db.internal:5432 or [2001:db8::1]:443' }
}

/** A URL, or the name of an upstream. */
export function target(text: string): Formed<Target> {
  if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(text)) return { ok: { kind: 'name', name: text } }
  const formed = endpointUrl(text)
  return 'ok' in formed ? { ok: { kind: 'endpoint', endpoint: formed.ok } } : formed
}

/** `/a`, `/a/*`, `/a/*` + `/b`: see MatchConfig.paths. */
export function pathPattern(text: string): Formed<string> {
  if (/^[~^=]|[$\\]$|\(\?|\[[^\]]*\]|\.\*/.test(text)) {
    return {
      wrong: `${text}: paths are patterns, and regular expressions are not supported`,
      hint: `write ${plainPattern(text)}; in a pattern, /a matches that path alone, /a/* everything below it, and * elsewhere part of a segment`,
    }
  }
  if (!text.startsWith('/')) return { wrong: `${text}: a path begins with /`, hint: `write /${text}` }
  if (/[?#]/.test(text))
    return { wrong: `${text}: a path ends before ? and #`, hint: 'match the query with query: { name: value }' }
  if (/[\x00-\x20\x7f\\]/.test(text))
    return { wrong: `${text}: a path must not contain spaces, backslashes or control characters` }
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return { wrong: `${text}: % is followed by two hexadecimal digits` }
  if (text.includes('**'))
    return { wrong: `${text}: ** is not supported`, hint: 'a final /* matches everything below' }
  if (/\/\.{1,2}(\/|$)/.test(text))
    return { wrong: `${text}: . and .. are resolved before routing and never match` }
  return { ok: text }
}

/** The pattern that is nearest to a regular expression, as far as its literal beginning goes: for a hint. */
function plainPattern(expression: string): string {
  const bare = expression.replace(/^[~=^*\s]+/, '')
  const literal = (/^[A-Za-z0-9/_-]*/.exec(bare) as RegExpExecArray)[0].replace(/\/+$/, '')
  const path = literal.startsWith('/') ? literal : `/${literal}`
  return bare === `${literal}$` || expression.startsWith('=') ? path : `${path === '/' ? '' : path}/*`
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

export function method(text: string): Formed<string> {
  if (!token.test(text)) return { wrong: `${text} is not an HTTP method` }
  if (text === 'CONNECT') return { wrong: 'CONNECT is refused by a reverse proxy and never reaches a route' }
  if (text !== text.toUpperCase() && /^(get|head|post|put|patch|delete|options|trace)$/i.test(text)) {
    return { wrong: `${text}: methods are case-sensitive`, hint: `write ${text.toUpperCase()}` }
  }
  return { ok: text }
}

export function headerName(text: string): Formed<string> {
  return token.test(text) ? { ok: text.toLowerCase() } : { wrong: `${JSON.stringify(text)} is not a header name` }
}

/** A token, as cookie names are (RFC 6265 section 4.1.1); their case matters. */
export function cookieName(text: string): Formed<string> {
  return token.test(text) ? { ok: text } : { wrong: `'${text}' cannot be the name of a cookie` }
}

/** What may stand in one header field; bytes past ASCII would need an encoding nobody agrees on. */
export function headerValue(text: string): Formed<string> {
  if (!/^[\t\x20-\x7e]*$/.test(text))
    return { wrong: 'a header value may contain only printable ASCII and no line breaks' }
  return text === text.trim() ? { ok: text } : { wrong: 'a header value must not begin or end with a space' }
}

/** RFC 6750 section 2.1, and too long to be guessed. What is wrong is said without it. */
export function bearerToken(text: string): Formed<string> {
  if (text.length < 16)
    return { wrong: 'the token is shorter than 16 characters', hint: 'create one with openssl rand -hex 32' }
  if (text.length > 512 || !/^[A-Za-z0-9._~+/-]+=*$/.test(text))
    return { wrong: 'a token has up to 512 letters, digits and - . _ ~ + /, with = at its end' }
  return { ok: text }
}

export function queryName(text: string): Formed<string> {
  return text === '' ? { wrong: 'a query parameter has a name' } : { ok: text }
}

export function anyText(text: string): Formed<string> {
  return { ok: text }
}

/** An upstream's name. */
export function upstreamName(text: string): Formed<string> {
  if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(text)) return { ok: text }
  return {
    wrong: `${JSON.stringify(text)} cannot be the name of an upstream`,
    hint: 'letters, digits, _ and -, beginning with a letter',
  }
}

export function snippetName(text: string): Formed<string> {
  if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(text)) return { ok: text }
  return {
    wrong: `${JSON.stringify(text)} cannot be the name of a snippet`,
    hint: 'letters, digits, _ and -, beginning with a letter',
  }
}

/** Where alerts are posted to. The text may hold a secret, so no message repeats it. */
export function webhookUrl(text: string): Formed<string> {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    return { wrong: 'this is not a URL for alerts', hint: 'as in https://hooks.example.com/tls' }
  if (url.username !== '' || url.password !== '')
    return { wrong: 'a user name or password in the URL would be lost', hint: 'write token, or headers' }
  return { ok: url.href }
}

/** A policy's name. */
export function policyName(text: string): Formed<string> {
  if (/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(text)) return { ok: text }
  return { wrong: `${JSON.stringify(text)} cannot be the name of a policy`, hint: 'letters, digits, _, . and -' }
}

export function serverName(text: string): Formed<string> {
  const name = parseHostName(text)
  if (name !== null) return { ok: name }
  return { wrong: `${text} is not a host name`, hint: 'the name in the backend certificate, as in pay.internal' }
}

/** What a client's certificate says, perhaps with a `*` at its end: one anywhere else would never match. */
function clientText(text: string, example: string): Formed<string> {
  if (!/^[\x20-\x7e]+$/.test(text))
    return { wrong: `${JSON.stringify(text)} contains characters that such a name cannot have` }
  const star = text.indexOf('*')
  if (star < 0 || star === text.length - 1) return { ok: text }
  const hint = `a * is a wildcard only at the end, as in ${example}; list the names, or match by issuer`
  return { wrong: `${text}: a * may stand only at the end`, hint }
}

/** A name of subjectAltName. DNS names are held in lower case; what has a user or a scheme keeps its spelling. */
export function clientName(text: string): Formed<string> {
  const formed = clientText(text, 'spiffe://example.org/ns/shop/*')
  return 'ok' in formed && !/[:@/]/.test(text) ? { ok: text.toLowerCase() } : formed
}

/** A distinguished name in the form of RFC 4514, which begins with the innermost part. */
export function clientSubject(text: string): Formed<string> {
  return clientText(text, '"CN=alice,*"')
}

export function spiffeId(text: string): Formed<string> {
  if (!/^spiffe:\/\/[a-z0-9._-]+(?:\/[A-Za-z0-9._/-]*)?\*?$/.test(text))
    return {
      wrong: `${text} is not a SPIFFE id`,
      hint: 'as in spiffe://example.org/ns/shop/sa/web; a * is a wildcard only at the end',
    }
  return { ok: text }
}

/** A SPIFFE id that a backend may have, or all below one. */
export function backendSpiffeId(text: string): Formed<string> {
  const hint = 'as in spiffe://example.org/ns/shop/sa/pay, or spiffe://example.org/ns/shop/* for all below'
  const bare = text.endsWith('/*') ? text.slice(0, -2) : text
  return isSpiffeId(bare) ? { ok: text } : { wrong: `${text} is not a SPIFFE id`, hint }
}

/** SHA-256 as lower-case hex without colons. */
export function fingerprint(text: string): Formed<string> {
  const hex = text.replaceAll(':', '').toLowerCase()
  return /^[0-9a-f]{64}$/.test(hex)
    ? { ok: hex }
    : { wrong: `${text} is not a SHA-256 fingerprint`, hint: 'openssl x509 -noout -fingerprint -sha256 -in ca.pem' }
}

/** A JA4 fingerprint, or the beginning of one with a `*`. */
export function ja4(text: string): Formed<string> {
  return /^[tqd][0-9a-z]{9}_[0-9a-f]{12}_[0-9a-f]{12}$/.test(text) || /^[tqd][0-9a-z_]{0,34}\*$/.test(text)
    ? { ok: text }
    : {
        wrong: `${text} is not a JA4 fingerprint`,
        hint: 'as in t13d1516h2_8daaf6152771_02713d6af862; the access log has them',
      }
}

export type RedisUrl = {
  readonly host: string
  readonly port: number
  readonly database: number
  readonly tls: boolean
  readonly username: string | null
  readonly password: string | null
}

/** `redis://` or `rediss://`. It may hold a password, so no message repeats it. */
export function redisUrl(text: string): Formed<RedisUrl> {
  const hint =
    'as in rediss://redis.internal:6379/0; a password with other characters than letters and digits goes to password:'
  const found = /^(rediss?):\/\/(?:([^@/?#]*)@)?(\[[^\]]*\]|[^:/?#@]*)(?::([^/?#@]*))?(?:\/([0-9]{0,3}))?$/.exec(
    text,
  )
  if (!found) return { wrong: 'not the URL of a Redis server', hint }
  const host = endpointHost(found[3]!)
  if (host === null) return { wrong: 'the URL of the Redis server has no host', hint }
  const port = found[4] === undefined ? 6379 : portOf(found[4])
  if (port === null) return { wrong: 'the URL of the Redis server: a port is 1 to 65535' }
  const [username, password] = credentials(found[2] ?? '')
  if (username === undefined)
    return { wrong: 'the URL of the Redis server: % is followed by two hexadecimal digits', hint }
  return { ok: { host, port, database: Number(found[5] || 0), tls: found[1] === 'rediss', username, password } }
}

/** `user:password`, `:password` or `user`; undefined: not percent-encoded as it must be. */
function credentials(text: string): [string | null, string | null] | [undefined, null] {
  const colon = text.indexOf(':')
  const [user, password] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)]
  try {
    return [decodeURIComponent(user) || null, decodeURIComponent(password) || null]
  } catch {
    return [undefined, null]
  }
}

export function redisPrefix(text: string): Formed<string> {
  if (/^[A-Za-z0-9._:-]{1,64}$/.test(text)) return { ok: text }
  return {
    wrong: `${JSON.stringify(text.slice(0, 80))} cannot be a prefix`,
    hint: 'letters, digits, ., _, : and -, 64 at most',
  }
}

/** A user name or password; never repeated. */
export function redisWord(text: string): Formed<string> {
  return text === '' ? { wrong: 'empty', hint: 'remove it, or set the variable that it comes from' } : { ok: text }
}

/** Never repeated. */
export function passphrase(text: string): Formed<string> {
  if ([...text].length >= 12) return { ok: text }
  return {
    wrong: 'a passphrase has at least 12 characters',
    hint: 'anyone with a copy of the storage can keep guessing it offline; create a good one with openssl rand -base64 24',
  }
}
