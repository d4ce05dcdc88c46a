/**
 * The backend's side of one exchange: which endpoint, over which connection, and whether another try is safe. Another
 * try is made only where the error's row allows it, the method is idempotent if the request may have been seen, none
 * of the response has come, and the request can be sent once more from its first byte: what was sent of its body is
 * kept until then, up to 64 kB.
 *
 * Request body that comes before there is a backend for it waits here too, and its source is stopped meanwhile.
 */
import { ProxyError } from '../base/errors.ts'
import { HeldBytes } from '../base/held-bytes.ts'
import type { Share } from '../base/memory-budget.ts'
import type { RouteTimeouts } from '../model/route.ts'
import type { Endpoint, Upstream } from '../model/upstream.ts'
import type { Fields } from '../wire/fields.ts'
import type { ResponseHead } from '../wire/heads.ts'
import { type Backend, type BackendUser, hasBody } from './backend.ts'
import { InterimAnswers } from './interim.ts'
import { type Opening, poolOf, type Waiter } from './pool.ts'
import type { Services } from './services.ts'

/** The exchange that the attempts are made for. */
export interface AttemptsOwner extends BackendUser {
  readonly timeouts: RouteTimeouts
  readonly host: string
  readonly downstream: { readonly connection: { readonly serverName: string | null } }
  /** The Host field that a filter has set, or null */
  readonly hostField: string | null
  readonly finished: boolean
  /** A connection is waited for */
  connecting(): void
  /** Runs the attempt filters; `false` when one has ended the exchange */
  beforeAttempt(): boolean
  pauseBody(): void
  resumeBody(): void
  /** No further try is safe, or there is none left. */
  attemptsFailed(error: ProxyError): void
}

const none: readonly Endpoint[] = []
/** RFC 9110 section 9.2.2 */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
/** The first one included; a set of a hundred dead endpoints is not tried to its end. */
const maxAttempts = 4
/** Bytes of a request body that are kept for another try */
const keptAtMost = 65_536

export class Attempts implements Waiter {
  count = 0
  endpoint: Endpoint | null = null
  requestEnded: boolean
  /** The backend that gave the answer has a connection that carries others too */
  shared = false
  private readonly services: Services
  private readonly owner: AttemptsOwner
  private readonly share: Share
  private upstream: Upstream | null = null
  private backend: Backend | null = null
  private opening: Opening | null = null
  private tried: readonly Endpoint[] = none
  private trailers: Fields | null = null
  /** The body so far; null where none has come */
  private kept: HeldBytes | null = null
  /** False once it is too much to keep, or not needed any more */
  private keeping = true
  private interimAnswers: InterimAnswers | null = null

  /** @param share of the client's connection */
  constructor(services: Services, owner: AttemptsOwner, share: Share, requestEnded: boolean) {
    this.share = share
    this.services = services
    this.owner = owner
    this.requestEnded = requestEnded
  }

  begin(upstream: Upstream): void {
    this.upstream = upstream
    this.attempt(upstream)
  }

  body(bytes: Buffer, from: number, to: number): void {
    const { backend } = this
    if (this.keeping) {
      this.kept ??= new HeldBytes(this.share)
      this.kept.add(bytes, from, to)
      if (backend !== null && this.kept.length > keptAtMost) this.forget()
    }
    if (backend === null || !backend.body(bytes, from, to)) this.owner.pauseBody()
  }

  endBody(trailers: Fields | null): void {
    this.requestEnded = true
    this.trailers = trailers
    this.backend?.endBody(trailers)
  }

  /** What was written in this turn of the event loop leaves in one write. */
  flush(): void {
    if (this.backend?.flush() === false) this.owner.pauseBody()
  }

  pause(): void {
    this.backend?.pause()
  }

  resume(): void {
    this.backend?.resume()
  }

  /** Whether the backend has read something of the body since this was asked last. */
  peerReads(): boolean {
    return this.backend?.peerReads() ?? false
  }

  /** One more interim answer has come. @returns what is wrong with it, or null */
  interim(head: ResponseHead): ProxyError | null {
    this.interimAnswers ??= new InterimAnswers()
    return this.interimAnswers.add(head, this.endpoint?.label ?? '')
  }

  /** A response has begun: there will be no other try. */
  answered(): void {
    this.forget()
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

  /** @param answered a response head has gone out, so that no other try can be made */
  failed(error: ProxyError, answered: boolean): void {
    this.drop()
    const { upstream } = this
    const { retry } = error.row
    const again = retry === 'yes' || (retry === 'idempotent' && idempotent.has(this.owner.head.method))
    if (answered || !again || !this.keeping || this.count >= maxAttempts || upstream === null) {
      this.owner.attemptsFailed(error)
      return
    }
    const endpoint = this.endpoint as Endpoint
    if (error.code === 'STALE_CONNECTION' || error.code === 'UPSTREAM_GOAWAY') {
      // The endpoint is well, only the connection had aged: once more, on a new one.
      this.count++
      this.owner.connecting()
      this.open(upstream, endpoint)
      return
    }
    this.tried = [...this.tried, endpoint]
    if (this.tried.length >= upstream.endpoints.length) {
      this.owner.attemptsFailed(error)
      return
    }
    endpoint.active--
    this.endpoint = null
    this.attempt(upstream)
    // Nobody else is about to: this is not a turn in which the client has sent something.
    this.flush()
  }

  // Waiter

  connected(backend: Backend): void {
    this.opening = null
    this.send(this.upstream as Upstream, backend)
    this.flush()
  }

  connectFailed(error: ProxyError): void {
    this.opening = null
    if (!this.owner.finished) this.failed(error, false)
  }

  openAgain(): void {
    this.open(this.upstream as Upstream, this.endpoint as Endpoint)
  }

  private attempt(upstream: Upstream): void {
    const endpoint = upstream.pick(this.tried)
    if (endpoint === null) {
      this.owner.attemptsFailed(new ProxyError('NO_ENDPOINT', `${upstream.name} has no endpoint left to try`))
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
    this.owner.connecting()
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
    if (!owner.beforeAttempt()) return
    backend.send(owner, owner.hostField ?? hostFor(owner, upstream, this.endpoint as Endpoint))
    if (hasBody(owner.head)) this.sendKept(backend)
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
    else if (open) this.owner.resumeBody()
  }
}

/** HTTP/1.0 may come without a Host, and HTTP/1.1 may not be sent without one. */
function hostFor({ host, downstream }: AttemptsOwner, { hostHeader }: Upstream, { label }: Endpoint): string {
  if (hostHeader !== 'preserve') return label
  return host === '' ? (downstream.connection.serverName ?? label) : host
}
