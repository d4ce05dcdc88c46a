/** An upstream is a set of endpoints that can stand in for each other; an endpoint is one address of it. */
import type { ClientTls } from './tls-terms.ts'

/** The connections to an endpoint; made and used by the data plane. */
export interface EndpointPool {
  /** Connections that wait for an exchange, or share what they carry */
  readonly size: number
  /** Closes those to addresses that the endpoint's name does not have any more, the busy ones as soon as they are idle. */
  retire(): void
  /** Closes up to `most` of those that are idle. @returns how many */
  closeIdle(most: number): number
  /** Closes those that are idle, and the others as soon as they are. */
  close(): void
}

/** How long an endpoint that could not be connected to is tried last */
export const avoidMs = 10_000

export type Endpoint = {
  /** `host:port`, for logs */
  readonly label: string
  /** Name or IP address */
  readonly host: string
  readonly port: number
  /** Null for plain TCP; replaced when the files that it is made of are */
  tls: ClientTls | null
  /** The addresses of `host`, kept fresh by the resolver */
  readonly addresses: Addresses
  /** Exchanges and splices under way */
  active: number
  /** It could not be connected to, and is tried last until then, on the clock of `nowMs`; 0: nothing is held against it */
  avoidUntil: number
  /** What may be spoken to it; `auto` over TLS is settled by ALPN, and without TLS is HTTP/1.1 */
  readonly http: 'auto' | 1 | 2
  /** The terms of `tls` with nothing but HTTP/1.1, for upgrades */
  http1Tls: ClientTls | null
  /** Null until the first exchange */
  pool: EndpointPool | null
}

export interface Addresses {
  /** The next address to try, or null while the name is being looked up for the first time */
  next(): string | null
  /** How many addresses there are to try */
  readonly count: number
  /** Whether the name has this address, by its last answer */
  has(address: string): boolean
  /** Called once with null when an address is known, or with why there is none */
  ready(settled: (error: Error | null) => void): void
  /** The endpoint is not used any more: nothing is looked up in advance. */
  stop(): void
}

/** Chooses an endpoint that is not in `tried`; null when none is left. */
export type Pick = (tried: readonly Endpoint[]) => Endpoint | null

export type Upstream = {
  readonly name: string
  readonly scheme: 'http' | 'https' | 'tcp'
  readonly endpoints: readonly Endpoint[]
  readonly pick: Pick
  /** Idle connections kept for each endpoint */
  readonly maxIdle: number
  /** What the Host field says toward the backend */
  readonly hostHeader: 'preserve' | 'endpoint'
  readonly proxyProtocol: 'v1' | 'v2' | null
}
