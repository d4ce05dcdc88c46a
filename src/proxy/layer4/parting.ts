/**
 * The last words to a client whose connection leads nowhere. What it still sends is read and thrown away, since a connection that is
 * closed with bytes unread is reset, and the words may be lost with it. It has a second to close.
 */
import type { Link, LinkHandler } from '../../model/link.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import type { Services } from '../seam/services.ts'

export class Parting implements LinkHandler, Waiting {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'closing'
  watchIndex = -1
  private readonly services: Services
  private readonly link: Link
  private readonly closed: () => void

  constructor(services: Services, link: Link, words: Buffer, closed: () => void) {
    this.services = services
    this.link = link
    this.closed = closed
    link.handler = this
    enter(this, 'closing', services)
    services.deadlines.watch(this)
    link.write(words)
    link.end()
    link.resume()
  }

  onOpen(): void {}
  onData(): void {}
  onDrain(): void {}

  onEnd(): void {
    this.link.close()
  }

  onClose(): void {
    this.services.deadlines.unwatch(this)
    this.closed()
  }

  onDeadline(): void {
    this.link.destroy()
  }
}
