/**
 * A connection to an upstream for bytes: an endpoint is picked and dialled, and another one where that fails. Nothing was sent yet,
 * so each failure to connect may be tried again, within the retry policy.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Link } from '../../model/link.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import type { Services } from '../seam/services.ts'
import type { AddressWaiter } from './destination.ts'
import { Dial } from './dial.ts'
import type { Endpoint } from './endpoint.ts'
import type { Picked } from './picked.ts'
import type { Upstream } from './upstream.ts'

/** Whoever the connection is for. */
export interface ConnectionUser extends Picked {
  connected(link: Link): void
  /** May be called before `begin` returns. */
  connectFailed(error: ProxyError): void
}

export class Connecting implements AddressWaiter, Waiting {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'connecting'
  watchIndex = -1
  /** The one that is dialled, or was connected to; null after a failure */
  endpoint: Endpoint | null = null
  private readonly services: Services
  private readonly upstream: Upstream
  private readonly user: ConnectionUser
  private readonly connectMs: number
  private readonly tried: Endpoint[] = []
  private count = 0
  private dial: Dial | null = null
  private waitsForAddresses = false
  private lastError: ProxyError | null = null
  /** When the dial under way began; 0 where there is none, and where nobody measures */
  private triedAt = 0

  constructor(services: Services, upstream: Upstream, user: ConnectionUser, connectMs: number) {
    this.services = services
    this.upstream = upstream
    this.user = user
    this.connectMs = connectMs
  }

  begin(): void {
    const endpoint = this.upstream.pick(this.user, this.tried)
    if (endpoint !== null) this.connect(endpoint)
    else if (this.upstream.set.awaitMore(this)) this.await()
    else this.user.connectFailed(this.lastError ?? this.upstream.set.problem(this.upstream.name))
  }

  addressesCame(): void {
    if (!this.waitsForAddresses) return
    this.waitsForAddresses = false
    this.services.deadlines.unwatch(this)
    this.begin()
  }

  onDeadline(): void {
    this.waitsForAddresses = false
    this.services.deadlines.unwatch(this)
    const why = `no address of ${this.upstream.name} became known within timeouts.connect (${this.connectMs} ms)`
    this.user.connectFailed(this.lastError ?? new ProxyError('CONNECT_TIMEOUT', why))
  }

  /** Nobody waits for the connection, or it has ended. The user hears nothing more. */
  end(): void {
    this.dial?.cancel()
    this.dial = null
    this.waitsForAddresses = false
    this.services.deadlines.unwatch(this)
    this.leave()
  }

  private await(): void {
    this.waitsForAddresses = true
    enter(this, 'connecting', this.services, this.connectMs)
    this.services.deadlines.watch(this)
  }

  private connect(endpoint: Endpoint): void {
    this.endpoint = endpoint
    endpoint.active++
    this.count++
    this.triedAt = this.upstream.timed ? endpoint.tryBegan() : 0
    this.dial = new Dial(this.services, endpoint, endpoint.tls, this.connectMs, (link, error) => {
      this.dial = null
      this.measure()
      if (link !== null) this.user.connected(link)
      else this.failed(endpoint, error as ProxyError)
    })
  }

  private failed(endpoint: Endpoint, error: ProxyError): void {
    this.leave()
    this.tried.push(endpoint)
    this.lastError = error
    if (this.upstream.retry.again(error.code, this.count, null, true) === 'no') this.user.connectFailed(error)
    else this.begin()
  }

  /** How long the endpoint has taken to be connected to, or to fail */
  private measure(): void {
    if (this.triedAt > 0) this.endpoint?.tryEnded(this.triedAt)
    this.triedAt = 0
  }

  private leave(): void {
    this.measure()
    if (this.endpoint !== null) this.endpoint.active--
    this.endpoint = null
  }
}
