/**
 * Passthrough and tcp sites: pick an endpoint, connect (another one is safe to try, nothing was sent yet), say who the
 * client is with a PROXY header if asked, then splice. A client that is not heard meanwhile is not read either.
 */
import { nowMs } from '../../base/deadlines.ts'
import { ProxyError } from '../../base/errors.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Connection } from '../../model/connection.ts'
import type { Link, LinkHandler } from '../../model/link.ts'
import type { Site } from '../../model/site.ts'
import type { Endpoint } from '../../model/upstream.ts'
import type { Holder } from '../seam/holder.ts'
import { proxyHeaderFor } from '../seam/proxy-out.ts'
import { Splice } from '../seam/splice.ts'
import { Dial } from '../upstream/dial.ts'

/** @param first bytes for the backend ahead of all others: the ClientHello of a passthrough */
export function carry(
  listener: Holder,
  connection: Connection,
  site: Site,
  first: Buffer | null,
  closed: () => void,
): void {
  new Layer4(listener, connection, site, first, closed).attempt()
}

class Layer4 implements LinkHandler {
  private readonly listener: Holder
  private readonly connection: Connection
  private readonly site: Site
  private readonly closed: () => void
  private readonly startedAt = nowMs()
  private readonly early: HeldBytes
  private dial: Dial | null = null
  private tried: Endpoint[] = []
  private endpoint: Endpoint | null = null
  private clientEnded = false
  private splice: Splice | null = null
  private connectMs = 0

  constructor(listener: Holder, connection: Connection, site: Site, first: Buffer | null, closed: () => void) {
    this.listener = listener
    this.connection = connection
    this.site = site
    this.closed = closed
    this.early = new HeldBytes(connection.link.share)
    if (first !== null) this.early.add(first)
    connection.link.handler = this
    listener.hold(this)
  }

  attempt(): void {
    const { action } = this.site
    if (action.kind === 'http') return
    const endpoint = action.upstream.pick(this.tried)
    if (endpoint === null) {
      this.fail(new ProxyError('NO_ENDPOINT', `${action.upstream.name} has no endpoint left to try`))
      return
    }
    this.endpoint = endpoint
    endpoint.active++
    this.dial = new Dial(
      this.listener.services,
      endpoint,
      endpoint.tls,
      action.timeouts.connectMs,
      (link, error) => {
        this.dial = null
        if (link !== null) {
          this.join(link, action.timeouts.idleMs)
          return
        }
        endpoint.active--
        this.endpoint = null
        this.tried.push(endpoint)
        if (this.tried.length < action.upstream.endpoints.length) this.attempt()
        else this.fail(error as ProxyError)
      },
    )
  }

  /** What the client sends before there is a backend waits, and the client with it. */
  onData(chunk: Buffer): void {
    this.early.add(chunk)
    this.connection.link.pause()
  }

  onEnd(): void {
    this.clientEnded = true
  }

  onOpen(): void {}
  onDrain(): void {}

  onClose(error: ProxyError | null): void {
    this.dial?.cancel()
    this.end(0, 0, error ?? new ProxyError('CLIENT_GONE', 'the client left before its backend was connected'))
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

  private join(backend: Link, idleMs: number): void {
    const { link } = this.connection
    const { action } = this.site
    if (action.kind === 'http') return
    this.connectMs = nowMs() - this.startedAt
    this.splice = new Splice(this.listener.services, link, backend, idleMs, (splice, error) =>
      this.end(splice.bytesIn, splice.bytesOut, error),
    )
    backend.cork()
    const header = proxyHeaderFor(action.upstream.proxyProtocol, this.connection, action.kind === 'tcp')
    if (header !== null) backend.write(header)
    this.splice.moved(true, this.early.length)
    this.early.each((bytes, from, to) => backend.write(bytes, from, to))
    this.early.clear()
    backend.uncork()
    if (!backend.needsDrain) link.resume()
    if (this.clientEnded) this.splice.clientEnded()
  }

  private fail(error: ProxyError): void {
    this.connection.link.handler = closing
    this.connection.link.destroy()
    this.end(0, 0, error)
  }

  private end(bytesIn: number, bytesOut: number, error: ProxyError | null): void {
    const { listener, connection, endpoint, site } = this
    if (site.action.kind === 'http') return
    if (endpoint !== null) endpoint.active--
    this.endpoint = null
    listener.letGo(this)
    const record = {
      kind: site.action.kind,
      connection,
      upstream: site.action.upstream,
      endpoint: endpoint?.label ?? '',
      bytesIn,
      bytesOut,
      connectMs: this.connectMs,
      totalMs: nowMs() - this.startedAt,
      error: error?.code ?? null,
      why: error?.message ?? null,
    } as const
    listener.services.events.splice(record)
    this.closed()
  }
}

const closing: LinkHandler = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} }
