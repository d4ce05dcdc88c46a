/**
 * The request side of an origin that is not known yet: a stage waits for something. What comes meanwhile of the request body
 * is held, and its source stopped, until there is somewhere for it to go.
 */
import type { ProxyError } from '../../base/errors.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { RequestSink, Sink } from '../../model/stage.ts'
import type { Fields } from '../../wire/fields.ts'

export class PendingRequest implements RequestSink {
  private readonly held: HeldBytes
  private readonly sink: Sink
  private readonly failed: (error: ProxyError) => void
  private target: RequestSink | null = null
  private ended = false
  private trailers: Fields | null = null

  /**
   * @param sink is told when more can be taken
   * @param failed answers a request that fails before there is an origin for it
   */
  constructor(share: Share, sink: Sink, failed: (error: ProxyError) => void) {
    this.held = new HeldBytes(share)
    this.sink = sink
    this.failed = failed
  }

  /** What was held goes on, and all that follows. */
  flowInto(target: RequestSink): void {
    this.target = target
    const held = this.held.length > 0
    const open = this.held.each((bytes, from, to) => target.data(bytes, from, to))
    this.held.clear()
    if (this.ended) target.end(this.trailers)
    const flushed = !held || target.flush()
    if (open && flushed) this.sink.requestDrained()
  }

  data(bytes: Buffer, from: number, to: number): boolean {
    if (this.target !== null) return this.target.data(bytes, from, to)
    this.held.add(bytes, from, to)
    return false
  }

  end(trailers: Fields | null): void {
    if (this.target !== null) this.target.end(trailers)
    else {
      this.ended = true
      this.trailers = trailers
    }
  }

  flush(): boolean {
    return this.target === null || this.target.flush()
  }

  resumeAnswer(): void {
    this.target?.resumeAnswer()
  }

  fail(error: ProxyError): void {
    this.held.clear()
    if (this.target !== null) this.target.fail(error)
    else this.failed(error)
  }

  drop(): void {
    this.held.clear()
    this.target?.drop()
  }
}
