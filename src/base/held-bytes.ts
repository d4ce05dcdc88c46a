/**
 * Bytes that are kept beyond the turn they came in: a queue of ranges, first in, first out. A view keeps the whole buffer
 * that it was cut from, and each view costs an object, so 60,000 pieces of one byte held 5 MB, and one byte of each read
 * held all that was read. Here small pieces are copied together, and a range is kept as it is only where it is at least
 * half of its buffer. What is held thereby takes at most about twice its length, and that is what is counted.
 *
 * Invariant: `share` has this holder's `pinned` until `clear`, or until it is empty.
 */
import { copyRange } from './bytes.ts'
import type { Share } from './memory-budget.ts'

const keptAsIs = 2048
const smallBuffer = 4096
const smallestBlock = 256
const largestBlock = 16_384
/** What an entry costs beside its bytes: this object, the view, and the buffer's own bookkeeping */
const perPiece = 256

type Piece = { readonly bytes: Uint8Array; from: number; to: number; readonly pinned: number }

export class HeldBytes {
  /** Bytes held */
  length = 0
  /** Bytes of memory that they take */
  pinned = 0
  private readonly share: Share | null
  private readonly pieces: Piece[] = []
  /** Where the first piece stands: taking it away must not move the others */
  private first = 0
  /** The last piece, if it is a block of ours with room behind it */
  private open: Piece | null = null

  /** @param share null: it is not counted */
  constructor(share: Share | null) {
    this.share = share
  }

  /** Keeps `bytes[from, to)`, which must not be changed afterwards. */
  add(bytes: Uint8Array, from = 0, to = bytes.length): void {
    const length = to - from
    if (length === 0) return
    const whole = this.worthLooking(bytes, length) ? bytes.buffer.byteLength : Number.POSITIVE_INFINITY
    if (length * 2 < whole && whole > smallBuffer) {
      this.copy(bytes, from, to)
      return
    }
    this.open = null
    this.length += length
    this.push({ bytes, from, to, pinned: whole + perPiece })
  }

  /** The same for bytes in a buffer that is used again. */
  copy(bytes: Uint8Array, from = 0, to = bytes.length): void {
    let at = from
    this.length += to - from
    if (this.open !== null) at = this.fill(this.open, bytes, at, to)
    while (at < to) {
      // As large as what is held already: neither many small ones, nor room that stays empty.
      const size = Math.max(to - at, Math.min(largestBlock, Math.max(smallestBlock, this.length)))
      const block: Piece = { bytes: Buffer.allocUnsafeSlow(size), from: 0, to: 0, pinned: size + perPiece }
      this.push(block)
      this.open = block
      at = this.fill(block, bytes, at, to)
    }
  }

  /** The first range: `bytes[from, to)`. Only while `length` is not 0. */
  get bytes(): Uint8Array {
    return (this.pieces[this.first] as Piece).bytes
  }

  get from(): number {
    return (this.pieces[this.first] as Piece).from
  }

  get to(): number {
    return (this.pieces[this.first] as Piece).to
  }

  /** Lets go of the first `count` bytes, which are of the first range. */
  drop(count: number): void {
    const piece = this.pieces[this.first] as Piece
    piece.from += count
    this.length -= count
    if (piece.from < piece.to) return
    if (this.length === 0) {
      this.clear()
      return
    }
    this.pieces[this.first] = gone
    this.first++
    this.account(-piece.pinned)
    if (this.first >= 64 && this.first * 2 >= this.pieces.length) {
      this.pieces.splice(0, this.first)
      this.first = 0
    }
  }

  /** Hands every range on, without letting go of it. @returns what the last call did; true if there was none */
  each(take: (bytes: Buffer, from: number, to: number) => boolean): boolean {
    let open = true
    for (let at = this.first; at < this.pieces.length; at++) {
      const { bytes, from, to } = this.pieces[at] as Piece
      open = take(bytes as Buffer, from, to)
    }
    return open
  }

  /** All in one buffer, and lets go of it. */
  take(): Buffer {
    const { pieces, first } = this
    let whole: Buffer
    if (pieces.length - first === 1) {
      const { bytes, from, to } = pieces[first] as Piece
      whole = asBuffer(bytes).subarray(from, to)
    } else {
      whole = Buffer.allocUnsafeSlow(this.length)
      let at = 0
      this.each((bytes, from, to) => {
        bytes.copy(whole, at, from, to)
        at += to - from
        return true
      })
    }
    this.clear()
    return whole
  }

  /** All in one buffer, which stays held. */
  whole(): Buffer {
    const { pieces, first } = this
    if (pieces.length - first === 1) {
      const { bytes, from, to } = pieces[first] as Piece
      return asBuffer(bytes).subarray(from, to)
    }
    const bytes = this.take()
    this.length = bytes.length
    this.push({ bytes, from: 0, to: bytes.length, pinned: bytes.length + perPiece })
    return bytes
  }

  clear(): void {
    if (this.pieces.length === 0) return
    this.pieces.length = 0
    this.first = 0
    this.open = null
    this.length = 0
    this.account(-this.pinned)
  }

  /** A short range is copied, unless it is the first and was cut from a small buffer: a request with a small body. */
  private worthLooking(bytes: Uint8Array, length: number): boolean {
    return length >= keptAsIs || (this.length === 0 && bytes.length <= smallBuffer)
  }

  private fill(block: Piece, bytes: Uint8Array, from: number, to: number): number {
    const take = Math.min(block.bytes.length - block.to, to - from)
    copyRange(bytes, from, from + take, block.bytes as Buffer, block.to)
    block.to += take
    if (block.to === block.bytes.length) this.open = null
    return from + take
  }

  private push(piece: Piece): void {
    this.pieces.push(piece)
    this.account(piece.pinned)
  }

  private account(change: number): void {
    this.pinned += change
    this.share?.add(change)
  }
}

const gone: Piece = { bytes: new Uint8Array(0), from: 0, to: 0, pinned: 0 }

const asBuffer = (bytes: Uint8Array): Buffer =>
  bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
