/**
 * What the hashing algorithms go by, as text: `address`, `ja4`, `client-certificate`, or `header:`, `cookie:` and `query:` with a
 * name. A request that has no such thing goes by the address of its client, so that it is spread and yet stays where it is.
 */
import type { KeyOf } from './balance/avoid.ts'
import type { Picked } from './picked.ts'

/** As `hash` is written in the configuration */
type HashConfig =
  | { readonly as: 'text'; readonly value: string }
  | {
      readonly as: 'map'
      readonly value: {
        readonly header: string | null
        readonly cookie: string | null
        readonly query: string | null
      }
    }
  | null

export function hashText(hash: HashConfig): string {
  if (hash === null) return 'address'
  if (hash.as === 'text') return hash.value
  const { header, cookie, query } = hash.value
  return header !== null
    ? `header:${header.toLowerCase()}`
    : cookie !== null
      ? `cookie:${cookie}`
      : `query:${query}`
}

export function compileHash(text: string): KeyOf {
  const [kind = '', ...rest] = text.split(':')
  const of = readers[kind]?.(rest.join(':')) ?? none
  return request => of(request) ?? request.clientAddress
}

const none = () => null

const readers: Readonly<Record<string, (name: string) => (request: Picked) => string | null>> = {
  ja4: () => request => request.ja4,
  'client-certificate': () => request => request.clientSubject,
  // Not among the fields: an authority of HTTP/2 is one too.
  header: name => request => (name === 'host' ? request.host || null : request.field(name)),
  cookie: name => request => cookieValue(request.field('cookie') ?? '', name),
  query: name => request => new URLSearchParams(request.query).get(name),
}

/** @param cookies a Cookie field (RFC 6265 section 4.2.1) @returns the first value with this name, as it was sent */
function cookieValue(cookies: string, name: string): string | null {
  for (const pair of cookies.split(';')) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return null
}
