/**
 * One request and its response: match, request filters, attempts, response filters, body, done. It joins the client's
 * side (a Downstream) and the backend's (Attempts), and knows neither's bytes. A retry runs the attempt phase again
 * and no other. See docs/life-of-a-request.md.
 *
 * Invariants: the client gets exactly one final head, or a visible cut; `finish` runs once; after it nothing is
 * accepted from either side.
 */
import type { Timed } from '../base/deadlines.ts'
import { nowMs } from '../base/deadlines.ts'
import { type ErrorCode, messageOf, ProxyError } from '../base/errors.ts'
import type { FilterExchange, Reply } from '../model/filter.ts'
import type { Route, RouteTimeouts } from '../model/route.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { Fields } from '../wire/fields.ts'
import type { RequestHead, ResponseHead } from '../wire/heads.ts'
import { Attempts, type AttemptsOwner } from './attempts.ts'
import { type BackendUser, hasBody } from './backend.ts'
import type { Downstream, Tunnelled } from './downstream.ts'
import { runDone, runFilters } from './filter-run.ts'
import { filterView } from './filter-view.ts'
import { callTimeoutError, callTimeoutMs, grpcStatusLines } from './grpc.ts'
import { HeldAnswer } from './held-answer.ts'
import { httpChallenge } from './http-challenge.ts'
import { locate } from './locate.ts'
import { errorAnswer, grpcErrorAnswer, type OwnAnswer, replyAnswer, routeReply } from './respond.ts'
import type { ExchangeRecord, Services } from './services.ts'

export class Exchange implements Timed, BackendUser, AttemptsOwner, Tunnelled, ExchangeRecord {
  deadlineAt = Number.POSITIVE_INFINITY
  watchIndex = -1
  readonly downstream: Downstream
  readonly head: RequestHead
  path = ''
  query = ''
  host: string
  route: Route | null = null
  status = 0
  errorCode: ErrorCode | null = null
  errorWhy: string | null = null
  bytesIn = 0
  bytesOut = 0
  /** Milliseconds on the clock of nowMs, set only when the access log wants them */
  readonly startedAt: number
  sentAt = 0
  headAt = 0
  responseHead: ResponseHead | null = null
  finished = false
  readonly attempts: Attempts
  private readonly services: Services
  private readonly snapshot: Snapshot
  private answered = false
  /** A response filter is at work: what the backend sends meanwhile waits here */
  private held: HeldAnswer | null = null
  private switched: Buffer[] | null = null
  private facade: FilterExchange | null = null
  private ownId = ''

  constructor(services: Services, downstream: Downstream, head: RequestHead) {
    this.services = services
    this.snapshot = services.snapshot
    this.downstream = downstream
    this.head = head
    this.host = head.host ?? ''
    this.attempts = new Attempts(services, this, !hasBody(head))
    this.startedAt = services.events.exchange === null ? 0 : nowMs()
  }

  get timeouts(): RouteTimeouts {
    return (this.route as Route).timeouts
  }

  get id(): string {
    if (this.ownId === '') this.ownId = this.services.nextId()
    return this.ownId
  }

  start(): void {
    const { secure } = this.downstream.connection
    const challenge = httpChallenge(this.services.challenges, secure, this.head)
    if (challenge === null) this.begin()
    else this.downstream.pauseBody()
    challenge?.then(reply => this.resumed(() => (reply === null ? this.begin() : this.reply(reply))))
  }

  private begin(): void {
    const error = locate(this, this.downstream.forwarding, this.snapshot)
    if (error !== null) {
      this.fail(error)
      return
    }
    const route = this.route as unknown as Route
    const totalMs = callTimeoutMs(route.timeouts.totalMs, this.head.grpcTimeout)
    if (totalMs > 0) {
      this.deadlineAt = this.services.deadlines.after(totalMs)
      this.services.deadlines.watch(this)
    }
    if (route.filters.request.length > 0) this.runRequestFilters(route)
    else this.act(route)
  }

  onDeadline(): void {
    this.backendFailed(callTimeoutError(this.timeouts.totalMs, this.head.grpcTimeout))
  }

  // From the client

  requestData(bytes: Buffer, from: number, to: number): void {
    if (this.finished) return
    this.bytesIn += to - from
    const limit = this.route?.maxBodyBytes ?? Number.POSITIVE_INFINITY
    if (this.bytesIn > limit)
      this.clientFault(new ProxyError('BODY_TOO_LARGE', `more than limits.body (${limit} bytes)`))
    else this.attempts.body(bytes, from, to)
  }

  requestEnd(trailers: Fields | null): void {
    if (!this.finished) this.attempts.endBody(trailers)
  }

  get requestComplete(): boolean {
    return this.attempts.requestEnded
  }

  /** The client has sent what came in this turn of the event loop. */
  flushRequest(): void {
    this.attempts.flush()
  }

  /** The request turned out to be bad, or too slow, after it had begun. */
  clientFault(error: ProxyError): void {
    if (this.finished) return
    this.attempts.drop()
    if (this.answered) this.cutOff(error)
    else this.fail(error)
  }

  clientGone(error: ProxyError): void {
    if (this.finished) return
    this.attempts.drop()
    this.finish(error)
  }

  downstreamDrained(): void {
    if (this.held === null) this.attempts.resume()
  }

  // From the attempts and their backend

  get forwardText(): string {
    return this.downstream.forwarding.text
  }

  get upgrade(): string | null {
    // Other protocols than WebSocket are not spoken of to the backend: an upgrade is optional to begin with, and one
    // that we do not know could turn the connection into something we cannot see (RFC 9931).
    return this.head.upgrade === 'websocket' && this.requestComplete ? 'websocket' : null
  }

  beforeAttempt(): boolean {
    if (this.startedAt > 0) this.sentAt = nowMs()
    try {
      for (const filter of (this.route as Route).filters.attempt) filter.attempt?.(this.view)
      return true
    } catch (error) {
      this.filterFailed(error)
      return false
    }
  }

  pauseBody(): void {
    this.downstream.pauseBody()
  }

  resumeBody(): void {
    this.downstream.resumeBody()
  }

  attemptsFailed(error: ProxyError): void {
    if (this.answered) this.cutOff(error)
    else this.fail(error)
  }

  corkAnswer(): void {
    this.downstream.cork()
  }

  uncorkAnswer(): void {
    this.downstream.uncork()
  }

  backendDrained(): void {
    if (!this.finished) this.downstream.resumeBody()
  }

  backendInformation(head: ResponseHead): void {
    this.downstream.inform(head.status, head.reason, head.fields.text)
  }

  backendHead(head: ResponseHead, bodyless: boolean): void {
    this.responseHead = head
    this.attempts.answered()
    if (this.startedAt > 0) this.headAt = nowMs()
    const route = this.route as Route
    if (route.filters.response.length === 0) this.sendHead(head, bodyless)
    else this.runResponseFilters(route, head, bodyless)
  }

  backendData(bytes: Buffer, from: number, to: number): void {
    if (this.finished) return
    if (this.held !== null) {
      this.held.data(bytes, from, to)
      this.attempts.pause()
      return
    }
    this.bytesOut += to - from
    if (!this.downstream.data(bytes, from, to)) this.attempts.pause()
  }

  backendEnd(trailers: Fields | null): void {
    if (this.finished) return
    this.attempts.release()
    if (this.held !== null) {
      this.held.end(trailers)
      return
    }
    this.finish(null)
    this.downstream.end(trailers)
  }

  backendFailed(error: ProxyError): void {
    if (!this.finished) this.attempts.failed(error, this.answered)
  }

  backendSwitched(head: ResponseHead): void {
    this.responseHead = head
    this.status = this.head.version === 2 ? 200 : 101
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.switched = []
    // The rest of what was read together with the head is collected first; then the links are joined.
    queueMicrotask(() => {
      const early = this.switched ?? []
      this.switched = null
      if (this.finished) return
      const backend = this.attempts.release()
      if (backend === null) return
      this.answered = true
      this.downstream.switchTo(this, head.fields.text, backend.release(), early)
    })
  }

  switchedData(chunk: Buffer): void {
    this.switched?.push(chunk)
  }

  /** The tunnel after an upgrade has ended. */
  tunnelEnded(bytesIn: number, bytesOut: number, error: ProxyError | null): void {
    this.bytesIn += bytesIn
    this.bytesOut += bytesOut
    this.finish(error)
  }

  /** Once only: counters, done filters and the log. */
  finish(error: ProxyError | null): void {
    if (this.finished) return
    this.finished = true
    if (this.watchIndex >= 0) this.services.deadlines.unwatch(this)
    this.attempts.done()
    if (error !== null && this.errorCode === null) {
      this.errorCode = error.code
      this.errorWhy = error.message
    }
    const done = this.route?.filters.done
    if (done !== undefined && done.length > 0) runDone(done, this.view, error, this.services.events)
    this.services.events.exchange?.(this)
  }

  private act(route: Route): void {
    const { action } = route
    if (action.kind === 'upstream') this.attempts.begin(action.upstream)
    else this.reply(routeReply(action, this.host, this.path, this.query))
  }

  private sendHead(head: ResponseHead, bodyless: boolean): void {
    this.answered = true
    this.status = head.status
    const own = this.downstream.forwarding.answerFields(this.host)
    if (own !== '') head.fields.delete('strict-transport-security')
    this.downstream.head(
      head.status,
      head.reason,
      head.fields.text + own,
      head.chunked ? -1 : head.contentLength,
      bodyless,
    )
  }

  private cutOff(error: ProxyError): void {
    this.finish(error)
    if (this.head.grpc) this.downstream.end(new Fields(grpcStatusLines(error, this.id)))
    else this.downstream.abort(error)
  }

  /** Answers with the error's own status and page. */
  private fail(error: ProxyError): void {
    this.errorCode = error.code
    this.errorWhy = error.message
    const { fault, status } = error.row
    if (fault === 'client' && status !== 404 && status !== 421) this.downstream.closeAfter()
    const { grpc, fields } = this.head
    const answer = grpc ? grpcErrorAnswer(error, this.id) : errorAnswer(error.code, fields.get('accept'), this.id)
    this.answer(answer, error)
  }

  private reply(reply: Reply): void {
    this.answer(replyAnswer(reply), null)
  }

  private answer({ status, reason, text, length, body }: OwnAnswer, error: ProxyError | null): void {
    this.status = status
    this.answered = true
    const { downstream } = this
    const bodyless = this.head.method === 'HEAD' || status === 204 || status === 304
    downstream.cork()
    downstream.head(status, reason, text + downstream.forwarding.answerFields(this.host), length, bodyless)
    if (!bodyless && body.length > 0) {
      this.bytesOut += body.length
      downstream.data(body, 0, body.length)
    }
    this.finish(error)
    downstream.end(null)
    downstream.uncork()
  }

  private runRequestFilters(route: Route): void {
    runFilters<Reply | null | undefined | void>(route.filters.request, {
      call: filter => filter.request?.(this.view),
      took: reply => {
        if (reply) this.reply(reply)
        return Boolean(reply)
      },
      finished: () => this.act(route),
      failed: error => this.filterFailed(error),
      waiting: () => this.downstream.pauseBody(),
      later: next => this.resumed(next),
    })
  }

  private runResponseFilters(route: Route, head: ResponseHead, bodyless: boolean): void {
    this.held = new HeldAnswer()
    runFilters<void>(route.filters.response, {
      call: filter => filter.response?.(this.view),
      took: () => false,
      finished: () => this.sendHeld(head, bodyless),
      failed: error => this.filterFailed(error),
      waiting: () => {},
      later: next => this.resumed(next),
    })
  }

  private sendHeld(head: ResponseHead, bodyless: boolean): void {
    const held = this.held
    this.held = null
    this.sendHead(head, bodyless)
    if (held === null) return
    this.bytesOut += held.bytes
    const open = held.sendTo(this.downstream)
    if (held.ended) {
      this.finish(null)
      this.downstream.end(held.trailers)
    } else if (open) this.attempts.resume()
  }

  /** Goes on after a promise, unless the client has left meanwhile. */
  private resumed(next: () => void): void {
    if (this.finished) return
    this.downstream.cork()
    try {
      next()
    } catch (error) {
      this.services.events.fault('filter', error)
      this.clientFault(new ProxyError('INTERNAL', messageOf(error), error))
    }
    this.flushRequest()
    this.downstream.uncork()
  }

  private filterFailed(error: unknown): void {
    this.services.events.fault('filter', error)
    this.held = null
    this.attempts.drop()
    this.fail(new ProxyError('FILTER_FAILED', messageOf(error), error))
  }

  private get view(): FilterExchange {
    this.facade ??= filterView(this, this.downstream.connection)
    return this.facade
  }
}
