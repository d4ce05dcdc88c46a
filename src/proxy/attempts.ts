/**
 * The backend's side of one exchange: which endpoint, over which connection, and whether another try is safe. Another
 * try is made only where the error's row allows it, the method is idempotent if the request may have been seen, no
 * byte of the body has been sent and none of the response has come.
 *
 * Request body that comes before there is a connection for it waits here, and its source is stopped meanwhile.
 */
import { ProxyError } from '../base/errors.ts'
import type { RouteTimeouts } from '../model/route.ts'
import type { Endpoint, Upstream } from '../model/upstream.ts'
import type { Fields } from '../wire/fields.ts'
import type { RequestHead } from '../wire/http1-head.ts'
import { BackendHttp1, type BackendUser } from './backend-http1.ts'
import { Dial } from './dial.ts'
import type { Services } from './services.ts'

/** The exchange that the attempts are made for. */
export interface AttemptsOwner extends BackendUser {
  readonly timeouts: RouteTimeouts
  readonly head: RequestHead
  readonly path: string
  readonly query: string
  readonly host: string
  /** Fields that say who the client is, each with its CRLF */
  readonly forwardText: string
  /** The upgrade that the backend is asked for, or null */
  readonly upgrade: string | null
  readonly finished: boolean
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

export class Attempts {
  count = 0
  endpoint: Endpoint | null = null
  requestEnded: boolean
  private readonly services: Services
  private readonly owner: AttemptsOwner
  private upstream: Upstream | null = null
  private backend: BackendHttp1 | null = null
  private dial: Dial | null = null
  private tried: readonly Endpoint[] = none
  private trailers: Fields | null = null
  private pending: Buffer[] | null = null
  private bodySent = false

  constructor(services: Services, owner: AttemptsOwner, requestEnded: boolean) {
    this.services = services
    this.owner = owner
    this.requestEnded = requestEnded
  }

  begin(upstream: Upstream): void {
    this.upstream = upstream
    this.attempt(upstream)
  }

  body(bytes: Buffer, from: number, to: number): void {
    if (this.backend !== null && this.pending === null) {
      this.bodySent = true
      if (!this.backend.body(bytes, from, to)) this.owner.pauseBody()
      return
    }
    this.pending ??= []
    this.pending.push(bytes.subarray(from, to))
    this.owner.pauseBody()
  }

  endBody(trailers: Fields | null): void {
    this.requestEnded = true
    this.trailers = trailers
    if (this.backend !== null && this.pending === null) this.backend.endBody(trailers)
  }

  /** What was written in this turn of the event loop leaves in one write. */
  flush(): void {
    this.backend?.flush()
  }

  pause(): void {
    this.backend?.pause()
  }

  resume(): void {
    this.backend?.resume()
  }

  /** The backend has given its whole answer and takes care of its connection itself. */
  release(): BackendHttp1 | null {
    const { backend } = this
    this.backend = null
    return backend
  }

  /** Cuts the attempt under way. */
  drop(): void {
    this.dial?.cancel()
    this.dial = null
    this.pending = null
    this.release()?.abort()
  }

  /** The exchange is over. */
  done(): void {
    if (this.endpoint !== null) this.endpoint.active--
  }

  /** @param answered a response head has gone out, so that no other try can be made */
  failed(error: ProxyError, answered: boolean): void {
    this.drop()
    const { upstream } = this
    const { retry } = error.row
    const again =
      retry === 'yes' || (retry === 'idempotent' && idempotent.has(this.owner.head.method) && !this.bodySent)
    if (answered || !again || this.count >= maxAttempts || upstream === null) {
      this.owner.attemptsFailed(error)
      return
    }
    const endpoint = this.endpoint as Endpoint
    if (error.code === 'STALE_CONNECTION') {
      // The endpoint is well, only the connection had aged: once more, on a new one.
      this.count++
      this.connect(upstream, endpoint)
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
    const pooled = endpoint.idle.pop() as BackendHttp1 | undefined
    if (pooled !== undefined) this.send(upstream, pooled)
    else this.connect(upstream, endpoint)
  }

  private connect(upstream: Upstream, endpoint: Endpoint): void {
    this.dial = new Dial(this.services, endpoint, this.owner.timeouts.connectMs, (link, error) => {
      this.dial = null
      if (this.owner.finished) {
        link?.destroy()
        return
      }
      if (link === null) this.failed(error as ProxyError, false)
      else {
        this.send(upstream, new BackendHttp1(this.services, endpoint, upstream.maxIdle, link))
        this.flush()
      }
    })
  }

  private send(upstream: Upstream, backend: BackendHttp1): void {
    this.backend = backend
    const { owner } = this
    if (!owner.beforeAttempt()) return
    const { head } = owner
    const host = upstream.hostHeader === 'preserve' ? owner.host : (this.endpoint as Endpoint).label
    let text = `${head.method} ${owner.path}${owner.query} HTTP/1.1\r\nhost: ${host}\r\n`
    text += head.fields.text
    text += owner.forwardText
    let body: 'none' | 'length' | 'chunked' = 'none'
    if (head.chunked) {
      body = 'chunked'
      text += 'transfer-encoding: chunked\r\n'
    } else if (head.contentLength >= 0) {
      if (head.contentLength > 0) body = 'length'
      text += `content-length: ${head.contentLength}\r\n`
    }
    if (owner.upgrade !== null) text += `connection: upgrade\r\nupgrade: ${owner.upgrade}\r\n`
    if (head.expectContinue && body !== 'none') text += 'expect: 100-continue\r\n'
    backend.send(owner, `${text}\r\n`, body, head.method === 'HEAD')
    if (body !== 'none') this.sendPending(backend)
  }

  private sendPending(backend: BackendHttp1): void {
    const { pending } = this
    this.pending = null
    let open = true
    if (pending !== null) {
      this.bodySent = true
      for (const chunk of pending) open = backend.body(chunk, 0, chunk.length)
    }
    if (this.requestEnded) backend.endBody(this.trailers)
    else if (open && pending !== null) this.owner.resumeBody()
  }
}
