/**
 * The head of an answer that waits for its body, until the end of the turn in which it came at the latest: a body that is whole by
 * then is compressed in one go, and its length is known.
 */
import type { Sink } from '../../model/stage.ts'
import type { ResponseHead } from '../../wire/heads.ts'

export class HeldHead {
  /** It has gone to the sink. */
  sent = false
  private readonly sink: Sink
  private readonly head: ResponseHead

  constructor(sink: Sink, head: ResponseHead) {
    this.sink = sink
    this.head = head
  }

  /** @param length of the body; -1 where it is not known, or trailers follow */
  send(length: number): void {
    if (this.sent) return
    this.sent = true
    const { head } = this
    head.contentLength = length
    head.chunked = length < 0
    this.sink.answer(head, false)
  }
}
