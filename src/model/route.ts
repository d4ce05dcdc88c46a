/** A route: which requests it takes, and what becomes of them. */
import type { ProxyError } from '../base/errors.ts'
import type { Fields } from '../wire/fields.ts'
import type { Fingerprint } from '../wire/ja4.ts'
import type { PathForm } from '../wire/path-form.ts'
import type { CloudIds } from '../wire/proxy-header.ts'
import type { ClientIdentity, ClientMatch } from './client-identity.ts'
import type { Filters } from './filter.ts'
import type { Origin } from './stage.ts'

export type Route = {
  /** For logs, metrics and `explain` */
  readonly name: string
  readonly match: RouteMatch
  /** What answers, with the stages around it */
  readonly origin: Origin
  /** Answers what is refused before that: the outer stages around the error's page */
  readonly refused: Origin
  readonly timeouts: RouteTimeouts
  /** Least bytes a second of a request body, on average; 0 for none */
  readonly bodyRateBytes: number
  readonly filters: Filters
  /** Only for clients that have shown a certificate */
  readonly requireClient: boolean
  /** The form in which it takes paths; absent for the strict one */
  readonly path?: PathForm | undefined
}

/** A path in the form of its route, and that route */
export type RoutedPath = { readonly path: string; readonly route: Route | null }

/** Every list that is empty matches anything; a request must satisfy all of them. */
export type RouteMatch = {
  /** Any of these, in the form of route/paths.ts */
  readonly paths: readonly string[]
  /** Any of these; methods are case-sensitive */
  readonly methods: readonly string[]
  /** All of these; a null value means "present" */
  readonly headers: readonly NameAndValue[]
  /** All of these, decoded; a null value means "present" */
  readonly query: readonly NameAndValue[]
  /** Any of these; empty for any client, with a certificate or without */
  readonly clients: readonly ClientMatch[]
  /** Any of these fingerprints; `*` at the end stands for anything */
  readonly ja4: readonly string[]
  /** What a PROXY header has to say; null for nothing */
  readonly proxy: ProxyMatch | null
}

/** For each that is not empty, any of its ids. */
export type ProxyMatch = { readonly [K in keyof CloudIds]: readonly string[] }

/** What a route may ask about the connection that a request came on. */
export type Who = {
  readonly identity: ClientIdentity | null
  readonly fingerprint: Fingerprint | null
  readonly cloud: CloudIds | null
}

export type NameAndValue = { readonly name: string; readonly value: string | null }

/** The timeouts that a route may have of its own, by their names in a configuration. */
export const routeTimeoutNames = [
  'connect',
  'response',
  'bodyIdle',
  'idle',
  'filter',
  'total',
  'tunnelIdle',
] as const

type OwnNames = Exclude<(typeof routeTimeoutNames)[number], 'tunnelIdle'>

/** Milliseconds; 0 for none. */
export type RouteTimeouts = { readonly [N in OwnNames as `${N}Ms`]: number } & {
  /** Null: as `idleMs` */
  readonly tunnelIdleMs: number | null
}

/** Of a WebSocket, or whatever else a connection was upgraded to */
export const tunnelIdleMs = (timeouts: TunnelTimeouts): number => timeouts.tunnelIdleMs ?? timeouts.idleMs
export type TunnelTimeouts = Pick<RouteTimeouts, 'idleMs' | 'tunnelIdleMs'>

export function routeTimeouts(all: RouteTimeouts): RouteTimeouts {
  return Object.fromEntries(routeTimeoutNames.map(name => [`${name}Ms`, all[`${name}Ms`]])) as RouteTimeouts
}

/** Finds the route of a request, or null. `path` is in the form of its route, `query` as sent with its '?'. */
export interface RouteTable {
  readonly routes: readonly Route[]
  /** Of a path as it was sent, with why it is refused. Null where all routes take the strict form */
  readonly read:
    | ((method: string, raw: string, query: string, fields: Fields, who: Who) => RoutedPath | ProxyError)
    | null
  find(method: string, path: string, query: string, fields: Fields, who: Who): Route | null
}
