/**
 * The receiving side of an HTTP/2 connection: each frame is held to the rules of RFC 9113 sections 5 and 6 and to those
 * of the guard, then acted on. Errors are those of the RFC, of a stream where only that is touched.
 */
import { copyRange, joinedAtMost } from '../../base/bytes.ts'
import { ProxyError } from '../../base/errors.ts'
import type { Share } from '../../base/memory-budget.ts'
import { FrameReader, type FrameSink } from '../../wire/h2-frame-reader.ts'
import { flag, frame, h2Error, h2ErrorName, initialWindow, maxFrameBytes, maxWindow } from '../../wire/h2-frames.ts'
import { type PeerSettings, readSettings } from '../../wire/h2-settings.ts'
import { HpackDecoder } from '../../wire/hpack-decoder.ts'
import { type ClosedStreams, closedBy } from './closed-streams.ts'
import type { Guard } from './guard.ts'
import { HeaderBlock } from './header-block.ts'
import type { Output } from './output.ts'
import type { SessionRole } from './role.ts'
import type { Stream } from './stream.ts'

/** The connection, as its receiving side sees it. */
export interface Receiving {
  readonly role: SessionRole
  readonly streams: ReadonlyMap<number, Stream>
  readonly closed: ClosedStreams
  readonly peer: PeerSettings
  readonly output: Output
  readonly guard: Guard
  readonly share: Share
  readonly closing: boolean
  readonly full: boolean
  readonly lastOwnStream: number
  /** Milliseconds on the clock of the deadlines */
  readonly now: number
  settled: boolean
  lastPeerStream: number
  lastTaken: number
  sendWindow: number
  fail(code: number, why: string, abuse?: boolean): false
  failStream(id: number, code: number, why: string): boolean
  drop(stream: Stream, how: number): void
  credit(stream: Stream, bytes: number): void
  remoteEnd(stream: Stream, trailers: null): void
  wait(stream: Stream): void
  pump(): void
  peerSettled(windowChange: number): void
}

/** What a connection is opened to: streams have windows of their own that bound what is held. */
export const connectionWindow = 1024 * 1024

export class Receiver implements FrameSink {
  readonly block: HeaderBlock
  private readonly session: Receiving
  private readonly reader: FrameReader
  private readonly decoder = new HpackDecoder()
  private prefaceLeft: Buffer | null
  private window = initialWindow
  private taken = 0
  private partialSince: number | null = null
  /** A stream whose small DATA frames are joined, while no other frame comes between them: bytes[from, to) */
  private joining: Stream | null = null
  private joined: Buffer = nothing
  private joinedFrom = 0
  private joinedTo = 0
  /** What those frames have taken of the window, with padding */
  private joinedCredit = 0

  /** @param preface what must come before the first frame, or null */
  constructor(session: Receiving, preface: Buffer | null) {
    this.session = session
    this.block = new HeaderBlock(session.share)
    this.reader = new FrameReader(session.share)
    this.prefaceLeft = preface
  }

  /** The window of the connection was opened with our SETTINGS. */
  opened(): void {
    this.window = connectionWindow
  }

  get full(): boolean {
    return this.session.full
  }

  /** @returns where it stopped: before the end where the session is full */
  push(chunk: Buffer): number {
    const rest = this.prefaceLeft === null ? chunk : this.readPreface(chunk)
    let left = 0
    if (rest !== null && rest.length > 0) left = rest.length - this.reader.push(rest, this)
    if (this.joining !== null) this.giveJoined()
    if (!this.reader.holdsHead) this.partialSince = null
    else this.partialSince ??= this.session.now
    return chunk.length - left
  }

  /** When the head began that is not complete yet, or null */
  get headSince(): number | null {
    return this.block.open ? this.block.since : this.partialSince
  }

  onOversized(type: number, _stream: number, length: number): void {
    this.session.fail(h2Error.frameSize, `a frame of type ${type} with ${length} bytes, over ${maxFrameBytes}`)
  }

  onFrame(type: number, flags: number, id: number, bytes: Buffer, from: number, to: number): boolean {
    if (this.joining !== null && (type !== frame.data || id !== this.joining.id)) this.giveJoined()
    if (this.session.closing && this.session.streams.size === 0) return false
    this.partialSince = null
    if (this.block.open && (type !== frame.continuation || id !== this.block.stream)) {
      return this.session.fail(h2Error.protocol, 'another frame inside a header block')
    }
    if (!this.session.settled && (type !== frame.settings || (flags & flag.ack) !== 0)) {
      return this.session.fail(h2Error.protocol, 'the first frame is not SETTINGS')
    }
    switch (type) {
      case frame.data:
        return this.onDataFrame(flags, id, bytes, from, to)
      case frame.headers:
        return this.onHeaders(flags, id, bytes, from, to)
      case frame.continuation:
        return this.onContinuation(flags, bytes, from, to)
      case frame.windowUpdate:
        return this.onWindowUpdate(id, bytes, from, to)
      case frame.rstStream:
        return this.onRstStream(id, bytes, from, to)
      case frame.goaway:
        if (id !== 0) return this.session.fail(h2Error.protocol, 'GOAWAY on a stream')
        if (to - from < 8) return this.session.fail(h2Error.frameSize, 'a short GOAWAY')
        this.session.role.goingAway(bytes.readUInt32BE(from) & maxWindow, bytes.readUInt32BE(from + 4))
        return true
      case frame.pushPromise:
        return this.session.fail(h2Error.protocol, 'PUSH_PROMISE')
    }
    const broken = this.session.guard.controlFrame(this.session.now)
    if (broken !== null) return this.session.fail(h2Error.enhanceYourCalm, broken, true)
    switch (type) {
      case frame.settings:
        return this.onSettings(flags, id, bytes, from, to)
      case frame.ping:
        if (id !== 0) return this.session.fail(h2Error.protocol, 'PING on a stream')
        if (to - from !== 8) return this.session.fail(h2Error.frameSize, `a PING of ${to - from} bytes`)
        if ((flags & flag.ack) !== 0) this.session.role.pong()
        else this.session.output.frame(frame.ping, flag.ack, 0, bytes.subarray(from, to))
        return true
      case frame.priority:
        return this.onPriority(id, bytes, from, to)
      case frame.priorityUpdate:
        if (id !== 0 || to - from < 4)
          return this.session.fail(h2Error.protocol, 'PRIORITY_UPDATE on a stream, or a short one')
        this.session.role.priority(bytes.readUInt32BE(from) & maxWindow, bytes.toString('latin1', from + 4, to))
        return true
      default:
        return true
    }
  }

  private onDataFrame(flags: number, id: number, bytes: Buffer, from: number, to: number): boolean {
    if (id === 0) return this.session.fail(h2Error.protocol, 'DATA on stream 0')
    const length = to - from
    this.window -= length
    if (this.window < 0) return this.session.fail(h2Error.flowControl, 'DATA over the window of the connection')
    // Counted off at once: how much is held is bounded by the windows of the streams.
    this.taken += length
    if (this.taken * 2 >= connectionWindow) {
      this.session.output.word(frame.windowUpdate, 0, this.taken)
      this.window += this.taken
      this.taken = 0
    }
    let start = from
    let end = to
    if ((flags & flag.padded) !== 0) {
      const padding = length === 0 ? 0 : (bytes[from] as number)
      start++
      end -= padding
      if (start > end) return this.session.fail(h2Error.protocol, 'padding longer than its frame')
    }
    const stream = this.session.streams.get(id)
    if (stream === undefined) return this.onClosed(id, 'DATA')
    if (stream.remoteEnded) return this.session.failStream(id, h2Error.streamClosed, 'DATA behind END_STREAM')
    stream.receiveWindow -= length
    if (stream.receiveWindow < 0)
      return this.session.failStream(id, h2Error.flowControl, 'DATA over the window of its stream')
    const ended = (flags & flag.endStream) !== 0
    if (start === end && !ended) {
      const broken = this.session.guard.emptyData(this.session.now)
      if (broken !== null) return this.session.fail(h2Error.enhanceYourCalm, broken, true)
    }
    if (start < end) this.session.guard.data()
    if (ended) stream.remoteEnded = true
    this.join(stream, bytes, start, end, length)
    if (ended) {
      if (this.joining !== null) this.giveJoined()
      if (!stream.closed) this.session.remoteEnd(stream, null)
    }
    return true
  }

  /** Hands content to its stream, at once or together with what comes next; `credit`: what its frame took of the window */
  private join(stream: Stream, bytes: Buffer, start: number, end: number, credit: number): void {
    if (this.joining !== null) {
      // Behind the last one in the same buffer, over the frame's own header
      if (bytes === this.joined && end - start <= joinedAtMost) {
        copyRange(bytes, start, end, bytes, this.joinedTo)
        this.joinedTo += end - start
        this.joinedCredit += credit
        return
      }
      this.giveJoined()
    }
    this.joining = stream
    this.joined = bytes
    this.joinedFrom = start
    this.joinedTo = end
    this.joinedCredit = credit
    if (end - start > joinedAtMost) this.giveJoined()
  }

  private giveJoined(): void {
    const stream = this.joining as Stream
    const { joined, joinedFrom, joinedTo } = this
    this.joining = null
    this.joined = nothing
    if (stream.closed) return
    if (joinedFrom < joinedTo) stream.user.streamData(joined, joinedFrom, joinedTo)
    if (!stream.closed) this.session.credit(stream, this.joinedCredit)
  }

  private onHeaders(flags: number, id: number, bytes: Buffer, from: number, to: number): boolean {
    if (id === 0) return this.session.fail(h2Error.protocol, 'HEADERS on stream 0')
    let start = from
    let end = to
    if ((flags & flag.padded) !== 0) {
      end -= from < to ? (bytes[from] as number) : 0
      start++
    }
    let dependency = 0
    if ((flags & flag.priority) !== 0) {
      if (start + 5 > to) return this.session.fail(h2Error.frameSize, 'HEADERS too short for its priority')
      dependency = bytes.readUInt32BE(start) & maxWindow
      start += 5
    }
    if (start > end) return this.session.fail(h2Error.protocol, 'padding longer than its frame')
    const stream = this.session.streams.get(id)
    const fresh =
      stream === undefined && this.session.role.isServer && id % 2 === 1 && id > this.session.lastPeerStream
    if (fresh) this.session.lastPeerStream = id
    else if (stream === undefined && this.idle(id)) return this.onClosed(id, 'HEADERS')
    this.block.begin(id, (flags & flag.endStream) !== 0, fresh, dependency === id)
    return this.onBlock(flags, bytes, start, end)
  }

  private onContinuation(flags: number, bytes: Buffer, from: number, to: number): boolean {
    if (!this.block.open) return this.session.fail(h2Error.protocol, 'CONTINUATION without a header block')
    const broken = this.block.continued()
    if (broken !== null) return this.session.fail(h2Error.enhanceYourCalm, broken, true)
    return this.onBlock(flags, bytes, from, to)
  }

  /** A part of a header block, the last one perhaps. */
  private onBlock(flags: number, bytes: Buffer, from: number, to: number): boolean {
    const { block } = this
    if ((flags & flag.endHeaders) === 0) {
      block.keep(bytes, from, to, this.session.now)
      return true
    }
    const { stream: id, ended } = block
    const stream = this.session.streams.get(id) ?? null
    const sink = this.session.role.block(stream)
    const problem = block.finish(this.decoder, bytes, from, to, sink)
    if (problem !== null) return this.session.fail(h2Error.compression, problem)
    if (this.session.closing && stream === null) return true
    if (block.selfDependent) return this.session.failStream(id, h2Error.protocol, 'a stream that depends on itself')
    if (block.fresh) {
      this.session.lastTaken = id
      this.session.role.opened(id, sink, ended)
    } else if (stream === null) return this.onClosed(id, 'HEADERS')
    else if (stream.remoteEnded)
      return this.session.failStream(id, h2Error.streamClosed, 'HEADERS behind END_STREAM')
    else {
      if (ended) stream.remoteEnded = true
      this.session.role.received(stream, sink, ended)
    }
    return !this.session.closing || this.session.streams.size > 0
  }

  private onSettings(flags: number, id: number, bytes: Buffer, from: number, to: number): boolean {
    const length = to - from
    if (id !== 0) return this.session.fail(h2Error.protocol, 'SETTINGS on a stream')
    if ((flags & flag.ack) !== 0) {
      return length === 0 || this.session.fail(h2Error.frameSize, 'SETTINGS with an acknowledgement and content')
    }
    if (length % 6 !== 0) return this.session.fail(h2Error.frameSize, `SETTINGS of ${length} bytes`)
    const windowBefore = this.session.peer.initialWindowSize
    const problem = readSettings(bytes, from, to, this.session.peer)
    if (problem !== null) return this.session.fail(problem.code, problem.why)
    this.session.settled = true
    this.session.output.frame(frame.settings, flag.ack, 0, nothing)
    this.session.peerSettled(this.session.peer.initialWindowSize - windowBefore)
    return !this.session.closing
  }

  private onWindowUpdate(id: number, bytes: Buffer, from: number, to: number): boolean {
    if (to - from !== 4) return this.session.fail(h2Error.frameSize, `WINDOW_UPDATE of ${to - from} bytes`)
    const broken = this.session.guard.windowUpdate(this.session.now)
    if (broken !== null) return this.session.fail(h2Error.enhanceYourCalm, broken, true)
    const add = bytes.readUInt32BE(from) & maxWindow
    if (id === 0) {
      if (add === 0) return this.session.fail(h2Error.protocol, 'WINDOW_UPDATE by 0')
      this.session.sendWindow += add
      if (this.session.sendWindow > maxWindow)
        return this.session.fail(h2Error.flowControl, 'a window of the connection over 2^31-1')
      this.session.pump()
      return true
    }
    const stream = this.session.streams.get(id)
    // It may have been under way when the stream ended, however it did.
    if (stream === undefined)
      return this.idle(id) ? this.session.fail(h2Error.protocol, 'WINDOW_UPDATE on an idle stream') : true
    if (add === 0) return this.session.failStream(id, h2Error.protocol, 'WINDOW_UPDATE by 0')
    stream.sendWindow += add
    if (stream.sendWindow > maxWindow)
      return this.session.failStream(id, h2Error.flowControl, 'a window over 2^31-1')
    if (stream.waiting) {
      this.session.wait(stream)
      this.session.pump()
    }
    return true
  }

  private onRstStream(id: number, bytes: Buffer, from: number, to: number): boolean {
    if (id === 0) return this.session.fail(h2Error.protocol, 'RST_STREAM on stream 0')
    if (to - from !== 4) return this.session.fail(h2Error.frameSize, `RST_STREAM of ${to - from} bytes`)
    const stream = this.session.streams.get(id)
    if (stream === undefined && this.idle(id))
      return this.session.fail(h2Error.protocol, 'RST_STREAM on an idle stream')
    const broken = this.resetCost(id, stream)
    if (stream !== undefined) {
      const code = bytes.readUInt32BE(from)
      this.session.drop(stream, closedBy.peer)
      stream.user.streamReset(this.resetError(code))
    }
    return broken === null || this.session.fail(h2Error.enhanceYourCalm, broken, true)
  }

  /** What the peer pays for a reset of its own. @returns the rule that is broken, or null */
  private resetCost(id: number, stream: Stream | undefined): string | null {
    const { guard, now, closed, role } = this.session
    // One that crossed ours does not cost again what ours did.
    const paid = stream === undefined ? closed.howOf(id) === closedBy.us : stream.faulted || stream.harmless
    if (paid) return guard.controlFrame(now)
    if (!role.isServer) return null
    // The answer was complete: all that is left is the rest of the request.
    return stream?.localEnded ? guard.earlyAnswer(now) : guard.reset(now)
  }

  /** Deprecated, and ignored but for its form (RFC 9113 section 6.3). */
  private onPriority(id: number, bytes: Buffer, from: number, to: number): boolean {
    if (id === 0) return this.session.fail(h2Error.protocol, 'PRIORITY on stream 0')
    const wrongSize = to - from !== 5
    if (!wrongSize && (bytes.readUInt32BE(from) & maxWindow) !== id) return true
    const code = wrongSize ? h2Error.frameSize : h2Error.protocol
    const why = wrongSize ? `PRIORITY of ${to - from} bytes` : 'a stream that depends on itself'
    // RST_STREAM has no meaning for a stream that was never opened.
    return this.idle(id) ? this.session.fail(code, why) : this.session.failStream(id, code, why)
  }

  /** A frame for a stream that is not open (section 5.1). */
  private onClosed(id: number, what: string): boolean {
    if (this.idle(id)) return this.session.fail(h2Error.protocol, `${what} on an idle stream`)
    const how = this.session.closed.howOf(id)
    if (how === closedBy.us) return true
    if (how === closedBy.peer) return this.session.failStream(id, h2Error.streamClosed, `${what} behind RST_STREAM`)
    // Not among the last that were closed: most likely it was skipped, which closed it unused (section 5.1.1).
    if (how === 0) return this.session.fail(h2Error.protocol, `${what} on a stream that was never opened`)
    return this.session.fail(h2Error.streamClosed, `${what} on a closed stream`)
  }

  private idle(id: number): boolean {
    const ofPeer = (id % 2 === 1) === this.session.role.isServer
    return id > (ofPeer ? this.session.lastPeerStream : this.session.lastOwnStream)
  }

  private resetError(code: number): ProxyError {
    const why = `RST_STREAM with ${h2ErrorName(code)}`
    if (this.session.role.isServer) return new ProxyError('CLIENT_GONE', why)
    return new ProxyError(code === h2Error.refusedStream ? 'STREAM_REFUSED' : 'UPSTREAM_RESET', why)
  }

  private readPreface(chunk: Buffer): Buffer | null {
    const left = this.prefaceLeft as Buffer
    const take = Math.min(left.length, chunk.length)
    if (left.compare(chunk, 0, take, 0, take) !== 0) {
      this.session.fail(h2Error.protocol, 'the connection does not begin with the HTTP/2 preface')
      return null
    }
    this.prefaceLeft = take === left.length ? null : left.subarray(take)
    return chunk.subarray(take)
  }
}

const nothing = Buffer.alloc(0)
