/** A short body: it is held until it is whole, and compressed in one go, without a thread. */
import { HeldBytes } from '../../base/held-bytes.ts'
import type { TurnTask } from '../../base/turn.ts'
import type { Sink } from '../../model/stage.ts'
import type { Fields } from '../../wire/fields.ts'
import { type Coding, codecs } from './codings.ts'
import type { CompressingExchange } from './compressing-exchange.ts'
import type { HeldHead } from './held-head.ts'

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

/** Sends the head with the length of the body, and all of that. */
export function sendWhole(sink: Sink, head: HeldHead, bytes: Uint8Array, trailers: Fields | null): void {
  // In HTTP/1.1 trailers need chunks.
  head.send(trailers === null ? bytes.length : -1)
  sink.data(bytes, 0, bytes.length)
  sink.end(trailers)
}

export function compressWhole(coding: Coding, level: number | null, held: HeldBytes): Uint8Array {
  return codecs[coding].whole(held.length === 0 ? nothing : held.take(), level)
}

const nothing = Buffer.alloc(0)

/** Its length is known, and its framing holds it to that: at most `wholeAtMost`. */
export class WholeBody implements CompressedBody, TurnTask {
  private readonly sink: Sink
  private readonly exchange: CompressingExchange
  private readonly coding: Coding
  private readonly level: number | null
  private readonly head: HeldHead
  /** Of what the backend sends */
  private readonly length: number
  private held: HeldBytes | null = null
  private compressed: Uint8Array | null = null
  private over = false

  constructor(
    exchange: CompressingExchange,
    sink: Sink,
    head: HeldHead,
    length: number,
    coding: Coding,
    level: number | null,
  ) {
    this.exchange = exchange
    this.sink = sink
    this.head = head
    this.length = length
    this.coding = coding
    this.level = level
    exchange.services.turn.later(this)
  }

  data(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.over) return true
    if (this.held === null && to - from === this.length) {
      // The usual one comes whole, and nothing of it is held.
      this.compressed = codecs[this.coding].whole(
        Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from),
        this.level,
      )
      return true
    }
    if (this.held === null) {
      this.held = new HeldBytes(this.exchange.share)
      this.exchange.onDone(() => this.drop())
    }
    this.held.add(bytes, from, to)
    return true
  }

  end(trailers: Fields | null): void {
    if (this.over) return
    this.over = true
    const { coding, level, held } = this
    const bytes = this.compressed ?? (held === null ? nothing : compressWhole(coding, level, held))
    sendWhole(this.sink, this.head, bytes, trailers)
  }

  endOfTurn(): void {
    if (!this.over && !this.head.sent) this.exchange.resumed(() => this.head.send(-1))
  }

  resume(): boolean {
    return false
  }

  drop(): void {
    this.over = true
    this.held?.clear()
  }
}
