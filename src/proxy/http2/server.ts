/**
 * HTTP/2 with one client (RFC 9113): each request becomes an Exchange of its own stream. Deadlines: the preface, a
 * header block, request bodies, clients that do not read, and idle connections. A drain takes two steps, so that no
 * request that is under way towards us is lost: GOAWAY for all there may be, and once a PING has come back, for those
 * that came.
 */
import type { Timed } from '../../base/deadlines.ts'
import { ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import { h2Error, maxStreamId, preface } from '../../wire/h2-frames.ts'
import { parsePriority } from '../../wire/h2-priority.ts'
import { RequestBlock } from '../../wire/h2-request-head.ts'
import { TrailerBlock } from '../../wire/h2-response-head.ts'
import { setting } from '../../wire/h2-settings.ts'
import type { HpackSink } from '../../wire/hpack-decoder.ts'
import { Forwarding } from '../forward.ts'
import type { Drainable } from '../holder.ts'
import { errorAnswer } from '../respond.ts'
import type { Services } from '../services.ts'
import type { SessionRole } from './role.ts'
import { ServerStream } from './server-stream.ts'
import { Session } from './session.ts'
import { Stream } from './stream.ts'

/** How often streams are looked at for what does not move. */
const tickMs = 1_000
/** How long a client may take to close after us. */
const lingerMs = 1_000

export class Http2Server implements SessionRole, Drainable, Timed {
  deadlineAt: number
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
  private unsentThen = 0
  private stalledSince = 0
  private over = false
  private clientLeaving = false

  constructor(services: Services, connection: Connection, closed: (server: Http2Server) => void) {
    this.services = services
    this.connection = connection
    this.closed = closed
    this.forwarding = new Forwarding(connection, '2.0')
    const { limits, timeouts } = services.snapshot
    this.session = new Session(services, connection.link, this, preface)
    this.session.announce([
      [setting.maxConcurrentStreams, limits.streams],
      [setting.maxHeaderListSize, limits.headBytes],
      [setting.enableConnectProtocol, 1],
      [setting.noRfc7540Priorities, 1],
    ])
    this.deadlineAt = services.deadlines.after(timeouts.headMs)
    services.deadlines.watch(this)
  }

  // Role

  block(stream: Stream | null): HpackSink {
    const { limits } = this.services.snapshot
    return stream === null ? new RequestBlock(limits) : new TrailerBlock(limits, true)
  }

  opened(id: number, sink: HpackSink, ended: boolean): void {
    const block = sink as RequestBlock
    const { session, services } = this
    if (session.streams.size >= services.snapshot.limits.streams || this.draining === 2) {
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
    if (session.streams.size === 0) this.deadlineAt = services.deadlines.after(tickMs)
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
    if (this.session.headSince !== null) {
      const soon = this.services.deadlines.after(tickMs)
      if (this.deadlineAt > soon) this.deadlineAt = soon
    }
  }

  touch(stream: ServerStream): void {
    this.touched.push(stream)
  }

  streamGone(): void {
    if (this.session.streams.size > 0) return
    const { deadlines, snapshot } = this.services
    this.deadlineAt = deadlines.after(this.clientLeaving ? lingerMs : snapshot.timeouts.keepAliveMs)
    if (this.draining === 2) this.finish()
  }

  settingsChanged(): void {
    if (this.session.streams.size === 0)
      this.deadlineAt = this.services.deadlines.after(this.services.snapshot.timeouts.keepAliveMs)
  }

  goingAway(): void {
    // The client opens no more streams; those that are open end as they like, and then it is given time to close.
    this.clientLeaving = true
    if (this.session.streams.size === 0) this.deadlineAt = this.services.deadlines.after(lingerMs)
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
    this.deadlineAt = this.services.deadlines.after(lingerMs)
  }

  gone(): void {
    this.services.deadlines.unwatch(this)
    if (this.over) return
    this.over = true
    this.closed(this)
  }

  // Deadlines

  onDeadline(now: number): void {
    const { session } = this
    const { timeouts } = this.services.snapshot
    if (session.closing) {
      session.link.destroy()
      return
    }
    this.deadlineAt = now + tickMs
    const since = session.headSince
    if (!session.settled || (since !== null && now - since > timeouts.headMs)) {
      session.fail(
        h2Error.protocol,
        `no whole preface or header block within timeouts.head (${timeouts.headMs} ms)`,
      )
    } else if (this.draining === 1) this.drainFinally()
    else if (session.streams.size > 0) {
      session.tick(now)
      this.checkReader(now)
    } else this.finish()
  }

  drain(): void {
    if (this.draining > 0 || this.session.closing) return
    this.draining = 1
    this.session.sayGoaway(maxStreamId)
    this.session.ping()
    this.deadlineAt = Math.min(this.deadlineAt, this.services.deadlines.after(tickMs))
  }

  cut(): void {
    const error = new ProxyError('DRAINING', 'cut at timeouts.drain')
    for (const stream of [...this.session.streams.values()]) stream.user.streamReset(error)
    this.session.link.destroy()
  }

  private drainFinally(): void {
    this.draining = 2
    this.session.sayGoaway(this.session.lastPeerStream)
    if (this.session.streams.size === 0) this.session.close()
    this.deadlineAt = this.services.deadlines.after(tickMs)
  }

  /** Closes a connection that is not used. */
  private finish(): void {
    if (this.session.closing) return
    if (this.draining < 2) this.session.sayGoaway(this.session.lastPeerStream)
    this.draining = 2
    this.session.close()
    this.deadlineAt = this.services.deadlines.after(lingerMs)
  }

  /** What was sent must be taken within timeouts.idle. */
  private checkReader(now: number): void {
    const unsent = this.connection.link.queuedBytes
    if (unsent === 0 || unsent !== this.unsentThen) {
      this.unsentThen = unsent
      this.stalledSince = now
      return
    }
    const { idleMs } = this.services.snapshot.timeouts
    if (idleMs === 0 || now - this.stalledSince < idleMs) return
    const error = new ProxyError('CLIENT_STALLED', `the client read nothing for ${idleMs} ms`)
    for (const stream of [...this.session.streams.values()]) stream.user.streamReset(error)
    this.connection.link.destroy()
  }

  /** Answers a sound request that we do not serve, without an exchange. */
  private refuse(serving: ServerStream, error: ProxyError): void {
    const id = this.services.nextId()
    const { status, reason, text, body } = errorAnswer(error.code, null, id)
    this.report(error, status, id)
    serving.head(status, reason, text, body.length, false)
    serving.data(body, 0, body.length)
    serving.end(null)
  }

  private report(error: ProxyError, status: number, id = this.services.nextId()): void {
    this.services.events.badRequest(this.connection, error, status, id)
  }
}
