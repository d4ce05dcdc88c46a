/**
 * One request and its response: match, request filters, attempts, response filters, body, done. It joins the client's
 * side (a Downstream) and a backend's connection, and knows neither's bytes. A retry runs the attempt phase again and
 * no other. See docs/life-of-a-request.md.
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
import type { Endpoint, Upstream } from '../model/upstream.ts'
import { Fields } from '../wire/fields.ts'
import type { RequestHead, ResponseHead } from '../wire/http1-head.ts'
import { parseTarget } from '../wire/target.ts'
import { BackendHttp1 } from './backend-http1.ts'
import { Dial } from './dial.ts'
import type { Downstream } from './downstream.ts'
import { filterView } from './filter-view.ts'
import { errorAnswer, reasonOf } from './respond.ts'
import { redirectLocation } from './redirect.ts'
import type { Services } from './services.ts'

const none: readonly Endpoint[] = []
/** RFC 9110 section 9.2.2 */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
/** Attempts of one exchange, the first one included; a set of a hundred dead endpoints is not tried to its end. */
const maxAttempts = 4

export class Exchange implements Timed {
  deadlineAt = Number.POSITIVE_INFINITY
  watchIndex = -1
  readonly downstream: Downstream
  readonly head: RequestHead
  path = ''
  query = ''
  host: string
  route: Route | null = null
  endpoint: Endpoint | null = null
  status = 0
  errorCode: ErrorCode | null = null
  errorWhy: string | null = null
  bytesIn = 0
  bytesOut = 0
  attempts = 0
  /** Milliseconds on the clock of nowMs, set only when the access log wants them */
  readonly startedAt: number
  sentAt = 0
  headAt = 0
  responseHead: ResponseHead | null = null
  finished = false
  private readonly services: Services
  private readonly snapshot: Snapshot
  private backend: BackendHttp1 | null = null
  private dial: Dial | null = null
  private tried: readonly Endpoint[] = none
  private requestEnded: boolean
  private trailers: Fields | null = null
  /** Request body that came before there was a connection for it */
  private pending: Buffer[] | null = null
  private bodySent = false
  private answered = false
  /** A response filter is at work: what the backend sends meanwhile waits here */
  private held: { chunks: Buffer[]; ended: boolean; trailers: Fields | null } | null = null
  private switched: Buffer[] | null = null
  private facade: FilterExchange | null = null
  private ownId = ''
  private fresh = false

  constructor(services: Services, downstream: Downstream, head: RequestHead) {
    this.services = services
    this.snapshot = services.snapshot
    this.downstream = downstream
    this.head = head
    this.host = head.host ?? ''
    this.requestEnded = !head.chunked && head.contentLength <= 0
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
    const { head, downstream } = this
    const target = parseTarget(head.method, head.target)
    if (head.method === 'CONNECT') {
      this.fail(new ProxyError('METHOD_NOT_SUPPORTED', 'CONNECT'))
      return
    }
    if (target instanceof ProxyError) {
      this.fail(target)
      return
    }
    this.path = target.path
    this.query = target.query
    if (target.authority !== null) this.host = target.authority
    const misaimed = downstream.forwarding.aim(this.host === '' ? null : this.host, this.snapshot)
    if (misaimed !== null) {
      this.fail(misaimed)
      return
    }
    const site = downstream.forwarding.site
    const route =
      site?.action.kind === 'http' ? site.action.routes.find(head.method, this.path, this.query, head.fields) : null
    if (route === null) {
      this.fail(new ProxyError('NO_ROUTE', `no route of ${site?.name} takes ${head.method} ${this.path}`))
      return
    }
    this.route = route
    if (head.contentLength > route.maxBodyBytes) {
      this.fail(new ProxyError('BODY_TOO_LARGE', `${head.contentLength} bytes, limits.body is ${route.maxBodyBytes}`))
      return
    }
    if (route.timeouts.totalMs > 0) {
      this.deadlineAt = this.services.deadlines.after(route.timeouts.totalMs)
      this.services.deadlines.watch(this)
    }
    if (route.filters.request.length > 0) this.runRequestFilters(0)
    else this.act()
  }

  onDeadline(): void {
    this.upstreamFailure(
      new ProxyError('TOTAL_TIMEOUT', `the exchange took longer than timeouts.total (${this.timeouts.totalMs} ms)`),
    )
  }

  // From the client

  requestData(bytes: Buffer, from: number, to: number): void {
    if (this.finished) return
    this.bytesIn += to - from
    const limit = this.route?.maxBodyBytes ?? Number.POSITIVE_INFINITY
    if (this.bytesIn > limit) {
      this.clientFault(new ProxyError('BODY_TOO_LARGE', `more than limits.body (${limit} bytes)`))
      return
    }
    if (this.backend !== null && this.pending === null) {
      this.bodySent = true
      if (!this.backend.body(bytes, from, to)) this.downstream.pauseBody()
      return
    }
    this.pending ??= []
    this.pending.push(bytes.subarray(from, to))
    this.downstream.pauseBody()
  }

  requestEnd(trailers: Fields | null): void {
    if (this.finished) return
    this.requestEnded = true
    this.trailers = trailers
    if (this.backend !== null && this.pending === null) this.backend.endBody(trailers)
  }

  get requestComplete(): boolean {
    return this.requestEnded
  }

  /** The client has sent what came in this turn of the event loop. */
  flushRequest(): void {
    this.backend?.flush()
  }

  /** The request turned out to be bad, or too slow, after it had begun. */
  clientFault(error: ProxyError): void {
    if (this.finished) return
    this.dropBackend()
    if (this.answered) this.cutOff(error)
    else this.fail(error)
  }

  clientGone(error: ProxyError): void {
    if (this.finished) return
    this.dropBackend()
    this.finish(error)
  }

  downstreamDrained(): void {
    if (this.held === null) this.backend?.resume()
  }

  // From the backend

  backendDrained(): void {
    if (!this.finished) this.downstream.resumeBody()
  }

  wantsUpgrade(offered: string | null): boolean {
    return this.upgrade !== null && offered === this.upgrade
  }

  backendInformation(head: ResponseHead): void {
    this.downstream.inform(head.status, head.reason, head.fields.text)
  }

  backendHead(head: ResponseHead, bodyless: boolean): void {
    this.responseHead = head
    if (this.startedAt > 0) this.headAt = nowMs()
    const filters = (this.route as Route).filters.response
    if (filters.length === 0) {
      this.sendHead(head, bodyless)
      return
    }
    this.held = { chunks: [], ended: false, trailers: null }
    this.runResponseFilters(0, head, bodyless)
  }

  backendData(bytes: Buffer, from: number, to: number): void {
    if (this.finished) return
    if (this.held !== null) {
      this.held.chunks.push(bytes.subarray(from, to))
      this.backend?.pause()
      return
    }
    this.bytesOut += to - from
    if (!this.downstream.data(bytes, from, to)) this.backend?.pause()
  }

  /** The response is whole; `backend` goes back to its pool by itself. */
  backendEnd(trailers: Fields | null, backend: BackendHttp1): void {
    if (this.finished) return
    if (this.backend === backend) this.backend = null
    if (this.held !== null) {
      this.held.ended = true
      this.held.trailers = trailers
      return
    }
    this.finish(null)
    this.downstream.end(trailers)
  }

  backendFailed(error: ProxyError): void {
    this.backend = null
    this.upstreamFailure(error)
  }

  backendSwitched(head: ResponseHead): void {
    this.responseHead = head
    this.status = 101
    const backend = this.backend as BackendHttp1
    this.switched = []
    // The rest of what was read together with the head is collected first; then the links are joined.
    queueMicrotask(() => {
      const early = this.switched ?? []
      this.switched = null
      if (this.finished) return
      this.backend = null
      this.answered = true
      const link = backend.release()
      this.downstream.switchTo(this, head.fields.text, link, early)
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
    if (this.endpoint !== null) this.endpoint.active--
    if (error !== null && this.errorCode === null) {
      this.errorCode = error.code
      this.errorWhy = error.message
    }
    const done = this.route?.filters.done
    if (done !== undefined && done.length > 0) this.runDoneFilters(error)
    this.services.events.exchange?.(this)
  }

  // Phases

  private get upgrade(): string | null {
    // Other protocols than WebSocket are not spoken of to the backend: an upgrade is optional to begin with, and one
    // that we do not know could turn the connection into something we cannot see (RFC 9931).
    return this.head.upgrade === 'websocket' && this.requestEnded ? 'websocket' : null
  }

  private act(): void {
    const { action } = this.route as Route
    switch (action.kind) {
      case 'upstream':
        this.attempt(action.upstream)
        break
      case 'redirect': {
        const location = redirectLocation(action.to, this.host, this.path, this.query)
        this.reply({ status: action.status, headers: { location } })
        break
      }
      case 'respond':
        this.reply({ status: action.status, headers: Object.fromEntries(action.headers), body: action.body })
    }
  }

  private attempt(upstream: Upstream): void {
    const endpoint = this.fresh ? (this.endpoint as Endpoint) : upstream.pick(this.tried)
    if (endpoint === null) {
      this.fail(new ProxyError('NO_ENDPOINT', `${upstream.name} has no endpoint left to try`))
      return
    }
    if (!this.fresh) endpoint.active++
    this.endpoint = endpoint
    this.attempts++
    const pooled = this.fresh ? undefined : (endpoint.idle.pop() as BackendHttp1 | undefined)
    if (pooled !== undefined) {
      this.send(upstream, pooled)
      return
    }
    this.dial = new Dial(this.services, endpoint, this.timeouts.connectMs, (link, error) => {
      this.dial = null
      if (this.finished) {
        link?.destroy()
        return
      }
      if (link === null) this.upstreamFailure(error as ProxyError)
      else {
        this.send(upstream, new BackendHttp1(this.services, endpoint, upstream.maxIdle, link))
        this.flushRequest()
      }
    })
  }

  private send(upstream: Upstream, backend: BackendHttp1): void {
    this.backend = backend
    const { head } = this
    const route = this.route as Route
    if (route.filters.attempt.length > 0 && !this.runAttemptFilters(route)) return
    if (this.startedAt > 0) this.sentAt = nowMs()
    const host = upstream.hostHeader === 'preserve' ? this.host : (this.endpoint as Endpoint).label
    let text = `${head.method} ${this.path}${this.query} HTTP/1.1\r\nhost: ${host}\r\n`
    text += head.fields.text
    text += this.downstream.forwarding.text
    let body: 'none' | 'length' | 'chunked' = 'none'
    if (head.chunked) {
      body = 'chunked'
      text += 'transfer-encoding: chunked\r\n'
    } else if (head.contentLength >= 0) {
      if (head.contentLength > 0) body = 'length'
      text += `content-length: ${head.contentLength}\r\n`
    }
    if (this.upgrade !== null) text += `connection: upgrade\r\nupgrade: ${this.upgrade}\r\n`
    if (head.expectContinue && body !== 'none') text += 'expect: 100-continue\r\n'
    backend.send(this, `${text}\r\n`, body, head.method === 'HEAD')
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
    else if (open && pending !== null) this.downstream.resumeBody()
  }

  private upstreamFailure(error: ProxyError): void {
    if (this.finished) return
    this.dropBackend()
    if (this.answered) {
      this.cutOff(error)
      return
    }
    const { retry } = error.row
    const again = retry === 'yes' || (retry === 'idempotent' && idempotent.has(this.head.method) && !this.bodySent)
    const { action } = this.route as Route
    if (!again || this.attempts >= maxAttempts || action.kind !== 'upstream') {
      this.fail(error)
      return
    }
    if (error.code === 'STALE_CONNECTION') {
      // The endpoint is well, only the connection had aged: once more, on a new one.
      this.fresh = true
      this.attempt(action.upstream)
      this.fresh = false
      return
    }
    const endpoint = this.endpoint as Endpoint
    this.tried = [...this.tried, endpoint]
    if (this.tried.length >= action.upstream.endpoints.length) {
      this.fail(error)
      return
    }
    endpoint.active--
    this.endpoint = null
    this.attempt(action.upstream)
  }

  private sendHead(head: ResponseHead, bodyless: boolean): void {
    this.answered = true
    this.status = head.status
    this.downstream.head(head.status, head.reason, head.fields.text, head.chunked ? -1 : head.contentLength, bodyless)
  }

  private dropBackend(): void {
    this.dial?.cancel()
    this.dial = null
    const { backend } = this
    this.backend = null
    this.pending = null
    backend?.abort()
  }

  private cutOff(error: ProxyError): void {
    this.finish(error)
    this.downstream.abort(error)
  }

  /** Answers with the error's own status and page. */
  private fail(error: ProxyError): void {
    this.errorCode = error.code
    this.errorWhy = error.message
    const answer = errorAnswer(error.code, this.head.fields.get('accept'), this.id)
    if (error.row.fault === 'client' && error.row.status !== 404 && error.row.status !== 421) this.downstream.closeAfter()
    this.answer(answer.status, answer.reason, answer.text, answer.body, error)
  }

  private reply(reply: Reply): void {
    const fields = new Fields('')
    for (const [name, value] of Object.entries(reply.headers ?? {})) fields.set(name, value)
    const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : (reply.body ?? new Uint8Array(0))
    this.answer(reply.status, reasonOf(reply.status), fields.text, body, null)
  }

  private answer(status: number, reason: string, text: string, body: Uint8Array, error: ProxyError | null): void {
    this.status = status
    this.answered = true
    const { downstream } = this
    const bodyless = this.head.method === 'HEAD' || status === 204 || status === 304
    downstream.cork()
    downstream.head(status, reason, text, status === 204 ? -1 : body.length, bodyless)
    if (!bodyless && body.length > 0) {
      this.bytesOut += body.length
      downstream.data(body, 0, body.length)
    }
    this.finish(error)
    downstream.end(null)
    downstream.uncork()
  }

  // Filters: synchronous ones cost no promise

  private runRequestFilters(from: number): void {
    const filters = (this.route as Route).filters.request
    try {
      for (let at = from; at < filters.length; at++) {
        const result = filters[at]?.request?.(this.view)
        if (result instanceof Promise) {
          this.downstream.pauseBody()
          result.then(
            reply => this.resumed(() => (reply ? this.reply(reply) : this.runRequestFilters(at + 1))),
            error => this.resumed(() => this.filterFailed(error)),
          )
          return
        }
        if (result) {
          this.reply(result)
          return
        }
      }
    } catch (error) {
      this.filterFailed(error)
      return
    }
    this.act()
  }

  private runAttemptFilters(route: Route): boolean {
    try {
      for (const filter of route.filters.attempt) filter.attempt?.(this.view)
      return true
    } catch (error) {
      this.filterFailed(error)
      return false
    }
  }

  private runResponseFilters(from: number, head: ResponseHead, bodyless: boolean): void {
    const filters = (this.route as Route).filters.response
    try {
      for (let at = from; at < filters.length; at++) {
        const result = filters[at]?.response?.(this.view)
        if (result instanceof Promise) {
          result.then(
            () => this.resumed(() => this.runResponseFilters(at + 1, head, bodyless)),
            error => this.resumed(() => this.filterFailed(error)),
          )
          return
        }
      }
    } catch (error) {
      this.filterFailed(error)
      return
    }
    const held = this.held
    this.held = null
    this.sendHead(head, bodyless)
    if (held === null) return
    let open = true
    for (const chunk of held.chunks) {
      this.bytesOut += chunk.length
      open = this.downstream.data(chunk, 0, chunk.length)
    }
    if (held.ended) {
      this.finish(null)
      this.downstream.end(held.trailers)
    } else if (open) this.backend?.resume()
  }

  private runDoneFilters(error: ProxyError | null): void {
    for (const filter of this.route?.filters.done ?? []) {
      try {
        filter.done?.(this.view, error)
      } catch (thrown) {
        this.services.events.fault(`filter ${filter.name}`, thrown)
      }
    }
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
    this.dropBackend()
    this.fail(new ProxyError('FILTER_FAILED', messageOf(error), error))
  }

  private get view(): FilterExchange {
    this.facade ??= filterView(this)
    return this.facade
  }
}
