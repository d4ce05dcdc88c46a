/** An upstream is a set of endpoints that can stand in for each other; an endpoint is one address of it. */
import type { ClientTls } from './tls-terms.ts'

/** A connection that waits in the pool of its endpoint. */
export interface IdleConnection {
  close(): void
}

export type Endpoint = {
  /** `host:port`, for logs */
  readonly label: string
  /** Name or IP address */
  readonly host: string
  readonly port: number
  /** Null for plain TCP */
  readonly tls: ClientTls | null
  /** The addresses of `host`, kept fresh by the resolver */
  readonly addresses: Addresses
  /** Exchanges and splices under way */
  active: number
  /** Keep-alive connections, the most recently used last */
  readonly idle: IdleConnection[]
}

export interface Addresses {
  /** The next address to try, or null while the name is being looked up for the first time */
  next(): string | null
  /** How many addresses there are to try */
  readonly count: number
  /** Called once with null when an address is known, or with why there is none */
  ready(settled: (error: Error | null) => void): void
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
