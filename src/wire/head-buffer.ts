/**
 * Collects a head that comes in pieces until its last empty line is there, so that it is parsed once. Time is in
 * proportion to the bytes however small the pieces, and a bare LF is found as soon as it comes.
 */

const CR = 13
const LF = 10

export class HeadBuffer {
  private bytes: Buffer = Buffer.alloc(0)
  private have = 0
  private scanned = 0

  get length(): number {
    return this.have
  }

  append(chunk: Buffer): void {
    const need = this.have + chunk.length
    if (need > this.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(need, this.bytes.length * 2, 1024))
      this.bytes.copy(grown, 0, 0, this.have)
      this.bytes = grown
    }
    chunk.copy(this.bytes, this.have)
    this.have = need
  }

  /** True once a parser would come to a verdict: the empty line is there, or something that can only be refused. */
  ready(): boolean {
    for (let at = this.scanned; at < this.have; at++) {
      if (this.bytes[at] !== LF) continue
      if (at === 0 || this.bytes[at - 1] !== CR) return true
      // An empty line ends the head, except before the first byte of the start line.
      if (at >= 3 && this.bytes[at - 2] === LF && !this.onlyBreaksBefore(at - 2)) return true
    }
    this.scanned = this.have
    return false
  }

  view(): Buffer {
    return this.bytes.subarray(0, this.have)
  }

  private onlyBreaksBefore(end: number): boolean {
    for (let at = 0; at < end; at++) if (this.bytes[at] !== CR && this.bytes[at] !== LF) return false
    return true
  }
}
