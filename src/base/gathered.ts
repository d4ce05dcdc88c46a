/**
 * Bytes that come in pieces, kept in one buffer that doubles: however small the pieces, the whole costs time in
 * proportion to its length. `Buffer.concat` in an `onData` costs its square. The limit is the caller's.
 *
 * Invariant: `share` has the size of the buffer until `release`.
 */
import type { Share } from './memory-budget.ts'

const firstBytes = 1024
const nothing = Buffer.alloc(0)

export class Gathered {
  private bytes: Buffer = nothing
  length = 0
  private readonly share: Share | null

  /** @param share null: it is not counted */
  constructor(share: Share | null) {
    this.share = share
  }

  /** The chunk is copied, and may be overwritten afterwards. */
  append(chunk: Uint8Array): void {
    const need = this.length + chunk.length
    if (need > this.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(need, this.bytes.length * 2, firstBytes))
      this.bytes.copy(grown, 0, 0, this.length)
      this.share?.add(grown.length - this.bytes.length)
      this.bytes = grown
    }
    this.bytes.set(chunk, this.length)
    this.length = need
  }

  /** All of it, with the chunk at its end. */
  with(chunk: Uint8Array): Buffer {
    this.append(chunk)
    return this.view()
  }

  /** What has come so far. A later `append` leaves it as it is. */
  view(): Buffer {
    return this.bytes.subarray(0, this.length)
  }

  /** Nothing is kept any more; views that were given stay valid. */
  release(): void {
    this.share?.add(-this.bytes.length)
    this.bytes = nothing
    this.length = 0
  }
}
