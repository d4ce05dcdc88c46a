/**
 * A body that is long, or of a length that nobody knows. It may turn out to be short: what ends in the turn in which it began is
 * compressed in one go. Otherwise it goes through an encoder of zlib, which works in a thread, a piece at a time, and is flushed
 * once the backend has sent nothing for a turn, so that an event reaches its client when it was sent.
 *
 * Who is slow stops the source: what comes while the encoder works is held, and an encoder whose output is not taken does no
 * more work. Encoders are bounded by `Services.compressors`, where this body has its place before it begins.
 *
 * Invariant: the place, and what the encoder takes of the share, are given back once: at the end, or when it is dropped.
 */

import { messageOf, ProxyError } from '../../base/errors.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import type { TurnTask } from '../../base/turn.ts'
import type { Sink } from '../../model/stage.ts'
import type { Fields } from '../../wire/fields.ts'
import { type Coding, codecs, type Encoder } from './codings.ts'
import type { CompressingExchange } from './compressing-exchange.ts'
import type { HeldHead } from './held-head.ts'
import { type CompressedBody, compressWhole, sendWhole, wholeAtMost } from './whole-body.ts'

/** Bytes that are held while the encoder works, before the source is stopped, and when it is let go on */
const heldAtMost = 65_536
const goesOnAt = 16_384
/** Bytes that the encoder is given at once: no piece keeps a thread for long */
const pieceBytes = 65_536

export class StreamedBody implements CompressedBody, TurnTask {
  private readonly exchange: CompressingExchange
  private readonly sink: Sink
  private readonly head: HeldHead
  private readonly letSourceGoOn: () => void
  private readonly coding: Coding
  private readonly level: number | null
  private readonly held: HeldBytes
  private encoder: Encoder | null = null
  /** The encoder works */
  private working = false
  /** The encoder has something that the client cannot read yet */
  private unflushed = false
  /** The end of this turn is waited for */
  private waitsForTurn = false
  /** The source was told to wait */
  private stopped = false
  /** The sink was drained, perhaps within the call that answers `false` */
  private drained = false
  private ended = false
  private trailers: Fields | null = null
  private over = false

  /** There is a place for it. */
  constructor(
    exchange: CompressingExchange,
    sink: Sink,
    head: HeldHead,
    letSourceGoOn: () => void,
    coding: Coding,
    level: number | null,
  ) {
    this.exchange = exchange
    this.sink = sink
    this.head = head
    this.letSourceGoOn = letSourceGoOn
    this.coding = coding
    this.level = level
    this.held = new HeldBytes(exchange.share)
    exchange.onDone(() => this.drop())
    // Its head goes out although nothing of the body has come.
    this.waitForTurn()
  }

  data(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.over) return true
    this.held.add(bytes, from, to)
    if (this.encoder === null && this.held.length > wholeAtMost) this.begin()
    this.goOn()
    this.stopped = this.held.length >= heldAtMost
    return !this.stopped
  }

  end(trailers: Fields | null): void {
    if (this.over) return
    this.ended = true
    this.trailers = trailers
    if (this.encoder !== null) {
      this.goOn()
      return
    }
    const bytes = compressWhole(this.coding, this.level, this.held)
    this.drop()
    sendWhole(this.sink, this.head, bytes, trailers)
  }

  resume(): boolean {
    this.drained = true
    this.encoder?.resume()
    // Whoever stopped the source, with or without this one: it is told.
    this.stopped = true
    this.letGo()
    return true
  }

  drop(): void {
    if (this.over) return
    this.over = true
    this.held.clear()
    this.exchange.services.compressors.leave()
    if (this.encoder === null) return
    this.exchange.share.add(-codecs[this.coding].cost)
    this.encoder.destroy()
  }

  endOfTurn(): void {
    this.waitsForTurn = false
    if (!this.over) this.exchange.resumed(() => this.turnEnded())
  }

  private turnEnded(): void {
    this.head.send(-1)
    if (this.encoder === null) {
      if (this.held.length === 0) return
      this.begin()
      this.goOn()
    } else if (!this.working && this.unflushed) {
      this.unflushed = false
      this.working = true
      this.encoder.flush(codecs[this.coding].flushWith, () => this.worked(0))
    }
  }

  private begin(): void {
    const { cost, stream } = codecs[this.coding]
    const encoder = stream(this.level)
    this.encoder = encoder
    this.head.send(-1)
    this.exchange.share.add(cost)
    encoder.on('data', (chunk: Buffer) => this.exchange.resumed(() => this.output(chunk)))
    encoder.on('end', () => this.exchange.resumed(() => this.whole()))
    encoder.on('error', error => this.exchange.resumed(() => this.failed(error)))
  }

  /** Gives the encoder what is there for it. It never answers within the call. */
  private goOn(): void {
    const { encoder, held } = this
    if (encoder === null) {
      this.waitForTurn()
      return
    }
    if (this.working) return
    if (held.length > 0) {
      const { bytes, from, to } = held
      const count = Math.min(to - from, pieceBytes)
      this.working = true
      // It stays held until the thread has read it.
      encoder.write(bytes.subarray(from, from + count), () => this.worked(count))
    } else if (this.ended) {
      this.working = true
      encoder.end()
    } else if (this.unflushed) this.waitForTurn()
  }

  /** @param count bytes that the encoder has taken; 0 after a flush */
  private worked(count: number): void {
    this.exchange.resumed(() => {
      if (this.over) return
      this.working = false
      if (count > 0) {
        this.held.drop(count)
        this.unflushed = true
      }
      this.goOn()
      this.letGo()
    })
  }

  private output(chunk: Buffer): void {
    if (this.over) return
    this.drained = false
    if (!this.sink.data(chunk, 0, chunk.length) && !this.drained) this.encoder?.pause()
  }

  private whole(): void {
    if (this.over) return
    this.drop()
    this.sink.end(this.trailers)
  }

  private failed(error: unknown): void {
    if (this.over) return
    this.drop()
    this.sink.abort(new ProxyError('INTERNAL', `compressing with ${this.coding}: ${messageOf(error)}`, error))
  }

  private letGo(): void {
    if (!this.stopped || this.ended || this.over || this.held.length > goesOnAt) return
    this.stopped = false
    this.letSourceGoOn()
  }

  private waitForTurn(): void {
    if (this.waitsForTurn) return
    this.waitsForTurn = true
    this.exchange.services.turn.later(this)
  }
}
