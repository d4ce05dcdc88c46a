/**
 * The filters of a route as a stage: the request phase before the inner origin is asked, with what it reads of the body; the
 * body through the transforms of filters; and the answer through a FilteredSink.
 */
import type { ProxyError } from '../../base/errors.ts'
import type { HeldBytes } from '../../base/held-bytes.ts'
import type { Filter, Filters } from '../../model/filter.ts'
import { needsNoBody, type Origin, type RequestSink, type Sink, type Stage } from '../../model/stage.ts'
import type { Fields } from '../../wire/fields.ts'
import { hasBody } from '../seam/backend.ts'
import { BodyChain, type BodyOwner } from './body-chain.ts'
import { type FilterHost, filterFailed } from './filter-host.ts'
import type { PhaseCalls } from './filter-phases.ts'
import { FilterReader } from './filter-reader.ts'
import { faultPlace } from './filter-run.ts'
import { FilteredSink } from './filtered-sink.ts'
import type { FilterPromises } from './left-behind.ts'
import { PendingRequest } from './pending-request.ts'
import type { OwnAnswer } from './respond.ts'

export const filterStage =
  (filters: Filters): Stage =>
  inner =>
  (exchange, sink) =>
    // Every exchange of the data plane is one.
    new FilterCall(exchange as FilterHost, filters, inner, sink).begin()

/** The phase before each try. @returns why one has ended the exchange, or null */
export function runAttemptFilters(host: FilterHost, filters: readonly Filter[]): ProxyError | null {
  const failed = host.filterPhases.attempt(filters)
  return failed === null ? null : filterFailed(host, failed.filter, failed.error)
}

/** The filters of one exchange. */
class FilterCall implements PhaseCalls, BodyOwner, RequestSink {
  /** What the request body goes through, if any filter wants it to */
  private chain: BodyChain | null = null
  /** The inner origin's; null before that has returned */
  private request: RequestSink | null = null
  private readonly host: FilterHost
  private readonly filters: Filters
  private readonly inner: Origin
  private readonly sink: Sink
  private pending: PendingRequest | null = null
  private reader: FilterReader | null = null
  /** Whose promise the request phase waits for */
  private waiting: Filter | null = null
  private filtered: FilteredSink | null = null
  private droppedEarly = false
  private resumedEarly = false
  /** Where the request goes on; null before the request phase is over */
  private next: RequestSink | null = null

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
    return this.next ?? this.holder()
  }

  // The request phase

  finished(): void {
    const { response, requestBody, responseBody } = this.filters
    const { host } = this
    const transforms = hasBody(host.head) ? host.filterPhases.transforms(requestBody, 'requestBody') : []
    if (!Array.isArray(transforms)) {
      this.failed(transforms.filter, transforms.error)
      return
    }
    const bodies = transforms.length + responseBody.length > 0
    if (bodies || response.length > 0) this.filtered = new FilteredSink(host, this.filters, this.sink, this)
    if (transforms.length > 0) {
      // How long it will be is not known any more.
      host.head.contentLength = -1
      host.head.chunked = true
    }
    const inner = this.inner(host, this.filtered ?? this.sink)
    this.request = inner
    if (transforms.length > 0) {
      this.chain = new BodyChain(transforms, host.share, this, inner)
      host.onDone(() => this.chain?.drop())
    }
    // What was asked of the inner origin before it had returned its request side.
    if (this.droppedEarly) inner.drop()
    else if (this.resumedEarly) inner.resumeAnswer()
    this.goOn(bodies ? this : inner)
  }

  answered(answer: OwnAnswer): void {
    this.goOn(needsNoBody)
    this.host.answerThrough(this.sink, answer)
  }

  waits(filter: Filter): void {
    this.waiting = filter
    if (this.reader?.reading) return
    this.host.deadline.wait('requestFilter', faultPlace(filter))
    this.host.pauseBody()
  }

  resumed(next: () => void): void {
    this.host.resumed(next)
  }

  failed(filter: Filter, error: unknown): void {
    this.goOn(needsNoBody)
    const why = this.reader?.refused(error) ?? filterFailed(this.host, filter, error)
    this.host.failThrough(this.sink, why)
  }

  readBody(filter: Filter, limit: number, past: 'refuse' | 'prefix'): Promise<Uint8Array> {
    this.reader ??= new FilterReader(this.host, this.sink, this.holder(), () => {
      if (this.waiting !== null) this.waits(this.waiting)
    })
    return this.reader.read(filter, limit, past)
  }

  // The request body, where a filter has to do with bodies

  data(bytes: Buffer, from: number, to: number): boolean {
    return (this.chain ?? (this.request as RequestSink)).data(bytes, from, to)
  }

  dataHeld(held: HeldBytes): boolean {
    const { chain } = this
    if (chain === null) return (this.request as RequestSink).dataHeld(held)
    const open = held.each((bytes, from, to) => chain.data(bytes, from, to))
    held.clear()
    return open
  }

  end(trailers: Fields | null): void {
    ;(this.chain ?? this.request)?.end(trailers)
  }

  flush(): boolean {
    return this.request?.flush() !== false
  }

  resumeAnswer(): void {
    this.chain?.remind()
    if (this.filtered?.resume() !== true) this.resumeInner()
  }

  resumeInner(): void {
    if (this.request === null) this.resumedEarly = true
    else this.request.resumeAnswer()
  }

  fail(error: ProxyError): void {
    this.chain?.drop()
    this.request?.fail(error)
  }

  drop(): void {
    this.chain?.drop()
    if (this.request === null) this.droppedEarly = true
    else this.request.drop()
  }

  /** The inner origin can take more. @returns whether a transform stands before it */
  innerDrained(): boolean {
    if (this.chain === null) return false
    this.chain.resume()
    this.request?.flush()
    return true
  }

  get promises(): FilterPromises {
    return this.host.filterPhases.promises
  }

  bodyDrained(): void {
    this.sink.requestDrained()
  }

  bodyWaits(filter: Filter): void {
    this.host.deadline.requestTransform(faultPlace(filter))
  }

  bodySettled(): void {
    this.host.deadline.requestTransformed()
  }

  bodyFailed(filter: Filter, error: unknown): void {
    this.drop()
    this.filtered?.abort(filterFailed(this.host, filter, error))
  }

  /** What comes of the body before it is known where it goes. */
  private holder(): PendingRequest {
    const { host, sink } = this
    this.pending ??= new PendingRequest(host.share, sink, error => host.failThrough(sink, error))
    return this.pending
  }

  private goOn(request: RequestSink): void {
    this.next = request
    this.reader?.close()
    this.pending?.flowInto(request)
  }
}
