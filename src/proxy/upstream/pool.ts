/**
 * The connections to one endpoint: HTTP/1.1 ones that rest between exchanges, and HTTP/2 ones that carry many at once.
 * Which of them a backend speaks is the configuration's choice, or what ALPN settles. Where that may be HTTP/2,
 * exchanges that find no connection wait for the same new one.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Link } from '../../model/link.ts'
import type { ClientTls } from '../../model/tls-terms.ts'
import { BackendHttp1 } from '../http1/backend-http1.ts'
import { Http2Client } from '../http2/client.ts'
import type { Backend, Need } from '../seam/backend.ts'
import type { Services } from '../seam/services.ts'
import { Dial } from './dial.ts'
import type { Endpoint, EndpointPool } from './endpoint.ts'

/** Who waits for a connection. */
export interface Waiter {
  connected(backend: Backend): void
  connectFailed(error: ProxyError): void
  /** What was opened had no room left: ask again. */
  openAgain(): void
}

/** A connection that is being made. */
export interface Opening {
  cancel(waiter: Waiter): void
}

export function poolOf(endpoint: Endpoint, services: Services): Pool {
  if (endpoint.pool === null) {
    endpoint.pool = new Pool(endpoint, services)
    if (endpoint.gone) endpoint.pool.close()
  }
  return endpoint.pool as Pool
}

class Pool implements EndpointPool {
  /** Idle HTTP/1.1 connections that are kept */
  maxIdle = 0
  /** What the RFC asks every server to take, until the endpoint says (RFC 9113 section 6.5.2) */
  streamsAllowed = 100
  private readonly endpoint: Endpoint
  private readonly services: Services
  /** The most recently used last */
  private readonly idle: BackendHttp1[] = []
  private readonly sessions: Http2Client[] = []
  private shared: SharedOpening | null = null
  /** What was taken from it is not kept any more */
  private closed = false
  /** It is known, or ALPN said so last */
  private speaksHttp1: boolean

  constructor(endpoint: Endpoint, services: Services) {
    this.endpoint = endpoint
    this.services = services
    this.speaksHttp1 = endpoint.http === 1 || (endpoint.http === 'auto' && endpoint.tls === null)
  }

  /** A connection that is there already, or null. */
  take(need: Need): Backend | null {
    for (let at = this.sessions.length - 1; at >= 0; at--) {
      const backend = (this.sessions[at] as Http2Client).take(need)
      if (backend !== null) return backend
    }
    return this.idle.pop() ?? null
  }

  open(waiter: Waiter, connectMs: number, need: Need): Opening {
    const { endpoint } = this
    // Where both are possible, HTTP/1.1 is what every backend upgrades from.
    if (need !== 'request' && endpoint.http === 'auto')
      return new OwnOpening(this, waiter, connectMs, endpoint.spoken.http1Tls)
    if (this.speaksHttp1) return new OwnOpening(this, waiter, connectMs, endpoint.tls)
    if (this.shared?.full !== false) this.shared = new SharedOpening(this, endpoint.tls, connectMs, need)
    this.shared.join(waiter)
    return this.shared
  }

  /** Dials with these terms, and settles with what came of it. */
  dial(tls: ClientTls | null, connectMs: number, settled: (made: Made | ProxyError) => void): Dial {
    return new Dial(this.services, this.endpoint, tls, connectMs, (link, error) => {
      if (link === null) settled(error as ProxyError)
      else settled(this.made(link, connectMs))
    })
  }

  sharedSettled(opening: SharedOpening): void {
    if (this.shared === opening) this.shared = null
  }

  get size(): number {
    return this.idle.length + this.sessions.length
  }

  // What connections tell their pool

  rest(connection: BackendHttp1): boolean {
    if (this.closed || this.idle.length >= this.maxIdle || this.services.draining) return false
    this.idle.push(connection)
    return true
  }

  leave(connection: BackendHttp1 | Http2Client): void {
    const list: (BackendHttp1 | Http2Client)[] = connection instanceof BackendHttp1 ? this.idle : this.sessions
    const at = list.lastIndexOf(connection)
    if (at >= 0) list.splice(at, 1)
  }

  /** @returns how many of the idle connections were closed, `most` of them */
  closeIdle(most: number): number {
    const closed = this.idle.splice(0, most)
    for (const connection of closed) connection.close()
    return closed.length
  }

  close(): void {
    this.closed = true
    for (const connection of this.idle.splice(0)) connection.close()
    for (const session of this.sessions.splice(0)) session.close()
  }

  /** The pool was closed while the connection was made: it ends with the exchanges that have waited for it. */
  usedUp(session: Http2Client): void {
    if (this.closed) session.close()
  }

  private made(link: Link, connectMs: number): Made | ProxyError {
    const { endpoint, services } = this
    const alpn = endpoint.tls === null ? null : (link.tls?.alpn ?? null)
    if (endpoint.tls === null ? endpoint.http === 2 : alpn === 'h2') {
      this.speaksHttp1 = false
      const session = new Http2Client(services, endpoint, this, link, connectMs)
      this.sessions.push(session)
      return session
    }
    if (endpoint.http === 2) {
      link.destroy()
      return new ProxyError('UPSTREAM_TLS', `${endpoint.label} did not choose h2 by ALPN, and http is 2`)
    }
    this.speaksHttp1 = true
    return new BackendHttp1(services, endpoint.spoken, this, link)
  }
}

type Made = BackendHttp1 | Http2Client

/** For one exchange alone. */
class OwnOpening implements Opening {
  private readonly dial: Dial

  constructor(pool: Pool, waiter: Waiter, connectMs: number, tls: ClientTls | null) {
    this.dial = pool.dial(tls, connectMs, made => {
      if (made instanceof ProxyError) waiter.connectFailed(made)
      else if (made instanceof BackendHttp1) waiter.connected(made)
      else {
        const backend = made.take('request') as Backend
        pool.usedUp(made)
        waiter.connected(backend)
      }
    })
  }

  cancel(): void {
    this.dial.cancel()
  }
}

class SharedOpening implements Opening {
  private readonly pool: Pool
  private readonly need: Need
  private readonly waiters = new Set<Waiter>()
  private settled = false

  constructor(pool: Pool, tls: ClientTls | null, connectMs: number, need: Need) {
    this.pool = pool
    this.need = need
    pool.dial(tls, connectMs, made => this.onMade(made))
  }

  get full(): boolean {
    return this.settled || this.waiters.size >= this.pool.streamsAllowed
  }

  join(waiter: Waiter): void {
    this.waiters.add(waiter)
  }

  /** The others still want it, and if there are none, the next exchange will. */
  cancel(waiter: Waiter): void {
    this.waiters.delete(waiter)
  }

  private onMade(made: Made | ProxyError): void {
    this.settled = true
    this.pool.sharedSettled(this)
    const waiters = [...this.waiters]
    if (made instanceof ProxyError) {
      for (const waiter of waiters) waiter.connectFailed(made)
      return
    }
    let single: Backend | null = made instanceof BackendHttp1 ? made : null
    for (const waiter of waiters) {
      // The one before may have cancelled it.
      if (!this.waiters.delete(waiter)) continue
      const backend = made instanceof BackendHttp1 ? single : made.take(this.need)
      single = null
      if (backend !== null) waiter.connected(backend)
      else waiter.openAgain()
    }
    if (made instanceof Http2Client) this.pool.usedUp(made)
    else if (single !== null) made.rest()
  }
}
