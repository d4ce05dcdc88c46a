/**
 * URLs that a backend writes into its responses (RFC 3986 section 4.1), turned into what its clients can use. A URL of the
 * backend's own gets the scheme, host and port that the client asked, and its path goes back through `strip` and `rewrite`.
 *
 * Invariants: a URL of another origin, or one that clients read in different ways (a control character, a backslash,
 * user information before the host), stays as it is. The host of a result is the one that the client asked, or the one that the
 * backend wrote: a path never becomes a host. One pass over the text for each step.
 */
import type { StagedExchange } from '../../model/stage.ts'
import type { Outward } from '../feature.ts'

export type Terms = {
  readonly outward: Outward
  /** Origins that are the backend's too, as originOf writes them */
  readonly origins: ReadonlySet<string>
  /** The host that a client asks stands in the configuration, and so may be named in a URL: elsewhere the client chooses it */
  readonly namesHost: boolean
}

/** @returns null where the URL stays as it is */
export function outside(url: string, exchange: StagedExchange, terms: Terms): string | null {
  if (/[\x00-\x1f\x7f\\]/.test(url)) return null
  const scheme = /^[a-z][a-z0-9+.-]*(?=:)/i.exec(url)?.[0].toLowerCase()
  if (scheme !== undefined || url.startsWith('//')) return absolute(url, scheme, exchange, terms)
  const { path, rest } = split(url)
  if (path === '') return null
  if (path.startsWith('/')) return asPath(terms.outward(withoutDots(path), exchange), rest)
  // A relative path means what the backend thinks only as long as both know the request by the same path.
  const { forwardPath } = exchange
  if (forwardPath === exchange.path || forwardPath === '*') return null
  const whole = forwardPath.slice(0, forwardPath.lastIndexOf('/') + 1) + path
  return asPath(terms.outward(withoutDots(whole), exchange), rest)
}

function absolute(url: string, written: string | undefined, exchange: StagedExchange, terms: Terms): string | null {
  const { secure } = exchange.client
  const scheme = written ?? (secure ? 'https' : 'http')
  const begin = written === undefined ? 2 : written.length + 3
  if ((scheme !== 'http' && scheme !== 'https') || !url.startsWith('//', begin - 2)) return null
  const length = url.slice(begin).search(/[/?#]/)
  const end = length < 0 ? url.length : begin + length
  const authority = url.slice(begin, end).toLowerCase()
  const whose = ownerOf(scheme, authority, exchange, terms)
  if (whose === null) return null
  const { path, rest } = split(url.slice(end))
  const own = withoutDots(path === '' ? '/' : path)
  const mapped = terms.outward(own, exchange) ?? own
  // A backend that sends its client from cleartext to https means it; the other way round it does not know of the TLS in front.
  if (whose === 'client' && scheme === 'https' && !secure) return `https://${authority}${mapped}${rest}`
  if (!terms.namesHost || exchange.host === '') return asPath(mapped, rest)
  return `${secure ? 'https' : 'http'}://${exchange.host}${mapped}${rest}`
}

/** Whether an authority is the backend's own or the host that the client asked; null for anybody else's. */
function ownerOf(
  scheme: string,
  authority: string,
  exchange: StagedExchange,
  { origins }: Terms,
): 'backend' | 'client' | null {
  const { endpoint } = exchange.attempts
  const { host, port } = hostAndPort(authority, scheme)
  if (host === '' || host.includes('@')) return null
  if (authority === exchange.hostField?.toLowerCase() && exchange.hostField !== exchange.host) return 'backend'
  if (origins.has(originOf(scheme, host, port))) return 'backend'
  if (endpoint !== null && (port === endpoint.place.port || endpoint.place.port === 0)) {
    const { address } = endpoint.place
    if (host === address || host === `[${address}]` || host === hostAndPort(endpoint.authority, scheme).host)
      return 'backend'
  }
  const asked = hostAndPort(exchange.host, exchange.client.secure ? 'https' : 'http')
  if (host !== asked.host) return null
  // Any other port of the same host is another service.
  const { serverPort } = exchange.client
  const known = [asked.port, serverPort, endpoint?.place.port, scheme === 'https' ? 443 : 80]
  return known.includes(port) ? 'client' : null
}

/** How an origin is looked up. */
export const originOf = (scheme: string, host: string, port: number): string => `${scheme}://${host}:${port}`

/** @param authority in lower case, without user information */
export function hostAndPort(authority: string, scheme: string): { readonly host: string; readonly port: number } {
  const port = /:(\d{0,5})$/.exec(authority)?.[1]
  const host = port === undefined ? authority : authority.slice(0, -port.length - 1)
  return { host, port: port === undefined || port === '' ? (scheme === 'https' ? 443 : 80) : Number(port) }
}

/** What begins with two slashes would be a host. */
const asPath = (path: string | null, rest: string): string | null =>
  path === null ? null : `${path.replace(/^\/{2,}/, '/')}${rest}`

function split(url: string): { readonly path: string; readonly rest: string } {
  const at = url.search(/[?#]/)
  return at < 0 ? { path: url, rest: '' } : { path: url.slice(0, at), rest: url.slice(at) }
}

/** A path without dot segments (RFC 3986 section 5.2.4), encoded ones included, which browsers take for the same. */
function withoutDots(path: string): string {
  if (!/\/(?:\.|%2e)/i.test(path)) return path
  const kept: string[] = []
  const segments = path.split('/')
  for (let at = 1; at < segments.length; at++) {
    const segment = segments[at] as string
    const dots = segment.length > 6 ? segment : segment.replaceAll(/%2e/gi, '.')
    if (dots === '..') kept.pop()
    else if (dots !== '.') {
      kept.push(segment)
      continue
    }
    if (at === segments.length - 1) kept.push('')
  }
  return `/${kept.join('/')}`
}
