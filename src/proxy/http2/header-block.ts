/**
 * A header block while it is being read: HEADERS, and CONTINUATION frames until END_HEADERS (RFC 9113 section 4.3).
 * How many there may be is bounded, and thereby the bytes, whether they hold anything or not (CVE-2024-27316).
 */
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { HpackDecoder, HpackSink } from '../../wire/hpack-decoder.ts'

const continuationsAtMost = 8

export class HeaderBlock {
  open = false
  stream = 0
  ended = false
  /** It opens its stream */
  fresh = false
  selfDependent = false
  /** When the first part came, in milliseconds on the clock of the deadlines */
  since = 0
  private readonly parts: HeldBytes
  private continuations = 0

  /** @param share of the connection that it is held for; null: it is not counted */
  constructor(share: Share | null) {
    this.parts = new HeldBytes(share)
  }

  begin(stream: number, ended: boolean, fresh: boolean, selfDependent: boolean): void {
    this.stream = stream
    this.ended = ended
    this.fresh = fresh
    this.selfDependent = selfDependent
    this.continuations = 0
  }

  /** @returns the rule that is broken, or null */
  continued(): string | null {
    return ++this.continuations > continuationsAtMost
      ? `a header block of more than ${continuationsAtMost} CONTINUATION frames`
      : null
  }

  keep(bytes: Buffer, from: number, to: number, now: number): void {
    if (!this.open) this.since = now
    this.open = true
    // A copy: a small part would keep the whole chunk that it came in.
    this.parts.copy(bytes, from, to)
  }

  /** Decodes it, `bytes[from, to)` being the last part. @returns what is wrong with it, or null */
  finish(decoder: HpackDecoder, bytes: Buffer, from: number, to: number, sink: HpackSink): string | null {
    this.open = false
    if (this.parts.length === 0) return decoder.decode(bytes, from, to, sink)
    this.parts.copy(bytes, from, to)
    const whole = this.parts.take()
    return decoder.decode(whole, 0, whole.length, sink)
  }
}
