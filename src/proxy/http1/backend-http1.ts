/**
 * One HTTP/1.1 connection to a backend. It carries one exchange at a time and rests in its endpoint's pool between
 * them. Backends are not trusted: what is not strictly HTTP/1.1 is a BAD_RESPONSE, and a connection is used again only
 * when the response ended exactly where its framing said, with the request sent whole and nothing behind it.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Link, LinkHandler } from '../../model/link.ts'
import type { Fields } from '../../wire/fields.ts'
import { HeadBuffer } from '../../wire/head-buffer.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import { type BodySink, ChunkedDecoder } from '../../wire/http1-body.ts'
import { parseResponseHead } from '../../wire/http1-head.ts'
import { LenientHead, leniencyHint } from '../../wire/lenient-head.ts'
import { type Backend, type BackendUser, hasBody } from '../seam/backend.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import type { Services } from '../seam/services.ts'
import { WebSocketHandshake } from '../seam/websocket.ts'
import { type Asked, cutError } from './asked.ts'
import { BodyWriter } from './body-writer.ts'
import type { Lenient } from './lenient.ts'
import { requestText } from './request-text.ts'

/** Where a connection rests between exchanges. */
interface Http1Home {
  /** @returns false when there is no room */
  rest(connection: BackendHttp1): boolean
  leave(connection: BackendHttp1): void
}

/** Of a connection that is not used again. */
const nowhere: Http1Home = { rest: () => false, leave() {} }

/** What the reader expects next. */
const reading = { idle: 0, head: 1, length: 2, chunked: 3, close: 4, switched: 5, lenientHead: 6 } as const

export class BackendHttp1 implements LinkHandler, Waiting, Backend, BodySink {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'carrying'
  watchIndex = -1
  readonly shared = false
  readonly link: Link
  private readonly writer: BodyWriter
  private readonly services: Services
  private readonly asked: Asked
  private home: Http1Home
  private exchange: BackendUser | null = null
  private reading: number = reading.idle
  /** Body bytes still to come */
  private left = 0
  private decoder: ChunkedDecoder | null = null
  private partial: HeadBuffer | null = null
  private lenientHead: LenientHead | null = null
  private persistent = true
  private headRequest = false
  private requestSent = false
  /** A byte of the response to the exchange under way was seen */
  answered = false
  private uses = 0
  private queuedThen = 0
  private handshake: WebSocketHandshake | null = null

  constructor(services: Services, asked: Asked, home: Http1Home, link: Link) {
    this.services = services
    this.asked = asked
    this.home = home
    this.link = link
    this.writer = new BodyWriter(link)
    link.handler = this
    services.deadlines.watch(this)
  }

  /** True when the exchange under way did not open this connection. */
  get reused(): boolean {
    return this.uses > 1
  }

  send(exchange: BackendUser, host: string): void {
    this.uses++
    this.exchange = exchange
    this.reading = reading.head
    this.answered = false
    this.persistent = true
    const { head } = exchange
    this.headRequest = head.method === 'HEAD'
    this.requestSent = !hasBody(head)
    enter(this, 'carrying', this.services)
    this.writer.begin(head.chunked && head.contentLength < 0, !this.requestSent)
    // Of this exchange: one that was refused would let a later 101 pass that nobody asked for.
    this.handshake =
      exchange.upgrade === null
        ? null
        : new WebSocketHandshake(head.version === 2 && exchange.upgrade === 'websocket')
    this.link.writeText(requestText(exchange, host, this.handshake?.keyLine ?? ''))
  }

  /** What was sent of a request with a body so far leaves in one write. */
  flush(): boolean {
    this.writer.flush()
    return this.requestSent || !this.link.needsDrain
  }

  /** `false`: wait for `backendDrained`. */
  body(bytes: Buffer, from: number, to: number): boolean {
    this.writer.write(bytes, from, to)
    return !this.link.needsDrain
  }

  endBody(trailers: Fields | null): void {
    this.writer.end(trailers)
    this.requestSent = true
  }

  pause(): void {
    this.link.pause()
  }

  resume(): void {
    this.link.resume()
  }

  peerReads(): boolean {
    const queued = this.link.queuedBytes
    const moved = queued !== this.queuedThen
    this.queuedThen = queued
    return moved
  }

  /** The exchange is over for its own reasons: the backend is told by the connection being cut. */
  abort(): void {
    this.exchange = null
    this.link.destroy()
  }

  /** Hands the link over after a 101; this object has no further part in it. */
  release(): Link {
    this.exchange = null
    this.services.deadlines.unwatch(this)
    return this.link
  }

  /** A drain or a reload has no use for it any more. */
  close(): void {
    this.link.close()
  }

  /** Of its time in the pool: while it carries an exchange, that has its own. */
  onDeadline(): void {
    this.home.leave(this)
    this.link.destroy()
  }

  onOpen(): void {}

  onDrain(): void {
    this.exchange?.backendDrained()
  }

  onData(chunk: Buffer): void {
    const exchange = this.exchange
    if (exchange === null) {
      // Bytes nobody asked for: whatever they are, the next response on this connection could not be trusted.
      this.home.leave(this)
      this.link.destroy()
      return
    }
    exchange.corkAnswer()
    this.read(chunk)
    exchange.uncorkAnswer()
  }

  onEnd(): void {
    if (this.exchange !== null) {
      if (this.reading === reading.close) this.complete(null)
      else this.fail(cutError(this.asked, null, this))
    } else this.home.leave(this)
    this.link.close()
  }

  onClose(error: ProxyError | null): void {
    this.services.deadlines.unwatch(this)
    if (this.exchange === null) this.home.leave(this)
    else this.fail(cutError(this.asked, error, this))
  }

  onBody(bytes: Buffer, from: number, to: number): void {
    this.exchange?.backendData(bytes, from, to)
  }

  onBodyEnd(trailers: Fields | null): void {
    this.complete(trailers)
  }

  private read(bytes: Buffer): void {
    let at = 0
    const to = bytes.length
    while (at < to || (this.reading as number) === reading.idle) {
      switch (this.reading) {
        case reading.head: {
          this.answered = true
          const whole = this.partial
          let from = at
          let source = bytes
          if (whole !== null) {
            whole.append(bytes.subarray(at))
            source = whole.view()
            from = 0
          }
          const limits = this.services.snapshot.limits
          const most = Math.min(source.length, from + limits.headBytes)
          const head = whole !== null && !whole.ready() ? null : parseResponseHead(source, from, most, limits)
          if (head instanceof ProxyError) {
            if (!this.readLeniently(head, source, from)) return
            if (source === bytes) break
            this.read(source)
            return
          }
          if (head === null) {
            if (most < source.length) {
              this.failBad('head over limits.head')
            } else if (whole === null) {
              this.partial = new HeadBuffer('response', this.link.share)
              this.partial.append(bytes.subarray(at))
            }
            return
          }
          whole?.release()
          this.partial = null
          if (source !== bytes) {
            // Go on in what was collected: it ends where these bytes end.
            this.begin(head)
            if (this.exchange === null && (this.reading as number) !== reading.idle) return
            if (head.end < source.length) this.read(source.subarray(head.end))
            else if ((this.reading as number) === reading.idle) this.rest()
            return
          }
          at = head.end
          this.begin(head)
          break
        }
        case reading.length: {
          const take = Math.min(this.left, to - at)
          this.left -= take
          this.exchange?.backendData(bytes, at, at + take)
          at += take
          if (this.left === 0) this.complete(null)
          break
        }
        case reading.chunked: {
          const end = (this.decoder as ChunkedDecoder).push(bytes, at, to, this)
          if (end instanceof ProxyError) {
            this.failBad(end.message)
            return
          }
          if (end < 0) return
          at = end
          break
        }
        case reading.close:
          this.exchange?.backendData(bytes, at, to)
          return
        case reading.lenientHead:
          at = this.readLenientHead(bytes, at)
          if (at < 0) return
          break
        case reading.switched:
          this.exchange?.switchedData(at === 0 ? bytes : bytes.subarray(at))
          return
        default:
          // The exchange is over. More than its framing said means that this connection cannot be trusted again.
          if (at < to) this.link.destroy()
          else this.rest()
          return
      }
      if (this.exchange === null && (this.reading as number) !== reading.idle) return
    }
  }

  /** The strict parser has refused the head. @returns whether its upstream has leniencies, with which it is read again */
  private readLeniently(refused: ProxyError, bytes: Buffer, from: number): boolean {
    const { lenient } = this.asked
    this.partial?.release()
    this.partial = null
    if (lenient === null) {
      this.failBad(refused.message + leniencyHint(bytes, from, this.services.snapshot.limits, null))
      return false
    }
    this.lenientHead = new LenientHead(lenient.allowed, this.link.share)
    this.reading = reading.lenientHead
    return true
  }

  /** @returns where the head ends, or -1 when there is nothing more to do with these bytes */
  private readLenientHead(bytes: Buffer, at: number): number {
    const reader = this.lenientHead as LenientHead
    const { limits } = this.services.snapshot
    const read = reader.read(bytes, at, limits)
    if (read === null) return -1
    const lenient = this.asked.lenient as Lenient
    if (read instanceof ProxyError) {
      this.failBad(read.message + leniencyHint(reader.view(), 0, limits, lenient.allowed))
      return -1
    }
    reader.release()
    this.lenientHead = null
    // What such a backend sends next on this connection is read by nobody.
    this.home = nowhere
    lenient.used(read.used)
    this.reading = reading.head
    this.begin(read.head)
    return read.end
  }

  private begin(head: ResponseHead): void {
    const exchange = this.exchange as BackendUser
    const { status } = head
    if (status < 200) {
      if (status !== 101) {
        exchange.backendInformation(head)
        return
      }
      const wrong =
        exchange.upgrade === null || this.handshake === null
          ? 'switched protocols without being asked to'
          : head.upgrade !== exchange.upgrade.toLowerCase()
            ? `switched to another protocol than ${exchange.upgrade}, which it was asked for`
            : this.requestSent
              ? this.handshake.problem(head.fields)
              : 'switched protocols before it had the whole request'
      if (wrong !== null) {
        this.fail(new ProxyError('BAD_RESPONSE', `${this.asked.label} ${wrong}`))
        return
      }
      this.reading = reading.switched
      exchange.backendSwitched(head)
      return
    }
    if (status < 300 && exchange.upgrade !== null && exchange.head.version === 2) {
      // To a client of HTTP/2 any 2xx would say that its tunnel is open (RFC 8441 section 5).
      this.fail(new ProxyError('BAD_RESPONSE', `${this.asked.label} answered ${status} to an upgrade, and not 101`))
      return
    }
    this.persistent = head.persistent
    const bodyless = this.headRequest || status === 204 || status === 304
    if (bodyless || (head.contentLength === 0 && !head.chunked)) {
      exchange.backendHead(head, bodyless)
      this.complete(null)
      return
    }
    if (head.chunked) {
      this.decoder = new ChunkedDecoder(this.services.snapshot.limits, false, this.link.share)
      this.reading = reading.chunked
    } else if (head.contentLength > 0) {
      this.left = head.contentLength
      this.reading = reading.length
    } else {
      this.persistent = false
      this.reading = reading.close
    }
    exchange.backendHead(head, false)
  }

  /** The response is whole. The exchange is told by `rest`, once it is known that nothing stands behind it. */
  private complete(trailers: Fields | null): void {
    const exchange = this.exchange
    this.reading = reading.idle
    this.decoder = null
    if (exchange === null) return
    this.exchange = null
    if (!this.requestSent) this.persistent = false
    enter(this, 'pooled', this.services)
    exchange.backendEnd(trailers)
  }

  /** Back to the pool, or closed. */
  rest(): void {
    if (this.exchange !== null) return
    if (this.phase !== 'pooled') enter(this, 'pooled', this.services)
    // The last of the answer may have stopped the reading; whoever takes this connection next expects it to run.
    this.link.resume()
    // What is left of a request that was answered early would keep the connection open for as long as it is not read.
    if (!this.requestSent) this.link.destroy()
    else if (!this.persistent || !this.home.rest(this)) this.link.close()
  }

  private failBad(why: string): void {
    this.fail(new ProxyError('BAD_RESPONSE', `${this.asked.label}: ${why}`))
  }

  private fail(error: ProxyError): void {
    const exchange = this.exchange
    this.exchange = null
    this.reading = reading.idle
    this.persistent = false
    this.link.destroy()
    exchange?.backendFailed(error)
  }
}
