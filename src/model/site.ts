/** A site: host names, and how TLS ends for them. */
import type { ClientHello } from '../wire/client-hello.ts'
import type { StartTls } from '../wire/start-tls/dialogs.ts'
import type { ClientTerms } from './client-identity.ts'
import type { Route, RouteTable } from './route.ts'
import type { ServerTls } from './tls-terms.ts'
import type { Upstream } from './upstream.ts'

export type Site = {
  /** Its first host, for logs */
  readonly name: string
  readonly hosts: readonly string[]
  /** Names of those that serve it; none for all */
  readonly listeners: readonly string[]
  /**
   * Names the terms a client must have met: policy and client authentication. A connection made under one may carry
   * requests for sites with the same, and no other (421).
   */
  readonly termsKey: string
  readonly policy: string
  /** Null where no client certificate is asked for */
  readonly clients: ClientTerms | null
  readonly fingerprints: FingerprintRules
  readonly action: SiteAction
}

/** What is done with JA4 fingerprints of clients. */
type FingerprintRules = {
  /** They are taken, for anything below or for routes */
  readonly wanted: boolean
  /** Refused in the handshake; `*` at the end stands for anything */
  readonly block: readonly string[]
}

export const fitsFingerprint = (pattern: string, ja4: string): boolean =>
  pattern.endsWith('*') ? ja4.startsWith(pattern.slice(0, -1)) : ja4 === pattern

export type SiteAction =
  | {
      readonly kind: 'http'
      readonly routes: RouteTable
      /** Answers what no route takes: the error's page, with the stages of the site */
      readonly fallback: Route
      readonly tls: SiteTls | null
    }
  | ({ readonly kind: 'tcp'; readonly tls: SiteTls } & Layer4)
  | ({ readonly kind: 'passthrough' } & Layer4)

/** A site that forwards bytes. */
type Layer4 = {
  readonly upstream: Upstream
  /** Clients may begin in this protocol, and change to TLS on request */
  readonly startTls: StartTls | null
  readonly timeouts: SpliceTimeouts
  /** Open at once, per client address and listener */
  readonly connectionsPerClient: number
}

/** Milliseconds; 0 for none. */
export type SpliceTimeouts = {
  readonly connectMs: number
  readonly greetingMs: number
  readonly idleMs: number
  readonly lifetimeMs: number
}

export type SiteTls = {
  readonly minVersion: number
  readonly maxVersion: number
  /** Key exchange groups as TLS numbers, most wanted first: for the log */
  readonly groups: readonly number[]
  /** Application protocols that we speak here */
  readonly alpn: readonly string[]
  /**
   * Chooses among the site's certificates by what the client can verify. A promise only for a name that is seen for the
   * first time and ordered on demand. Throws, or rejects with, an Error that says why there is none.
   */
  terms(hello: ClientHello, serverName: string): ServerTls | Promise<ServerTls>
}
