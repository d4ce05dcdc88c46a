/**
 * One request and its response. It joins the client's side (a Downstream) and the origin of its route, with the stages
 * around it, and knows neither's bytes. It is the outermost Sink of its answer and, where an upstream is asked, what its
 * backend talks to: what comes from there goes to the sink of the origin, and so through the stages back to the client. A
 * retry runs the attempt phase again and no stage. See docs/life-of-a-request.md.
 *
 * Invariants: one final head for the client, or a visible cut; `finish` runs once; then nothing is accepted from either side.
 */
import { nowMs } from '../../base/deadlines.ts'
import { type ErrorCode, endsConnection, messageOf, ProxyError } from '../../base/errors.ts'
import type { Client } from '../../model/client.ts'
import type { Reply } from '../../model/filter.ts'
import type { Link } from '../../model/link.ts'
import type { RequestRecord } from '../../model/records.ts'
import type { Route, RouteTimeouts } from '../../model/route.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import type { Origin, RequestSink, Sink } from '../../model/stage.ts'
import { Fields } from '../../wire/fields.ts'
import type { RequestHead, ResponseHead } from '../../wire/heads.ts'
import { hasBody } from '../seam/backend.ts'
import { type BackendSide, nobodyAsked } from '../seam/backend-side.ts'
import type { Downstream, Tunnelled } from '../seam/downstream.ts'
import type { WaitedFor } from '../seam/exchange-phase.ts'
import { grpcStatusLines } from '../seam/grpc.ts'
import type { Services } from '../seam/services.ts'
import { upgradeOf } from '../seam/websocket.ts'
import { WhenDone } from '../seam/when-done.ts'
import { answerLength, answerText } from './answer-head.ts'
import { type DeadlineOwner, ExchangeDeadline } from './exchange-deadline.ts'
import type { FilterHost } from './filter-host.ts'
import { FilterPhases } from './filter-phases.ts'
import { runAttemptFilters } from './filter-stage.ts'
import { httpChallenge } from './http-challenge.ts'
import { locate } from './locate.ts'
import { refuse } from './origins.ts'
import { PendingRequest } from './pending-request.ts'
import { failureAnswer, giveAnswer, type OwnAnswer, replyAnswer, untunnelled, writeThrough } from './respond.ts'

export class Exchange implements DeadlineOwner, Tunnelled, RequestRecord, FilterHost, Sink {
  readonly downstream: Downstream
  readonly head: RequestHead
  /** As asked for, in normal form: what was routed on, and what the log has */
  path = ''
  query = ''
  /** What the origin is asked for */
  forwardPath = ''
  forwardQuery = ''
  host: string
  client: Client
  site: RequestRecord['site'] = null
  route: Route | null = null
  refusing: Route
  refusal: ProxyError | null = null
  status = 0
  errorCode: ErrorCode | null = null
  errorWhy: string | null = null
  bytesIn = 0
  bytesOut = 0
  readonly startedAt: number
  sentAt = 0
  headAt = 0
  endedAt = 0
  responseHead: ResponseHead | null = null
  responseBodyless = false
  /** Of the site and client of this request: on an HTTP/2 connection another may have been looked up since */
  forwardText = ''
  hostField: string | null = null
  upgrade: string | null = null
  finished = false
  private endedBy: ProxyError | null = null
  answersItself = false
  unlogged = false
  /** It is asked beside another one (fork.ts): no client waits for it */
  forked = false
  requestComplete: boolean
  /** The origin that asks an upstream puts itself here */
  attempts: BackendSide = nobodyAsked
  readonly deadline: ExchangeDeadline
  readonly services: Services
  private readonly snapshot: Snapshot
  /** The head of the answer has gone to the client */
  private answered = false
  /** Where the request goes; null while nothing can be done with it. `early`: what came of it before */
  private request: RequestSink | null = null
  private early: PendingRequest | null = null
  /** The request side was drained, perhaps within the call that answers `false` */
  private requestRoom = false
  /** The client could take more before the origin had returned */
  private drainedEarly = false
  private whenDone: WhenDone | null = null
  private madePhases: FilterPhases | null = null
  private ownId = ''

  constructor(services: Services, downstream: Downstream, head: RequestHead) {
    this.services = services
    this.snapshot = services.snapshot
    this.refusing = this.snapshot.fallback
    this.downstream = downstream
    this.head = head
    this.host = head.host ?? ''
    this.client = downstream.connection
    this.requestComplete = !hasBody(head)
    this.deadline = new ExchangeDeadline(services.deadlines, this, this.snapshot.timeouts, head)
    this.startedAt = services.events.timed ? nowMs() : 0
  }

  get timeouts(): RouteTimeouts {
    return (this.route ?? this.refusing).timeouts
  }

  get id(): string {
    if (this.ownId === '') this.ownId = this.services.nextId()
    return this.ownId
  }

  set id(id: string) {
    this.ownId = id
  }

  private get requestSink(): RequestSink {
    if (this.request !== null) return this.request
    this.early ??= new PendingRequest(this.share, this, error => this.abort(error))
    return this.early
  }

  get connection() {
    return this.downstream.connection
  }

  get share() {
    return this.downstream.connection.link.share
  }

  get siteName(): string {
    return this.site?.name ?? ''
  }

  start(): void {
    const challenge = httpChallenge(this.services.challenges, this.connection.secure, this.head)
    if (challenge === null) this.begin()
    else {
      this.deadline.wait('challenge')
      challenge.then(
        reply => this.resumed(() => (reply === null ? this.begin() : this.giveOwn(replyAnswer(reply), null))),
        error => this.resumed(() => this.fail(new ProxyError('INTERNAL', messageOf(error), error))),
      )
    }
  }

  private begin(): void {
    const error = locate(this, this.downstream.forwarding, this.snapshot, this.services)
    if (error !== null) {
      this.deadline.routed(this.refusing, null)
      this.request = refuse(this, error)
      return
    }
    this.forwardPath = this.path
    this.forwardQuery = this.query
    this.forwardText = this.downstream.forwarding.text
    this.upgrade = upgradeOf(this.head)
    const route = this.route as unknown as Route
    this.deadline.routed(route, this.head.grpcTimeout)
    this.ask(route.origin, this)
  }

  ask(origin: Origin, sink: Sink): void {
    this.request = origin(this, sink)
    this.early?.flowInto(this.request)
    if (this.drainedEarly) this.request.resumeAnswer()
  }

  // What origins and stages ask for

  answerThrough(sink: Sink, answer: OwnAnswer): void {
    if (sink === this) {
      this.giveOwn(answer, null)
      return
    }
    this.answersItself = true
    this.downstream.cork()
    writeThrough(sink, untunnelled(answer, this), this.head.method)
    this.downstream.uncork()
  }

  replyThrough(sink: Sink, reply: Reply): void {
    this.answerThrough(sink, replyAnswer(reply))
  }

  failThrough(sink: Sink, error: ProxyError): void {
    if (sink === this) {
      this.fail(error)
      return
    }
    if (this.forked) {
      sink.abort(error)
      return
    }
    this.note(error)
    this.answerThrough(sink, failureAnswer(error, this.head, this.id))
  }

  onDone(done: (error: ProxyError | null) => void): void {
    if (this.finished) done(this.endedBy)
    else (this.whenDone ??= new WhenDone()).add(done)
  }

  timedOut(error: ProxyError, whom: WaitedFor): void {
    if (whom === 'backend' && this.attempts !== nobodyAsked) this.attempts.backendFailed(error)
    else if (whom === 'reader') {
      this.clientGone(error)
      this.downstream.abort(error)
    } else this.clientFault(error)
  }

  // From the client

  requestData(bytes: Buffer, from: number, to: number): void {
    if (this.finished) return
    this.bytesIn += to - from
    this.deadline.requestMoved(to - from)
    this.requestRoom = false
    if (!this.requestSink.data(bytes, from, to) && !this.requestRoom) this.pauseBody()
  }

  requestEnd(trailers: Fields | null): void {
    if (this.finished) return
    this.requestComplete = true
    this.deadline.requestEnded()
    this.requestSink.end(trailers)
  }

  /** The client has sent what came in this turn of the event loop. */
  flushRequest(): void {
    this.requestRoom = false
    if (this.request?.flush() === false && !this.requestRoom) this.pauseBody()
  }

  /** The request turned out to be bad, or too slow, after it had begun. */
  clientFault(error: ProxyError): void {
    if (this.finished) return
    if (this.request === null) this.abort(error)
    else this.request.fail(error)
  }

  clientGone(error: ProxyError): void {
    if (this.finished) return
    this.request?.drop()
    this.attempts.drop()
    this.finish(error)
  }

  downstreamDrained(): void {
    this.deadline.read()
    if (this.request === null) this.drainedEarly = true
    else this.request.resumeAnswer()
  }

  // From the attempts and their backend

  /** Runs the attempt filters. @returns why one has ended the exchange, or null */
  beforeAttempt(): ProxyError | null {
    if (this.startedAt > 0) this.sentAt = nowMs()
    const { attempt } = (this.route as Route).filters
    if (attempt.length === 0) return null
    return runAttemptFilters(this, attempt)
  }

  upstreamSwitches(): void {
    this.status = this.head.version === 2 ? 200 : 101
    this.deadline.stop()
  }

  pauseBody(): void {
    this.deadline.bodyPaused()
    this.downstream.pauseBody()
  }

  resumeBody(): void {
    this.deadline.bodyResumed()
    this.downstream.resumeBody()
  }

  /** The tunnel after an upgrade has ended. */
  tunnelEnded(bytesIn: number, bytesOut: number, error: ProxyError | null): void {
    this.bytesIn += bytesIn
    this.bytesOut += bytesOut
    this.finish(error)
  }

  finish(error: ProxyError | null): void {
    if (this.finished) return
    this.finished = true
    this.endedBy = error
    this.early?.drop()
    this.deadline.stop()
    this.attempts.done()
    if (error !== null) this.note(error)
    this.whenDone?.tell(error, this.services.events.fault)
    const done = this.route?.filters.done ?? []
    if (done.length > 0 || this.madePhases !== null) this.filterPhases.done(done, error, this.services.events)
    if (this.startedAt > 0) this.endedAt = nowMs()
    if (!this.forked) this.services.events.request(this)
  }

  // Sink: the answer, as the outermost stage gives it to the client

  inform(head: ResponseHead): boolean {
    const open = this.downstream.inform(head.status, head.reason, head.fields.text)
    if (!open) this.deadline.unread()
    return open
  }

  answer(head: ResponseHead, bodyless: boolean): void {
    this.answered = true
    this.status = head.status
    const text = answerText(head, this.services.date)
    this.deadline.wait('responseBody')
    this.downstream.head(head.status, head.reason, text, answerLength(head, bodyless, this.head.method), bodyless)
  }

  data(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.finished) return true
    this.bytesOut += to - from
    const open = this.downstream.data(bytes, from, to)
    if (!open) this.deadline.unread()
    return open
  }

  end(trailers: Fields | null): void {
    if (this.finished) return
    this.finish(null)
    this.downstream.end(trailers)
  }

  abort(error: ProxyError): void {
    if (this.finished) return
    if (this.answered) this.cutOff(error)
    else this.fail(error)
  }

  switched(head: ResponseHead, backend: Link, early: readonly Buffer[]): void {
    this.answered = true
    this.downstream.switchTo(this, head.fields.text, backend, early)
  }

  requestDrained(): void {
    this.requestRoom = true
    if (!this.finished) this.resumeBody()
  }

  private cutOff(error: ProxyError): void {
    this.finish(error)
    if (this.head.grpc) this.downstream.end(new Fields(grpcStatusLines(error, this.id)))
    else this.downstream.abort(error)
  }

  /** Answers with the error's own status and page. */
  private fail(error: ProxyError): void {
    if (endsConnection(error)) this.downstream.closeAfter()
    this.giveOwn(failureAnswer(error, this.head, this.id), error)
  }

  private giveOwn(given: OwnAnswer, error: ProxyError | null): void {
    const answer = untunnelled(given, this)
    this.status = answer.status
    this.answered = true
    this.downstream.cork()
    this.bytesOut += giveAnswer(this.downstream, answer, this.head.method, this.services.date)
    this.finish(error)
    this.downstream.end(null)
    this.downstream.uncork()
  }

  /** What the log says of an exchange that an error has ended, with a page or without. */
  private note(error: ProxyError): void {
    if (this.errorCode !== null) return
    this.errorCode = error.code
    this.errorWhy = error.message
    if (!this.answered && endsConnection(error)) this.downstream.closeAfter()
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

  get filterPhases(): FilterPhases {
    this.madePhases ??= new FilterPhases(this, this.downstream.connection)
    return this.madePhases
  }
}
