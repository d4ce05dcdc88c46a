/**
 * The deadline of one exchange. It has two states, one for each direction (exchange-phase.ts), and the deadline follows
 * from them: whatever the exchange waits for, its time is limited. Neither side of the gateway keeps times of its own.
 *
 * What moves only notes when it did. The deadline is looked at when it has passed, and put off if something has moved
 * since; it is brought forward where a state is entered that ends earlier.
 */
import type { Deadlines, Timed } from '../../base/deadlines.ts'
import { ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Route, RouteTimeouts } from '../../model/route.ts'
import type { Timeouts } from '../../model/snapshot.ts'
import type { RequestHead } from '../../wire/heads.ts'
import { hasBody } from '../seam/backend.ts'
import {
  type AnswerPhase,
  answerPhases,
  type RequestPhase,
  requestPhases,
  type WaitedFor,
} from '../seam/exchange-phase.ts'
import { callTimeoutError, callTimeoutMs } from '../seam/grpc.ts'
import { LeftBehind } from './left-behind.ts'

type Reader = {
  /** Whether it has read something of what waits for it, since this was asked last */
  peerReads(): boolean
}

export interface DeadlineOwner {
  readonly downstream: Reader
  readonly attempts: Reader & { readonly endpoint: { readonly label: string } | null }
  timedOut(error: ProxyError, whom: WaitedFor): void
}

export class ExchangeDeadline implements Timed {
  deadlineAt = Number.POSITIVE_INFINITY
  watchIndex = -1
  private readonly deadlines: Deadlines
  private readonly owner: DeadlineOwner
  private readonly all: Timeouts
  private route: Route | null = null
  private answer: AnswerPhase = 'challenge'
  /** When it was entered, or what is waited for moved last */
  private answerAt: number
  private request: RequestPhase = 'ended'
  private requestAt: number
  private bytes = 0
  private paused = false
  private pausedAt = 0
  private over = false
  private who: string | null = null
  /** The filter that the request waits for */
  private requestWho: string | null = null
  /** The client has sent all of the request */
  private complete: boolean
  private readonly streams: boolean
  /** The rate counts from here; moved by as long as the client was stopped */
  private rateSince: number
  private totalAt = Number.POSITIVE_INFINITY
  private grpcTimeout: string | null = null

  constructor(deadlines: Deadlines, owner: DeadlineOwner, all: Timeouts, head: RequestHead) {
    const { now } = deadlines
    this.deadlines = deadlines
    this.owner = owner
    this.all = all
    this.answerAt = now
    this.requestAt = now
    this.rateSince = now
    this.streams = head.grpc
    this.complete = !hasBody(head)
    if (!this.complete) this.request = head.grpc ? 'stream' : head.expectContinue ? 'expecting' : 'sending'
  }

  /** From here on the route's timeouts count, and what a gRPC call allows itself. */
  routed(route: Route, grpcTimeout: string | null): void {
    this.route = route
    this.grpcTimeout = grpcTimeout
    const ms = callTimeoutMs(route.timeouts.totalMs, grpcTimeout)
    if (ms === 0) return
    this.totalAt = this.deadlines.after(ms)
    this.arm()
  }

  /** The answer waits for this now. `who`: the filter whose promise it is; otherwise the endpoint is meant. */
  wait(phase: AnswerPhase, who: string | null = null): void {
    this.answer = phase
    this.who = who
    this.answerAt = this.deadlines.now
    // What the client could not send before there was a backend is not held against it.
    if (phase === 'responseHead' || phase === 'requestBody') this.requestAt = this.answerAt
    this.arm()
  }

  /** The client does not take what waits for it: from now on that is what counts. */
  unread(): void {
    if (this.answer === 'unread') return
    this.owner.downstream.peerReads()
    this.wait('unread')
  }

  read(): void {
    if (this.answer === 'unread') this.wait('responseBody')
  }

  answerMoved(): void {
    // A backend that sends on while it is being stopped gives a filter no more time.
    if (this.answer !== 'responseTransform') this.answerAt = this.deadlines.now
  }

  requestMoved(bytes: number): void {
    this.bytes += bytes
    // What had been read before the client was stopped does not make the backend read, nor a filter settle.
    if (this.request !== 'untaken' && this.request !== 'requestTransform') this.requestAt = this.deadlines.now
    if (this.request === 'expecting') this.sends()
  }

  /** The backend wants the body. */
  continued(): void {
    if (this.request === 'expecting') this.sends()
  }

  /** The client is stopped: nobody takes its body. */
  bodyPaused(): void {
    if (this.paused || this.request === 'ended') return
    this.paused = true
    this.pausedAt = this.deadlines.now
    this.owner.attempts.peerReads()
    if (this.request === 'stream' || this.request === 'requestTransform') return
    this.request = 'untaken'
    this.requestAt = this.pausedAt
    this.arm()
  }

  bodyResumed(): void {
    if (!this.paused) return
    this.paused = false
    this.rateSince += this.deadlines.now - this.pausedAt
    if (this.request === 'untaken') this.sends()
    else if (this.request !== 'requestTransform') this.requestAt = this.deadlines.now
  }

  /** A filter has promised what becomes of a piece of the request body, or of its end. */
  requestTransform(who: string): void {
    if (this.request !== 'requestTransform') this.requestAt = this.deadlines.now
    this.request = 'requestTransform'
    this.requestWho = who
    this.arm()
  }

  requestTransformed(): void {
    if (this.request !== 'requestTransform') return
    this.request = this.streams ? 'stream' : this.paused ? 'untaken' : 'sending'
    this.requestAt = this.deadlines.now
    if (this.complete) this.requestEnded()
    else this.arm()
  }

  responseTransformed(): void {
    if (this.answer === 'responseTransform') this.wait('responseBody')
  }

  requestEnded(): void {
    this.complete = true
    this.paused = false
    if (this.request === 'requestTransform') return
    this.request = 'ended'
    if (this.answer !== 'responseHead') return
    this.answerAt = this.deadlines.now
    this.arm()
  }

  /** A filter goes on although the exchange is over: for as long as it was waited for. Null where that time has passed. */
  leftBehind(counted: Pick<Connection, 'leftBehind' | 'onNoneLeft'>): LeftBehind | null {
    const due = Math.min(this.answerDue(), this.requestDue())
    if (due <= this.deadlines.now) return null
    const left = new LeftBehind(this.deadlines, counted)
    left.deadlineAt = due
    return left
  }

  /** Nothing is waited for any more, or somebody else's deadline counts. */
  stop(): void {
    this.over = true
    this.deadlines.unwatch(this)
  }

  onDeadline(now: number, passed: number): void {
    this.look()
    const due = this.due()
    if (due > passed) {
      this.deadlineAt = this.untilLook(due)
      return
    }
    if (this.totalAt <= now) this.owner.timedOut(callTimeoutError(this.times.totalMs, this.grpcTimeout), 'backend')
    else if (this.answerDue() <= now) this.end(answerPhases[this.answer], this.who)
    else if (this.request !== 'ended') this.endRequest(this.request, now)
  }

  private sends(): void {
    this.request = 'sending'
    this.requestAt = this.deadlines.now
    this.arm()
  }

  /** Most exchanges are over before the next sweep: what ends when is worked out by the first one that finds them. */
  private arm(): void {
    if (this.over) return
    this.deadlineAt = unknown
    this.deadlines.watch(this)
  }

  private due(): number {
    return Math.min(this.answerDue(), this.requestDue(), this.totalAt)
  }

  /** Nobody says when a peer has read something, so it is looked at four times as often as it may be silent. */
  private untilLook(due: number): number {
    if (this.answer !== 'unread' && !this.paused) return due
    return Math.min(due, this.deadlines.after(this.times.idleMs / 4))
  }

  private look(): void {
    if (this.answer === 'unread' && this.owner.downstream.peerReads()) this.answerMoved()
    if (!this.paused || !this.owner.attempts.peerReads()) return
    if (this.request !== 'requestTransform') this.requestAt = this.deadlines.now
  }

  private answerDue(): number {
    const { answer } = this
    // While the request is under way, its own states say who is waited for.
    const underWay = this.request !== 'ended'
    if (underWay && (answer === 'responseHead' || answer === 'requestBody')) return Number.POSITIVE_INFINITY
    if (answer === 'responseBody' && this.request === 'stream') return Number.POSITIVE_INFINITY
    const since = answer === 'responseBody' && this.requestAt > this.answerAt ? this.requestAt : this.answerAt
    return this.deadlines.from(since, answerPhases[answer].ms(this.times, this.all))
  }

  private requestDue(): number {
    const { request } = this
    // Before there is a backend, or a stage that reads it, nothing can take the body: what the answer waits for has to happen first.
    if (request === 'ended' || (!isTaken[this.answer] && request !== 'requestTransform'))
      return Number.POSITIVE_INFINITY
    const since = request === 'stream' && this.answerAt > this.requestAt ? this.answerAt : this.requestAt
    const idle = this.deadlines.from(since, requestPhases[request].ms(this.times, this.all))
    return request === 'sending' ? Math.min(idle, this.rateDue()) : idle
  }

  /** When the body will be too slow on average, if nothing comes until then. */
  private rateDue(): number {
    const least = this.route?.bodyRateBytes ?? 0
    if (least === 0) return Number.POSITIVE_INFINITY
    return this.deadlines.from(this.rateSince, Math.max(1, this.all.bodyGraceMs, (this.bytes * 1000) / least))
  }

  private get times(): RouteTimeouts {
    return this.route?.timeouts ?? unrouted
  }

  private endRequest(phase: Exclude<RequestPhase, 'ended'>, now: number): void {
    if (phase !== 'sending' || this.rateDue() > now) {
      this.end(requestPhases[phase], phase === 'requestTransform' ? this.requestWho : this.who)
      return
    }
    const least = this.route?.bodyRateBytes ?? 0
    const why = `the body comes slower than limits.bodyRate (${least} bytes/s)`
    this.owner.timedOut(new ProxyError('REQUEST_TIMEOUT', why), 'client')
  }

  private end({ error, why, ms, timeout, whom }: (typeof answerPhases)[AnswerPhase], named: string | null): void {
    const within = `within ${timeout} (${ms(this.times, this.all)} ms)`
    const who = named ?? this.owner.attempts.endpoint?.label ?? 'the endpoint'
    this.owner.timedOut(new ProxyError(error, `${why(who)} ${within}`), whom)
  }
}

/** Has passed, whenever it is looked at. */
const unknown = Number.NEGATIVE_INFINITY

/** Of the states of an answer: whether somebody takes the request body */
const isTaken: Readonly<Record<AnswerPhase, boolean>> = {
  requestEnd: false,
  challenge: false,
  requestFilter: false,
  requestBody: true,
  connect: false,
  responseHead: true,
  responseFilter: false,
  responseBody: true,
  responseTransform: true,
  unread: true,
}

/** Before there is a route only a challenge is waited for, which has no timeout of a route. */
const unrouted: RouteTimeouts = {
  connectMs: 1,
  responseMs: 1,
  bodyIdleMs: 1,
  idleMs: 1,
  filterMs: 1,
  totalMs: 0,
  tunnelIdleMs: null,
}
