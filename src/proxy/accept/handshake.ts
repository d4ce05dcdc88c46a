/**
 * The TLS handshake of a connection whose verdict is known: its terms, which may have to be ordered or looked up first, and what
 * follows it. Without terms it fails closed, and says so where the operator looks.
 */
import { nowMs } from '../../base/deadlines.ts'
import { ProxyError } from '../../base/errors.ts'
import { Gathered } from '../../base/gathered.ts'
import type { Connection } from '../../model/connection.ts'
import type { EndingAlert } from '../../model/records.ts'
import type { Site } from '../../model/site.ts'
import type { ServerTls } from '../../model/tls-terms.ts'
import type { ClientHello } from '../../wire/client-hello.ts'
import type { StartTls } from '../../wire/start-tls/dialogs.ts'
import { alerts } from '../../wire/tls-alert.ts'
import { carry } from '../layer4/layer4.ts'
import { identify } from '../seam/client-certificate.ts'
import { explainFailure } from '../seam/handshake-failure.ts'
import type { Holder } from '../seam/holder.ts'
import { termsRefusal } from './challenge-terms.ts'
import { serveHttp } from './serve.ts'

/** The connection as it has been so far. */
export interface Opening {
  readonly listener: Holder
  readonly connection: Connection
  readonly startedAt: number
  /** The client is gone, or was told to go */
  readonly isOver: boolean
  refuse(error: ProxyError, alert?: number | null): void
  report(error: ProxyError, alert: EndingAlert | null): void
  /** It is somebody else's from now on. */
  leave(): void
  /** It is gone. */
  release(): void
}

export class Handshake {
  /** The certificate is being looked up or ordered; what comes meanwhile is held */
  waiting = false
  private readonly opening: Opening
  private readonly hello: ClientHello
  /** Null for a CA that looks for the answer to a challenge */
  private readonly site: Site | null
  private readonly startedBy: StartTls | null
  private readonly held: Gathered

  /** @param startedBy the protocol in which the client has asked for TLS; null for one that began with it */
  constructor(opening: Opening, hello: ClientHello, site: Site | null, startedBy: StartTls | null) {
    this.opening = opening
    this.hello = hello
    this.site = site
    this.startedBy = startedBy
    this.held = new Gathered(opening.connection.link.share)
  }

  /** @param peeked the bytes of the hello, and what came with them */
  begin(find: () => ServerTls | Promise<ServerTls>, peeked: Buffer): void {
    try {
      const terms = find()
      if (!(terms instanceof Promise)) this.secure(terms, peeked)
      else
        this.wait(
          terms,
          ready => this.secure(ready, this.withHeld(peeked)),
          error => this.withoutTerms(error),
        )
    } catch (error) {
      this.withoutTerms(error)
    }
  }

  /** A client sends nothing behind its hello before it has an answer; a few bytes are not worth a fault. */
  keep(chunk: Buffer): void {
    const { helloBytes } = this.opening.listener.services.snapshot.limits
    this.held.append(chunk)
    if (this.held.length <= helloBytes) return
    this.opening.refuse(new ProxyError('TLS_MALFORMED', 'bytes behind the ClientHello'), alerts.unexpected_message)
  }

  release(): void {
    this.held.release()
  }

  /** Once `promise` settles one of the two is called, unless the client has gone or its time is over by then. */
  private wait<T>(promise: Promise<T>, ready: (value: T) => void, failed: (error: unknown) => void): void {
    const { opening } = this
    this.waiting = true
    const settle = (act: () => void) => {
      this.waiting = false
      if (opening.isOver) return
      try {
        act()
      } catch (error) {
        opening.listener.services.events.fault('handshake', error)
        opening.connection.link.destroy()
      }
    }
    promise.then(
      value => settle(() => ready(value)),
      error => settle(() => failed(error)),
    )
  }

  private withoutTerms(cause: unknown): void {
    const { error, alert } = termsRefusal(cause, this.site)
    this.opening.refuse(error, alert)
  }

  private withHeld(peeked: Buffer): Buffer {
    const whole = this.held.length === 0 ? peeked : Buffer.concat([peeked, this.held.view()])
    this.held.release()
    return whole
  }

  private secure(terms: ServerTls, peeked: Buffer): void {
    const { opening, site } = this
    const { connection, listener } = opening
    listener.services.transport.secure(connection.link, peeked, terms, error => {
      if (error !== null) {
        if (!opening.isOver) this.reportFailed(error, terms)
        opening.leave()
        opening.release()
        return
      }
      // tls-alpn-01: the certificate is the answer, and nothing follows.
      if (site === null) {
        opening.leave()
        opening.release()
        connection.link.close()
        return
      }
      connection.secure = true
      connection.handshakeMs = nowMs() - opening.startedAt
      listener.services.events.handshake(connection)
      const problem = identify(connection, site.clients, Date.now())
      if (problem !== null) opening.refuse(problem)
      else this.serve(site)
    })
  }

  private serve(site: Site): void {
    const { opening } = this
    const { connection, listener } = opening
    const closed = () => opening.release()
    opening.leave()
    if (site.action.kind === 'tcp') carry(listener, connection, site, null, closed, this.startedBy)
    else serveHttp(listener, connection, connection.link.tls?.alpn === 'h2', closed)
  }

  private reportFailed(failed: ProxyError, terms: ServerTls): void {
    const { site } = this
    const [policy, name] = site === null ? ['of ACME challenges', 'the CA'] : [site.policy, site.name]
    const { error, alert } = explainFailure(failed, this.hello, terms, policy, name)
    this.opening.report(error, alert)
  }
}
