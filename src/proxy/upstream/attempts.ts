/**
 * The backend's side of one exchange: which endpoint, over which connection, and whether another try is safe. Another
 * try is made only where the error's row allows it, the method is idempotent if the request may have been seen, none
 * of the response has come, and the request can be sent once more from its first byte: what was sent of its body is
 * kept until then, up to 64 kB.
 *
 * Request body that comes before there is a backend for it waits here too, and its source is stopped meanwhile.
 */
import { nowMs } from '../../base/deadlines.ts'
import { ProxyError } from '../../base/errors.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { RouteTimeouts } from '../../model/route.ts'
import type { RequestSink, Sink } from '../../model/stage.ts'
import type { Endpoint, Upstream } from '../../model/upstream.ts'
import type { Fields } from '../../wire/fields.ts'
import type { RequestHead, ResponseHead } from '../../wire/heads.ts'
import type { ExchangeDeadline } from '../exchange/exchange-deadline.ts'
import { type Backend, type BackendUser, hasBody } from '../seam/backend.ts'
import type { BackendSide } from '../seam/backend-side.ts'
import type { Services } from '../seam/services.ts'
import { InterimAnswers } from './interim.ts'
import { type Opening, poolOf, type Waiter } from './pool.ts'
import { Switching } from './switching.ts'

/** The exchange that the attempts are made for. */
export interface AttemptsOwner {
  readonly services: Services
  /** Of the client's connection */
  readonly share: Share
  readonly head: RequestHead
  readonly host: string
  readonly forwardPath: string
  readonly forwardQuery: string
  readonly forwardText: string
  /** The Host field that a stage or filter has set, or null */
  readonly hostField: string | null
  /** The upgrade that the backend is asked for, or null */
  readonly upgrade: string | null
  readonly timeouts: RouteTimeouts
  readonly deadline: ExchangeDeadline
  readonly downstream: {
    readonly connection: { readonly serverName: string | null }
    cork(): void
    uncork(): void
  }
  readonly finished: boolean
  /** 0 where nobody measures */
  readonly startedAt: number
  headAt: number
  /** Runs the attempt filters. @returns why one has ended the exchange, or null */
  beforeAttempt(): ProxyError | null
  upstreamSwitches(): void
  pauseBody(): void
  failThrough(sink: Sink, error: ProxyError): void
}

const none: readonly Endpoint[] = []
/** RFC 9110 section 9.2.2 */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
/** The first one included; a set of a hundred dead endpoints is not tried to its end. */
const maxAttempts = 4
/** Bytes of a request body that are kept for another try */
const keptAtMost = 65_536

export class Attempts implements Waiter, RequestSink, BackendUser, BackendSide {
  count = 0
  endpoint: Endpoint | null = null
  /** The backend that gave the answer has a connection that carries others too */
  shared = false
  private requestEnded: boolean
  private readonly services: Services
  private readonly owner: AttemptsOwner
  private readonly upstream: Upstream
  private backend: Backend | null = null
  private opening: Opening | null = null
  private tried: readonly Endpoint[] = none
  private trailers: Fields | null = null
  /** The body so far; null where none has come */
  private kept: HeldBytes | null = null
  /** False once it is too much to keep, or not needed any more */
  private keeping = true
  private interimAnswers: InterimAnswers | null = null
  /** Where the answer goes */
  private readonly sink: Sink
  /** The head of an answer has gone there */
  private answered = false
  private switching: Switching | null = null

  constructor(owner: AttemptsOwner, upstream: Upstream, sink: Sink) {
    this.services = owner.services
    this.owner = owner
    this.upstream = upstream
    this.sink = sink
    // What has come meanwhile is given to `data` and `end` as if it came now.
    this.requestEnded = !hasBody(owner.head)
  }

  get upstreamName(): string {
    return this.upstream.name
  }

  begin(): void {
    this.attempt(this.upstream)
  }

  data(bytes: Buffer, from: number, to: number): boolean {
    const { backend } = this
    if (this.keeping) {
      this.kept ??= new HeldBytes(this.owner.share)
      this.kept.add(bytes, from, to)
      if (backend !== null && this.kept.length > keptAtMost) this.forget()
    }
    return backend?.body(bytes, from, to) ?? false
  }

  /** What a stage has held is kept for another try as it is: there is no second copy. */
  dataHeld(held: HeldBytes): boolean {
    if (!this.keeping || this.kept !== null) {
      const open = held.each((bytes, from, to) => this.data(bytes, from, to))
      held.clear()
      return open
    }
    const { backend } = this
    this.kept = held
    if (backend === null) return false
    const open = held.each((bytes, from, to) => backend.body(bytes, from, to))
    // Sending may have failed at once, and then the next try has it.
    if (this.backend !== backend) return true
    if (held.length > keptAtMost) this.forget()
    return open
  }

  end(trailers: Fields | null): void {
    this.requestEnded = true
    this.trailers = trailers
    this.backend?.endBody(trailers)
  }

  /** What was written in this turn of the event loop leaves in one write. */
  flush(): boolean {
    return this.backend?.flush() !== false
  }

  resumeAnswer(): void {
    this.backend?.resume()
  }

  fail(error: ProxyError): void {
    this.drop()
    this.giveUp(error)
  }

  /** Whether the backend has read something of the body since this was asked last. */
  peerReads(): boolean {
    return this.backend?.peerReads() ?? false
  }

  /** The backend has given its whole answer and takes care of its connection itself. */
  release(): Backend | null {
    const { backend } = this
    this.backend = null
    if (backend !== null) this.shared = backend.shared
    return backend
  }

  /** Cuts the attempt under way. */
  drop(): void {
    this.opening?.cancel(this)
    this.opening = null
    this.release()?.abort()
  }

  /** The exchange is over. */
  done(): void {
    this.forget()
    if (this.endpoint !== null) this.endpoint.active--
  }

  // BackendUser: what the request says, and what comes back

  get head(): RequestHead {
    return this.owner.head
  }

  get forwardPath(): string {
    return this.owner.forwardPath
  }

  get forwardQuery(): string {
    return this.owner.forwardQuery
  }

  get forwardText(): string {
    return this.owner.forwardText
  }

  get upgrade(): string | null {
    return this.owner.upgrade
  }

  corkAnswer(): void {
    this.owner.downstream.cork()
  }

  uncorkAnswer(): void {
    this.owner.downstream.uncork()
  }

  backendDrained(): void {
    this.sink.requestDrained()
  }

  backendInformation(head: ResponseHead): void {
    const { owner } = this
    if (owner.finished) return
    if (head.status === 100) owner.deadline.continued()
    this.interimAnswers ??= new InterimAnswers()
    const error = this.interimAnswers.add(head, this.endpoint?.label ?? '')
    if (error !== null) this.backendFailed(error)
    else if (this.sink.inform(head) === false) this.backend?.pause()
  }

  backendHead(head: ResponseHead, bodyless: boolean): void {
    // There will be no other try.
    this.forget()
    this.answered = true
    if (this.owner.startedAt > 0) this.owner.headAt = nowMs()
    this.sink.answer(head, bodyless)
  }

  backendData(bytes: Buffer, from: number, to: number): void {
    const { owner } = this
    if (owner.finished) return
    owner.deadline.answerMoved()
    if (this.sink.data(bytes, from, to) === false) this.backend?.pause()
  }

  backendEnd(trailers: Fields | null): void {
    if (this.owner.finished) return
    this.release()
    this.sink.end(trailers)
  }

  backendSwitched(head: ResponseHead): void {
    this.owner.upstreamSwitches()
    this.switching = new Switching(head, this)
  }

  switchedData(chunk: Buffer): void {
    this.switching?.early.push(chunk)
  }

  /** What was read together with the 101 has been collected. */
  switched({ head, early }: Switching): void {
    const backend = this.owner.finished ? null : this.release()
    if (backend !== null) this.sink.switched(head, backend.release(), early)
  }

  /** This try has failed: another one, where that is safe. */
  backendFailed(error: ProxyError): void {
    if (this.owner.finished) return
    this.drop()
    const { upstream } = this
    const { retry } = error.row
    const again = retry === 'yes' || (retry === 'idempotent' && idempotent.has(this.owner.head.method))
    if (this.answered || !again || !this.keeping || this.count >= maxAttempts) {
      this.giveUp(error)
      return
    }
    const endpoint = this.endpoint as Endpoint
    if (error.code === 'STALE_CONNECTION' || error.code === 'UPSTREAM_GOAWAY') {
      // The endpoint is well, only the connection had aged: once more, on a new one.
      this.count++
      this.owner.deadline.wait('connect')
      this.open(upstream, endpoint)
      return
    }
    this.tried = [...this.tried, endpoint]
    if (this.tried.length >= upstream.endpoints.length) {
      this.giveUp(error)
      return
    }
    endpoint.active--
    this.endpoint = null
    this.attempt(upstream)
    // Nobody else is about to: this is not a turn in which the client has sent something.
    this.flushNow()
  }

  // Waiter

  connected(backend: Backend): void {
    this.opening = null
    this.send(this.upstream, backend)
    this.flushNow()
  }

  connectFailed(error: ProxyError): void {
    this.opening = null
    this.backendFailed(error)
  }

  openAgain(): void {
    this.open(this.upstream, this.endpoint as Endpoint)
  }

  private attempt(upstream: Upstream): void {
    const endpoint = upstream.pick(this.tried)
    if (endpoint === null) {
      this.giveUp(new ProxyError('NO_ENDPOINT', `${upstream.name} has no endpoint left to try`))
      return
    }
    endpoint.active++
    this.endpoint = endpoint
    this.count++
    const pooled = poolOf(endpoint, this.services).take(this.owner.upgrade !== null)
    if (pooled !== null) {
      this.send(upstream, pooled)
      return
    }
    this.owner.deadline.wait('connect')
    this.open(upstream, endpoint)
  }

  private open(upstream: Upstream, endpoint: Endpoint): void {
    const { timeouts, upgrade } = this.owner
    const pool = poolOf(endpoint, this.services)
    pool.maxIdle = upstream.maxIdle
    this.opening = pool.open(this, timeouts.connectMs, upgrade !== null)
  }

  private send(upstream: Upstream, backend: Backend): void {
    this.backend = backend
    const { owner } = this
    owner.deadline.wait('responseHead')
    const failed = owner.beforeAttempt()
    if (failed !== null) {
      this.fail(failed)
      return
    }
    backend.send(this, owner.hostField ?? hostFor(owner, upstream, this.endpoint as Endpoint))
    if (hasBody(owner.head)) this.sendKept(backend)
  }

  private flushNow(): void {
    if (!this.flush()) this.owner.pauseBody()
  }

  /** No further try is safe, or there is none left. */
  private giveUp(error: ProxyError): void {
    const { sink } = this
    if (this.answered) sink.abort(error)
    else this.owner.failThrough(sink, error)
  }

  private forget(): void {
    this.keeping = false
    this.kept?.clear()
    this.kept = null
  }

  private sendKept(backend: Backend): void {
    let open = true
    if (this.kept !== null) {
      open = this.kept.each((bytes, from, to) => backend.body(bytes, from, to))
      if (this.kept.length > keptAtMost) this.forget()
    }
    // Sending may have failed at once, and then another attempt has begun.
    if (this.backend !== backend) return
    if (this.requestEnded) backend.endBody(this.trailers)
    else if (open) this.backendDrained()
  }
}

/** HTTP/1.0 may come without a Host, and HTTP/1.1 may not be sent without one. */
function hostFor({ host, downstream }: AttemptsOwner, { hostHeader }: Upstream, { label }: Endpoint): string {
  if (hostHeader !== 'preserve') return label
  return host === '' ? (downstream.connection.serverName ?? label) : host
}
