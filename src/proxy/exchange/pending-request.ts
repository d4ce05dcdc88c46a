/**
 * The request side of an origin that is not known yet: a stage waits for something, perhaps for the body itself. What comes
 * meanwhile of the request body is held, and its source stopped, until there is somewhere for it to go. What is held then
 * becomes the target's, who may keep it for another try.
 */
import type { ProxyError } from '../../base/errors.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { RequestSink, Sink } from '../../model/stage.ts'
import type { Fields } from '../../wire/fields.ts'

/** Told once. `complete`: the body is whole; else it is longer than what was asked for. */
type Held = (complete: boolean) => void

export class PendingRequest implements RequestSink {
  private held: HeldBytes
  private readonly sink: Sink
  private readonly failed: (error: ProxyError) => void
  private target: RequestSink | null = null
  private ended = false
  private trailers: Fields | null = null
  /** Bytes that somebody waits for, and who */
  private limit = 0
  private told: Held | null = null
  /** The source was told to wait */
  private stopped = false
  /** The answer was let go on before its origin had returned */
  private resumed = false

  /**
   * @param sink is told when more can be taken
   * @param failed answers a request that fails before there is an origin for it
   */
  constructor(share: Share, sink: Sink, failed: (error: ProxyError) => void) {
    this.held = new HeldBytes(share)
    this.sink = sink
    this.failed = failed
  }

  /** Bytes held */
  get length(): number {
    return this.held.length
  }

  /** All that is held, in one buffer. It stays held. */
  whole(): Buffer {
    return this.held.length === 0 ? nothing : this.held.whole()
  }

  /** Lets the body come until it is whole or longer than `limit`, and then calls `told`, which may be at once. */
  hold(limit: number, told: Held): void {
    if (this.ended || this.held.length > limit) {
      told(this.ended && this.held.length <= limit)
      return
    }
    this.limit = limit
    this.told = told
    if (this.stopped) this.letCome()
  }

  /** Nobody waits for the body any more. */
  stopHolding(): void {
    this.told = null
  }

  /** What was held goes on, and all that follows. */
  flowInto(target: RequestSink): void {
    this.target = target
    this.told = null
    if (this.resumed) target.resumeAnswer()
    const { held } = this
    const some = held.length > 0
    this.held = new HeldBytes(null)
    const open = !some || target.dataHeld(held)
    if (this.ended) target.end(this.trailers)
    const flushed = !some || target.flush()
    if (open && flushed) this.letCome()
    else this.stopped = true
  }

  data(bytes: Buffer, from: number, to: number): boolean {
    if (this.target !== null) return this.target.data(bytes, from, to)
    this.held.add(bytes, from, to)
    this.stopped = this.told === null || this.held.length > this.limit
    if (this.told !== null && this.stopped) this.tell(false)
    return !this.stopped
  }

  dataHeld(held: HeldBytes): boolean {
    if (this.target !== null) return this.target.dataHeld(held)
    if (this.held.length === 0) {
      this.held = held
      this.stopped = this.told === null || held.length > this.limit
      if (this.told !== null && this.stopped) this.tell(false)
      return !this.stopped
    }
    const open = held.each((bytes, from, to) => this.data(bytes, from, to))
    held.clear()
    return open
  }

  end(trailers: Fields | null): void {
    if (this.target !== null) {
      this.target.end(trailers)
      return
    }
    this.ended = true
    this.trailers = trailers
    this.tell(true)
  }

  flush(): boolean {
    return this.target === null || this.target.flush()
  }

  resumeAnswer(): void {
    if (this.target === null) this.resumed = true
    else this.target.resumeAnswer()
  }

  fail(error: ProxyError): void {
    this.forget()
    if (this.target !== null) this.target.fail(error)
    else this.failed(error)
  }

  drop(): void {
    this.forget()
    this.target?.drop()
  }

  private tell(complete: boolean): void {
    const { told } = this
    this.told = null
    told?.(complete)
  }

  private letCome(): void {
    this.stopped = false
    this.sink.requestDrained()
  }

  private forget(): void {
    this.told = null
    this.held.clear()
  }
}

const nothing = Buffer.alloc(0)
