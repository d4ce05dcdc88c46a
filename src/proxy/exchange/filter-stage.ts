/**
 * The filters of a route as a stage: the request phase before the inner origin is asked, the response phase before the head
 * of its answer goes on. What the backend sends while a filter waits is held, and the backend stopped.
 */
import { messageOf, ProxyError } from '../../base/errors.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { Filter, Filters } from '../../model/filter.ts'
import {
  needsNoBody,
  type Origin,
  type RequestSink,
  type Sink,
  type Stage,
  type StagedExchange,
  WrappedSink,
} from '../../model/stage.ts'
import type { Fields } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import type { FilterPhases, PhaseCalls } from './filter-phases.ts'
import { faultPlace } from './filter-run.ts'
import { HeldAnswer } from './held-answer.ts'
import { PendingRequest } from './pending-request.ts'
import type { OwnAnswer } from './respond.ts'

/** An exchange whose filters can be run. */
export interface FilterHost extends StagedExchange {
  readonly filterPhases: FilterPhases
  readonly share: Share
  responseHead: ResponseHead | null
  responseBodyless: boolean
  filterWaits(phase: 'requestFilter' | 'responseFilter', filter: Filter): void
  filterFault(filter: Filter, error: unknown): void
  resumed(next: () => void): void
  answerThrough(sink: Sink, answer: OwnAnswer): void
}

export const filterStage =
  (filters: Filters): Stage =>
  inner =>
  (exchange, sink) =>
    exchange.runFilters(filters, inner, sink)

/** @returns where the request body goes */
export function runFilterStage(host: FilterHost, filters: Filters, inner: Origin, sink: Sink): RequestSink {
  return new FilterCall(host, filters, inner, sink).begin()
}

/** The phase before each try. @returns why one has ended the exchange, or null */
export function runAttemptFilters(host: FilterHost, filters: readonly Filter[]): ProxyError | null {
  const failed = host.filterPhases.attempt(filters)
  if (failed === null) return null
  host.filterFault(failed.filter, failed.error)
  return filterError(failed.filter, failed.error)
}

class FilterCall implements PhaseCalls {
  private readonly host: FilterHost
  private readonly filters: Filters
  private readonly inner: Origin
  private readonly sink: Sink
  private request: RequestSink | null = null
  private pending: PendingRequest | null = null

  constructor(host: FilterHost, filters: Filters, inner: Origin, sink: Sink) {
    this.host = host
    this.filters = filters
    this.inner = inner
    this.sink = sink
  }

  begin(): RequestSink {
    const { request } = this.filters
    if (request.length === 0) this.finished()
    else this.host.filterPhases.request(request, this)
    if (this.request !== null) return this.request
    this.pending = new PendingRequest(this.host.share, this.sink, error => this.host.failThrough(this.sink, error))
    return this.pending
  }

  finished(): void {
    const { response } = this.filters
    const sink = response.length === 0 ? this.sink : new FilteredSink(this.host, response, this.sink, this)
    this.goOn(this.inner(this.host, sink))
  }

  answered(answer: OwnAnswer): void {
    this.goOn(needsNoBody)
    this.host.answerThrough(this.sink, answer)
  }

  waits(filter: Filter): void {
    this.host.filterWaits('requestFilter', filter)
  }

  resumed(next: () => void): void {
    this.host.resumed(next)
  }

  failed(filter: Filter, error: unknown): void {
    this.goOn(needsNoBody)
    this.host.filterFault(filter, error)
    this.host.failThrough(this.sink, filterError(filter, error))
  }

  /** The filters of the response have let it go on. */
  resumeInner(): void {
    this.request?.resumeAnswer()
  }

  /** A filter of the response has ended the exchange: nothing of the inner origin is wanted any more. */
  dropInner(): void {
    this.request?.drop()
  }

  private goOn(request: RequestSink): void {
    this.request = request
    this.pending?.flowInto(request)
  }
}

const filterError = (filter: Filter, error: unknown): ProxyError =>
  new ProxyError('FILTER_FAILED', `${faultPlace(filter)}: ${messageOf(error)}`, error)

class FilteredSink extends WrappedSink implements PhaseCalls {
  private readonly host: FilterHost
  private readonly filters: readonly Filter[]
  private readonly call: FilterCall
  private waiting: ResponseHead | null = null
  private bodyless = false
  private held: HeldAnswer | null = null

  constructor(host: FilterHost, filters: readonly Filter[], sink: Sink, call: FilterCall) {
    super(sink)
    this.host = host
    this.filters = filters
    this.call = call
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    const { host } = this
    this.waiting = head
    this.bodyless = bodyless
    this.held = new HeldAnswer(host.share)
    host.responseHead = head
    host.responseBodyless = bodyless
    host.onDone(() => this.held?.drop())
    host.filterPhases.response(this.filters, this)
  }

  override data(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.held === null) return this.sink.data(bytes, from, to)
    this.held.data(bytes as Buffer, from, to)
    return false
  }

  override end(trailers: Fields | null): void {
    if (this.held === null) this.sink.end(trailers)
    else this.held.end(trailers)
  }

  /** While its head is held the client has seen nothing of the answer, and gets the error's page instead. */
  override abort(error: ProxyError): void {
    const { held } = this
    this.held = null
    held?.drop()
    if (held === null) this.sink.abort(error)
    else this.host.failThrough(this.sink, error)
  }

  finished(): void {
    const { held } = this
    this.held = null
    this.sink.answer(this.waiting as ResponseHead, this.bodyless)
    if (held === null) return
    const open = held.sendTo(this.sink)
    if (held.ended) this.sink.end(held.trailers)
    else if (open) this.call.resumeInner()
  }

  answered(): void {}

  waits(filter: Filter): void {
    this.host.filterWaits('responseFilter', filter)
  }

  resumed(next: () => void): void {
    this.host.resumed(next)
  }

  failed(filter: Filter, error: unknown): void {
    const { held } = this
    this.held = null
    held?.drop()
    this.host.filterFault(filter, error)
    this.call.dropInner()
    this.host.failThrough(this.sink, filterError(filter, error))
  }
}
