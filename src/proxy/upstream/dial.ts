/**
 * One connection to one endpoint, handed over open and, for TLS, verified. Nothing of a request has been sent, so whatever goes
 * wrong here may be tried again elsewhere.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Link, LinkHandler } from '../../model/link.ts'
import type { ClientTls } from '../../model/tls-terms.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import type { Services } from '../seam/services.ts'
import type { Endpoint } from './endpoint.ts'
import { isRefusal } from './retry.ts'

type Dialled = (link: Link | null, error: ProxyError | null) => void

export class Dial implements LinkHandler, Waiting {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'connecting'
  watchIndex = -1
  private readonly link: Link | null = null
  private settled: Dialled | null
  private readonly services: Services
  private readonly endpoint: Endpoint
  private readonly tls: ClientTls | null
  private readonly connectMs: number

  /** `settled` is never called before this returns. */
  constructor(services: Services, endpoint: Endpoint, tls: ClientTls | null, connectMs: number, settled: Dialled) {
    this.tls = tls
    this.services = services
    this.endpoint = endpoint
    this.connectMs = connectMs
    this.settled = settled
    const full = services.descriptors.dial()
    if (full !== null) {
      queueMicrotask(() => this.finish(null, full))
      return
    }
    enter(this, 'connecting', services, connectMs)
    services.deadlines.watch(this)
    const { address, port, unix } = endpoint.place
    this.link = services.transport.connect({ address, port, unix, tls }, this)
  }

  /** Gives up; `settled` is not called. */
  cancel(): void {
    this.settled = null
    this.services.deadlines.unwatch(this)
    this.link?.destroy()
  }

  onDeadline(): void {
    const message = `connect to ${this.endpoint.where} took longer than timeouts.connect (${this.connectMs} ms)`
    this.finish(null, new ProxyError('CONNECT_TIMEOUT', message))
  }

  onOpen(): void {
    this.finish(this.link, null)
  }

  onClose(error: ProxyError | null): void {
    const what = this.tls === null ? 'connection' : 'TLS handshake'
    const closed = `${this.endpoint.where} closed before the ${what} was complete`
    this.finish(null, error ?? new ProxyError('CONNECT_REFUSED', closed))
  }

  // Bytes before the handshake is complete go to TLS, and a plain link is handed over the moment it opens.
  onData(): void {}
  onDrain(): void {}
  onEnd(): void {}

  private finish(link: Link | null, error: ProxyError | null): void {
    const settled = this.settled
    if (settled === null) return
    this.settled = null
    this.services.deadlines.unwatch(this)
    const { endpoint } = this
    if (link === null) {
      this.link?.destroy()
      if (error !== null && isRefusal(error.code)) endpoint.avoid()
    } else endpoint.wasConnected()
    settled(link, error)
  }
}
