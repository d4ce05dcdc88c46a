/**
 * HTTP/1.1 with one client (RFC 9112): reads requests one after the other, each into an Exchange, and writes its
 * answer. Requests that come ahead of their turn wait unread; after any doubt about where one ends, the connection is
 * closed. While an exchange is under way, that has its own deadline.
 */
import { ProxyError } from '../../base/errors.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Connection } from '../../model/connection.ts'
import type { Link, LinkHandler } from '../../model/link.ts'
import type { Fields } from '../../wire/fields.ts'
import { HeadBuffer } from '../../wire/head-buffer.ts'
import type { RequestHead } from '../../wire/heads.ts'
import { type BodySink, ChunkedDecoder } from '../../wire/http1-body.ts'
import { parseRequestHead } from '../../wire/http1-head.ts'
import { answerHead } from '../exchange/answer-head.ts'
import { Exchange } from '../exchange/exchange.ts'
import { refuseRequest } from '../exchange/refuse.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import type { Downstream, Tunnelled } from '../seam/downstream.ts'
import { Forwarding } from '../seam/forward.ts'
import type { ConnectionUse } from '../seam/holder.ts'
import { Leftover } from '../seam/leftover.ts'
import type { Services } from '../seam/services.ts'
import type { Splice } from '../seam/splice.ts'
import { endChunks, writeChunk } from './chunked-write.ts'
import { clientGone } from './client-gone.ts'
import { openTunnel, refuseTunnel } from './tunnel.ts'

const state = { head: 0, body: 1, waiting: 2, lingering: 3, gone: 4 } as const

export class Http1Server implements LinkHandler, Waiting, Downstream, BodySink {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'requestHead'
  watchIndex = -1
  readonly connection: Connection
  readonly forwarding: Forwarding
  private readonly services: Services
  readonly link: Link
  private readonly closed: (server: Http1Server) => void
  private state: number = state.head
  private exchange: Exchange | null = null
  private partial: HeadBuffer | null = null
  /** Bytes behind the request under way */
  private readonly ahead: HeldBytes
  private decoder: ChunkedDecoder | null = null
  /** Bytes of a request body with a known length that are still to come */
  private left = 0
  private persistent = true
  /** The latest request offers another protocol: what comes before its answer may be of that, and is no request (RFC 9931) */
  private offersUpgrade = false
  private minor: 0 | 1 = 1
  private chunkedAnswer = false
  private consuming = false
  private corked = false
  private bodyPaused = false
  private queuedThen = 0
  private requests = 0
  private tunnel: Splice | null = null
  private leftover: Leftover | null = null

  constructor(services: Services, connection: Connection, closed: (server: Http1Server) => void) {
    this.services = services
    this.connection = connection
    this.link = connection.link
    this.closed = closed
    this.ahead = new HeldBytes(this.link.share)
    this.forwarding = new Forwarding(connection)
    enter(this, 'requestHead', services)
    services.deadlines.watch(this)
    this.link.handler = this
  }

  // Link

  onOpen(): void {}

  onData(chunk: Buffer): void {
    if (this.state === state.lingering || this.state === state.gone) this.leftover?.add(chunk.length)
    else if (this.state === state.waiting || this.ahead.length > 0) this.keepAhead(chunk, 0)
    else this.consume(chunk)
  }

  onDrain(): void {
    if (this.phase === 'unread') enter(this, 'keepAlive', this.services)
    this.exchange?.downstreamDrained()
    if (this.ahead.length > 0 && this.state === state.head) this.takeAhead()
  }

  onEnd(): void {
    // A client that has ended its direction has left: the protocol gives it no reason to, and the backend need not
    // go on with work for nobody.
    this.clientLeft(null)
    this.link.close()
    this.leftover = new Leftover(this.services, this)
  }

  onClose(error: ProxyError | null): void {
    this.services.deadlines.unwatch(this)
    if (error?.code === 'TLS_BROKEN') this.services.events.ended(this.connection, error)
    this.clientLeft(error)
    this.closed(this)
  }

  /** Of the connection: an exchange on it has its own. */
  onDeadline(): void {
    const { headMs } = this.services.snapshot.timeouts
    switch (this.phase) {
      case 'keepAlive':
        this.linger()
        return
      case 'requestHead':
        if (this.partial === null) this.linger()
        else
          this.refuse(
            new ProxyError('REQUEST_TIMEOUT', `no whole request head within timeouts.head (${headMs} ms)`),
          )
        return
      case 'unread':
        if (this.peerReads()) enter(this, 'unread', this.services)
        else this.link.destroy()
        return
      default:
        this.leftover?.late()
    }
  }

  use(): ConnectionUse {
    const protocol = this.tunnel === null ? 'http/1.1' : 'upgraded'
    return { protocol, requests: this.requests, underWay: this.exchange === null ? 0 : 1 }
  }

  drain(): void {
    this.persistent = false
    if (this.state === state.head && this.partial === null) this.linger()
  }

  closeIfIdle(): boolean {
    if (this.phase !== 'keepAlive') return false
    this.link.close()
    return true
  }

  cut(): void {
    if (this.tunnel !== null) this.tunnel.abort(new ProxyError('DRAINING', 'cut at timeouts.drain'))
    else this.link.destroy()
  }

  // Downstream

  cork(): void {
    if (this.corked) return
    this.corked = true
    this.link.cork()
  }

  uncork(): void {
    if (!this.corked) return
    this.corked = false
    this.link.uncork()
  }

  inform(status: number, reason: string, text: string): boolean {
    return this.minor === 0 || this.link.writeText(`HTTP/1.1 ${status} ${reason}\r\n${text}\r\n`)
  }

  head(status: number, reason: string, text: string, length: number, bodyless: boolean): void {
    const { minor } = this
    // A client of another protocol than WebSocket may go on in it before it has read that it must not.
    if (this.offersUpgrade && (this.exchange?.upgrade ?? 'websocket') !== 'websocket') this.persistent = false
    const unknown = length < 0 && !bodyless
    // HTTP/1.0 has no other way to say where a body of unknown length ends.
    if (unknown && minor === 0) this.persistent = false
    const chunked = unknown && minor === 1
    this.chunkedAnswer = chunked
    // The rest of the request will not be read (RFC 9112 section 9.6).
    if (this.state === state.body && status >= 300) this.persistent = false
    const close = !this.persistent || this.services.draining
    this.link.writeText(answerHead(status, reason, text, { length, chunked, close, minor }))
  }

  data(bytes: Uint8Array, from: number, to: number): boolean {
    if (from === to) return true
    const { link } = this
    return this.chunkedAnswer ? writeChunk(link, bytes, from, to) : link.write(bytes, from, to)
  }

  end(trailers: Fields | null): void {
    if (this.chunkedAnswer) endChunks(this.link, trailers)
    this.chunkedAnswer = false
    this.exchange = null
    // An answer that came before its request was whole: what is left of the request is not worth reading.
    if (this.state === state.body || !this.persistent || this.services.draining) {
      this.linger()
      return
    }
    if (this.state !== state.waiting) return
    this.state = state.head
    enter(this, this.link.needsDrain ? 'unread' : 'keepAlive', this.services)
    if (this.ahead.length > 0 && !this.consuming && !this.link.needsDrain) this.takeAhead()
  }

  abort(_error: ProxyError): void {
    this.exchange = null
    this.state = state.gone
    this.link.destroy()
  }

  closeAfter(): void {
    this.persistent = false
  }

  pauseBody(): void {
    if (this.bodyPaused || this.state !== state.body) return
    this.bodyPaused = true
    this.link.pause()
  }

  resumeBody(): void {
    if (!this.bodyPaused) return
    this.bodyPaused = false
    if (this.ahead.length === 0) this.link.resume()
  }

  switchTo(tunnelled: Tunnelled, text: string, backend: Link, early: readonly Buffer[]): void {
    this.exchange = null
    this.state = state.gone
    if (this.ahead.length > 0) {
      refuseTunnel(this.link, backend, tunnelled)
      return
    }
    this.services.deadlines.unwatch(this)
    this.tunnel = openTunnel(this.services, this.link, backend, tunnelled, text, early, () => this.closed(this))
  }

  // BodySink, from the chunked decoder

  onBody(bytes: Buffer, from: number, to: number): void {
    this.exchange?.requestData(bytes, from, to)
  }

  onBodyEnd(trailers: Fields | null): void {
    this.decoder = null
    if (this.state === state.body) this.bodyEnded(trailers)
  }

  /** The client is gone: whatever was under way for it ends. */
  private clientLeft(error: ProxyError | null): void {
    this.state = state.gone
    this.ahead.clear()
    this.exchange?.clientGone(clientGone(error))
    this.exchange = null
  }

  private consume(first: Buffer): void {
    this.consuming = true
    // The client has had the answer, and goes on with HTTP.
    if (this.state === state.head && !this.link.needsDrain) this.offersUpgrade = false
    let bytes = first
    let at = 0
    while (at < bytes.length) {
      // No request is taken while an answer cannot leave: whoever does not read would have us hold them all.
      if (this.state === state.waiting || (this.state === state.head && this.link.needsDrain)) {
        this.keepAhead(bytes, at)
        break
      }
      if (this.state === state.head && this.offersUpgrade) this.linger()
      if (this.state === state.head) {
        const limits = this.services.snapshot.limits
        if (this.partial !== null) {
          this.partial.append(at === 0 ? bytes : bytes.subarray(at))
          if (!this.partial.ready() && this.partial.length <= limits.headBytes) break
          bytes = this.partial.view()
          at = 0
        }
        const { allowedFields, trust } = this.connection
        const most = Math.min(bytes.length, at + limits.headBytes)
        const head = parseRequestHead(bytes, at, most, limits, allowedFields, trust !== null)
        if (head instanceof ProxyError) {
          this.refuse(head)
          break
        }
        if (head === null && most < bytes.length) {
          this.refuse(
            new ProxyError('HEAD_TOO_LARGE', `the request head is over limits.head (${limits.headBytes} bytes)`),
          )
          break
        }
        if (head === null) {
          if (this.partial === null) {
            this.partial = new HeadBuffer('request', this.link.share)
            this.partial.append(at === 0 ? bytes : bytes.subarray(at))
            if (this.requests > 0) enter(this, 'requestHead', this.services)
            // What is already in it decides at once whether it can still become a head.
            this.partial.ready()
          }
          break
        }
        this.partial?.release()
        this.partial = null
        at = head.end
        this.begin(head, at < bytes.length)
      } else if (this.state === state.body) {
        at = this.readBody(bytes, at)
        if (at < 0) break
      } else break
    }
    this.consuming = false
    this.exchange?.flushRequest()
  }

  private keepAhead(bytes: Buffer, from: number): void {
    if (this.offersUpgrade) this.persistent = false
    this.ahead.add(bytes, from)
    this.link.pause()
  }

  private takeAhead(): void {
    if (this.offersUpgrade) this.linger()
    else this.consume(this.ahead.take())
    if (this.ahead.length === 0 && !this.bodyPaused && this.state !== state.gone) this.link.resume()
  }

  /** @param behind more has come with it */
  private begin(head: RequestHead, behind: boolean): void {
    this.requests++
    this.minor = head.minor
    this.persistent = head.persistent
    this.offersUpgrade = head.upgrade !== null
    const exchange = new Exchange(this.services, this, head)
    this.exchange = exchange
    enter(this, 'exchange', this.services)
    if (exchange.requestComplete) {
      this.state = state.waiting
      if (this.offersUpgrade && behind) this.persistent = false
    } else {
      this.state = state.body
      this.left = head.contentLength
      if (head.chunked) this.decoder = new ChunkedDecoder(this.services.snapshot.limits, true, this.link.share)
      this.bodyPaused = false
    }
    exchange.start()
  }

  /** @returns where it stopped, or -1 when there is nothing more to do with these bytes */
  private readBody(bytes: Buffer, at: number): number {
    if (this.decoder !== null) {
      const end = this.decoder.push(bytes, at, bytes.length, this)
      if (end instanceof ProxyError) {
        this.persistent = false
        this.exchange?.clientFault(end)
        return -1
      }
      return end
    }
    const take = Math.min(this.left, bytes.length - at)
    this.left -= take
    const end = at + take
    this.onBody(bytes, at, end)
    if (this.left === 0 && this.state === state.body) this.bodyEnded(null)
    return end
  }

  private bodyEnded(trailers: Fields | null): void {
    this.state = state.waiting
    if (this.bodyPaused) {
      this.bodyPaused = false
      this.link.resume()
    }
    this.exchange?.requestEnd(trailers)
  }

  /** Answers a request that never became an exchange, and closes. */
  private refuse(error: ProxyError): void {
    this.persistent = false
    refuseRequest(this.services, this.connection, error)
    this.linger()
  }

  /** Ends our direction and throws away what still comes, so that a reset does not overtake the answer. */
  private linger(): void {
    this.exchange = null
    this.ahead.clear()
    this.partial?.release()
    this.partial = null
    this.decoder = null
    this.state = state.lingering
    this.link.resume()
    this.link.end()
    this.leftover = new Leftover(this.services, this)
  }

  peerReads(): boolean {
    const queued = this.link.queuedBytes
    const moved = queued !== this.queuedThen
    this.queuedThen = queued
    return moved
  }
}
