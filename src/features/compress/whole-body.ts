/** A short body: it is held until it is whole, and compressed in one go, without a thread. */
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { Sink } from '../../model/stage.ts'
import type { Fields } from '../../wire/fields.ts'
import { type Coding, codecs } from './codings.ts'

/** In bytes */
export const wholeAtMost = 65_536

/** What the bytes of an answer go to, instead of its sink */
export interface CompressedBody {
  /** `false`: wait for the request side to be let go on. */
  data(bytes: Uint8Array, from: number, to: number): boolean
  end(trailers: Fields | null): void
  /** The sink can take more. @returns whether the source is let go on here */
  resume(): boolean
  /** Nothing more comes, or nobody waits for it. */
  drop(): void
}

export function compressWhole(coding: Coding, level: number | null, held: HeldBytes): Uint8Array {
  return codecs[coding].whole(held.length === 0 ? nothing : held.take(), level)
}

const nothing = Buffer.alloc(0)

/** Its length is known, and its framing holds it to that: at most `wholeAtMost`. */
export class WholeBody implements CompressedBody {
  private readonly sink: Sink
  private readonly coding: Coding
  private readonly level: number | null
  private readonly held: HeldBytes
  private over = false

  constructor(sink: Sink, share: Share, coding: Coding, level: number | null) {
    this.sink = sink
    this.coding = coding
    this.level = level
    this.held = new HeldBytes(share)
  }

  data(bytes: Uint8Array, from: number, to: number): boolean {
    if (!this.over) this.held.add(bytes, from, to)
    return true
  }

  end(trailers: Fields | null): void {
    if (this.over) return
    this.over = true
    const bytes = compressWhole(this.coding, this.level, this.held)
    this.sink.data(bytes, 0, bytes.length)
    this.sink.end(trailers)
  }

  resume(): boolean {
    return false
  }

  drop(): void {
    this.over = true
    this.held.clear()
  }
}
