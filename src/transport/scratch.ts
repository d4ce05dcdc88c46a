/**
 * Buffers in which heads and small bodies are put together before one write. Borrowed within one turn of the event
 * loop only; a write that cannot finish copies what is left. Thus the hot path allocates no buffer.
 */

/** Four TLS records; larger chunks are written as they are. */
export const scratchBytes = 65_536

export class ScratchPool {
  private readonly free: Buffer[] = []
  private readonly keptAtMost: number

  /** @param keptAtMost of those given back; more than a few are in use only when handlers nest deeply */
  constructor(keptAtMost = 8) {
    this.keptAtMost = keptAtMost
  }

  borrow(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(scratchBytes)
  }

  giveBack(scratch: Buffer): void {
    if (this.free.length < this.keptAtMost) this.free.push(scratch)
  }
}
