/**
 * A connection from its first byte to the moment it is known what to do with it: the PROXY header of a trusted peer,
 * then a peek at what it speaks, a verdict (decide.ts), and the act. All of it within a byte limit and one deadline.
 * What cannot be understood is refused, never served under default terms.
 */
import { nowMs } from '../../base/deadlines.ts'
import { ProxyError } from '../../base/errors.ts'
import { Gathered } from '../../base/gathered.ts'
import type { Connection } from '../../model/connection.ts'
import type { LinkHandler } from '../../model/link.ts'
import type { EndingAlert } from '../../model/records.ts'
import type { Site } from '../../model/site.ts'
import type { ServerTls } from '../../model/tls-terms.ts'
import type { ClientHello } from '../../wire/client-hello.ts'
import { HelloReader } from '../../wire/hello-reader.ts'
import { fingerprintOf } from '../../wire/ja4.ts'
import { sniffProtocol } from '../../wire/sniff.ts'
import { alertName, alertRecord, alerts } from '../../wire/tls-alert.ts'
import { groupName } from '../../wire/tls-names.ts'
import { writeRefusal } from '../exchange/refuse.ts'
import { carry } from '../layer4/layer4.ts'
import { identify } from '../seam/client-certificate.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import { explainFailure } from '../seam/handshake-failure.ts'
import { type ConnectionUse, type Holder, silentMs } from '../seam/holder.ts'
import { challengeTerms, termsRefusal } from './challenge-terms.ts'
import { decide, negotiatedGroup } from './decide.ts'
import { certificateLate, openingLate } from './opening-late.ts'
import { ProxyHeaderReader } from './proxy-header-reader.ts'
import { serveCleartext, serveHttp } from './serve.ts'

const stage = { proxyHeader: 0, peek: 1, acting: 2, done: 3 } as const

export class Inbound implements LinkHandler, Waiting {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'opening'
  watchIndex = -1
  private readonly listener: Holder
  readonly connection: Connection
  private readonly startedAt = nowMs()
  private stage: number = stage.peek
  private readonly held: Gathered
  private proxyHeader: ProxyHeaderReader | null = null
  private hello: HelloReader | null = null
  private parsed: ClientHello | null = null
  private countedAs: string | null = null
  private countedAtSite: string | null = null
  private released = false
  /** It has a unit of limits.connections */
  entered = false
  /** The certificate is being looked up or ordered; what comes meanwhile is held */
  private waiting = false

  constructor(listener: Holder, connection: Connection) {
    this.listener = listener
    this.connection = connection
    this.held = new Gathered(connection.link.share)
    const { services, options } = listener
    connection.link.handler = this
    enter(this, 'opening', services)
    services.deadlines.watch(this)
    listener.hold(this)
    if (options.proxyFrom?.contains(connection.link.remoteAddress)) {
      this.stage = stage.proxyHeader
      this.proxyHeader = new ProxyHeaderReader(connection)
    }
  }

  /** Not one byte has come */
  private get isSilent(): boolean {
    return this.stage === stage.peek && this.held.length === 0 && this.hello === null
  }

  /** The client is gone, or was told to go */
  get isOver(): boolean {
    return this.stage === stage.done
  }

  /**
   * Counts the connection under its client's address, now that it is known. A trusted proxy is not counted: it stands for
   * any number of clients, and limits.connections bounds it.
   */
  admit(): boolean {
    const client = this.connection.clientAddress
    const { trust } = this.listener.options
    if (trust?.from.contains(client)) {
      this.connection.trust = trust
      return true
    }
    this.countedAs = client
    if (this.listener.count(client)) return true
    const limit = this.listener.services.snapshot.limits.connectionsPerClient
    this.refuse(new ProxyError('TOO_MANY_CONNECTIONS', `limits.connectionsPerClient (${limit}) for ${client}`))
    return false
  }

  onOpen(): void {}
  onDrain(): void {}

  onData(chunk: Buffer): void {
    if (this.stage === stage.acting && this.waiting) this.keep(chunk)
    if (this.stage === stage.done || this.stage === stage.acting) return
    if (this.proxyHeader !== null) this.readProxyHeader(this.proxyHeader, chunk)
    else this.peek(chunk)
  }

  onEnd(): void {
    if (this.stage === stage.done || this.stage === stage.acting) {
      if (this.stage === stage.done || this.waiting) this.connection.link.close()
      return
    }
    // Health checks connect and close; that is no failure.
    if (this.isSilent) this.connection.link.close()
    else this.refuse(new ProxyError('TLS_MALFORMED', 'the client closed in the middle of its first message'))
  }

  onClose(): void {
    this.stage = stage.done
    this.leave()
    this.release()
  }

  onDeadline(): void {
    const { handshakeMs } = this.listener.services.snapshot.timeouts
    if (this.waiting && this.stage === stage.acting) {
      this.stage = stage.peek
      this.refuse(certificateLate(this.connection.serverName, handshakeMs), alerts.internal_error)
      return
    }
    if (this.stage !== stage.done) this.report(openingLate(this.stage, handshakeMs))
    this.stage = stage.done
    this.connection.link.destroy()
  }

  use(): ConnectionUse {
    return { protocol: 'opening', requests: 0, underWay: 0 }
  }

  drain(): void {
    if (this.isSilent) this.connection.link.close()
  }

  closeIfIdle(): boolean {
    const idle = this.isSilent && nowMs() > this.startedAt + silentMs
    if (idle) this.connection.link.close()
    return idle
  }

  cut(): void {
    this.connection.link.destroy()
  }

  /** Says no: with a TLS alert where the peer speaks TLS, and one log record. */
  refuse(error: ProxyError, alert: number | null = null): void {
    if (this.stage === stage.done) return
    this.report(error, alert === null ? null : { name: alertName(alert), from: 'gateway' })
    this.stage = stage.done
    const { link } = this.connection
    if (alert !== null) link.write(alertRecord(alert))
    link.close()
    enter(this, 'refused', this.listener.services)
  }

  private readProxyHeader(reader: ProxyHeaderReader, chunk: Buffer): void {
    const read = reader.push(chunk)
    if (read.kind === 'incomplete') return
    if (read.kind === 'malformed') {
      this.refuse(new ProxyError('PROXY_HEADER', read.why))
      return
    }
    this.proxyHeader = null
    this.stage = stage.peek
    if (this.admit() && read.rest.length > 0) this.peek(read.rest)
  }

  private peek(chunk: Buffer): void {
    if (this.hello !== null) {
      this.readHello(chunk)
      return
    }
    const bytes = this.held.length === 0 ? chunk : this.held.with(chunk)
    const speaks = sniffProtocol(bytes)
    if (speaks === 'incomplete') {
      if (this.held.length === 0) this.held.append(chunk)
      return
    }
    this.held.release()
    if (this.listener.options.cleartext !== null) {
      if (speaks === 'tls')
        this.refuse(new ProxyError('TLS_ON_PLAIN_PORT', 'a TLS ClientHello on a cleartext port'))
      else this.servePlain(bytes)
    } else if (speaks === 'tls') {
      const { helloBytes } = this.listener.services.snapshot.limits
      this.hello = new HelloReader(this.connection.link.share, helloBytes)
      this.readHello(bytes)
    } else if (speaks === 'http') this.helpPlain()
    else
      this.refuse(
        new ProxyError('TLS_MALFORMED', 'the first bytes are neither TLS nor HTTP'),
        alerts.protocol_version,
      )
  }

  private readHello(chunk: Buffer): void {
    const reader = this.hello as HelloReader
    const peeked = reader.push(chunk)
    if (peeked.kind === 'incomplete') return
    if (peeked.kind === 'malformed') {
      this.refuse(new ProxyError('TLS_MALFORMED', peeked.why), peeked.alert)
      return
    }
    this.stage = stage.acting
    const { hello } = peeked
    const bytes = reader.bytes()
    const whole = bytes instanceof Buffer ? bytes : Buffer.from(bytes)
    this.parsed = hello
    const { connection, listener } = this
    connection.serverName = hello.serverName
    const verdict = decide(listener.services.snapshot, hello, () => connection.link.localAddress)
    switch (verdict.kind) {
      case 'refuse':
        this.stage = stage.peek
        this.refuse(new ProxyError(verdict.code, verdict.why), verdict.alert)
        return
      case 'passthrough':
        if (!this.enterSite(verdict.site)) return
        this.leave()
        carry(listener, connection, verdict.site, Buffer.from(bytes), () => this.release())
        return
      case 'challenge':
        this.negotiate(() => challengeTerms(listener.services.challenges, verdict.name), whole, null)
        return
      default:
        if (!this.enterSite(verdict.site)) return
        // Two hashes a handshake, for those who look at them.
        if (verdict.site.fingerprints.wanted || listener.services.events.fingerprints)
          connection.fingerprint = fingerprintOf(hello)
        connection.group = groupName(negotiatedGroup(verdict.tls, hello))
        this.negotiate(() => verdict.tls.terms(hello, hello.serverName ?? ''), whole, verdict.site)
    }
  }

  /** The connection is for this site, and counts there if its clients have a limit. @returns whether it may go on */
  private enterSite(site: Site): boolean {
    const { connection, listener } = this
    const { action } = site
    connection.site = site
    if (
      action.kind === 'http' ||
      connection.trust !== null ||
      action.connectionsPerClient === Number.POSITIVE_INFINITY
    )
      return true
    const client = connection.clientAddress
    this.countedAtSite = `${site.name} ${client}`
    if (listener.enterSite(this.countedAtSite, action.connectionsPerClient)) return true
    const limit = `limits.connectionsPerClient (${action.connectionsPerClient}) of ${site.name} for ${client}`
    this.stage = stage.peek
    this.refuse(new ProxyError('TOO_MANY_CONNECTIONS', limit), alerts.access_denied)
    return false
  }

  /**
   * Looks for the terms of the handshake, which may have to be ordered or looked up: then within its deadline. Without any it fails
   * closed, and says so where the operator looks. `site` is null for a CA that looks for the answer to a challenge.
   */
  private negotiate(find: () => ServerTls | Promise<ServerTls>, peeked: Buffer, site: Site | null): void {
    try {
      const terms = find()
      if (!(terms instanceof Promise)) this.handshake(terms, peeked, site)
      else
        this.wait(
          terms,
          ready => this.handshake(ready, this.withHeld(peeked), site),
          error => this.withoutTerms(error, site),
        )
    } catch (error) {
      this.withoutTerms(error, site)
    }
  }

  /** Once `promise` settles one of the two is called, unless the client has gone or its time is over by then. */
  private wait<T>(promise: Promise<T>, ready: (value: T) => void, failed: (error: unknown) => void): void {
    this.waiting = true
    const settle = (act: () => void) => {
      this.waiting = false
      if (this.stage !== stage.acting) return
      try {
        act()
      } catch (error) {
        this.listener.services.events.fault('handshake', error)
        this.connection.link.destroy()
      }
    }
    promise.then(
      value => settle(() => ready(value)),
      error => settle(() => failed(error)),
    )
  }

  private withoutTerms(cause: unknown, site: Site | null): void {
    const { error, alert } = termsRefusal(cause, site)
    this.stage = stage.peek
    this.refuse(error, alert)
  }

  /** A client sends nothing behind its hello before it has an answer; a few bytes are not worth a fault. */
  private keep(chunk: Buffer): void {
    const { helloBytes } = this.listener.services.snapshot.limits
    this.held.append(chunk)
    if (this.held.length <= helloBytes) return
    this.stage = stage.peek
    this.refuse(new ProxyError('TLS_MALFORMED', 'bytes behind the ClientHello'), alerts.unexpected_message)
  }

  private withHeld(peeked: Buffer): Buffer {
    const whole = this.held.length === 0 ? peeked : Buffer.concat([peeked, this.held.view()])
    this.held.release()
    return whole
  }

  private handshake(terms: ServerTls, peeked: Buffer, site: Site | null): void {
    const { connection, listener } = this
    listener.services.transport.secure(connection.link, peeked, terms, error => {
      if (error !== null) {
        if (this.stage !== stage.done) this.reportFailed(error, terms, site)
        this.leave()
        this.release()
        return
      }
      // tls-alpn-01: the certificate is the answer, and nothing follows.
      if (site === null) {
        this.leave()
        this.release()
        connection.link.close()
        return
      }
      connection.secure = true
      connection.handshakeMs = nowMs() - this.startedAt
      this.listener.services.events.handshake(connection)
      const problem = identify(connection, site.clients, Date.now())
      if (problem !== null) {
        this.refuse(problem)
        return
      }
      this.leave()
      if (site.action.kind === 'tcp') carry(listener, connection, site, null, () => this.release())
      else serveHttp(listener, connection, connection.link.tls?.alpn === 'h2', () => this.release())
    })
  }

  private servePlain(bytes: Buffer): void {
    this.stage = stage.acting
    this.leave()
    serveCleartext(this.listener, this.connection, bytes, () => this.release())
  }

  /** Cleartext HTTP on a TLS port: a 400 that says what to do. */
  private helpPlain(): void {
    const { services } = this.listener
    const error = new ProxyError('PLAIN_HTTP_ON_TLS_PORT', 'cleartext HTTP on a port that speaks TLS')
    writeRefusal(services, this.connection, error, services.nextId())
    this.refuse(error)
  }

  private reportFailed(failed: ProxyError, terms: ServerTls, site: Site | null): void {
    const [policy, name] = site === null ? ['of ACME challenges', 'the CA'] : [site.policy, site.name]
    const { error, alert } = explainFailure(failed, this.parsed, terms, policy, name)
    this.report(error, alert)
  }

  private report(error: ProxyError, alert: EndingAlert | null = null): void {
    this.listener.services.events.failedHandshake(this.connection, error, this.parsed, alert)
  }

  private leave(): void {
    this.proxyHeader?.release()
    this.proxyHeader = null
    this.listener.services.deadlines.unwatch(this)
    this.listener.letGo(this)
    this.held.release()
    this.hello?.release()
    this.hello = null
    this.parsed = null
  }

  private release(): void {
    if (this.released) return
    this.released = true
    this.listener.closed(this.countedAs, this.entered)
    if (this.countedAtSite !== null) this.listener.leaveSite(this.countedAtSite)
  }
}
