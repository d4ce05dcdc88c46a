/**
 * Streams whose DATA waits for the connection: for its window, or for the peer to take what was sent. Who is next goes
 * by the priorities of RFC 9218 section 10: the most urgent first; among equals those that are of use only as a whole
 * one after the other, in the order they were asked for, then the incremental ones in turns.
 */
import { maxFrameBytes } from '../../wire/h2-frames.ts'
import type { Stream } from './stream.ts'

/** What everybody waits for. */
interface Sending {
  /** Bytes of DATA that the peer still allows on the connection */
  readonly sendWindow: number
  readonly output: { readonly blocked: boolean }
}

export class SendQueue {
  private readonly sending: Sending
  private readonly streams: Stream[] = []
  /** The stream whose turn it is */
  private current: Stream | null = null

  constructor(sending: Sending) {
    this.sending = sending
  }

  /** True while others have been waiting for longer. */
  mustWait(stream: Stream): boolean {
    return this.streams.length > 0 && this.current !== stream
  }

  add(stream: Stream): void {
    if (stream.queued) return
    stream.queued = true
    this.streams.push(stream)
  }

  remove(stream: Stream): void {
    if (!stream.queued) return
    stream.queued = false
    this.streams.splice(this.streams.indexOf(stream), 1)
  }

  /** Sends until nothing waits that can be sent. */
  pump(): void {
    // A stream that is drained may write again at once, and come back here.
    if (this.current !== null) return
    const { sending } = this
    while (this.streams.length > 0 && sending.sendWindow > 0 && !sending.output.blocked) {
      const stream = this.next()
      this.current = stream
      try {
        stream.sendPending(stream.incremental ? maxFrameBytes : Number.POSITIVE_INFINITY)
      } finally {
        this.current = null
      }
      if (!stream.waiting || stream.sendWindow <= 0) this.remove(stream)
      else if (stream.incremental && this.streams.length > 1) {
        this.remove(stream)
        this.add(stream)
      }
    }
  }

  private next(): Stream {
    let best = this.streams[0] as Stream
    for (const stream of this.streams) if (before(stream, best)) best = stream
    return best
  }
}

function before(one: Stream, other: Stream): boolean {
  if (one.urgency !== other.urgency) return one.urgency < other.urgency
  if (one.incremental !== other.incremental) return !one.incremental
  return !one.incremental && one.id < other.id
}
