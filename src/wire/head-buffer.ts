/**
 * Collects a head, or trailers, that come in pieces until their last empty line is there, so that they are parsed once.
 * Every byte is looked at once, however small the pieces and whatever is in them: the position is remembered, and so is
 * where the current line began. A bare LF is found as soon as it comes.
 *
 * Invariant: when `ready` says true, the parser of that kind has a verdict and does not ask for more. See
 * test/unit/heads-in-pieces.test.ts.
 */
import { Gathered } from '../base/gathered.ts'
import type { Share } from '../base/memory-budget.ts'

const CR = 13
const LF = 10

/**
 * Before a request line a server ignores at least one empty line (RFC 9112 section 2.2), since some clients end a body
 * with one too many. More than these are no mistake.
 */
export const emptyLinesAtMost = 4

export class HeadBuffer {
  private readonly gathered: Gathered
  private scanned = 0
  private lineStart = 0
  private emptyLines = 0
  /** A line with something in it was seen, or none is needed for an empty one to be the end */
  private begun: boolean

  /**
   * @param kind `request`: empty lines may come first
   * @param share of the connection that it is held for, until `release`; null: it is not counted
   */
  constructor(kind: 'request' | 'response' | 'trailers', share: Share | null) {
    this.gathered = new Gathered(share)
    this.begun = kind !== 'request'
  }

  get length(): number {
    return this.gathered.length
  }

  append(chunk: Buffer): void {
    this.gathered.append(chunk)
  }

  /** True once a parser would come to a verdict: the empty line is there, or something that can only be refused. */
  ready(): boolean {
    const bytes = this.view()
    for (let at = this.scanned; at < bytes.length; at++) {
      if (bytes[at] !== LF) continue
      const start = this.lineStart
      this.scanned = at + 1
      this.lineStart = at + 1
      if (at === start || bytes[at - 1] !== CR) return true
      if (at - 1 > start) this.begun = true
      else if (this.begun || ++this.emptyLines > emptyLinesAtMost) return true
    }
    this.scanned = bytes.length
    return false
  }

  view(): Buffer {
    return this.gathered.view()
  }

  /** It has no further use; views of it stay valid. */
  release(): void {
    this.gathered.release()
  }
}
