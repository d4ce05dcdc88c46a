/**
 * One exchange on an HTTP/2 connection to a backend. The same rules as for HTTP/1.1 backends: what is not strictly the
 * protocol is a BAD_RESPONSE, and a body that is not as long as it says is cut off toward the client too.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Link } from '../../model/link.ts'
import { Fields } from '../../wire/fields.ts'
import { h2Error } from '../../wire/h2-frames.ts'
import type { ResponseBlock } from '../../wire/h2-response-head.ts'
import type { RequestHead, ResponseHead } from '../../wire/heads.ts'
import { type Backend, type BackendUser, hasBody } from '../seam/backend.ts'
import { acceptField, acceptFor, keyField } from '../seam/websocket.ts'
import type { Session } from './session.ts'
import { Stream, type StreamUser } from './stream.ts'
import { StreamLink } from './stream-link.ts'

/** The endpoint that a connection leads to. */
export interface Http2Peer {
  readonly label: string
  readonly http: 'auto' | 1 | 2
  /** Null where it is spoken to in cleartext */
  readonly tls: object | null
}

/** The connection that an exchange was given room on. */
interface CarryingConnection {
  readonly session: Session
  readonly endpoint: Http2Peer
  nextId(): number
  giveBack(): void
  whenSettled(stream: ClientStream): void
  /** The client of this stream has its writes gathered, until another's turn or the end of what was read. */
  cork(stream: ClientStream): void
}

export class ClientStream implements Backend, StreamUser {
  readonly shared = true
  private readonly carrier: CarryingConnection
  private stream: Stream | null = null
  private exchange: BackendUser | null = null
  private host = ''
  private given = false
  private requestSent = false
  private answered = false
  private headRequest = false
  private switched = false
  /** Body bytes that content-length still promises, or -1 */
  private left = -1
  /** A head that says that there is no body, and did not end its stream */
  private unended: ResponseHead | null = null
  /** The answer has no body, whatever comes */
  private bodyless = false
  /** Whose writes are gathered; it may have its answer by the time they leave */
  private corked: BackendUser | null = null

  constructor(carrier: CarryingConnection) {
    this.carrier = carrier
  }

  /** The next block is a head, and not trailers. */
  get expectsHead(): boolean {
    return !this.answered
  }

  send(exchange: BackendUser, host: string): void {
    const { session } = this.carrier
    this.exchange = exchange
    this.host = host
    this.requestSent = !hasBody(exchange.head)
    if (exchange.upgrade !== null && !session.settled) {
      this.carrier.whenSettled(this)
      return
    }
    this.open(exchange)
  }

  /** The backend's SETTINGS have come, for an upgrade that needed to know them. */
  settled(): void {
    if (this.exchange !== null) this.open(this.exchange)
  }

  body(bytes: Buffer, from: number, to: number): boolean {
    return this.stream === null || this.stream.write(bytes, from, to)
  }

  endBody(trailers: Fields | null): void {
    this.requestSent = true
    this.stream?.end(trailers)
  }

  // What was written leaves at the end of the turn anyway.
  flush(): boolean {
    return true
  }

  pause(): void {
    this.stream?.pause()
  }

  resume(): void {
    this.stream?.resume()
  }

  peerReads(): boolean {
    return this.stream?.peerReads() ?? false
  }

  abort(): void {
    this.leave()
    if (this.stream === null) this.giveBack()
    else this.stream.reset(h2Error.cancel, 'nobody')
  }

  release(): Link {
    this.leave()
    return new StreamLink(this.stream as Stream, this.carrier.session.link, nothing)
  }

  /** A whole block that was expected to be a head; `ended`: there is nothing behind it. */
  responseHead(block: ResponseBlock, ended: boolean): void {
    const { exchange, stream } = this
    if (exchange === null || stream === null) return
    const head = block.head()
    if (head === null) {
      this.bad(block.check.malformed ?? block.check.error?.message ?? 'no head')
      return
    }
    this.cork(exchange)
    if (head.status < 200) {
      if (ended) this.bad('a 1xx that ends its stream')
      else exchange.backendInformation(head)
      return
    }
    this.answered = true
    if (exchange.upgrade !== null && head.status < 300) {
      this.switched = true
      // A client that speaks HTTP/1.1 waits for the proof that HTTP/2 does without.
      const key = exchange.upgrade === 'websocket' ? exchange.head.fields.get(keyField) : null
      if (key !== null) head.fields.set(acceptField, acceptFor(key))
      exchange.backendSwitched(head)
      return
    }
    this.bodyless = this.headRequest || head.status === 204 || head.status === 304
    if (!this.bodyless) this.left = head.contentLength
    if (ended && this.left > 0) {
      this.bad(`a content-length of ${this.left}, and no body`)
      return
    }
    if (this.left === 0 && !ended) {
      // Nothing may follow, and that is known when the stream ends (RFC 9113 section 8.1.1).
      this.unended = head
      return
    }
    exchange.backendHead(head, this.bodyless)
    if (ended) this.carrier.session.remoteEnd(stream, null)
  }

  streamData(bytes: Buffer, from: number, to: number): void {
    const { exchange } = this
    if (exchange === null) return
    if (this.switched) {
      exchange.switchedData(bytes.subarray(from, to))
      return
    }
    if (!this.answered) this.bad('DATA before a response head')
    else if (this.bodyless) this.bad('a body where there is none')
    else if (this.left >= 0 && to - from > this.left) this.bad('more DATA than content-length says')
    else {
      if (this.left >= 0) this.left -= to - from
      this.cork(exchange)
      exchange.backendData(bytes, from, to)
    }
  }

  streamEnd(trailers: Fields | null): void {
    const { exchange, stream } = this
    if (exchange === null || stream === null || this.switched) return
    if (!this.answered) {
      this.bad('the end of the stream before a response head')
      return
    }
    if (this.left > 0) {
      this.fail(
        new ProxyError('UPSTREAM_TRUNCATED', `${this.carrier.endpoint.label} sent less than content-length`),
      )
      return
    }
    this.cork(exchange)
    if (this.unended !== null) exchange.backendHead(this.unended, false)
    this.leave()
    exchange.backendEnd(trailers)
    // The rest of a request that was answered before its end is of no use to anybody.
    if (!stream.localEnded) this.carrier.session.sendEarlyReset(stream, h2Error.cancel)
  }

  streamReset(error: ProxyError): void {
    const { exchange } = this
    this.leave()
    if (exchange === null) return
    const where = this.carrier.endpoint.label
    const code = !this.answered
      ? error.code === 'HTTP2_VIOLATION' || error.code === 'HTTP2_ABUSE'
        ? 'BAD_RESPONSE'
        : error.code
      : 'UPSTREAM_TRUNCATED'
    exchange.backendFailed(new ProxyError(code, `${where}: ${error.message}`, error))
  }

  streamDrained(): void {
    this.exchange?.backendDrained()
  }

  streamClosed(): void {}
  streamTick(): void {}

  uncork(): void {
    const { corked } = this
    this.corked = null
    corked?.uncorkAnswer()
  }

  private cork(exchange: BackendUser): void {
    if (this.corked !== null) return
    this.carrier.cork(this)
    this.corked = exchange
    exchange.corkAnswer()
  }

  private open(exchange: BackendUser): void {
    const { session, endpoint } = this.carrier
    const { head, upgrade } = exchange
    const problem = upgrade === null ? null : upgradeProblem(head, session, endpoint.label)
    if (problem !== null) {
      this.fail(problem)
      return
    }
    const stream = new Stream(session, this.carrier.nextId(), this, session.peer.initialWindowSize)
    this.stream = stream
    session.add(stream)
    this.headRequest = head.method === 'HEAD'
    const { encoder } = session
    encoder.begin()
    encoder.field(':method', upgrade === null ? head.method : 'CONNECT')
    if (upgrade !== null) encoder.field(':protocol', upgrade)
    encoder.field(':scheme', endpoint.tls === null ? 'http' : 'https')
    if (head.grpc) encoder.repeatedPath(exchange.forwardPath + exchange.forwardQuery)
    else encoder.field(':path', exchange.forwardPath + exchange.forwardQuery)
    encoder.field(':authority', this.host)
    if (upgrade === null) encoder.lines(head.fields.text)
    else encoder.lines(without(head.fields, keyField))
    encoder.lines(exchange.forwardText)
    if (head.trailers) encoder.field('te', 'trailers')
    if (head.contentLength >= 0) encoder.field('content-length', `${head.contentLength}`)
    if (head.expectContinue && hasBody(head)) encoder.field('expect', '100-continue')
    session.sendHead(stream, upgrade === null && this.requestSent)
  }

  /** The room that was taken, without having been used. */
  private giveBack(): void {
    if (this.given) return
    this.given = true
    this.carrier.giveBack()
  }

  private bad(why: string): void {
    this.fail(new ProxyError('BAD_RESPONSE', `${this.carrier.endpoint.label}: ${why}`))
  }

  private fail(error: ProxyError): void {
    const { exchange } = this
    this.abort()
    exchange?.backendFailed(error)
  }

  private leave(): void {
    this.exchange = null
  }
}

const nothing = () => {}

/** Extended CONNECT has neither a method of its own nor a body (RFC 8441 section 4). */
function upgradeProblem(head: RequestHead, session: Session, label: string): ProxyError | null {
  if (head.method !== 'GET' || hasBody(head))
    return new ProxyError(
      'METHOD_NOT_SUPPORTED',
      `${label} is spoken to over HTTP/2, where a request that upgrades is a GET without a body (RFC 8441)`,
    )
  if (session.peer.enableConnectProtocol) return null
  return new ProxyError(
    'BAD_RESPONSE',
    `${label} does not allow extended CONNECT, which an upgrade needs (RFC 8441)`,
  )
}

/** The lines of all fields but one. */
function without(fields: Fields, name: string): string {
  const copy = new Fields(fields.text)
  copy.delete(name)
  return copy.text
}
