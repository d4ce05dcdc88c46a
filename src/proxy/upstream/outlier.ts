/**
 * Ejection of endpoints that fail again and again while they accept connections: after so many failures in a row an endpoint is tried
 * last for a while, each time longer. Never more than a set share of the endpoints at once: where most of them fail, the cause is
 * likely elsewhere, and the others would break under the load. Each process judges by what it has seen itself.
 */
import { nowMs } from '../../base/deadlines.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { Endpoint } from './endpoint.ts'

export type OutlierTerms = {
  /** Failures in a row */
  readonly consecutive: number
  /** Of the first ejection; the next is twice as long, the third three times */
  readonly ejectionMs: number
  readonly maxEjectedPercent: number
  /** Responses that are failures; the default where there is none */
  readonly statuses: readonly number[]
}

/** @param endpoint for a log @param why what the last failure was */
export type Ejected = (endpoint: Endpoint, why: string, forMs: number) => void

/** An ejection is at most so many times the first; so long after one, the next is a first one again. */
const longest = 10

const defaultStatuses: readonly number[] = [502, 503, 504]

/** What an endpoint that is well does not do. Connections that have aged, and a name that is not known, say nothing of it. */
const failures: ReadonlySet<ErrorCode> = new Set([
  'CONNECT_REFUSED',
  'CONNECT_TIMEOUT',
  'UPSTREAM_TLS',
  'UPSTREAM_RESET',
  'RESPONSE_TIMEOUT',
  'UPSTREAM_IDLE',
  'BAD_RESPONSE',
  'UPSTREAM_TRUNCATED',
])

export class Outlier {
  private readonly terms: OutlierTerms
  private readonly statuses: ReadonlySet<number>
  private readonly endpoints: () => readonly Endpoint[]
  private readonly ejected: Ejected
  private readonly clock: () => number

  /** @param endpoints all of the upstream, at this moment @param clock as `nowMs` */
  constructor(terms: OutlierTerms, endpoints: () => readonly Endpoint[], ejected: Ejected, clock = nowMs) {
    this.terms = terms
    this.statuses = new Set(terms.statuses.length > 0 ? terms.statuses : defaultStatuses)
    this.endpoints = endpoints
    this.ejected = ejected
    this.clock = clock
  }

  /** The head of a response has come. */
  answered(endpoint: Endpoint, status: number): void {
    if (this.statuses.has(status)) this.count(endpoint, `a response with status ${status}`)
    else endpoint.failures = 0
  }

  failed(endpoint: Endpoint, code: ErrorCode): void {
    if (failures.has(code)) this.count(endpoint, code)
  }

  private count(endpoint: Endpoint, why: string): void {
    if (++endpoint.failures < this.terms.consecutive) return
    const now = this.clock()
    if (endpoint.ejectedUntil <= now && this.hasRoom(now)) this.eject(endpoint, why, now)
  }

  private hasRoom(now: number): boolean {
    const all = this.endpoints()
    if (all.length < 2) return false
    const ejected = all.filter(each => each.ejectedUntil > now).length
    return ejected < Math.max(1, Math.floor((all.length * this.terms.maxEjectedPercent) / 100))
  }

  private eject(endpoint: Endpoint, why: string, now: number): void {
    const { ejectionMs } = this.terms
    if (now - endpoint.ejectedUntil > longest * ejectionMs) endpoint.ejections = 0
    endpoint.ejections++
    const forMs = Math.min(longest, endpoint.ejections) * ejectionMs
    endpoint.failures = 0
    endpoint.ejectedUntil = now + forMs
    endpoint.avoidUntil = endpoint.ejectedUntil
    this.ejected(endpoint, why, forMs)
  }
}
