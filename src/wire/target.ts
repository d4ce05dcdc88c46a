/**
 * Request targets (RFC 9112 section 3.2) and the one normal form of a path that is both routed on and forwarded, so
 * that gateway and backend cannot understand it differently (RFC 3986 section 6.2.2):
 * percent-encoded unreserved characters decoded, hex digits in upper case, repeated slashes merged, dot segments removed.
 * Refused: an encoded slash, backslash or NUL, a bad percent-encoding, and a path that climbs above the root.
 */
import { ProxyError } from '../base/errors.ts'
import { isHost } from './host.ts'

type Target = {
  /** Normal form, beginning with '/'; or '*' */
  readonly path: string
  /** With its '?', as sent; empty where there is none */
  readonly query: string
  /** From the absolute form: takes the place of the Host field (RFC 9112 section 3.2.2) */
  readonly authority: string | null
}

/** Anything here means that the path may not be in normal form yet. */
const suspicious = /%|\/\/|\/\./

export function parseTarget(method: string, target: string): Target | ProxyError {
  if (target.charCodeAt(0) === 47) return split(target, null)
  if (target === '*') {
    return method === 'OPTIONS'
      ? { path: '*', query: '', authority: null }
      : bad('the target * is for OPTIONS only')
  }
  const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(target)
  if (absolute === null) return bad('the request target is neither a path nor an http URL')
  const authority = absolute[1] as string
  const rest = absolute[2] as string
  if (!isHost(authority)) return bad('the host of the request target is not a host name')
  // OPTIONS for a server as a whole comes as an absolute form without a path (RFC 9112 section 3.2.4).
  if (rest === '' && method === 'OPTIONS') return { path: '*', query: '', authority: authority.toLowerCase() }
  return split(rest.startsWith('/') ? rest : `/${rest}`, authority.toLowerCase())
}

function split(target: string, authority: string | null): Target | ProxyError {
  const mark = target.indexOf('?')
  const raw = mark < 0 ? target : target.slice(0, mark)
  const query = mark < 0 ? '' : target.slice(mark)
  if (!suspicious.test(raw)) return { path: raw, query, authority }
  const path = normalPath(raw)
  return path instanceof ProxyError ? path : { path, query, authority }
}

/** The normal form of a path that begins with '/'. */
function normalPath(raw: string): string | ProxyError {
  let decoded = raw
  if (raw.includes('%')) {
    decoded = ''
    for (let at = 0; at < raw.length; at++) {
      const char = raw[at] as string
      if (char !== '%') {
        decoded += char
        continue
      }
      const hex = raw.slice(at + 1, at + 3)
      if (!/^[0-9A-Fa-f]{2}$/.test(hex)) return badPath('a % that is not followed by two hex digits')
      const code = Number.parseInt(hex, 16)
      if (code === 0x2f || code === 0x5c || code === 0) return badPath(`%${hex} in the path`)
      const plain = String.fromCharCode(code)
      decoded += /[A-Za-z0-9._~-]/.test(plain) ? plain : `%${hex.toUpperCase()}`
      at += 2
    }
  }
  const kept: string[] = []
  const segments = decoded.split('/')
  for (let at = 1; at < segments.length; at++) {
    const segment = segments[at] as string
    const last = at === segments.length - 1
    if (segment === '..') {
      if (kept.length === 0) return badPath('the path climbs above the root')
      kept.pop()
      if (last) kept.push('')
    } else if (segment === '.') {
      if (last) kept.push('')
    } else if (segment !== '' || last) kept.push(segment)
  }
  return `/${kept.join('/')}`
}

const bad = (why: string): ProxyError => new ProxyError('BAD_REQUEST', why)
const badPath = (why: string): ProxyError => new ProxyError('BAD_PATH', why)
