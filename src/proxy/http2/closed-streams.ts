/**
 * The last streams that were closed, and how: what a peer may still send on one depends on it (RFC 9113 section 5.1).
 * Frames for streams that were closed longer ago are answered as the RFC allows for any closed stream.
 */

export const closedBy = {
  /** Both sides had ended it */
  end: 1,
  /** We have reset it: what comes was sent before the peer knew, and is ignored */
  us: 2,
  peer: 3,
} as const

const remembered = 256

export class ClosedStreams {
  private readonly ids = new Uint32Array(remembered)
  private readonly how = new Uint8Array(remembered)
  private at = 0

  add(id: number, how: number): void {
    this.ids[this.at] = id
    this.how[this.at] = how
    this.at = (this.at + 1) % remembered
  }

  /** 0 where it is not known any more. */
  howOf(id: number): number {
    const at = this.ids.indexOf(id)
    return at < 0 ? 0 : (this.how[at] as number)
  }
}
