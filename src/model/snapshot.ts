/** A compiled configuration: immutable, and replaced as a whole. */
import type { StartTls } from '../wire/start-tls/dialogs.ts'
import type { Route } from './route.ts'
import type { Site } from './site.ts'

/** The sites that a client can reach. */
export type SiteTable = {
  /** The site of a host name in canonical form; exact first, then wildcard. Does not fall back to the default. */
  site(host: string): Site | null
  /** Serves clients without a name, or with one that no site has */
  readonly defaultSite: Site | null
  /** The sites that speak a protocol which changes to TLS on request, in the order of the configuration */
  readonly startTls: ReadonlyMap<StartTls, readonly Site[]>
}

/** As a table it has all sites, whatever their listeners. */
export type Snapshot = SiteTable & {
  readonly version: number
  /** Those of a listener, by its name */
  sitesOf(listener: string | null): SiteTable
  /** Answers what has no site, or could not be read: the error's page, with the stages of `defaults`. Of every listener */
  readonly fallback: Route
  readonly limits: Limits
  readonly timeouts: Timeouts
}

export type Limits = {
  readonly headBytes: number
  readonly headers: number
  readonly uriBytes: number
  /** Open at once, per listener */
  readonly connections: number
  /** Open at once, per client address and listener */
  readonly connectionsPerClient: number
  readonly helloBytes: number
  /** HTTP/2 streams open at once, per connection */
  readonly streams: number
}

/** Milliseconds. */
export type Timeouts = {
  readonly handshakeMs: number
  readonly headMs: number
  readonly keepAliveMs: number
  readonly bodyGraceMs: number
  readonly poolIdleMs: number
  readonly idleMs: number
}
