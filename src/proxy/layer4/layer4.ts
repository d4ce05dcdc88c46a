/**
 * Passthrough and tcp sites: connect to the upstream, say who the client is with a PROXY header if asked, then splice. A client that is not heard meanwhile is not read either.
 */
import { nowMs } from '../../base/deadlines.ts'
import { ProxyError } from '../../base/errors.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Connection } from '../../model/connection.ts'
import type { Link, LinkHandler } from '../../model/link.ts'
import type { Site } from '../../model/site.ts'
import { greets } from '../../wire/start-tls/backend-greeting.ts'
import type { StartTls } from '../../wire/start-tls/dialogs.ts'
import { unavailable } from '../../wire/start-tls/unavailable.ts'
import type { ConnectionUse, Holder } from '../seam/holder.ts'
import { proxyHeaderFor } from '../seam/proxy-out.ts'
import { Splice, type SpliceEnded } from '../seam/splice.ts'
import { Connecting, type ConnectionUser } from '../upstream/connecting.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { BackendGreeting, type GreetingUser } from './backend-greeting.ts'
import { Parting } from './parting.ts'

/**
 * @param first bytes for the backend ahead of all others: the ClientHello of a passthrough
 * @param startedBy the protocol in which the client has asked for TLS
 */
export function carry(
  listener: Holder,
  connection: Connection,
  site: Site,
  first: Buffer | null,
  closed: () => void,
  startedBy: StartTls | null = null,
): void {
  if (site.action.kind !== 'http') new Layer4(listener, connection, site.action, first, closed, startedBy).begin()
}

type Action = Exclude<Site['action'], { kind: 'http' }>

class Layer4 implements LinkHandler, ConnectionUser, GreetingUser {
  private readonly listener: Holder
  readonly connection: Connection
  private readonly action: Action
  private readonly upstream: Upstream
  private readonly closed: () => void
  private readonly startedAt = nowMs()
  private readonly early: HeldBytes
  private readonly connecting: Connecting
  private clientEnded = false
  private greeting: BackendGreeting | null = null
  private backend: Link | null = null
  private splice: Splice | null = null
  private readonly startedBy: StartTls | null
  private connectMs = 0

  constructor(
    listener: Holder,
    connection: Connection,
    action: Action,
    first: Buffer | null,
    closed: () => void,
    startedBy: StartTls | null,
  ) {
    this.listener = listener
    this.startedBy = startedBy
    this.connection = connection
    this.action = action
    // The upstreams of a snapshot are those of the data plane: the model knows no more of them than a name.
    this.upstream = action.upstream as Upstream
    this.connecting = new Connecting(listener.services, this.upstream, this, action.timeouts.connectMs)
    this.closed = closed
    this.early = new HeldBytes(connection.link.share)
    if (first !== null) this.early.add(first)
    connection.link.handler = this
    listener.hold(this)
  }

  begin(): void {
    this.connecting.begin()
  }

  // ConnectionUser

  get clientAddress(): string {
    return this.connection.clientAddress
  }

  get host(): string {
    return this.connection.serverName ?? ''
  }

  get path(): string {
    return ''
  }

  get query(): string {
    return ''
  }

  get ja4(): string | null {
    return this.connection.fingerprint?.ja4 ?? null
  }

  get clientSubject(): string | null {
    return this.connection.identity?.subject ?? null
  }

  field(): null {
    return null
  }

  connected(backend: Link): void {
    const { action, startedBy } = this
    this.connectMs = nowMs() - this.startedAt
    const header = proxyHeaderFor(this.upstream.terms.proxyProtocol, this.connection, action.kind === 'tcp')
    this.backend = backend
    const passes = action.kind === 'passthrough'
    const first = passes ? (startedBy === 'postgres' ? startedBy : null) : greets(startedBy) ? startedBy : null
    if (first === null) {
      this.join(backend, header)
      return
    }
    if (header !== null) backend.write(header)
    this.greeting = new BackendGreeting(this.listener.services, first, backend, action.timeouts.greetingMs, this)
  }

  greeted(): void {
    this.greeting = null
    this.join(this.backend as Link, null)
  }

  notGreeted(error: ProxyError, words: Buffer): void {
    this.greeting = null
    if (words.length === 0) this.connectFailed(error)
    else this.refuse(error, words)
  }

  /** Cut off, or told why in its own protocol */
  private refuse(error: ProxyError, words: Buffer): void {
    const { link } = this.connection
    if (words.length === 0) {
      link.handler = closing
      link.destroy()
      this.end(0, 0, error)
    } else new Parting(this.listener.services, link, words, () => this.end(0, words.length, error))
  }

  private join(backend: Link, header: Buffer | null): void {
    const { link } = this.connection
    const { action } = this
    const { idleMs, lifetimeMs } = action.timeouts
    const ended: SpliceEnded = (splice, error) => this.end(splice.bytesIn, splice.bytesOut, error)
    this.splice = new Splice(this.listener.services, link, backend, idleMs, ended, lifetimeMs)
    backend.cork()
    if (header !== null) backend.write(header)
    this.splice.moved(true, this.early.length)
    this.early.each((bytes, from, to) => backend.write(bytes, from, to))
    this.early.clear()
    backend.uncork()
    if (!backend.needsDrain) link.resume()
    if (this.clientEnded) this.splice.clientEnded()
  }

  connectFailed(error: ProxyError): void {
    const { action } = this
    this.refuse(error, Buffer.from(action.kind === 'tcp' ? unavailable(action.startTls) : '', 'latin1'))
  }

  // Link

  /** What the client sends before there is a backend waits, and the client with it. */
  onData(chunk: Buffer): void {
    this.early.add(chunk)
    this.connection.link.pause()
  }

  onEnd(): void {
    this.clientEnded = true
    // It has said nothing, and will not: the greeting is for nobody.
    if (this.greeting !== null && this.early.length === 0) this.connection.link.close()
  }

  onOpen(): void {}
  onDrain(): void {}

  onClose(error: ProxyError | null): void {
    this.end(0, 0, error ?? new ProxyError('CLIENT_GONE', 'the client left before its backend was connected'))
  }

  use(): ConnectionUse {
    const { kind } = this.action
    return { protocol: kind === 'passthrough' ? kind : 'tcp', requests: 0, underWay: 1 }
  }

  /** A splice has no point at which it could end well: it goes on until the drain's deadline. */
  drain(): void {}

  closeIfIdle(): boolean {
    return false
  }

  cut(): void {
    if (this.splice !== null) this.splice.abort(new ProxyError('DRAINING', 'cut at timeouts.drain'))
    else this.connection.link.destroy()
  }

  private end(bytesIn: number, bytesOut: number, error: ProxyError | null): void {
    const { listener, connection, action, connecting } = this
    const endpoint = connecting.endpoint?.label ?? ''
    connecting.end()
    this.greeting?.cancel()
    listener.letGo(this)
    listener.services.events.connection({
      kind: action.kind,
      connection,
      site: connection.site as Site,
      upstream: action.upstream,
      endpoint,
      bytesIn,
      bytesOut,
      connectMs: this.connectMs,
      totalMs: nowMs() - this.startedAt,
      error: error?.code ?? null,
      why: error?.message ?? null,
    })
    this.closed()
  }
}

const closing: LinkHandler = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} }
