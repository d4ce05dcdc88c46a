/**
 * Two links joined: what one reads the other writes, each direction ends by itself (half-close), and a side that is
 * slow to write stops the other from being read. Used for passthrough, for tcp sites and after an upgrade.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Link, LinkHandler } from '../../model/link.ts'
import { type ConnectionPhase, enter, type Waiting } from './connection-phase.ts'
import type { Services } from './services.ts'

export type SpliceEnded = (splice: Splice, error: ProxyError | null) => void

export class Splice implements Waiting {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'tunnel'
  watchIndex = -1
  /** From the client to the backend; once it has ended, without what the backend's connection could not take any more */
  bytesIn = 0
  /** From the backend to the client, likewise */
  bytesOut = 0
  private readonly services: Services
  private readonly client: Side
  private readonly backend: Side
  private readonly idleMs: number
  private readonly lifetimeMs: number
  /** Infinity: it may go on for as long as bytes move */
  private readonly endsAt: number
  private readonly ended: SpliceEnded
  private error: ProxyError | null = null
  private open = 2
  private over = false
  private queuedThen = 0
  private movedAt: number

  /** @param lifetimeMs however busy it is; 0 for none */
  constructor(services: Services, client: Link, backend: Link, idleMs: number, ended: SpliceEnded, lifetimeMs = 0) {
    this.services = services
    this.idleMs = idleMs
    this.lifetimeMs = lifetimeMs
    this.endsAt = lifetimeMs === 0 ? Number.POSITIVE_INFINITY : services.deadlines.now + lifetimeMs
    this.ended = ended
    this.client = new Side(this, client, true)
    this.backend = new Side(this, backend, false)
    this.client.other = this.backend
    this.backend.other = this.client
    client.handler = this.client
    backend.handler = this.backend
    this.movedAt = services.deadlines.now
    this.look(services.deadlines.now)
    services.deadlines.watch(this)
  }

  /** The client has ended its direction before the splice began. */
  clientEnded(): void {
    this.client.onEnd()
  }

  moved(fromClient: boolean, bytes: number): void {
    if (fromClient) this.bytesIn += bytes
    else this.bytesOut += bytes
    this.movedAt = this.services.deadlines.now
  }

  onDeadline(now: number): void {
    if (this.phase === 'closing') {
      this.abort(null)
      return
    }
    // A peer that reads slowly makes progress without a new byte being read from the other side.
    const queued = this.client.link.queuedBytes + this.backend.link.queuedBytes
    if (queued !== this.queuedThen) this.movedAt = now
    this.queuedThen = queued
    if (now >= this.endsAt)
      this.abort(new ProxyError('CONNECTION_LIFETIME', `open for timeouts.lifetime (${this.lifetimeMs} ms)`))
    else if (this.idleMs > 0 && now >= this.movedAt + this.idleMs)
      this.abort(new ProxyError('CLIENT_STALLED', `no byte in either direction for ${this.idleMs} ms`))
    else this.look(now)
  }

  /** Waits until there may be something to end. */
  private look(now: number): void {
    const idle = this.idleMs === 0 ? this.endsAt : Math.min(this.movedAt + this.idleMs, now + this.idleMs / 4)
    const next = Math.min(idle, this.endsAt)
    enter(this, 'tunnel', this.services, next === Number.POSITIVE_INFINITY ? 0 : Math.max(1, next - now))
  }

  abort(error: ProxyError | null): void {
    this.error ??= error
    enter(this, 'closing', this.services)
    this.client.link.destroy()
    this.backend.link.destroy()
  }

  sideClosed(side: Side, error: ProxyError | null): void {
    this.open--
    // Of a tunnel's link it may be part of the head before it.
    if (side === this.client) this.bytesOut = Math.max(0, this.bytesOut - side.link.lostBytes)
    else this.bytesIn = Math.max(0, this.bytesIn - side.link.lostBytes)
    if (this.open === 1) {
      // Whoever has said its last word may close as it likes: a reset after that is no loss.
      if (side.gotEnd) (side.other as Side).link.close()
      else {
        const gone = side === this.client ? 'CLIENT_GONE' : 'UPSTREAM_TRUNCATED'
        const code = error?.code === 'MEMORY_BUDGET' ? error.code : gone
        const who = side === this.client ? 'the client' : 'the backend'
        this.error ??= new ProxyError(
          code,
          `${who} cut the connection: ${error?.message ?? 'closed'}`,
          error ?? undefined,
        )
        ;(side.other as Side).link.destroy()
      }
    }
    // Closing the other side may have come back here already.
    if (this.open > 0 || this.over) return
    this.over = true
    this.services.deadlines.unwatch(this)
    this.ended(this, this.error)
  }
}

class Side implements LinkHandler {
  other: Side | null = null
  gotEnd = false
  readonly link: Link
  private readonly splice: Splice
  private readonly isClient: boolean

  constructor(splice: Splice, link: Link, isClient: boolean) {
    this.splice = splice
    this.link = link
    this.isClient = isClient
  }

  onOpen(): void {}

  onData(chunk: Buffer): void {
    this.splice.moved(this.isClient, chunk.length)
    if (!(this.other as Side).link.write(chunk)) this.link.pause()
  }

  onDrain(): void {
    ;(this.other as Side).link.resume()
  }

  onEnd(): void {
    this.gotEnd = true
    ;(this.other as Side).link.end()
  }

  onClose(error: ProxyError | null): void {
    this.splice.sideClosed(this, error)
  }
}
