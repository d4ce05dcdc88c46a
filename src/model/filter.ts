/**
 * Filters see an exchange at fixed phases: `request` once, before an endpoint is chosen; `attempt` before every try;
 * `response` once, when a response head has come; `done` always, exactly once. Bodies go through the transforms that
 * `requestBody` and `responseBody` return. A reply from `request` ends the exchange
 * there. A filter that throws, or returns what its phase does not take, ends it with a 500. See docs/filters.md.
 */
import type { ProxyError } from '../base/errors.ts'
import type { Fingerprint } from '../wire/ja4.ts'
import type { ClientIdentity } from './client-identity.ts'

/** An answer of the gateway itself. The status is an integer from 200 to 599; 204, 205 and 304 have no body. */
export type Reply = {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/**
 * Header fields as a filter may read and change them. Names are in lower case where they are iterated. Throws TypeError
 * on what RFC 9110 does not allow, and on the fields that only the gateway writes (docs/filters.md lists them).
 */
export interface FilterHeaders extends Iterable<readonly [name: string, value: string]> {
  /** The first value of that name, or null */
  get(name: string): string | null
  getAll(name: string): string[]
  has(name: string): boolean
  /** Replaces every field of that name */
  set(name: string, value: string): void
  append(name: string, value: string): void
  delete(name: string): void
}

/** An exchange as a filter sees it. */
export interface FilterExchange {
  /** Unique in this process; in the log, and in error answers */
  readonly id: string
  readonly client: {
    /** The peer of the connection, or the client that a trusted proxy names */
    readonly address: string
    /** 0 where a trusted proxy did not say it */
    readonly port: number
    /** As the client connected: to the gateway, or to a trusted proxy */
    readonly scheme: 'https' | 'http'
    /** TLS between the gateway and its peer */
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
    /** What the backend will get: with Host, and with what the gateway says of the client */
    readonly headers: FilterHeaders
    /**
     * The request body, in the `request` phase: all of it, or its first bytes with `prefix`. Rejects where it is longer than
     * `limitBytes`, which answers with a 413 unless the filter catches it. The bytes are what the backend gets: do not change them.
     */
    readBody(limitBytes: number, past?: 'refuse' | 'prefix'): Promise<Uint8Array>
  }
  /** Null until a response head has come */
  readonly response: { status: number; readonly headers: FilterHeaders } | null
  readonly route: string
  /** For filters to keep what they need between phases */
  readonly state: Map<string, unknown>
}

/** Nothing. With `undefined`, so that the compiler refuses an arrow function that returns something. */
type Nothing = undefined | null | void
type RequestAnswer = Reply | Response | Nothing

/** The request phase of a filter alone. */
export type RequestFilter = (exchange: FilterExchange) => RequestAnswer | Promise<RequestAnswer>

/** What stands in the place of a piece of a body */
export type BodyOutput = Uint8Array | string | Nothing

/** What one body goes through. While a promise is waited for, nothing more of the body is read. */
export type BodyTransform = {
  /** A piece as it came: do not change its bytes, and return others. Nothing: the piece is left out. */
  chunk(bytes: Uint8Array): BodyOutput | Promise<BodyOutput>
  /** What stands behind the last piece */
  end?(): BodyOutput | Promise<BodyOutput>
}

export type Filter = {
  readonly name: string
  request?(exchange: FilterExchange): RequestAnswer | Promise<RequestAnswer>
  /** Before the endpoint is asked, of a request with a body. Nothing: the body passes as it is. */
  requestBody?(exchange: FilterExchange): BodyTransform | Nothing
  attempt?(exchange: FilterExchange): Nothing
  response?(exchange: FilterExchange): Nothing | Promise<Nothing>
  /** Before the head of a response goes to the client. Nothing: the body passes as it is. */
  responseBody?(exchange: FilterExchange): BodyTransform | Nothing
  done?(exchange: FilterExchange, error: ProxyError | null): Nothing
}

/** Filters by phase, in order; regrouped when a snapshot is compiled, so that an unused phase is an empty loop. */
export type Filters = {
  readonly request: readonly Filter[]
  readonly requestBody: readonly Filter[]
  readonly responseBody: readonly Filter[]
  readonly attempt: readonly Filter[]
  readonly response: readonly Filter[]
  readonly done: readonly Filter[]
}

const none: Filters = { request: [], requestBody: [], attempt: [], response: [], responseBody: [], done: [] }

export function byPhase(filters: readonly Filter[]): Filters {
  if (filters.length === 0) return none
  return {
    request: filters.filter(filter => filter.request),
    requestBody: filters.filter(filter => filter.requestBody),
    responseBody: filters.filter(filter => filter.responseBody),
    attempt: filters.filter(filter => filter.attempt),
    response: filters.filter(filter => filter.response),
    done: filters.filter(filter => filter.done),
  }
}

/** A filter, or only its request phase as a function. A function has a name too: without `apply` each would be a Filter. */
export type FilterInput = (Filter & { readonly apply?: never }) | RequestFilter
