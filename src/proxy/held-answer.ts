/** What a backend sends while a response filter is still at work: the rest of one answer, until its head may leave. */
import type { Fields } from '../wire/fields.ts'
import type { Downstream } from './downstream.ts'

export class HeldAnswer {
  ended = false
  trailers: Fields | null = null
  bytes = 0
  private readonly chunks: Buffer[] = []

  data(bytes: Buffer, from: number, to: number): void {
    this.chunks.push(bytes.subarray(from, to))
    this.bytes += to - from
  }

  end(trailers: Fields | null): void {
    this.ended = true
    this.trailers = trailers
  }

  /** @returns false when the client should not get more yet */
  sendTo(downstream: Downstream): boolean {
    let open = true
    for (const chunk of this.chunks) open = downstream.data(chunk, 0, chunk.length)
    return open
  }
}
