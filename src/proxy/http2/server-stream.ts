/** One request of an HTTP/2 client: a stream that carries an exchange. */
import { ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Link } from '../../model/link.ts'
import { tunnelIdleMs } from '../../model/route.ts'
import type { Fields } from '../../wire/fields.ts'
import { h2Error } from '../../wire/h2-frames.ts'
import type { RequestHead } from '../../wire/heads.ts'
import { Exchange } from '../exchange/exchange.ts'
import type { Downstream, Tunnelled } from '../seam/downstream.ts'
import type { Forwarding } from '../seam/forward.ts'
import type { Services } from '../seam/services.ts'
import { Splice } from '../seam/splice.ts'
import type { Session } from './session.ts'
import type { Stream, StreamUser } from './stream.ts'
import { StreamLink } from './stream-link.ts'

/** The connection that a request came on. */
interface ServingConnection {
  readonly connection: Connection
  readonly forwarding: Forwarding
  readonly session: Session
  /** Tunnels that have lost their stream, and still have their backend */
  lingering: number
  /** The stream has something for its backend that `flushRequest` sends. */
  touch(stream: ServerStream): void
}

export class ServerStream implements StreamUser, Downstream {
  readonly connection: Connection
  readonly forwarding: Forwarding
  stream: Stream | null = null
  private readonly services: Services
  private readonly serving: ServingConnection
  private exchange: Exchange | null = null
  /** Body bytes that content-length still promises, or -1 */
  private left = -1
  /** Not before its request has ended */
  private unstarted = false
  private touched = false
  /** The exchange has ended for a fault of the client */
  private faulted = false
  private status = 0
  /** Of the request whose answer waits for the client although its exchange is over */
  private lateId = ''
  /** Bytes of the request that came behind its answer since the last look, or -1 */
  private leftover = -1
  /** It asks for a tunnel that is not open yet; what comes for it waits in the stream */
  private beforeTunnel = false
  /** Since when the client takes nothing of what waits */
  private unreadSince: number

  constructor(services: Services, serving: ServingConnection) {
    this.services = services
    this.serving = serving
    this.connection = serving.connection
    this.forwarding = serving.forwarding
    this.unreadSince = services.deadlines.now
  }

  begin(head: RequestHead): void {
    const exchange = new Exchange(this.services, this, head)
    this.exchange = exchange
    if (head.upgrade !== null) this.beforeTunnel = true
    else if (!exchange.requestComplete) {
      this.left = head.contentLength
      this.touch()
      if (head.contentLength === 0) {
        // Whether that is true is known when the stream ends, and a backend would have acted by then.
        exchange.deadline.wait('requestEnd')
        this.unstarted = true
        return
      }
    }
    exchange.start()
  }

  flushRequest(): void {
    this.touched = false
    this.exchange?.flushRequest()
  }

  // Stream

  streamData(bytes: Buffer, from: number, to: number): void {
    const { exchange } = this
    if (exchange === null) {
      if (this.leftover >= 0) this.leftover += to - from
      return
    }
    if (this.beforeTunnel) {
      this.stream?.keepEarly(bytes, from, to)
      this.stream?.pause()
      return
    }
    if (this.left >= 0) {
      this.left -= to - from
      if (this.left < 0) {
        this.malformed('more DATA than content-length says')
        return
      }
    }
    this.touch()
    exchange.requestData(bytes, from, to)
  }

  streamEnd(trailers: Fields | null): void {
    const { exchange } = this
    if (exchange === null) return
    if (this.beforeTunnel) {
      this.exchange = null
      exchange.clientGone(new ProxyError('CLIENT_GONE', 'the client ended its stream before the tunnel was open'))
      this.stream?.reset(h2Error.cancel, 'peer')
    } else if (this.left > 0) {
      // curl ends its stream as soon as it has seen a refusal (7.88), and still wants all of it. The backend is told of no end.
      if (this.status >= 300) exchange.deadline.requestEnded()
      else this.malformed('less DATA than content-length says')
    } else if (!exchange.requestComplete) {
      this.touch()
      exchange.requestEnd(trailers)
      if (this.unstarted) exchange.start()
    }
  }

  streamReset(error: ProxyError): void {
    const { exchange } = this
    this.exchange = null
    exchange?.clientGone(error)
  }

  streamDrained(): void {
    this.exchange?.downstreamDrained()
  }

  streamClosed(): void {}

  streamTick(now: number): void {
    const { exchange, stream } = this
    const { idleMs } = this.services.snapshot.timeouts
    if (stream === null) return
    if (this.leftover > 0) this.leftover = 0
    else if (this.leftover === 0 && stream.localEnded) stream.resetOnceSent(h2Error.none)
    // The last of an answer whose exchange is over; until then that has a deadline of its own.
    if (exchange !== null || !stream.waiting || stream.peerReads()) this.unreadSince = now
    else if (idleMs > 0 && now - this.unreadSince > idleMs) {
      // The record of the exchange was written when its answer was whole, and says nothing of this.
      const why = `the client read nothing for ${idleMs} ms: ${stream.pendingBytes} bytes of its answer were not sent`
      this.services.events.unreadAnswer(this.connection, new ProxyError('CLIENT_STALLED', why), this.lateId)
      stream.reset(h2Error.cancel, 'peer')
    }
  }

  peerReads(): boolean {
    return this.stream?.peerReads() ?? false
  }

  // Downstream: frames are gathered for the whole connection, so there is nothing to gather here.

  cork(): void {}
  uncork(): void {}

  closeAfter(): void {
    this.faulted = true
  }

  inform(status: number, _reason: string, text: string): boolean {
    const { session } = this.serving
    const { encoder } = session
    encoder.begin()
    encoder.field(':status', `${status}`)
    encoder.lines(text)
    this.send(false)
    return this.stream === null || session.mayWrite(this.stream)
  }

  head(status: number, _reason: string, text: string, length: number, bodyless: boolean): void {
    this.status = status
    // A 2xx would open the tunnel (RFC 8441 section 5).
    if (this.beforeTunnel && status < 300) {
      this.stream?.reset(h2Error.internal, 'nobody')
      return
    }
    const { encoder } = this.serving.session
    encoder.begin()
    encoder.field(':status', status === 200 ? '200' : `${status}`)
    encoder.lines(text)
    if (length >= 0 && status !== 204) encoder.field('content-length', `${length}`)
    // What is known to have no body ends with its head; `end` comes behind and finds it done.
    this.send(bodyless || length === 0)
  }

  data(bytes: Uint8Array, from: number, to: number): boolean {
    return this.stream === null || this.stream.write(bytes, from, to)
  }

  end(trailers: Fields | null): void {
    const { stream, exchange } = this
    this.exchange = null
    if (stream === null) return
    // It has cost a backend its work, whether the rest of the request comes or not.
    const engaged = exchange !== null && exchange.attempts.endpoint !== null
    if (engaged && this.faulted && !this.serving.session.fault(stream)) return
    stream.harmless = engaged && exchange.attempts.shared
    stream.end(trailers)
    if (stream.waiting && exchange !== null) this.lateId = exchange.id
    // An answer that came before its request was whole: the client need not send the rest (RFC 9113 section 8.1).
    // Where the answer is no refusal it may, as long as it goes on with it: curl 7.88 waits for its window.
    if (this.status >= 300 || exchange?.head.grpc) stream.resetOnceSent(h2Error.none)
    else {
      this.leftover = 0
      stream.resume()
    }
  }

  abort(error: ProxyError): void {
    this.exchange = null
    if (error.row.fault === 'client') this.stream?.reset(h2Error.cancel, 'peer')
    else this.stream?.reset(h2Error.internal, 'nobody')
  }

  pauseBody(): void {
    this.stream?.pause()
  }

  resumeBody(): void {
    this.stream?.resume()
  }

  /** RFC 8441 section 5: the tunnel is this stream. */
  switchTo(tunnelled: Tunnelled, text: string, backend: Link, early: readonly Buffer[]): void {
    const { stream } = this
    this.exchange = null
    if (stream === null || stream.closed) {
      backend.destroy()
      return
    }
    const { encoder } = this.serving.session
    encoder.begin()
    encoder.field(':status', '200')
    encoder.lines(text)
    this.send(false)
    const { serving } = this
    const link = new StreamLink(stream, this.connection.link, () => serving.lingering++)
    for (const chunk of early) link.write(chunk)
    new Splice(this.services, link, backend, tunnelIdleMs(tunnelled.timeouts), (splice, error) => {
      serving.lingering--
      tunnelled.tunnelEnded(splice.bytesIn, splice.bytesOut, error)
    })
    this.beforeTunnel = false
    const kept = stream.takeEarly()
    if (kept !== null) link.handler.onData(kept)
    stream.resume()
  }

  private send(ended: boolean): void {
    const { stream } = this
    if (stream !== null && !stream.closed) this.serving.session.sendHead(stream, ended)
  }

  private touch(): void {
    if (this.touched) return
    this.touched = true
    this.serving.touch(this)
  }

  /** RFC 9113 section 8.1.1; found before the backend was told that the request is whole. */
  private malformed(why: string): void {
    const { exchange, stream } = this
    this.exchange = null
    exchange?.clientGone(new ProxyError('BAD_REQUEST', why))
    if (stream !== null) this.serving.session.failStream(stream.id, h2Error.protocol, why)
  }
}
