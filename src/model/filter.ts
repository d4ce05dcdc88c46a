/**
 * Filters see an exchange at fixed phases: `request` once, before an endpoint is chosen; `attempt` before every try;
 * `response` once, when a response head has come; `done` always, exactly once. A reply from `request` ends the exchange
 * there. A filter that throws ends it with a 500. See docs/filters.md.
 */
import type { ProxyError } from '../base/errors.ts'
import type { Fields } from '../wire/fields.ts'
import type { Fingerprint } from '../wire/ja4.ts'
import type { ClientIdentity } from './client-identity.ts'

/** An answer of the gateway itself. */
export type Reply = {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** An exchange as a filter sees it. */
export interface FilterExchange {
  /** Unique in this process; in the log, and in error answers */
  readonly id: string
  readonly client: {
    readonly address: string
    readonly port: number
    readonly secure: boolean
    readonly serverName: string | null
    /** Who the client has proved to be with its certificate */
    readonly identity: ClientIdentity | null
    /** Taken where the access log is on, or the site uses them */
    readonly fingerprint: Fingerprint | null
  }
  readonly request: {
    readonly method: string
    readonly host: string
    /** Normal form: what was routed on and is forwarded */
    path: string
    /** With its '?', or empty */
    query: string
    readonly headers: Fields
  }
  /** Null until a response head has come */
  readonly response: { status: number; readonly headers: Fields } | null
  readonly route: string
  /** For filters to keep what they need between phases */
  readonly state: Map<string, unknown>
}

export type Filter = {
  readonly name: string
  request?(exchange: FilterExchange): Reply | null | undefined | void | Promise<Reply | null | undefined | void>
  attempt?(exchange: FilterExchange): void
  response?(exchange: FilterExchange): void | Promise<void>
  done?(exchange: FilterExchange, error: ProxyError | null): void
}

/** Filters by phase, in order; regrouped when a snapshot is compiled, so that an unused phase is an empty loop. */
export type Filters = {
  readonly request: readonly Filter[]
  readonly attempt: readonly Filter[]
  readonly response: readonly Filter[]
  readonly done: readonly Filter[]
}

const none: Filters = { request: [], attempt: [], response: [], done: [] }

export function byPhase(filters: readonly Filter[]): Filters {
  if (filters.length === 0) return none
  return {
    request: filters.filter(filter => filter.request),
    attempt: filters.filter(filter => filter.attempt),
    response: filters.filter(filter => filter.response),
    done: filters.filter(filter => filter.done),
  }
}
