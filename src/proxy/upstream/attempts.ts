/**
 * The backend's side of one exchange: which endpoint, over which connection, and another one where that is safe (retry.ts). What was
 * sent of the request's body is kept until the answer begins, up to 64 kB.
 *
 * Request body that comes before there is a backend for it waits here too, and its source is stopped meanwhile.
 */
import { nowMs } from '../../base/deadlines.ts'
import type { ProxyError } from '../../base/errors.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import type { RequestSink, Sink } from '../../model/stage.ts'
import type { Fields } from '../../wire/fields.ts'
import type { RequestHead, ResponseHead } from '../../wire/heads.ts'
import { type Backend, type BackendUser, hasBody, type Need } from '../seam/backend.ts'
import type { BackendSide } from '../seam/backend-side.ts'
import type { Services } from '../seam/services.ts'
import { type AttemptsOwner, hostFor } from './attempts-owner.ts'
import type { AddressWaiter } from './destination.ts'
import type { Endpoint } from './endpoint.ts'
import { InterimAnswers } from './interim.ts'
import type { Picked } from './picked.ts'
import { type Opening, poolOf, type Waiter } from './pool.ts'
import { isRefusal } from './retry.ts'
import { Switching } from './switching.ts'
import type { Upstream } from './upstream.ts'

const needOf = ({ upgrade }: AttemptsOwner): Need =>
  upgrade === null ? 'request' : upgrade === 'websocket' ? 'websocket' : 'upgrade'

const none: readonly Endpoint[] = []
/** Bytes of a request body that are kept for another try */
const keptAtMost = 65_536

export class Attempts implements Waiter, RequestSink, BackendUser, BackendSide, Picked, AddressWaiter {
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
  private waitsForAddresses = false
  private tried: readonly Endpoint[] = none
  private trailers: Fields | null = null
  /** The body so far; null where none has come */
  private kept: HeldBytes | null = null
  /** False once it is too much to keep, or not needed any more */
  private keeping = true
  private interimAnswers: InterimAnswers | null = null
  /** Where the answer goes */
  private readonly sink: Sink
  /** It was drained, perhaps within the call that answers `false` */
  private answerRoom = false
  /** The head of an answer has gone there */
  private answered = false
  private switching: Switching | null = null
  /** When the try began that was not answered yet; 0 where there is none, and where nobody measures */
  private triedAt = 0

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
    this.attempt(null)
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
    this.answerRoom = true
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
    this.waitsForAddresses = false
    this.release()?.abort()
  }

  /** The exchange is over. */
  done(): void {
    this.forget()
    // A client that did not wait for the answer has waited that long.
    this.measure()
    if (this.endpoint !== null) this.endpoint.active--
  }

  // Picked

  get clientAddress(): string {
    return this.owner.client.clientAddress
  }

  get host(): string {
    return this.owner.host
  }

  get path(): string {
    return this.owner.path
  }

  get query(): string {
    return this.owner.query
  }

  get ja4(): string | null {
    return this.owner.downstream.connection.fingerprint?.ja4 ?? null
  }

  get clientSubject(): string | null {
    return this.owner.downstream.connection.identity?.subject ?? null
  }

  field(name: string): string | null {
    return this.owner.head.fields.get(name)
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
    this.measure()
    if (this.endpoint !== null) this.upstream.outlier?.answered(this.endpoint, head.status)
    if (this.owner.startedAt > 0) this.owner.headAt = nowMs()
    this.sink.answer(head, bodyless)
  }

  backendData(bytes: Buffer, from: number, to: number): void {
    const { owner } = this
    if (owner.finished) return
    owner.deadline.answerMoved()
    this.answerRoom = false
    if (!this.sink.data(bytes, from, to) && !this.answerRoom) this.backend?.pause()
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
    const { endpoint, waitsForAddresses } = this
    // The time of this exchange is over, maybe before that of the connection which is made for it.
    if (this.opening !== null && endpoint !== null && isRefusal(error.code)) endpoint.avoid()
    this.measure()
    if (endpoint !== null) this.upstream.outlier?.failed(endpoint, error.code)
    this.drop()
    const replayable = !this.answered && this.keeping
    const again = this.upstream.retry.again(error.code, this.count, this.owner.head.method, replayable)
    if (again === 'no' || endpoint === null || waitsForAddresses) {
      this.giveUp(error)
      return
    }
    if (again === 'same' && !endpoint.gone) {
      this.count++
      this.owner.deadline.wait('connect')
      this.open(endpoint)
      return
    }
    this.tried = [...this.tried, endpoint]
    this.attempt(error)
    // Nobody else is about to: this is not a turn in which the client has sent something.
    this.flushNow()
  }

  // Waiter

  connected(backend: Backend): void {
    this.opening = null
    this.send(backend)
    this.flushNow()
  }

  connectFailed(error: ProxyError): void {
    this.opening = null
    this.backendFailed(error)
  }

  openAgain(): void {
    this.open(this.endpoint as Endpoint)
  }

  addressesCame(): void {
    if (!this.waitsForAddresses) return
    this.waitsForAddresses = false
    this.attempt(null)
    this.flushNow()
  }

  /** @param failed why another try is made */
  private attempt(failed: ProxyError | null): void {
    const { upstream } = this
    const endpoint = upstream.pick(this, this.tried)
    if (endpoint === null) {
      this.waitsForAddresses = upstream.set.awaitMore(this)
      if (this.waitsForAddresses) this.owner.deadline.wait('connect')
      else this.giveUp(failed ?? upstream.set.problem(upstream.name))
      return
    }
    // Where there is no other, the log has the last one.
    if (this.endpoint !== null) this.endpoint.active--
    endpoint.active++
    this.endpoint = endpoint
    this.count++
    if (upstream.timed) this.triedAt = endpoint.tryBegan()
    const pooled = poolOf(endpoint, this.services).take(needOf(this.owner))
    if (pooled !== null) {
      this.send(pooled)
      return
    }
    this.owner.deadline.wait('connect')
    this.open(endpoint)
  }

  private open(endpoint: Endpoint): void {
    const { timeouts } = this.owner
    const pool = poolOf(endpoint, this.services)
    pool.maxIdle = this.upstream.terms.maxIdle
    this.opening = pool.open(this, timeouts.connectMs, needOf(this.owner))
  }

  private send(backend: Backend): void {
    this.backend = backend
    const { owner } = this
    owner.deadline.wait('responseHead')
    const failed = owner.beforeAttempt()
    if (failed !== null) {
      this.fail(failed)
      return
    }
    backend.send(this, owner.hostField ?? hostFor(owner, this.upstream, this.endpoint as Endpoint))
    if (hasBody(owner.head)) this.sendKept(backend)
  }

  /** How long the endpoint has taken to answer, or to fail */
  private measure(): void {
    if (this.triedAt === 0) return
    this.endpoint?.tryEnded(this.triedAt)
    this.triedAt = 0
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
