/**
 * One HTTP/2 connection to a backend (RFC 9113), which carries as many exchanges as the backend allows. It is found
 * through its endpoint's pool, leaves that when the backend says GOAWAY, and is asked with a PING whether it still lives
 * when it has not been used for a while.
 */
import { ProxyError } from '../../base/errors.ts'
import { TokenBucket } from '../../base/token-bucket.ts'
import type { Link } from '../../model/link.ts'
import { h2Error, h2ErrorName, maxStreamId, preface } from '../../wire/h2-frames.ts'
import { ResponseBlock, TrailerBlock } from '../../wire/h2-response-head.ts'
import { setting } from '../../wire/h2-settings.ts'
import type { HpackSink } from '../../wire/hpack-decoder.ts'
import type { Backend, Need } from '../seam/backend.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import type { Services } from '../seam/services.ts'
import { ClientStream, type Http2Peer } from './client-stream.ts'
import type { SessionRole } from './role.ts'
import { Session } from './session.ts'
import type { Stream } from './stream.ts'

interface Http2Home {
  /** How many streams the endpoint has allowed on its last connection: a new one is taken to allow the same */
  streamsAllowed: number
  leave(connection: Http2Client): void
}

/**
 * Resets that a backend is taken to bear on one connection: 200 within 30 seconds are the strictest bound that is known
 * (Netty; nghttp2 and our own guard allow more). Those of the backend count as well: it may count what it had to reset. A connection carries no more streams than it could reset, so that
 * clients who cancel theirs never cost others their answers; with less than `least` it is used for no new ones.
 */
const resets = { burst: 100, perSecond: 3, least: 25 }

export class Http2Client implements SessionRole, Waiting {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'settings'
  watchIndex = -1
  readonly isServer = false
  readonly session: Session
  readonly endpoint: Http2Peer
  private readonly services: Services
  private readonly home: Http2Home
  /** Exchanges that were taken and have not opened their stream yet */
  private taken = 0
  private readonly resets: TokenBucket
  private leaving = false
  private readonly connectMs: number
  private pingSent = false
  /** It has answered a PING since its last exchange */
  private alive = false
  /** Its client's writes are gathered */
  private corked: ClientStream | null = null
  private waiting: ClientStream[] = []

  /** @param connectMs within which its SETTINGS have to come */
  constructor(services: Services, endpoint: Http2Peer, home: Http2Home, link: Link, connectMs: number) {
    this.connectMs = connectMs
    this.services = services
    this.endpoint = endpoint
    this.home = home
    const { limits } = services.snapshot
    this.resets = new TokenBucket(resets.burst, resets.perSecond, services.deadlines.now)
    this.session = new Session(services, link, this, null)
    this.session.output.raw(preface)
    this.session.announce([
      [setting.enablePush, 0],
      [setting.maxHeaderListSize, limits.headBytes],
    ])
    enter(this, 'settings', services, connectMs)
    services.deadlines.watch(this)
  }

  /** Room for one more exchange, or null. A WebSocket finds room only where the backend is known to grant it, other upgrades only where HTTP/2 is a must. */
  take(need: Need): Backend | null {
    const { session } = this
    const { peer } = session
    if (this.leaving || session.closing) return null
    const allowed = session.settled ? peer.maxConcurrentStreams : this.home.streamsAllowed
    const most = Math.min(allowed, this.resets.left(session.now))
    if (session.streams.size + this.taken >= most || session.lastOwnStream >= maxStreamId - 2) return null
    if (need !== 'request' && this.endpoint.http === 'auto') {
      if (need === 'upgrade' || !session.settled || !peer.enableConnectProtocol) return null
    }
    this.taken++
    this.arm()
    return new ClientStream(this)
  }

  /** The next stream's id, for one that was taken. */
  nextId(): number {
    this.taken--
    this.session.lastOwnStream += this.session.lastOwnStream === 0 ? 1 : 2
    return this.session.lastOwnStream
  }

  /** What was taken was not used. */
  giveBack(): void {
    this.taken--
    this.streamGone()
  }

  /** `settled` is called on it when the backend's SETTINGS are known. */
  whenSettled(stream: ClientStream): void {
    this.waiting.push(stream)
  }

  cork(stream: ClientStream): void {
    if (this.corked === stream) return
    this.corked?.uncork()
    this.corked = stream
  }

  /** A drain or a reload has no use for it any more: it ends with its last exchange. */
  close(): void {
    this.leave()
    if (this.session.streams.size + this.taken === 0) this.finish()
  }

  // Role

  block(stream: Stream | null): HpackSink {
    const { limits } = this.services.snapshot
    const user = stream?.user
    return user instanceof ClientStream && user.expectsHead
      ? new ResponseBlock(limits)
      : new TrailerBlock(limits, false)
  }

  opened(): void {}

  received(stream: Stream, sink: HpackSink, ended: boolean): void {
    const { user } = stream
    if (sink instanceof ResponseBlock) (user as ClientStream).responseHead(sink, ended)
    else this.session.trailers(stream, sink as TrailerBlock, ended)
  }

  readDone(): void {
    const { corked } = this
    this.corked = null
    corked?.uncork()
  }

  streamGone(): void {
    if (this.session.streams.size > 0) return
    if (this.leaving && this.taken === 0) this.finish()
    this.arm()
  }

  streamCut(): void {
    const { now } = this.session
    this.resets.take(now)
    if (this.resets.left(now) < resets.least) this.leave()
  }

  settingsChanged(): void {
    this.home.streamsAllowed = Math.max(1, Math.min(resets.burst, this.session.peer.maxConcurrentStreams))
    const waiting = this.waiting
    this.waiting = []
    for (const stream of waiting) stream.settled()
    this.arm()
  }

  goingAway(last: number, code: number): void {
    this.leave()
    const why = `${this.endpoint.label} said GOAWAY (${h2ErrorName(code)}) before it took up the request`
    for (const stream of [...this.session.streams.values()]) {
      if (stream.id > last) {
        this.session.forget(stream)
        stream.user.streamReset(new ProxyError('UPSTREAM_GOAWAY', why))
      }
    }
    if (this.session.streams.size + this.taken === 0) this.finish()
  }

  leftBehind(): void {}

  pong(): void {
    this.pingSent = false
    this.alive = true
    this.arm()
  }

  priority(): void {}

  violated(error: ProxyError): void {
    this.leave()
    this.services.events.backendViolated(this.endpoint.label, error)
    this.failWaiting(error)
    this.arm()
  }

  gone(): void {
    this.leave()
    this.services.deadlines.unwatch(this)
    this.failWaiting(new ProxyError('UPSTREAM_RESET', `${this.endpoint.label} closed before its SETTINGS`))
  }

  private failWaiting(error: ProxyError): void {
    const waiting = this.waiting
    this.waiting = []
    for (const stream of waiting) stream.streamReset(error)
  }

  onDeadline(): void {
    const { session } = this
    switch (session.closing ? 'closing' : this.phase) {
      case 'settings': {
        const why = `${this.endpoint.label} sent no SETTINGS within timeouts.connect (${this.connectMs} ms)`
        session.end(h2Error.settingsTimeout, new ProxyError('UPSTREAM_RESET', why))
        return
      }
      case 'firstHalf':
        this.pingSent = true
        session.ping()
        this.arm()
        return
      case 'secondHalf':
        this.close()
        return
      default:
        // It did not close after us, or did not answer a PING.
        session.link.destroy()
    }
  }

  /** The state that the connection is in: what it waits for follows from it. */
  private get waitsFor(): ConnectionPhase {
    const { session } = this
    if (session.closing) return 'closing'
    if (!session.settled) return 'settings'
    if (this.pingSent) return 'probed'
    if (session.streams.size + this.taken > 0) return 'carrying'
    return this.alive ? 'secondHalf' : 'firstHalf'
  }

  private arm(): void {
    const phase = this.waitsFor
    if (phase === 'carrying') this.alive = false
    if (phase !== this.phase) enter(this, phase, this.services, this.connectMs)
  }

  private leave(): void {
    if (this.leaving) return
    this.leaving = true
    this.home.leave(this)
  }

  private finish(): void {
    if (this.session.closing) return
    this.session.sayGoaway(0)
    this.session.close()
    this.arm()
  }
}
