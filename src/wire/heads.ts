/** Message heads as both versions of HTTP are read into them, and what limits them. */
import { STATUS_CODES } from 'node:http'
import type { Fields } from './fields.ts'

export type HeadLimits = {
  /** Bytes of start line and fields together */
  readonly headBytes: number
  readonly uriBytes: number
  /** Fields */
  readonly headers: number
}

/** Names in lower case that a listener lets through although they are dropped from clients; null for none. */
export type AllowedFields = ReadonlySet<string> | null

/** What both kinds of head have in common. `contentLength` is -1 where there is none. */
type Framing = {
  /** Position after the empty line that ends the head; 0 in HTTP/2 */
  end: number
  minor: 0 | 1
  fields: Fields
  contentLength: number
  chunked: boolean
  /** After this message the connection can carry another */
  persistent: boolean
  /** The protocol that `Upgrade` names, where `Connection` names `upgrade` too; in lower case, but in a 426 as it came */
  upgrade: string | null
}

export type RequestHead = Framing & {
  /** Major version that the client speaks */
  version: 1 | 2
  method: string
  /** As on the request line */
  target: string
  /** As sent, in lower case; null only for HTTP/1.0 */
  host: string | null
  expectContinue: boolean
  /** The client takes trailers (TE) */
  trailers: boolean
  /** What a trusted peer says of the client: its identity fields, which are not among `fields`. Null from any other peer */
  claims: Fields | null
  /** A gRPC call, over HTTP/2 */
  grpc: boolean
  /** As sent: digits and a unit */
  grpcTimeout: string | null
}

export type ResponseHead = Framing & {
  status: number
  reason: string
  /** There is a Date */
  dated: boolean
  /** `Connection: close` was said, or 1.0 without keep-alive */
}

/** A Content-Length. -2 where it is not 1*DIGIT, or more than a number can hold exactly. */
export function parseLength(text: string): number {
  const length = text.length
  if (length === 0 || length > 16) return -2
  let value = 0
  for (let at = 0; at < length; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return -2
    value = value * 10 + digit
  }
  return Number.isSafeInteger(value) ? value : -2
}

/** The reason phrase that HTTP/1.1 writes behind a status; HTTP/2 has none. */
export const reasonOf = (status: number): string => STATUS_CODES[status] ?? ''
