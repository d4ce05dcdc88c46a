/**
 * The sending side of an HTTP/2 connection: frames are put together in one borrowed buffer, which leaves at the end of
 * the turn or when it is full. A stream that ends right behind its last frame costs no frame: END_STREAM is set in it.
 */
import { copyRange, joinedAtMost } from '../../base/bytes.ts'
import type { Turn, TurnTask } from '../../base/turn.ts'
import type { Link } from '../../model/link.ts'
import { type ScratchPool, scratchBytes } from '../../transport/scratch.ts'
import {
  flag,
  frame,
  frameHeaderBytes,
  maxFrameBytes,
  writeFrameHeader,
  writeUint32,
} from '../../wire/h2-frames.ts'

/** Less room than this is not worth a DATA frame of its own. */
const leastData = 2048

export class Output implements TurnTask {
  readonly link: Link
  /** Bytes that were handed to the link */
  private written = 0
  private readonly inHeads: boolean
  private readonly turn: Turn
  private readonly pool: ScratchPool
  private buffer: Buffer | null = null
  private used = 0
  private waits = false
  /** The last frame in the buffer, if it is one that END_STREAM can be set in */
  private lastAt = -1
  private lastStream = 0

  /**
   * @param inHeads END_STREAM may be set in a head that has not left yet. A request that began without it keeps its
   *   empty DATA frame: a grpc-go server waits for that, while an answer means the same either way
   */
  constructor(link: Link, turn: Turn, pool: ScratchPool, inHeads: boolean) {
    this.inHeads = inHeads
    this.link = link
    this.turn = turn
    this.pool = pool
  }

  /** The peer does not keep up: DATA waits in its streams. */
  get blocked(): boolean {
    return this.link.needsDrain
  }

  /** Bytes that the peer, or the system for it, has taken: what is queued alone may be as much as before by chance. */
  get taken(): number {
    return this.written - this.link.queuedBytes
  }

  endOfTurn(): void {
    this.waits = false
    this.flush()
  }

  flush(): void {
    const { buffer } = this
    if (buffer === null) return
    this.buffer = null
    this.lastAt = -1
    this.written += this.used
    if (this.used > 0) this.link.writeBorrowed(buffer, 0, this.used)
    this.used = 0
    this.pool.giveBack(buffer)
  }

  /** Bytes that are no frame: the preface. */
  raw(bytes: Uint8Array): void {
    this.room(bytes.length).set(bytes, this.used)
    this.used += bytes.length
    this.lastAt = -1
  }

  /** A small frame whose payload `fill` writes. */
  frame(type: number, flags: number, stream: number, payload: Uint8Array): void {
    const into = this.room(frameHeaderBytes + payload.length)
    const at = writeFrameHeader(into, this.used, payload.length, type, flags, stream)
    into.set(payload, at)
    this.used = at + payload.length
    this.lastAt = -1
  }

  /** RST_STREAM or WINDOW_UPDATE: one number. */
  word(type: number, stream: number, value: number): void {
    const into = this.room(frameHeaderBytes + 4)
    this.used = writeUint32(into, writeFrameHeader(into, this.used, 4, type, 0, stream), value)
    this.lastAt = -1
  }

  /** The same behind everything else, in a TLS record of its own. */
  wordApart(type: number, stream: number, value: number): void {
    this.flush()
    const bytes = new Uint8Array(frameHeaderBytes + 4)
    writeUint32(bytes, writeFrameHeader(bytes, 0, 4, type, 0, stream), value)
    this.written += bytes.length
    this.link.writeApart(bytes)
  }

  goaway(lastStream: number, code: number): void {
    const into = this.room(frameHeaderBytes + 8)
    const at = writeFrameHeader(into, this.used, 8, frame.goaway, 0, 0)
    this.used = writeUint32(into, writeUint32(into, at, lastStream), code)
    this.lastAt = -1
  }

  /** A header block, in as many frames as it needs. */
  headers(stream: number, block: Buffer, length: number, endStream: boolean): void {
    let at = 0
    let type: number = frame.headers
    let flags: number = endStream ? flag.endStream : 0
    do {
      const take = Math.min(length - at, maxFrameBytes)
      if (at + take === length) flags |= flag.endHeaders
      const into = this.room(frameHeaderBytes + take)
      const start = this.used
      const payload = writeFrameHeader(into, start, take, type, flags, stream)
      block.copy(into, payload, at, at + take)
      this.used = payload + take
      at += take
      // END_STREAM is a flag of HEADERS, and CONTINUATION has none.
      this.lastAt = this.inHeads && type === frame.headers && at === length ? start : -1
      this.lastStream = stream
      type = frame.continuation
      flags = 0
    } while (at < length)
  }

  /** As much of `bytes[from, to)` as makes one DATA frame. @returns how much that was */
  data(stream: number, bytes: Uint8Array, from: number, to: number, endStream: boolean): number {
    if (!endStream && to - from <= joinedAtMost && this.append(stream, bytes, from, to)) return to - from
    const least = Math.min(to - from, leastData)
    const into = this.room(frameHeaderBytes + least)
    const start = this.used
    const take = Math.min(to - from, maxFrameBytes, scratchBytes - start - frameHeaderBytes)
    const flags = endStream && from + take === to ? flag.endStream : 0
    const at = writeFrameHeader(into, start, take, frame.data, flags, stream)
    copyRange(bytes, from, from + take, into, at)
    this.used = at + take
    this.lastAt = start
    this.lastStream = stream
    return take
  }

  /** END_STREAM: in the stream's last frame where that has not left yet, else in an empty one. */
  end(stream: number): void {
    if (this.lastAt >= 0 && this.lastStream === stream && this.buffer !== null) {
      this.buffer[this.lastAt + 4] = (this.buffer[this.lastAt + 4] as number) | flag.endStream
      return
    }
    const into = this.room(frameHeaderBytes)
    this.used = writeFrameHeader(into, this.used, 0, frame.data, flag.endStream, stream)
    this.lastAt = -1
  }

  /** Makes the last frame longer, if that is DATA of the same stream and has room. */
  private append(stream: number, bytes: Uint8Array, from: number, to: number): boolean {
    const { buffer, lastAt } = this
    if (buffer === null || lastAt < 0 || this.lastStream !== stream || buffer[lastAt + 3] !== frame.data)
      return false
    const used = this.used + to - from
    const length = used - lastAt - frameHeaderBytes
    if (used > scratchBytes || length > maxFrameBytes) return false
    copyRange(bytes, from, to, buffer, this.used)
    this.used = used
    buffer.writeUIntBE(length, lastAt, 3)
    return true
  }

  private room(bytes: number): Buffer {
    if (this.used + bytes > scratchBytes) this.flush()
    if (this.buffer === null) {
      this.buffer = this.pool.borrow()
      this.used = 0
      if (!this.waits) {
        this.waits = true
        this.turn.later(this)
      }
    }
    return this.buffer
  }
}
