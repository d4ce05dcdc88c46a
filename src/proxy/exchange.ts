/**
 * One request and its response: match, request filters, attempts, response filters, body, done. It joins the client's
 * side (a Downstream) and the backend's (Attempts), and knows neither's bytes. Only the attempt phase runs again.
 *
 * Invariants: the client gets exactly one final head, or a visible cut; `finish` runs once; after it nothing is
 * accepted from either side.
 */
import { nowMs } from '../base/deadlines.ts'
import { type ErrorCode, messageOf, ProxyError } from '../base/errors.ts'
import type { Filter, Reply } from '../model/filter.ts'
import type { Link } from '../model/link.ts'
import type { Route, RouteTimeouts } from '../model/route.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { Fields } from '../wire/fields.ts'
import type { RequestHead, ResponseHead } from '../wire/heads.ts'
import { answerLength, answerText } from './answer-head.ts'
import { Attempts, type AttemptsOwner } from './attempts.ts'
import { hasBody } from './backend.ts'
import type { Downstream, Tunnelled } from './downstream.ts'
import { type DeadlineOwner, ExchangeDeadline } from './exchange-deadline.ts'
import type { WaitedFor } from './exchange-phase.ts'
import { type FilteredExchange, FilterPhases } from './filter-phases.ts'
import { faultPlace } from './filter-run.ts'
import { grpcStatusLines } from './grpc.ts'
import { HeldAnswer } from './held-answer.ts'
import { httpChallenge } from './http-challenge.ts'
import { locate } from './locate.ts'
import { failureAnswer, giveAnswer, type OwnAnswer, ownReply, replyAnswer, untunnelled } from './respond.ts'
import type { ExchangeRecord, Services } from './services.ts'
import { Switching } from './switching.ts'
import { upgradeOf } from './websocket.ts'

export class Exchange implements DeadlineOwner, AttemptsOwner, Tunnelled, ExchangeRecord, FilteredExchange {
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
  readonly deadline: ExchangeDeadline
  private readonly services: Services
  private readonly snapshot: Snapshot
  private answered = false
  /** A response filter is at work: what the backend sends meanwhile waits here */
  private held: HeldAnswer | null = null
  private switched: Switching | null = null
  private madePhases: FilterPhases | null = null
  private ownId = ''

  constructor(services: Services, downstream: Downstream, head: RequestHead) {
    this.services = services
    this.snapshot = services.snapshot
    this.downstream = downstream
    this.head = head
    this.host = head.host ?? ''
    this.attempts = new Attempts(services, this, downstream.connection.link.share, !hasBody(head))
    this.deadline = new ExchangeDeadline(services.deadlines, this, this.snapshot.timeouts, head)
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
    if (challenge === null) {
      this.begin()
      return
    }
    this.deadline.wait('challenge')
    this.pauseBody()
    challenge.then(
      reply => this.resumed(() => (reply === null ? this.begin() : this.reply(reply))),
      error => this.resumed(() => this.fail(new ProxyError('INTERNAL', messageOf(error), error))),
    )
  }

  private begin(): void {
    const error = locate(this, this.downstream.forwarding, this.snapshot)
    if (error !== null) {
      this.fail(error)
      return
    }
    this.forwardText = this.downstream.forwarding.text
    const route = this.route as unknown as Route
    this.deadline.routed(route, this.head.grpcTimeout)
    if (route.filters.request.length > 0) this.phases.request(route.filters.request)
    else this.requestFiltered()
  }

  timedOut(error: ProxyError, whom: WaitedFor): void {
    if (whom === 'backend') this.backendFailed(error)
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
    const limit = this.route?.maxBodyBytes ?? Number.POSITIVE_INFINITY
    if (this.bytesIn > limit)
      this.clientFault(new ProxyError('BODY_TOO_LARGE', `more than limits.body (${limit} bytes)`))
    else this.attempts.body(bytes, from, to)
  }

  requestEnd(trailers: Fields | null): void {
    if (this.finished) return
    this.deadline.requestEnded()
    this.attempts.endBody(trailers)
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
    this.attemptsFailed(error)
  }

  clientGone(error: ProxyError): void {
    if (this.finished) return
    this.attempts.drop()
    this.finish(error)
  }

  downstreamDrained(): void {
    if (this.held !== null) return
    this.deadline.read()
    this.attempts.resume()
  }

  // From the attempts and their backend

  get upgrade(): string | null {
    return this.requestComplete ? upgradeOf(this.head) : null
  }

  connecting(): void {
    this.deadline.wait('connect')
  }

  beforeAttempt(): boolean {
    this.deadline.wait('responseHead')
    if (this.startedAt > 0) this.sentAt = nowMs()
    const { attempt } = (this.route as Route).filters
    return attempt.length === 0 || this.phases.attempt(attempt)
  }

  pauseBody(): void {
    this.deadline.bodyPaused()
    this.downstream.pauseBody()
  }

  resumeBody(): void {
    this.deadline.bodyResumed()
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
    if (!this.finished) this.resumeBody()
  }

  backendInformation(head: ResponseHead): void {
    if (this.finished) return
    if (head.status === 100) this.deadline.continued()
    const error = this.attempts.interim(head)
    if (error !== null) this.backendFailed(error)
    else if (!this.downstream.inform(head.status, head.reason, head.fields.text)) this.readLater()
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
    this.held = new HeldAnswer(this.downstream.connection.link.share)
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
    this.deadline.answerMoved()
    if (!this.downstream.data(bytes, from, to)) this.readLater()
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
    this.deadline.stop()
    this.switched = new Switching(this)
  }

  switchedData(chunk: Buffer): void {
    this.switched?.early.push(chunk)
  }

  joinTunnel(backend: Link, early: readonly Buffer[]): void {
    this.answered = true
    this.downstream.switchTo(this, (this.responseHead as ResponseHead).fields.text, backend, early)
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
    this.held?.drop()
    this.deadline.stop()
    this.attempts.done()
    if (error !== null && this.errorCode === null) {
      this.errorCode = error.code
      this.errorWhy = error.message
    }
    const done = this.route?.filters.done ?? []
    if (done.length > 0 || this.madePhases !== null) this.phases.done(done, error, this.services.events)
    this.services.events.answered(this.status)
    this.services.events.exchange?.(this)
  }

  private sendHead(head: ResponseHead, bodyless: boolean): void {
    this.answered = true
    this.status = head.status
    const text = answerText(head, this.downstream.forwarding.answerFields(this.host), this.services.date)
    this.deadline.wait('responseBody')
    this.downstream.head(head.status, head.reason, text, answerLength(head, bodyless, this.head.method), bodyless)
  }

  /** The client does not take what there is: its backend is stopped until it does. */
  private readLater(): void {
    this.deadline.unread()
    this.attempts.pause()
  }

  private cutOff(error: ProxyError): void {
    this.finish(error)
    if (this.head.grpc) this.downstream.end(new Fields(grpcStatusLines(error, this.id)))
    else this.downstream.abort(error)
  }

  /** Answers with the error's own status and page. */
  private fail(error: ProxyError): void {
    const { fault, status } = error.row
    if (fault === 'client' && status !== 404 && status !== 421) this.downstream.closeAfter()
    this.answer(failureAnswer(error, this.head, this.id), error)
  }

  private reply(reply: Reply): void {
    this.answer(replyAnswer(reply), null)
  }

  private answer(given: OwnAnswer, error: ProxyError | null): void {
    const answer = untunnelled(given, this)
    this.status = answer.status
    this.answered = true
    const { downstream } = this
    downstream.cork()
    this.bytesOut += giveAnswer(downstream, answer, this.host, this.head.method, this.services.date)
    this.finish(error)
    downstream.end(null)
    downstream.uncork()
  }

  requestFiltered(): void {
    const { action } = this.route as Route
    const reply = ownReply(action, this)
    if (reply !== null) this.reply(reply)
    else if (action.kind === 'upstream') this.attempts.begin(action.upstream)
  }

  filterAnswered(answer: OwnAnswer): void {
    this.answer(answer, null)
  }

  filterWaits(filter: Filter): void {
    const phase = this.responseHead === null ? 'requestFilter' : 'responseFilter'
    this.deadline.wait(phase, faultPlace(filter))
    if (phase === 'requestFilter') this.pauseBody()
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
    else this.deadline.unread()
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
    this.attempts.drop()
    this.fail(new ProxyError('FILTER_FAILED', `${where}: ${messageOf(error)}`, error))
  }

  private get phases(): FilterPhases {
    this.madePhases ??= new FilterPhases(this, this.downstream.connection)
    return this.madePhases
  }
}
