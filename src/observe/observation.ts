/**
 * What a gateway observes of its work: takes what the data plane reports, counts it, and hands it as records to whoever
 * listens. Metrics and the list of failed handshakes always listen; the access log and a program's observers where they
 * were asked for. A record that nobody hears is not built, and times that nobody reads are not taken.
 */
import type { ProxyError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Metrics } from '../model/metrics.ts'
import type {
  CertificateRecord,
  ConnectionRecord,
  EndedConnection,
  EndingAlert,
  Events,
  ObservedConnection,
  Observer,
  RequestRecord,
} from '../model/records.ts'
import type { ClientHello } from '../wire/client-hello.ts'
import type { LineOut } from './access/destination.ts'
import { type AccessTerms, accessLog } from './access-log.ts'
import { faultLog } from './fault-log.ts'
import { HandshakeLog, offeredBy } from './handshake-log.ts'
import { HandshakeMetrics } from './handshake-metrics.ts'
import { Observers } from './observers.ts'
import { refusalLog } from './refusal-log.ts'
import { RequestMetrics } from './request-metrics.ts'

/** What of a configuration says what is observed. */
type ObservationConfig = { readonly log: { readonly access: boolean | AccessTerms }; readonly admin: unknown }

export class Observation implements Events {
  timed = false
  fingerprints = false
  /** The last that failed */
  readonly handshakes = new HandshakeLog()
  private readonly log: Log
  private readonly observers: Observers
  private readonly requests: RequestMetrics
  private readonly handshakeMetrics: HandshakeMetrics
  private readonly writeFault: (where: string, error: unknown) => void
  private access: Observer | null = null
  private stopAccessLog: () => void = () => {}
  /** The configuration has a listener for metrics */
  private configured = false
  /** Somebody else reads them */
  private read = false

  constructor(log: Log, metrics: Metrics, observers: readonly Observer[] = []) {
    this.log = log
    this.requests = new RequestMetrics(metrics)
    this.handshakeMetrics = new HandshakeMetrics(metrics)
    this.writeFault = faultLog(log)
    this.observers = new Observers(this.fault)
    this.observers.add(this.handshakes)
    this.observers.add(refusalLog(log, kind => this.access?.[kind] !== undefined))
    for (const observer of observers) this.observe(observer)
  }

  /** A configuration is in force. @param out where the access log goes; null for standard output */
  use({ log: { access }, admin }: ObservationConfig, out: LineOut | null = null): void {
    this.stopAccessLog()
    this.access = access === false ? null : accessLog(this.log, access === true ? undefined : access, out)
    this.stopAccessLog = this.access === null ? () => {} : this.observers.add(this.access)
    this.configured = admin !== null
    this.settle()
  }

  /** @param read whether metrics are read, by other ways than the configuration's */
  metricsAreRead(read: boolean): void {
    this.read = read
    this.settle()
  }

  /** @returns what takes the observer away again */
  observe(observer: Observer): () => void {
    const stop = this.observers.add(observer)
    this.settle()
    return () => {
      stop()
      this.settle()
    }
  }

  // Events

  request(record: RequestRecord): void {
    this.requests.request(record)
    this.observers.tell('request', record)
  }

  refusedRequest(
    connection: ObservedConnection,
    http: number,
    error: ProxyError,
    status: number,
    id: string,
  ): void {
    this.refused(connection, http, error, status, id, false)
  }

  unreadAnswer(connection: ObservedConnection, error: ProxyError, id: string): void {
    this.refused(connection, 2, error, 0, id, true)
  }

  connection(record: ConnectionRecord): void {
    this.observers.tell('connection', record)
  }

  handshake(connection: ObservedConnection): void {
    this.handshakeMetrics.handshake(connection)
    this.observers.tell('handshake', connection)
  }

  failedHandshake(
    { clientAddress: client, clientPort, serverPort: port, serverName: sni }: ObservedConnection,
    { code: error, message: why }: ProxyError,
    hello: ClientHello | null,
    ending: EndingAlert | null,
  ): void {
    const [alert, alertFrom] = [ending?.name ?? null, ending?.from ?? null]
    const offered = offeredBy(hello)
    const failed = { at: Date.now(), error, why, client, clientPort, port, sni, alert, alertFrom, offered }
    this.handshakeMetrics.failedHandshake(failed)
    this.observers.tell('failedHandshake', failed)
  }

  ended(connection: ObservedConnection, error: ProxyError): void {
    this.endedConnection({ kind: 'client', connection, error: error.code, why: error.message })
  }

  backendViolated(endpoint: string, error: ProxyError): void {
    this.endedConnection({ kind: 'backend', endpoint, error: error.code, why: error.message })
  }

  // A property, as `fault`: both are handed on as functions.
  readonly overBudget = (address: string, error: ProxyError): void =>
    this.endedConnection({ kind: 'memory', address, error: error.code, why: error.message })

  readonly fault = (where: string, error: unknown): void => {
    this.writeFault(where, error)
    if (this.observers.hear('fault')) this.observers.tell('fault', { where, error })
  }

  /** @param record null: not one that is observed */
  certificate(record: () => CertificateRecord | null): void {
    if (!this.observers.hear('certificate')) return
    const made = record()
    if (made !== null) this.observers.tell('certificate', made)
  }

  private refused(
    connection: ObservedConnection,
    http: number,
    { code: error, message: why }: ProxyError,
    status: number,
    id: string,
    afterDone: boolean,
  ): void {
    const record = { connection, http, id, status, error, why, afterDone }
    this.requests.refusedRequest(record)
    this.observers.tell('refusedRequest', record)
  }

  private endedConnection(record: EndedConnection): void {
    this.observers.tell('endedConnection', record)
  }

  private settle(): void {
    const requests = this.observers.hear('request')
    this.timed = requests || this.configured || this.read
    this.fingerprints = requests || this.observers.hear('handshake')
  }
}
