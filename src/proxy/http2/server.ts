/**
 * HTTP/2 with one client (RFC 9113): each request becomes an Exchange of its own stream. Deadlines: the preface, a
 * header block, request bodies, clients that do not read, and idle connections. A drain takes two steps, so that no
 * request that is under way towards us is lost: GOAWAY for all there may be, and once a PING has come back, for those
 * that came.
 */
import { hasDate } from '../../base/date-field.ts'
import { ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Link } from '../../model/link.ts'
import { h2Error, maxStreamId, preface } from '../../wire/h2-frames.ts'
import { parsePriority } from '../../wire/h2-priority.ts'
import { RequestBlock } from '../../wire/h2-request-head.ts'
import { TrailerBlock } from '../../wire/h2-response-head.ts'
import { setting } from '../../wire/h2-settings.ts'
import type { HpackSink } from '../../wire/hpack-decoder.ts'
import { earlyAnswer } from '../exchange/early-answer.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import { Forwarding } from '../seam/forward.ts'
import type { ConnectionUse, Drainable } from '../seam/holder.ts'
import { Leftover } from '../seam/leftover.ts'
import type { Services } from '../seam/services.ts'
import type { SessionRole } from './role.ts'
import { ServerStream } from './server-stream.ts'
import { Session } from './session.ts'
import { Stream } from './stream.ts'

export class Http2Server implements SessionRole, Drainable, Waiting {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'preface'
  watchIndex = -1
  readonly isServer = true
  readonly connection: Connection
  readonly forwarding: Forwarding
  readonly session: Session
  private readonly services: Services
  private readonly closed: (server: Http2Server) => void
  /** Streams whose request body moved in what is being read */
  private readonly touched: ServerStream[] = []
  /** 1: GOAWAY for all streams was said, 2: for those that came */
  private draining = 0
  lingering = 0
  private takenThen = 0
  /** Since when the client has taken nothing of what was written, looked at by each tick */
  private unreadSince: number
  private over = false
  private clientLeaving = false
  /** Of a connection that is closed in order, and not for a fault of the client's */
  private leftover: Leftover | null = null

  constructor(services: Services, connection: Connection, closed: (server: Http2Server) => void) {
    this.services = services
    this.connection = connection
    this.closed = closed
    this.forwarding = new Forwarding(connection)
    const { limits } = services.snapshot
    this.unreadSince = services.deadlines.now
    this.session = new Session(services, connection.link, this, preface)
    this.session.announce([
      [setting.maxConcurrentStreams, limits.streams],
      [setting.maxHeaderListSize, limits.headBytes],
      [setting.enableConnectProtocol, 1],
      [setting.noRfc7540Priorities, 1],
    ])
    enter(this, 'preface', services)
    services.deadlines.watch(this)
  }

  // Role

  block(stream: Stream | null): HpackSink {
    const { limits } = this.services.snapshot
    const { allowedFields, trust } = this.connection
    return stream === null
      ? new RequestBlock(limits, allowedFields, trust !== null)
      : new TrailerBlock(limits, true)
  }

  opened(id: number, sink: HpackSink, ended: boolean): void {
    const block = sink as RequestBlock
    const { session, services, connection } = this
    const busy = session.streams.size + this.lingering + connection.leftBehind
    if (busy >= services.snapshot.limits.streams || this.draining === 2) {
      session.failStream(id, h2Error.refusedStream, 'a stream over SETTINGS_MAX_CONCURRENT_STREAMS')
      return
    }
    const head = block.head(ended)
    if (block.check.malformed !== null) {
      this.report(new ProxyError('BAD_REQUEST', block.check.malformed), 0)
      session.failStream(id, h2Error.protocol, block.check.malformed)
      return
    }
    const serving = new ServerStream(this.services, this)
    const stream = new Stream(session, id, serving, session.peer.initialWindowSize)
    serving.stream = stream
    stream.remoteEnded = ended
    session.add(stream)
    if (head === null) {
      this.refuse(serving, block.check.error ?? new ProxyError('BAD_REQUEST', 'not a request'))
      return
    }
    if (block.priority !== null) {
      stream.urgency = block.priority.urgency
      stream.incremental = block.priority.incremental
    }
    serving.begin(head)
  }

  received(stream: Stream, sink: HpackSink, ended: boolean): void {
    this.session.trailers(stream, sink as TrailerBlock, ended)
  }

  readDone(): void {
    for (const stream of this.touched) stream.flushRequest()
    this.touched.length = 0
    this.arm()
  }

  touch(stream: ServerStream): void {
    this.touched.push(stream)
  }

  streamGone(): void {
    if (this.session.streams.size > 0) return
    if (this.draining === 2) this.finish()
    this.arm()
  }

  settingsChanged(): void {}

  streamCut(): void {}

  goingAway(): void {
    // The client opens no more streams; those that are open end as they like, and then it is given time to close.
    this.clientLeaving = true
  }

  pong(): void {
    if (this.draining === 1) this.drainFinally()
  }

  priority(id: number, text: string): void {
    const stream = this.session.streams.get(id)
    if (stream === undefined) return
    const { urgency, incremental } = parsePriority(text)
    stream.urgency = urgency
    stream.incremental = incremental
  }

  violated(error: ProxyError): void {
    this.services.events.ended(this.connection, error)
    this.arm()
  }

  gone(error: ProxyError | null): void {
    this.services.deadlines.unwatch(this)
    if (error?.code === 'TLS_BROKEN') this.services.events.ended(this.connection, error)
    if (this.over) return
    this.over = true
    this.closed(this)
  }

  // Deadlines

  onDeadline(now: number): void {
    const { session } = this
    // The client may have ended its direction since the state was entered.
    switch (session.closing ? 'closing' : this.phase) {
      case 'preface':
      case 'headerBlock':
        this.headLate()
        return
      case 'streams':
        if (this.headIsLate(now)) {
          this.headLate()
          return
        }
        session.tick(now)
        this.checkReader(now)
        enter(this, 'streams', this.services)
        this.arm()
        return
      case 'draining':
        this.drainFinally()
        return
      case 'leaving':
      case 'keepAlive':
        this.finish()
        return
      default:
        if (this.leftover === null) session.link.destroy()
        else this.leftover.late()
    }
  }

  get link(): Link {
    return this.session.link
  }

  leftBehind(bytes: number): void {
    this.leftover?.add(bytes)
  }

  /** The state that the connection is in: what it waits for follows from it. */
  private get waitsFor(): ConnectionPhase {
    const { session } = this
    if (session.closing) return this.leftover === null ? 'closing' : 'lingering'
    if (!session.settled) return 'preface'
    if (this.draining === 1) return 'draining'
    if (session.streams.size > 0) return 'streams'
    if (session.headSince !== null) return 'headerBlock'
    return this.clientLeaving ? 'leaving' : 'keepAlive'
  }

  /** A deadline runs from the moment that its state was entered. */
  private arm(): void {
    const phase = this.waitsFor
    if (phase !== this.phase) enter(this, phase, this.services)
  }

  private headIsLate(now: number): boolean {
    const since = this.session.headSince
    return since !== null && now - since > this.services.snapshot.timeouts.headMs
  }

  private headLate(): void {
    const what = this.phase === 'preface' ? 'preface' : 'header block'
    const { headMs } = this.services.snapshot.timeouts
    const why = `no whole ${what} within timeouts.head (${headMs} ms)`
    this.session.end(h2Error.protocol, new ProxyError('REQUEST_TIMEOUT', why))
  }

  closeIfIdle(): boolean {
    if (this.phase !== 'keepAlive' || this.session.closing) return false
    this.session.sayGoaway(this.session.lastPeerStream)
    this.session.close()
    this.session.link.close()
    return true
  }

  use(): ConnectionUse {
    const { streams, lastPeerStream } = this.session
    // Clients number their streams 1, 3, 5 (RFC 9113 section 5.1.1).
    return { protocol: 'h2', requests: (lastPeerStream + 1) >> 1, underWay: streams.size }
  }

  drain(): void {
    if (this.draining > 0 || this.session.closing) return
    this.draining = 1
    this.session.sayGoaway(maxStreamId)
    this.session.ping()
    this.arm()
  }

  cut(): void {
    const error = new ProxyError('DRAINING', 'cut at timeouts.drain')
    for (const stream of [...this.session.streams.values()]) stream.user.streamReset(error)
    this.session.link.destroy()
  }

  private drainFinally(): void {
    this.draining = 2
    this.session.sayGoaway(this.session.lastTaken)
    if (this.session.streams.size === 0) this.close()
    this.arm()
  }

  /** Closes a connection that is not used. */
  private finish(): void {
    if (this.session.closing) return
    if (this.draining < 2) this.session.sayGoaway(this.session.lastTaken)
    this.draining = 2
    this.close()
    this.arm()
  }

  private close(): void {
    this.session.close()
    this.leftover = new Leftover(this.services, this)
  }

  /** What was sent must be taken within timeouts.idle. */
  private checkReader(now: number): void {
    const { taken } = this.session.output
    if (this.connection.link.queuedBytes === 0 || taken !== this.takenThen) {
      this.takenThen = taken
      this.unreadSince = now
      return
    }
    const { idleMs } = this.services.snapshot.timeouts
    if (idleMs === 0 || now - this.unreadSince < idleMs) return
    const error = new ProxyError('CLIENT_STALLED', `the client read nothing for ${idleMs} ms`)
    for (const stream of [...this.session.streams.values()]) stream.user.streamReset(error)
    this.connection.link.destroy()
  }

  /** Answers a sound request that we do not serve, without an exchange. */
  private refuse(serving: ServerStream, error: ProxyError): void {
    const id = this.services.nextId()
    const { status, reason, text, body } = earlyAnswer(this.services, this.connection, error, id)
    this.report(error, status, id)
    serving.head(status, reason, hasDate(text) ? text : text + this.services.date.line, body.length, false)
    serving.data(body, 0, body.length)
    serving.end(null)
  }

  private report(error: ProxyError, status: number, id = this.services.nextId()): void {
    this.services.events.refusedRequest(this.connection, 2, error, status, id)
  }
}
