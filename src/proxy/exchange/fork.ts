/**
 * A second exchange out of one that is under way, for what is asked beside it: a mirror, a hedge, a cache that revalidates. It
 * has its own copy of the head, its own sink and its own time, and outlives the client. Nothing of it slows the client down: what its
 * origin does not take yet of the request body is held, up to a bound, beyond which the fork ends.
 *
 * It is no request of a client: it is neither counted nor logged, and a failure is told to its sink by `abort`, without a page.
 * The memory it holds is a share of its own in the budget. An upgrade cannot be forked.
 */
import { ProxyError } from '../../base/errors.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import { Share } from '../../base/memory-budget.ts'
import type { Connection } from '../../model/connection.ts'
import type { Link } from '../../model/link.ts'
import type { Route } from '../../model/route.ts'
import {
  needsNoBody,
  type Origin,
  type RequestSink,
  type Sink,
  type StagedExchange,
  WrappedSink,
} from '../../model/stage.ts'
import { Fields } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import type { Downstream } from '../seam/downstream.ts'
import type { Forwarding } from '../seam/forward.ts'
import { Exchange } from './exchange.ts'

type Forking = {
  /** What is asked: the inner origin of the stage that forks, or another */
  readonly origin: Origin
  /** Takes the answer of the fork */
  readonly sink: Sink
  /** Of the request body: what may wait for the origin of the fork, in bytes */
  readonly holdBytes: number
  /** For all of it; 0 for what the route says */
  readonly totalMs: number
}

export type Fork = {
  /** Takes the copy of the request body and `resumeAnswer` of the sink; never asks its source to wait */
  readonly request: RequestSink
  /** Nobody wants its answer any more. */
  cancel(): void
}

/** Asks the origin at once; its answer may have begun when this returns. */
export function forkExchange(from: StagedExchange, forking: Forking): Fork {
  const original = from as Exchange
  const { head } = original
  if (head.upgrade !== null) {
    forking.sink.abort(new ProxyError('METHOD_NOT_SUPPORTED', 'an upgrade cannot be forked'))
    return { request: needsNoBody, cancel() {} }
  }
  const side = new ForkSide(original, forking)
  const fork = new Exchange(original.services, side, { ...head, fields: new Fields(head.fields.text) })
  fork.forked = true
  fork.host = original.host
  fork.client = original.client
  fork.path = original.path
  fork.query = original.query
  fork.forwardPath = original.forwardPath
  fork.forwardQuery = original.forwardQuery
  fork.forwardText = original.forwardText
  fork.hostField = original.hostField
  const route = original.route ?? original.refusing
  const timeouts = forking.totalMs === 0 ? route.timeouts : { ...route.timeouts, totalMs: forking.totalMs }
  fork.route = { ...route, timeouts, filters: withoutDone(route) }
  fork.deadline.routed(fork.route, head.grpcTimeout)
  fork.onDone(() => side.over())
  side.exchange = fork
  fork.ask(forking.origin, new ForkSink(forking.sink, fork))
  return { request: side, cancel: () => side.drop() }
}

/** Filters are told of the end of their exchange once. */
const withoutDone = ({ filters }: Route): Route['filters'] =>
  filters.done.length === 0 ? filters : { ...filters, done: [] }

/** What a client is to other exchanges. */
class ForkSide implements Downstream, RequestSink {
  exchange: Exchange | null = null
  readonly connection: Connection
  readonly forwarding: Forwarding
  private readonly sink: Sink
  private readonly holdBytes: number
  private readonly share: Share
  private readonly held: HeldBytes
  private stopped = false
  private ended = false
  private trailers: Fields | null = null

  constructor(from: Exchange, { sink, holdBytes }: Forking) {
    const { connection, forwarding } = from.downstream
    const { link } = connection
    const { clientAddress: remoteAddress } = from.client
    this.share = new Share(from.services.budget, { remoteAddress, overBudget: error => this.fail(error) })
    // What is known of the client stays known when it has left.
    const kept: Pick<Link, 'share' | 'tls' | 'remoteAddress'> = { share: this.share, tls: link.tls, remoteAddress }
    this.connection = { ...connection, link: kept as Link }
    this.forwarding = forwarding
    this.sink = sink
    this.holdBytes = holdBytes
    this.held = new HeldBytes(this.share)
  }

  over(): void {
    this.held.clear()
    this.share.close()
  }

  // The copy of the request body

  data(bytes: Buffer, from: number, to: number): boolean {
    const { exchange } = this
    if (exchange === null || exchange.finished) return true
    if (!this.stopped) exchange.requestData(bytes, from, to)
    else {
      this.held.add(bytes, from, to)
      if (this.held.length > this.holdBytes)
        this.fail(
          new ProxyError('BODY_TOO_LARGE', `a fork is more than ${this.holdBytes} bytes behind the request`),
        )
    }
    return true
  }

  dataHeld(held: HeldBytes): boolean {
    held.each((bytes, from, to) => this.data(bytes, from, to))
    held.clear()
    return true
  }

  end(trailers: Fields | null): void {
    this.ended = true
    this.trailers = trailers
    this.pour()
  }

  flush(): boolean {
    this.exchange?.flushRequest()
    return true
  }

  resumeAnswer(): void {
    this.exchange?.downstreamDrained()
  }

  fail(error: ProxyError): void {
    const { exchange } = this
    if (exchange === null || exchange.finished) return
    exchange.clientGone(error)
    this.sink.abort(error)
  }

  drop(): void {
    this.exchange?.clientGone(new ProxyError('CLIENT_GONE', 'nobody wants the answer of this fork'))
  }

  // Downstream: the answer goes to the sink without it

  pauseBody(): void {
    this.stopped = true
  }

  resumeBody(): void {
    this.stopped = false
    this.pour()
    this.exchange?.flushRequest()
  }

  abort(error: ProxyError): void {
    this.sink.abort(error)
  }

  cork(): void {}
  uncork(): void {}
  inform(): boolean {
    return true
  }
  head(): void {}
  closeAfter(): void {}
  switchTo(): void {}
  peerReads(): boolean {
    return false
  }

  private pour(): void {
    const { held, exchange } = this
    if (exchange === null) return
    while (held.length > 0 && !this.stopped) {
      const { bytes, from, to } = held
      held.drop(to - from)
      exchange.requestData(bytes as Buffer, from, to)
    }
    if (!this.ended || held.length > 0) return
    this.ended = false
    exchange.requestEnd(this.trailers)
  }
}

/** The outermost sink of a fork: the end of its answer is the end of the exchange. */
class ForkSink extends WrappedSink {
  private readonly exchange: Exchange

  constructor(sink: Sink, exchange: Exchange) {
    super(sink)
    this.exchange = exchange
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    this.exchange.status = head.status
    this.exchange.deadline.wait('responseBody')
    this.sink.answer(head, bodyless)
  }

  override data(bytes: Uint8Array, from: number, to: number): boolean {
    const open = this.sink.data(bytes, from, to)
    if (!open) this.exchange.deadline.unread()
    return open
  }

  override end(trailers: Fields | null): void {
    if (this.exchange.finished) return
    this.exchange.finish(null)
    this.sink.end(trailers)
  }

  override abort(error: ProxyError): void {
    if (this.exchange.finished) return
    this.exchange.finish(error)
    this.sink.abort(error)
  }

  override requestDrained(): void {
    this.exchange.requestDrained()
  }
}
