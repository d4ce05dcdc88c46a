/**
 * An answer on its way through filters: the response phase before its head goes on, and its body through their transforms.
 * What the backend sends while a filter waits is held, and the backend stopped. The gateway's own answers pass as they are.
 */
import type { ProxyError } from '../../base/errors.ts'
import type { Filter, Filters } from '../../model/filter.ts'
import { type Sink, WrappedSink } from '../../model/stage.ts'
import type { Fields } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import { BodyChain, type BodyOwner } from './body-chain.ts'
import { type FilterHost, filterFailed } from './filter-host.ts'
import type { PhaseCalls } from './filter-phases.ts'
import { faultPlace } from './filter-run.ts'
import { HeldAnswer } from './held-answer.ts'
import type { FilterPromises } from './left-behind.ts'

/** The request side, which the answer's has to do with. */
interface FilteredRequest {
  resumeInner(): void
  drop(): void
  /** @returns whether it lets the client go on itself */
  innerDrained(): boolean
}

export class FilteredSink extends WrappedSink implements PhaseCalls, BodyOwner {
  private readonly host: FilterHost
  private readonly filters: Filters
  private readonly asked: FilteredRequest
  private waiting: ResponseHead | null = null
  private bodyless = false
  private held: HeldAnswer | null = null
  private chain: BodyChain | null = null
  /** The head has gone on */
  private answeredOn = false
  /** What still comes is of no use */
  private over = false

  constructor(host: FilterHost, filters: Filters, sink: Sink, asked: FilteredRequest) {
    super(sink)
    this.host = host
    this.filters = filters
    this.asked = asked
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    const { host } = this
    if (this.over) return
    if (host.answersItself) {
      this.answeredOn = true
      this.sink.answer(head, bodyless)
      return
    }
    this.waiting = head
    this.bodyless = bodyless
    host.responseHead = head
    host.responseBodyless = bodyless
    if (this.filters.response.length === 0) {
      this.finished()
      return
    }
    this.held = new HeldAnswer(host.share)
    host.onDone(() => this.held?.drop())
    host.filterPhases.response(this.filters.response, this)
  }

  override data(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.over) return true
    if (this.held === null) return (this.chain ?? this.sink).data(bytes as Buffer, from, to)
    this.held.data(bytes as Buffer, from, to)
    return false
  }

  override end(trailers: Fields | null): void {
    if (this.over) return
    if (this.held === null) (this.chain ?? this.sink).end(trailers)
    else this.held.end(trailers)
  }

  /** While its head is held the client has seen nothing of the answer, and gets the error's page instead. */
  override abort(error: ProxyError): void {
    if (this.over) return
    this.over = true
    this.held?.drop()
    this.held = null
    this.chain?.drop()
    if (this.answeredOn) this.sink.abort(error)
    else this.host.failThrough(this.sink, error)
  }

  override requestDrained(): void {
    if (!this.asked.innerDrained()) this.sink.requestDrained()
  }

  /** The client can take more. @returns whether a transform stands behind the inner origin */
  resume(): boolean {
    if (this.chain === null) return false
    this.chain.remind()
    this.chain.resume()
    return true
  }

  // The response phase

  finished(): void {
    const { held, host, bodyless } = this
    const head = this.waiting as ResponseHead
    const transforms = this.hasBody(head)
      ? host.filterPhases.transforms(this.filters.responseBody, 'responseBody')
      : []
    if (!Array.isArray(transforms)) {
      this.failed(transforms.filter, transforms.error)
      return
    }
    this.held = null
    if (transforms.length > 0) {
      // How long it will be is not known any more, for a HEAD neither.
      head.contentLength = -1
      head.chunked = !bodyless
      if (!bodyless) this.chain = new BodyChain(transforms, host.share, this, this.sink)
      host.onDone(() => this.chain?.drop())
    }
    this.answeredOn = true
    this.sink.answer(head, bodyless)
    if (held === null) return
    const { chain } = this
    const open = held.sendTo(chain ?? this.sink)
    if (held.ended) (chain ?? this.sink).end(held.trailers)
    else if (open) this.asked.resumeInner()
  }

  answered(): void {}

  waits(filter: Filter): void {
    this.host.deadline.wait('responseFilter', faultPlace(filter))
  }

  resumed(next: () => void): void {
    this.host.resumed(next)
  }

  failed(filter: Filter, error: unknown): void {
    this.end500(filter, error)
  }

  // The body

  get promises(): FilterPromises {
    return this.host.filterPhases.promises
  }

  bodyDrained(): void {
    this.asked.resumeInner()
  }

  bodyWaits(filter: Filter): void {
    this.host.deadline.wait('responseTransform', faultPlace(filter))
  }

  bodySettled(): void {
    this.host.deadline.responseTransformed()
  }

  bodyFailed(filter: Filter, error: unknown): void {
    this.end500(filter, error)
  }

  private end500(filter: Filter, error: unknown): void {
    const why = filterFailed(this.host, filter, error)
    this.asked.drop()
    this.abort(why)
  }

  /** Also of one that is only spoken of: the answer to a HEAD, and a 304. */
  private hasBody({ status }: ResponseHead): boolean {
    return !this.bodyless || this.host.head.method === 'HEAD' || status === 304
  }
}
