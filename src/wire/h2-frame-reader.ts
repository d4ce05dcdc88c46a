/**
 * Cuts a byte stream into HTTP/2 frames (RFC 9113 section 4.1). A frame that lies whole in a chunk is handed on as a
 * range of it; only one that is cut by a chunk's edge is copied together. A length over the limit is refused as soon as
 * its header is there, so that at most one frame of 16 kB is ever held.
 */
import type { Share } from '../base/memory-budget.ts'
import { frame, frameHeaderBytes, maxFrameBytes, readUint32 } from './h2-frames.ts'

export interface FrameSink {
  /** The next frame has to wait */
  readonly full: boolean
  /**
   * A whole frame; its payload is `bytes[from, to)`. `stream` has its reserved bit cleared.
   * @returns false to stop reading: the connection is over
   */
  onFrame(type: number, flags: number, stream: number, bytes: Buffer, from: number, to: number): boolean
  /** A frame that says it is longer than we take */
  onOversized(type: number, stream: number, length: number): void
}

export class FrameReader {
  /** Of a frame whose rest has not come */
  private held: Buffer | null = null
  private have = 0
  private need = 0
  private readonly share: Share | null

  /** @param share of the connection that it is held for; null: it is not counted */
  constructor(share: Share | null) {
    this.share = share
  }

  /** A frame has begun that may be part of a head: HEADERS, CONTINUATION, or too little of it to tell. */
  get holdsHead(): boolean {
    if (this.have === 0) return false
    const type = this.have < frameHeaderBytes ? frame.headers : (this.held as Buffer)[3]
    return type === frame.headers || type === frame.continuation
  }

  /** @returns where it stopped: at the end, or at a frame that has to wait and is to be given again */
  push(chunk: Buffer, sink: FrameSink): number {
    let at = 0
    const end = chunk.length
    if (this.have > 0) {
      at = this.complete(chunk, sink)
      if (at < 0) return end
    }
    while (end - at >= frameHeaderBytes) {
      if (sink.full) return at
      const length = frameLength(chunk, at)
      if (length > maxFrameBytes) {
        sink.onOversized(chunk[at + 3] as number, streamOf(chunk, at), length)
        return end
      }
      const from = at + frameHeaderBytes
      const to = from + length
      if (to > end) break
      if (!sink.onFrame(chunk[at + 3] as number, chunk[at + 4] as number, streamOf(chunk, at), chunk, from, to))
        return end
      at = to
    }
    if (at < end) this.keep(chunk, at)
    return end
  }

  /** Adds to what is held until that is a frame. @returns where the chunk goes on, or -1 when there is no more to do */
  private complete(chunk: Buffer, sink: FrameSink): number {
    let at = 0
    if (this.need === frameHeaderBytes) {
      at = this.take(chunk, at)
      if (this.have < frameHeaderBytes) return -1
      const held = this.held as Buffer
      const length = frameLength(held, 0)
      if (length > maxFrameBytes) {
        sink.onOversized(held[3] as number, streamOf(held, 0), length)
        return -1
      }
      this.want(frameHeaderBytes + length)
    }
    at = this.take(chunk, at)
    if (this.have < this.need) return -1
    const held = this.held as Buffer
    const to = this.need
    this.share?.add(-to)
    this.held = null
    this.have = 0
    this.need = 0
    return sink.onFrame(held[3] as number, held[4] as number, streamOf(held, 0), held, frameHeaderBytes, to)
      ? at
      : -1
  }

  private keep(chunk: Buffer, at: number): void {
    const whole = chunk.length - at >= frameHeaderBytes
    this.want(whole ? frameHeaderBytes + frameLength(chunk, at) : frameHeaderBytes)
    this.take(chunk, at)
  }

  /** The buffer is of the exact size: a sink may keep ranges of it. */
  private want(bytes: number): void {
    const grown = Buffer.allocUnsafe(bytes)
    this.held?.copy(grown, 0, 0, this.have)
    this.share?.add(bytes - this.need)
    this.held = grown
    this.need = bytes
  }

  private take(chunk: Buffer, at: number): number {
    const to = Math.min(chunk.length, at + this.need - this.have)
    chunk.copy(this.held as Buffer, this.have, at, to)
    this.have += to - at
    return to
  }
}

const frameLength = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)

const streamOf = (bytes: Uint8Array, at: number): number => readUint32(bytes, at + 5) & 0x7fff_ffff
