/**
 * A connection from its first byte to the moment it is known what to do with it: the PROXY header of a trusted peer,
 * then a peek at what it speaks, a verdict (decide.ts), and the act. All of it within a byte limit and one deadline.
 * What cannot be understood is refused, never served under default terms.
 */
import { nowMs } from '../../base/deadlines.ts'
import { type ErrorCode, ProxyError } from '../../base/errors.ts'
import { Gathered } from '../../base/gathered.ts'
import { unixPeer } from '../../base/ip.ts'
import type { Connection } from '../../model/connection.ts'
import type { LinkHandler } from '../../model/link.ts'
import type { EndingAlert } from '../../model/records.ts'
import type { Site } from '../../model/site.ts'
import type { ClientHello } from '../../wire/client-hello.ts'
import { HelloReader } from '../../wire/hello-reader.ts'
import { fingerprintOf } from '../../wire/ja4.ts'
import { sniffProtocol } from '../../wire/sniff.ts'
import type { StartTls } from '../../wire/start-tls/dialogs.ts'
import { alertName, alertRecord, alerts } from '../../wire/tls-alert.ts'
import { groupName } from '../../wire/tls-names.ts'
import { writeRefusal } from '../exchange/refuse.ts'
import { carry } from '../layer4/layer4.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import { type ConnectionUse, type Holder, silentMs } from '../seam/holder.ts'
import { challengeTerms } from './challenge-terms.ts'
import { decide, negotiatedGroup } from './decide.ts'
import { Handshake, type Opening } from './handshake.ts'
import { certificateLate, openingLate, startTlsLate } from './opening-late.ts'
import { ProxyHeaderReader } from './proxy-header-reader.ts'
import { serveCleartext } from './serve.ts'
import { openingOf, postgresOpening, type StartTlsOpening } from './start-tls.ts'

const stage = { proxyHeader: 0, peek: 1, acting: 2, done: 3 } as const

/** Told before STARTTLS, in the words of the protocol */
const goodbyes: { readonly [C in ErrorCode]?: string } = {
  TOO_MANY_CONNECTIONS: 'too many connections',
  HANDSHAKE_TIMEOUT: 'timeout',
}

export class Inbound implements LinkHandler, Waiting, Opening {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'opening'
  watchIndex = -1
  readonly listener: Holder
  readonly connection: Connection
  readonly startedAt = nowMs()
  private stage: number = stage.peek
  private readonly held: Gathered
  private proxyHeader: ProxyHeaderReader | null = null
  /** It speaks in cleartext, and has not asked for TLS yet */
  private startTls: StartTlsOpening | null = null
  /** The protocol in which it has asked for TLS */
  private startedBy: StartTls | null = null
  private hello: HelloReader | null = null
  private parsed: ClientHello | null = null
  private countedAs: string | null = null
  private countedAtSite: string | null = null
  private released = false
  /** It has a unit of limits.connections */
  entered = false
  private acting: Handshake | null = null

  constructor(listener: Holder, connection: Connection) {
    this.listener = listener
    this.connection = connection
    this.held = new Gathered(connection.link.share)
    const { services, options } = listener
    connection.link.handler = this
    enter(this, 'opening', services)
    services.deadlines.watch(this)
    listener.hold(this)
    if (options.startTls !== null) this.startTls = openingOf(options.startTls, connection, services.snapshot)
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
   * Counts the connection under its client's address, now that it is known. A trusted proxy is not counted, and nor is
   * a peer without an address: it stands for any number of clients, and limits.connections bounds it.
   */
  admit(): boolean {
    const client = this.connection.clientAddress
    const { trust } = this.listener.options
    if (trust?.from.contains(client)) this.connection.trust = trust
    else if (client !== unixPeer) {
      this.countedAs = client
      if (!this.listener.count(client)) {
        const limit = this.listener.services.snapshot.limits.connectionsPerClient
        const why = `limits.connectionsPerClient (${limit}) for ${client}`
        this.refuse(new ProxyError('TOO_MANY_CONNECTIONS', why))
        return false
      }
    }
    if (this.startTls !== null) this.converse(this.startTls)
    return true
  }

  onOpen(): void {}
  onDrain(): void {}

  onData(chunk: Buffer): void {
    if (this.stage === stage.acting && this.acting?.waiting) this.acting.keep(chunk)
    if (this.stage === stage.done || this.stage === stage.acting) return
    if (this.proxyHeader !== null) this.readProxyHeader(this.proxyHeader, chunk)
    else this.read(chunk)
  }

  onEnd(): void {
    if (this.stage === stage.done || this.stage === stage.acting) {
      if (this.stage === stage.done || this.acting?.waiting) this.connection.link.close()
      return
    }
    // Health checks connect and close; that is no failure.
    const refused = this.startTls?.ended() ?? null
    if (refused !== null) this.report(refused)
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
    if (this.acting?.waiting && this.stage === stage.acting) {
      this.refuse(certificateLate(this.connection.serverName, handshakeMs), alerts.internal_error)
      return
    }
    if (this.startTls !== null && this.stage === stage.peek) {
      this.refuse(startTlsLate(this.startTls.protocol, handshakeMs))
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
    if (this.isSilent) this.leaveSilent()
  }

  closeIfIdle(): boolean {
    const idle = this.isSilent && nowMs() > this.startedAt + silentMs
    if (idle) this.leaveSilent()
    return idle
  }

  private leaveSilent(): void {
    this.startTls?.goodbye('try again later')
    this.connection.link.close()
  }

  cut(): void {
    this.connection.link.destroy()
  }

  /** Says no: with a TLS alert where the peer speaks TLS, and one log record. */
  refuse(error: ProxyError, alert: number | null = null): void {
    if (this.stage === stage.done) return
    this.report(error, alert === null ? null : { name: alertName(alert), from: 'gateway' })
    this.stage = stage.done
    if (alert !== null) this.connection.link.write(alertRecord(alert))
    this.startTls?.goodbye(goodbyes[error.code] ?? 'refused')
    this.part()
  }

  /** What comes from now on is not looked at. */
  private part(): void {
    this.stage = stage.done
    this.connection.link.close()
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
    if (this.admit() && read.rest.length > 0) this.read(read.rest)
  }

  private read(chunk: Buffer): void {
    if (this.startTls !== null) this.converse(this.startTls, chunk)
    else if (this.startedBy !== null) this.readHello(chunk)
    else this.peek(chunk)
  }

  /** In cleartext, until the client may begin its handshake or is refused. */
  private converse(opening: StartTlsOpening, chunk: Buffer | null = null): void {
    if (this.phase !== 'startTls') enter(this, 'startTls', this.listener.services)
    const outcome = chunk === null ? opening.begin() : opening.push(chunk)
    if (!outcome) return
    opening.release()
    this.startTls = null
    if (outcome.kind === 'tls') {
      this.startedBy = opening.protocol
      enter(this, 'opening', this.listener.services)
    } else if (outcome.error !== null) this.refuse(outcome.error)
    else this.part()
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
    if (speaks === 'postgres') {
      const { options, services } = this.listener
      this.startTls = postgresOpening(this.connection, services.snapshot, options.cleartext !== null)
      this.converse(this.startTls, bytes)
    } else if (this.listener.options.cleartext !== null) {
      if (speaks === 'tls')
        this.refuse(new ProxyError('TLS_ON_PLAIN_PORT', 'a TLS ClientHello on a cleartext port'))
      else this.servePlain(bytes)
    } else if (speaks === 'tls') this.readHello(bytes)
    else if (speaks === 'http') this.helpPlain()
    else
      this.refuse(
        new ProxyError('TLS_MALFORMED', 'the first bytes are neither TLS nor HTTP'),
        alerts.protocol_version,
      )
  }

  private readHello(chunk: Buffer): void {
    const { link } = this.connection
    // What the kernel has not taken of our cleartext would go out inside TLS.
    if (this.startedBy !== null && link.queuedBytes > 0) {
      this.refuse(new ProxyError('STARTTLS_MALFORMED', 'the client does not read the answers to its commands'))
      return
    }
    this.hello ??= new HelloReader(link.share, this.listener.services.snapshot.limits.helloBytes)
    const reader = this.hello
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
    const verdict = decide(
      listener.services.snapshot,
      listener.options.name,
      hello,
      () => connection.link.localAddress,
      this.startedBy,
    )
    switch (verdict.kind) {
      case 'refuse':
        this.refuse(new ProxyError(verdict.code, verdict.why), verdict.alert)
        return
      case 'passthrough':
        if (!this.enterSite(verdict.site)) return
        this.leave()
        carry(listener, connection, verdict.site, Buffer.from(bytes), () => this.release(), this.startedBy)
        return
      case 'challenge':
        this.acting = new Handshake(this, hello, null, null)
        this.acting.begin(() => challengeTerms(listener.services.challenges, verdict.name), whole)
        return
      default:
        if (!this.enterSite(verdict.site)) return
        // Two hashes a handshake, for those who look at them.
        if (verdict.site.fingerprints.wanted || listener.services.events.fingerprints)
          connection.fingerprint = fingerprintOf(hello)
        connection.group = groupName(negotiatedGroup(verdict.tls, hello))
        this.acting = new Handshake(this, hello, verdict.site, this.startedBy)
        this.acting.begin(() => verdict.tls.terms(hello, hello.serverName ?? ''), whole)
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
    this.refuse(new ProxyError('TOO_MANY_CONNECTIONS', limit), alerts.access_denied)
    return false
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

  report(error: ProxyError, alert: EndingAlert | null = null): void {
    this.listener.services.events.failedHandshake(this.connection, error, this.parsed, alert)
  }

  leave(): void {
    this.proxyHeader?.release()
    this.startTls?.release()
    this.proxyHeader = null
    this.listener.services.deadlines.unwatch(this)
    this.listener.letGo(this)
    this.held.release()
    this.acting?.release()
    this.hello?.release()
    this.hello = null
    this.parsed = null
  }

  release(): void {
    if (this.released) return
    this.released = true
    this.listener.closed(this.countedAs, this.entered)
    if (this.countedAtSite !== null) this.listener.leaveSite(this.countedAtSite)
  }
}
