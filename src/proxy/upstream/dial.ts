/**
 * One connection to one endpoint: its addresses are tried in turn until one answers or the time is over. Retrying is
 * safe, since nothing of the request has been sent. The link is handed over open and, for TLS, verified.
 */
import { nowMs } from '../../base/deadlines.ts'
import { type ErrorCode, ProxyError } from '../../base/errors.ts'
import type { Link, LinkHandler } from '../../model/link.ts'
import type { ClientTls } from '../../model/tls-terms.ts'
import { avoidMs, type Endpoint } from '../../model/upstream.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import type { Services } from '../seam/services.ts'

type Dialled = (link: Link | null, error: ProxyError | null) => void

/** Another cause than these, such as a want of descriptors, is ours. */
const endpointsFault: ReadonlySet<ErrorCode> = new Set([
  'CONNECT_REFUSED',
  'CONNECT_TIMEOUT',
  'NAME_NOT_RESOLVED',
  'UPSTREAM_TLS',
])

export class Dial implements LinkHandler, Waiting {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'connecting'
  watchIndex = -1
  private link: Link | null = null
  private left: number
  private settled: Dialled | null
  private readonly services: Services
  private readonly endpoint: Endpoint
  private readonly tls: ClientTls | null
  private readonly connectMs: number

  constructor(services: Services, endpoint: Endpoint, tls: ClientTls | null, connectMs: number, settled: Dialled) {
    this.tls = tls
    this.services = services
    this.endpoint = endpoint
    this.connectMs = connectMs
    this.settled = settled
    this.left = 0
    enter(this, 'connecting', services, connectMs)
    services.deadlines.watch(this)
    endpoint.addresses.ready(error => {
      if (this.settled === null) return
      if (error !== null) {
        this.finish(null, new ProxyError('NAME_NOT_RESOLVED', `look up ${endpoint.host}: ${error.message}`, error))
        return
      }
      this.left = endpoint.addresses.count
      this.tryNext(null)
    })
  }

  /** Gives up; `settled` is not called. */
  cancel(): void {
    this.settled = null
    this.services.deadlines.unwatch(this)
    this.link?.destroy()
  }

  onDeadline(): void {
    const message = `connect to ${this.endpoint.label} took longer than timeouts.connect (${this.connectMs} ms)`
    this.finish(null, new ProxyError('CONNECT_TIMEOUT', message))
  }

  onOpen(): void {
    this.finish(this.link, null)
  }

  onClose(error: ProxyError | null): void {
    if (this.settled === null) return
    const what = this.tls === null ? 'connection' : 'TLS handshake'
    this.tryNext(
      error ?? new ProxyError('CONNECT_REFUSED', `${this.endpoint.label} closed before the ${what} was complete`),
    )
  }

  // Bytes before the handshake is complete go to TLS, and a plain link is handed over the moment it opens.
  onData(): void {}
  onDrain(): void {}
  onEnd(): void {}

  private tryNext(error: ProxyError | null): void {
    const address = this.left-- > 0 ? this.endpoint.addresses.next() : null
    if (address === null) {
      this.finish(null, error ?? new ProxyError('NAME_NOT_RESOLVED', `${this.endpoint.host} has no address`))
      return
    }
    const full = this.services.descriptors.dial()
    if (full !== null) {
      this.finish(null, full)
      return
    }
    this.link = this.services.transport.connect({ address, port: this.endpoint.port, tls: this.tls }, this)
  }

  private finish(link: Link | null, error: ProxyError | null): void {
    const settled = this.settled
    if (settled === null) return
    this.settled = null
    this.services.deadlines.unwatch(this)
    const { endpoint } = this
    if (link === null) {
      this.link?.destroy()
      if (error !== null && endpointsFault.has(error.code)) endpoint.avoidUntil = nowMs() + avoidMs
    } else endpoint.avoidUntil = 0
    settled(link, error)
  }
}
