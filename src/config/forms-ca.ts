/** Forms of the internal CA's options: names on allow lists, and keys of external accounts. Pure; schema rows name them. */
import { isIP } from 'node:net'
import { addressRange, type Formed, parseHostName } from './engine/forms.ts'

/** A name, `*.` and a name for everything below it, an IP address or a range. */
export function allowedName(text: string): Formed<string> {
  if (text.includes('/') || isIP(text) !== 0) {
    const range = addressRange(text)
    return 'ok' in range ? { ok: range.ok } : range
  }
  const wildcard = text.startsWith('*.')
  const name = parseHostName(wildcard ? text.slice(2) : text)
  if (name !== null) return { ok: wildcard ? `*.${name}` : name }
  if (text === '*')
    return { wrong: '* is not a name', hint: 'leave the list out to allow every name that the CA may issue for' }
  return { wrong: `${text} is not a name`, hint: 'as in orders.internal, *.internal (all below it) or 10.0.0.0/8' }
}

/** A key identifier as clients send it. */
export function keyIdentifier(text: string): Formed<string> {
  if (/^[\x21-\x7e]{1,64}$/.test(text)) return { ok: text }
  return { wrong: 'a key identifier is 1 to 64 printable characters without spaces', hint: 'as in orders-team' }
}

/** base64url of at least 32 bytes (RFC 7518 section 3.2). The message never holds the key. */
export function hmacKey(text: string): Formed<Buffer> {
  const key = Buffer.from(text, 'base64url')
  const same = key.toString('base64url') === text.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_')
  const hint = 'make one with: openssl rand -base64 32 | tr +/ -_ | tr -d ='
  if (!same) return { wrong: 'the key is not base64url', hint }
  return key.length >= 32 ? { ok: key } : { wrong: `the key has ${key.length} bytes, and needs at least 32`, hint }
}

/** A DNS server: an IP address, perhaps with a port. */
export function dnsServer(text: string): Formed<string> {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]+))(?::([0-9]{1,5}))?$/.exec(text)
  const address = isIP(text) !== 0 ? text : (found?.[1] ?? found?.[2] ?? '')
  const port = isIP(text) !== 0 ? 53 : Number(found?.[3] ?? 53)
  if (isIP(address) !== 0 && port >= 1 && port <= 65_535) return { ok: text }
  return { wrong: `${text} is not a DNS server`, hint: 'as in 10.0.0.53, 10.0.0.53:5353 or [fd00::53]:5353' }
}

/** The name or IP address of the ACME server: no wildcard, no port. */
export function caHost(text: string): Formed<string> {
  if (isIP(text) !== 0 && !text.includes('%')) return { ok: text }
  const name = parseHostName(text)
  return name === null
    ? { wrong: `${text} is not a host name or an IP address`, hint: 'as in ca.internal' }
    : { ok: name }
}
