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
import type { Filter, Reply } from '../model/filter.ts'
import type { Route, RouteTimeouts } from '../model/route.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { Fields } from '../wire/fields.ts'
import type { RequestHead, ResponseHead } from '../wire/heads.ts'
import { answerLength, withFields } from './answer-head.ts'
import { Attempts, type AttemptsOwner } from './attempts.ts'
import { hasBody } from './backend.ts'
import type { Downstream, Tunnelled } from './downstream.ts'
import { type FilteredExchange, FilterPhases } from './filter-phases.ts'
import { faultPlace } from './filter-run.ts'
import { callTimeoutError, callTimeoutMs, grpcStatusLines } from './grpc.ts'
import { HeldAnswer } from './held-answer.ts'
import { httpChallenge } from './http-challenge.ts'
import { locate } from './locate.ts'
import { errorAnswer, grpcErrorAnswer, type OwnAnswer, replyAnswer, routeReply } from './respond.ts'
import type { ExchangeRecord, Services } from './services.ts'

export class Exchange implements Timed, AttemptsOwner, Tunnelled, ExchangeRecord, FilteredExchange {
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
  responseBodyless = false
  /** Of the site and client of this request: on an HTTP/2 connection another may have been looked up since */
  forwardText = ''
  hostField: string | null = null
  finished = false
  readonly attempts: Attempts
  private readonly services: Services
  private readonly snapshot: Snapshot
  private answered = false
  /** A response filter is at work: what the backend sends meanwhile waits here */
  private held: HeldAnswer | null = null
  private switched: Buffer[] | null = null
  private madePhases: FilterPhases | null = null
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
    this.forwardText = this.downstream.forwarding.text
    const route = this.route as unknown as Route
    const totalMs = callTimeoutMs(route.timeouts.totalMs, this.head.grpcTimeout)
    if (totalMs > 0) {
      this.deadlineAt = this.services.deadlines.after(totalMs)
      this.services.deadlines.watch(this)
    }
    if (route.filters.request.length > 0) this.phases.request(route.filters.request)
    else this.requestFiltered()
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

  get upgrade(): string | null {
    // Other protocols than WebSocket are not spoken of to the backend: an upgrade is optional to begin with, and one
    // that we do not know could turn the connection into something we cannot see (RFC 9931).
    return this.head.upgrade === 'websocket' && this.requestComplete ? 'websocket' : null
  }

  beforeAttempt(): boolean {
    if (this.startedAt > 0) this.sentAt = nowMs()
    const { attempt } = (this.route as Route).filters
    return attempt.length === 0 || this.phases.attempt(attempt)
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
    this.responseBodyless = bodyless
    this.attempts.answered()
    if (this.startedAt > 0) this.headAt = nowMs()
    const { response } = (this.route as Route).filters
    if (response.length === 0) {
      this.sendHead(head, bodyless)
      return
    }
    this.held = new HeldAnswer()
    this.phases.response(response)
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
    if (done !== undefined && done.length > 0) this.phases.done(done, error, this.services.events)
    this.services.events.exchange?.(this)
  }

  private sendHead(head: ResponseHead, bodyless: boolean): void {
    this.answered = true
    this.status = head.status
    const text = withFields(head.fields.text, this.downstream.forwarding.answerFields(this.host))
    const length = answerLength(head, bodyless, this.head.method)
    this.downstream.head(head.status, head.reason, text, length, bodyless)
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
    downstream.head(
      status,
      reason,
      withFields(text, downstream.forwarding.answerFields(this.host)),
      length,
      bodyless,
    )
    if (!bodyless && body.length > 0) {
      this.bytesOut += body.length
      downstream.data(body, 0, body.length)
    }
    this.finish(error)
    downstream.end(null)
    downstream.uncork()
  }

  // From the filters

  requestFiltered(): void {
    const { action } = this.route as Route
    if (action.kind === 'upstream') this.attempts.begin(action.upstream)
    else this.reply(routeReply(action, this.host, this.path, this.query))
  }

  filterAnswered(answer: OwnAnswer): void {
    this.answer(answer, null)
  }

  filterWaits(): void {
    this.downstream.pauseBody()
  }

  responseFiltered(): void {
    const held = this.held
    this.held = null
    this.sendHead(this.responseHead as ResponseHead, this.responseBodyless)
    if (held === null) return
    this.bytesOut += held.bytes
    const open = held.sendTo(this.downstream)
    if (held.ended) {
      this.finish(null)
      this.downstream.end(held.trailers)
    } else if (open) this.attempts.resume()
  }

  /** Goes on after a promise, unless the client has left meanwhile. */
  resumed(next: () => void): void {
    if (this.finished) return
    this.downstream.cork()
    try {
      next()
    } catch (error) {
      this.services.events.fault('exchange', error)
      this.clientFault(new ProxyError('INTERNAL', messageOf(error), error))
    }
    this.flushRequest()
    this.downstream.uncork()
  }

  filterFailed(filter: Filter, error: unknown): void {
    const where = faultPlace(filter)
    this.services.events.fault(where, error)
    this.held = null
    this.attempts.drop()
    this.fail(new ProxyError('FILTER_FAILED', `${where}: ${messageOf(error)}`, error))
  }

  private get phases(): FilterPhases {
    this.madePhases ??= new FilterPhases(this, this.downstream.connection)
    return this.madePhases
  }
}
