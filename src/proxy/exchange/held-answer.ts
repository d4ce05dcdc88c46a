/** What a backend sends while a response filter is still at work: the rest of one answer, until its head may leave. */
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { Sink } from '../../model/stage.ts'
import type { Fields } from '../../wire/fields.ts'

export class HeldAnswer {
  ended = false
  trailers: Fields | null = null
  private readonly held: HeldBytes

  constructor(share: Share) {
    this.held = new HeldBytes(share)
  }

  get bytes(): number {
    return this.held.length
  }

  data(bytes: Buffer, from: number, to: number): void {
    this.held.add(bytes, from, to)
  }

  end(trailers: Fields | null): void {
    this.ended = true
    this.trailers = trailers
  }

  /** @returns false when the client should not get more yet */
  sendTo(sink: Pick<Sink, 'data'>): boolean {
    const open = this.held.each((bytes, from, to) => sink.data(bytes, from, to))
    this.held.clear()
    return open
  }

  drop(): void {
    this.held.clear()
  }
}
