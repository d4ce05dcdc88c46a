/**
 * One HTTP/2 connection, the same in both roles: frames in, frames out, the tables, the windows and the streams
 * (RFC 9113). What its messages mean is the business of its role. The peer is not trusted in either: every rule that
 * it breaks ends its stream or its connection with the code that the RFC gives, and the role is told why.
 *
 * Reading never stops for a slow stream: its window stays closed instead. It stops only when the peer does not take
 * what we send, so that nothing can pile up here by asking for more.
 */
import { ProxyError } from '../../base/errors.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { TurnTask } from '../../base/turn.ts'
import type { Link, LinkHandler } from '../../model/link.ts'
import type { Fields } from '../../wire/fields.ts'
import { frame, h2Error, h2ErrorName, initialWindow, maxWindow } from '../../wire/h2-frames.ts'
import type { TrailerBlock } from '../../wire/h2-response-head.ts'
import { defaultPeerSettings, settingsPayload } from '../../wire/h2-settings.ts'
import { HpackEncoder } from '../../wire/hpack-encoder.ts'
import type { Services } from '../seam/services.ts'
import { ClosedStreams, closedBy } from './closed-streams.ts'
import { Guard } from './guard.ts'
import { Output } from './output.ts'
import { connectionWindow, Receiver, type Receiving } from './receiver.ts'
import type { SessionRole } from './role.ts'
import { SendQueue } from './send-queue.ts'
import type { Blame, Stream, StreamOwner } from './stream.ts'

/** What windows of streams may grow to, and by how much all those of a connection together. */
const largestStreamWindow = 512 * 1024
const growthPerConnection = 4 * 1024 * 1024
/** Unsent bytes of answers at which we stop to read what asks for more. */
const unsentAtMost = 256 * 1024

export class Session implements LinkHandler, StreamOwner, Receiving, TurnTask {
  readonly link: Link
  readonly share: Share
  readonly streams = new Map<number, Stream>()
  readonly encoder = new HpackEncoder()
  readonly peer = defaultPeerSettings()
  readonly output: Output
  readonly guard: Guard
  /** Of the connection */
  sendWindow = initialWindow
  /** The highest stream that the peer has opened */
  lastPeerStream = 0
  /** The highest of those whose head was whole: what GOAWAY names, so that the peer may send the others again */
  lastTaken = 0
  /** The highest that we have */
  lastOwnStream = 0
  /** SETTINGS of the peer have come */
  settled = false
  /** We have said GOAWAY for good, or the link is ending */
  closing = false
  readonly role: SessionRole
  readonly closed = new ClosedStreams()
  private readonly services: Services
  private readonly receiver: Receiver
  private readonly queue: SendQueue
  private growth = 0
  private paused = false
  /** Frames that wait until the peer takes what they would be answered with */
  private readonly unread: HeldBytes
  /** Streams that have to be told when the link has sent what waits */
  private blocked: Stream[] = []
  private takenThen = 0
  /** How often it was seen that the peer takes what is sent to it */
  private taken = 0
  /** Streams that are reset at the end of the turn */
  private early: Stream[] = []

  /** @param preface what the peer must send before its first frame, or null */
  constructor(services: Services, link: Link, role: SessionRole, preface: Buffer | null) {
    this.services = services
    this.link = link
    this.share = link.share
    this.unread = new HeldBytes(link.share)
    this.role = role
    this.output = new Output(link, services.turn, services.scratch, role.isServer)
    this.queue = new SendQueue(this)
    this.guard = new Guard(services.deadlines.now)
    this.receiver = new Receiver(this, preface)
    link.handler = this
  }

  /** Our SETTINGS, and the window of the connection. */
  announce(settings: readonly (readonly [number, number])[]): void {
    this.output.frame(frame.settings, 0, 0, settingsPayload(settings))
    this.output.word(frame.windowUpdate, 0, connectionWindow - initialWindow)
    this.receiver.opened()
  }

  get now(): number {
    return this.services.deadlines.now
  }

  /** When the head began that is not complete yet, or null */
  get headSince(): number | null {
    return this.receiver.headSince
  }

  add(stream: Stream): void {
    this.streams.set(stream.id, stream)
  }

  // What streams ask for

  sendData(stream: Stream, bytes: Uint8Array, from: number, to: number): number {
    let at = from
    // Whoever waits for the connection already goes first; the queue calls back here with its own choice.
    if (this.queue.mustWait(stream)) return at
    while (at < to) {
      const room = Math.min(to - at, stream.sendWindow, this.sendWindow)
      if (room <= 0 || this.output.blocked) return at
      const sent = this.output.data(stream.id, bytes, at, at + room, false)
      this.guard.dataSent(sent)
      this.taken++
      stream.sendWindow -= sent
      this.sendWindow -= sent
      at += sent
    }
    return at
  }

  /** A count that is another one whenever DATA of any stream could be sent, or the link has become less full. */
  get movement(): number {
    const { taken } = this.output
    if (taken !== this.takenThen) this.taken++
    this.takenThen = taken
    return this.taken
  }

  wait(stream: Stream): void {
    if (stream.sendWindow > 0) this.queue.add(stream)
  }

  sendEnd(stream: Stream, trailers: Fields | null): void {
    if (trailers === null) this.output.end(stream.id)
    else {
      this.encoder.begin()
      this.encoder.lines(trailers.text)
      this.output.headers(stream.id, this.encoder.bytes, this.encoder.length, true)
    }
    stream.localEnded = true
    if (stream.remoteEnded) this.finish(stream)
    else if (stream.codeOnceSent >= 0) this.sendEarlyReset(stream, stream.codeOnceSent)
  }

  /** Sends what the encoder holds as a head. */
  sendHead(stream: Stream, ended: boolean): void {
    this.output.headers(stream.id, this.encoder.bytes, this.encoder.length, ended)
    if (!ended) return
    stream.localEnded = true
    if (stream.remoteEnded) this.finish(stream)
  }

  sendReset(stream: Stream, code: number, blame: Blame): void {
    if (blame === 'peer' && !this.allowed(this.guard.reset(this.now))) return
    this.output.word(frame.rstStream, stream.id, code)
    this.drop(stream, closedBy.us)
  }

  sendEarlyReset(stream: Stream, code: number): void {
    stream.codeOnceSent = code
    if (this.early.length === 0) this.services.turn.later(this)
    this.early.push(stream)
  }

  /**
   * RST_STREAM behind a message that is complete leaves in a TLS record of its own: curl and git read a record at a
   * time, and lose the answer that a reset stands behind.
   */
  endOfTurn(): void {
    const { early } = this
    this.early = []
    for (const stream of early) {
      // What was read in this turn may have been the rest of its request.
      if (stream.closed) continue
      const counted = this.role.isServer && !stream.faulted && !stream.harmless
      if (counted && !this.allowed(this.guard.earlyAnswer(this.now))) return
      this.output.wordApart(frame.rstStream, stream.id, stream.codeOnceSent)
      this.drop(stream, closedBy.us)
    }
  }

  credit(stream: Stream, bytes: number): void {
    stream.taken += bytes
    if (stream.paused || stream.remoteEnded || stream.closed || stream.taken * 2 < stream.windowSize) return
    let add = stream.taken
    // A stream whose user keeps up may have more under way, as long as not all do at once.
    if (stream.windowSize < largestStreamWindow && this.growth + stream.windowSize <= growthPerConnection) {
      this.growth += stream.windowSize
      add += stream.windowSize
      stream.windowSize *= 2
    }
    stream.taken = 0
    stream.receiveWindow += add
    this.output.word(frame.windowUpdate, stream.id, add)
  }

  // What the role asks for

  /** The peer has said that it never took up the stream: there is nothing to tell it. */
  forget(stream: Stream): void {
    if (!stream.closed) this.drop(stream, closedBy.us)
  }

  ping(): void {
    this.output.frame(frame.ping, 0, 0, pingPayload)
  }

  /** GOAWAY without an error: the first step of a drain names every stream, the second the last one that counts. */
  sayGoaway(last: number): void {
    this.output.goaway(last, h2Error.none)
    this.output.flush()
  }

  /** Ends the connection in order, once its streams are done. */
  close(): void {
    if (this.closing) return
    this.closing = true
    this.output.flush()
    this.link.end()
  }

  /** The peer has broken a rule that no stream stands for. */
  fail(code: number, why: string, abuse = false): false {
    return this.end(
      code,
      new ProxyError(abuse ? 'HTTP2_ABUSE' : 'HTTP2_VIOLATION', `${why} (${h2ErrorName(code)})`),
    )
  }

  /** GOAWAY with this code, and the end of every stream and of the connection. */
  end(code: number, error: ProxyError): false {
    if (this.closing) return false
    this.output.goaway(this.lastTaken, code)
    this.output.flush()
    this.closing = true
    this.role.violated(error)
    this.dropAll(error)
    this.resumeReading()
    this.link.end()
    return false
  }

  /** The peer has broken a rule on one stream: that is reset, and counted. @returns false when it was one too many */
  failStream(id: number, code: number, why: string): boolean {
    if (!this.allowed(this.guard.reset(this.now))) return false
    const stream = this.streams.get(id)
    this.output.word(frame.rstStream, id, code)
    if (stream === undefined) this.closed.add(id, closedBy.us)
    else {
      this.drop(stream, closedBy.us)
      stream.user.streamReset(new ProxyError('HTTP2_VIOLATION', `${why} (${h2ErrorName(code)})`))
    }
    return true
  }

  tick(now: number): void {
    for (const stream of [...this.streams.values()]) stream.user.streamTick(now)
  }

  // Link

  onOpen(): void {}

  /** Trailers, or what should have been: they end their stream, one way or the other. */
  trailers(stream: Stream, block: TrailerBlock, ended: boolean): void {
    const { malformed, error } = block.check
    const why = malformed ?? error?.message ?? (ended ? null : 'trailers that do not end their stream')
    if (why === null) this.remoteEnd(stream, block.fields())
    else this.failStream(stream.id, h2Error.protocol, why)
  }

  onData(chunk: Buffer): void {
    if (this.closing && this.streams.size === 0) this.role.leftBehind(chunk.length)
    else if (this.unread.length > 0) this.unread.add(chunk)
    else this.read(chunk)
  }

  /** More is sent than the peer takes: nothing is read that could be answered with even more. */
  get full(): boolean {
    return this.link.queuedBytes > unsentAtMost
  }

  private read(chunk: Buffer): void {
    const at = this.receiver.push(chunk)
    if (at < chunk.length && !this.closing) this.unread.add(chunk, at)
    this.role.readDone()
    if (this.full && !this.paused && !this.closing) {
      this.paused = true
      this.link.pause()
    }
  }

  /** For what no window holds back. `false`: `streamDrained` is called once the link has sent what waits. */
  mayWrite(stream: Stream): boolean {
    if (!this.output.blocked) return true
    if (!this.blocked.includes(stream)) this.blocked.push(stream)
    return false
  }

  onDrain(): void {
    this.resumeReading()
    this.queue.pump()
    if (this.blocked.length === 0) return
    const { blocked } = this
    this.blocked = []
    for (const stream of blocked) if (!stream.closed) stream.user.streamDrained()
  }

  pump(): void {
    this.queue.pump()
  }

  /** The peer's SETTINGS have changed the window of every stream by `change`. */
  peerSettled(change: number): void {
    this.encoder.setLimit(this.peer.headerTableSize)
    if (change !== 0) {
      for (const stream of this.streams.values()) {
        stream.sendWindow += change
        if (stream.sendWindow > maxWindow) {
          this.fail(h2Error.flowControl, 'SETTINGS_INITIAL_WINDOW_SIZE makes a window too large')
          return
        }
        if (stream.waiting) this.wait(stream)
      }
      this.queue.pump()
    }
    this.role.settingsChanged()
  }

  onEnd(): void {
    this.closing = true
    this.link.close()
  }

  onClose(error: ProxyError | null): void {
    this.closing = true
    const why = error?.message ?? 'the connection was closed'
    this.role.gone(error)
    if (error?.code === 'MEMORY_BUDGET') this.dropAll(error)
    else
      this.dropAll(new ProxyError(this.role.isServer ? 'CLIENT_GONE' : 'UPSTREAM_RESET', why, error ?? undefined))
  }

  /** The role has taken the last of what the peer sends on a stream. */
  remoteEnd(stream: Stream, trailers: Fields | null): void {
    stream.user.streamEnd(trailers)
    if (stream.localEnded && !stream.closed) this.finish(stream)
  }

  /** The exchange of a stream has ended for a fault of the peer. @returns false when it was one too many */
  fault(stream: Stream): boolean {
    stream.faulted = true
    return this.allowed(this.guard.reset(this.now))
  }

  /** Ends the connection where a rule of the guard is broken. */
  private allowed(broken: string | null): boolean {
    return broken === null || this.fail(h2Error.enhanceYourCalm, broken, true)
  }

  private finish(stream: Stream): void {
    this.drop(stream, closedBy.end)
    if (!stream.faulted) this.guard.completed()
    stream.user.streamClosed()
  }

  drop(stream: Stream, how: number): void {
    this.growth -= stream.windowSize - initialWindow
    stream.clear()
    this.queue.remove(stream)
    this.streams.delete(stream.id)
    this.closed.add(stream.id, how)
    if (how !== closedBy.end) this.role.streamCut()
    this.role.streamGone()
  }

  private dropAll(error: ProxyError): void {
    for (const stream of [...this.streams.values()]) {
      this.drop(stream, closedBy.us)
      stream.user.streamReset(error)
    }
  }

  private resumeReading(): void {
    if (!this.paused) return
    this.paused = false
    if (this.closing) this.unread.clear()
    else if (this.unread.length > 0) this.read(this.unread.take())
    // What had been read already may have filled the link again.
    if (!this.paused) this.link.resume()
  }
}

const pingPayload = Buffer.from('sallypor', 'latin1')
