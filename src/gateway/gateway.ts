/**
 * The composition root of one process: configuration to running listeners, and back down. The same object serves
 * `sallyport run`, each of its workers, and programs that embed it.
 *
 * Start and reload: everything that can fail (files, self-test, binding) comes before the one assignment that puts a
 * new snapshot into force.
 */
import { randomBytes } from 'node:crypto'
import { DateField } from '../base/date-field.ts'
import { Deadlines, nowMs } from '../base/deadlines.ts'
import { CidrSet } from '../base/ip.ts'
import { createLog, type Log } from '../base/log.ts'
import { MemoryBudget } from '../base/memory-budget.ts'
import { Output, recordsDropped } from '../base/output.ts'
import { abilities } from '../base/runtime.ts'
import { Turn } from '../base/turn.ts'
import type { CertificateRow, ListedCertificate } from '../certs/files/list.ts'
import type { Config, ListenConfig, SiteConfig } from '../config/config.ts'
import type { Bundle } from '../model/certificate.ts'
import { Metrics } from '../model/metrics.ts'
import type { Site } from '../model/site.ts'
import { HandshakeLog } from '../observe/handshake-log.ts'
import { readOwnMetrics } from '../observe/own-metrics.ts'
import { RequestCounts } from '../observe/request-counts.ts'
import { Listener } from '../proxy/accept/listener.ts'
import type { ListenerOptions } from '../proxy/seam/holder.ts'
import type { Services } from '../proxy/seam/services.ts'
import { selfTest } from '../tls/self-test.ts'
import { TicketKeyring } from '../tls/ticket-keys.ts'
import { currentTransport } from '../transport/current.ts'
import { ScratchPool } from '../transport/scratch.ts'
import type { Lookup } from './addresses.ts'
import { alertTarget } from './certificates/alerts.ts'
import type { CertificateCount } from './certificates/certificate-list.ts'
import { CertificateReports } from './certificates/certificate-reports.ts'
import type { CertificateSource } from './certificates/certificates.ts'
import { ManagedCertificates, type Prepared } from './certificates/managed-certificates.ts'
import { interimOf, withInterim } from './certificates/managed-source.ts'
import { type Compiled, compile } from './compile.ts'
import { Descriptors } from './descriptor-room.ts'
import { type LogEvents, logEvents } from './events.ts'
import { heldAtMost } from './held-at-most.ts'
import { openKeyLog } from './key-log.ts'
import { bindAll, changesProxyProtocol, planListeners, refuseChange } from './listeners.ts'
import { Registries } from './registries.ts'
import { TrustWatch } from './trust-watch.ts'

export type GatewayOptions = {
  /** Several processes bind the same ports */
  readonly reusePort?: boolean
  /** Where log lines go; standard output when left out */
  readonly out?: (text: string) => void
  /**
   * A file to which the secrets of every TLS session are written, for looking into recorded traffic; on Node only. Never
   * taken from the environment.
   */
  readonly tlsKeyLog?: string
  /** The self-test of the TLS library was made by another process of this start */
  readonly selfTested?: boolean
  /** Processes that share `limits.memory`; one when left out */
  readonly processes?: number
  /** The clock by which ticket keys, OCSP responses and certificates that are ordered here age, milliseconds since 1970; the system's when left out */
  readonly now?: () => number
  /** Looks up the names of backends; the system's resolver when left out */
  readonly lookup?: Lookup
  /** False where another process of this gateway says what becomes of certificates: this one only logs its swaps */
  readonly reportsCertificates?: boolean
}

export type Readiness = { readonly ready: boolean; readonly reasons: string[] }

export class Gateway {
  readonly log: Log
  config: Config
  sites: readonly Site[] = []
  /** The last that failed */
  readonly handshakes = new HandshakeLog()
  readonly metrics = new Metrics()
  readonly budget: MemoryBudget
  private readonly reports: CertificateReports
  private readonly services: Services
  private readonly registries: Registries
  private readonly options: GatewayOptions
  private readonly tickets: TicketKeyring
  /** Certificates that are ordered and renewed here */
  readonly managed: ManagedCertificates
  private listeners: Listener[] = []
  private readonly trust: TrustWatch
  private readonly events: LogEvents
  /** Of the configuration that was compiled last */
  private readonly warned = new Set<string>()
  /** Of the certificates in force, by site */
  private sources: ReadonlyMap<string, CertificateSource> = new Map()
  /** One at a time: the next begins with what the last has made */
  private reloading: Promise<void> = Promise.resolve()
  private ids = 0
  /** Room for connections under the limit on open files */
  readonly descriptors: Descriptors
  /** Closed by a reload, with connections that have not ended yet */
  private retired: Listener[] = []
  /** By listeners that are gone */
  private acceptedBefore = 0

  constructor(config: Config, options: GatewayOptions = {}) {
    this.config = config
    this.options = options
    this.log = createLog({ ...config.log, out: options.out ?? this.standardOutput() })
    this.registries = new Registries(options.now, options.lookup)
    this.tickets = new TicketKeyring(text => this.log.write('warn', text), options.now)
    this.reports = new CertificateReports(this.log, { silent: options.reportsCertificates === false })
    this.registries.certificates.onChange = change => {
      this.registries.renewEndpoints()
      this.reports.changed(change)
    }
    this.trust = new TrustWatch(this.log, () => this.reload(null))
    this.registries.certificates.onCas = () => this.trust.changed()
    this.managed = new ManagedCertificates(this.log, failure => this.reports.renewalFailed(failure), options.now)
    const events = logEvents(this.log, this.handshakes, new RequestCounts(this.metrics))
    this.events = events
    events.logAccess(config.log.access)
    readOwnMetrics(this.metrics, this)
    const links = { open: 0 }
    this.descriptors = new Descriptors(this.log, links, most => this.closeIdle(most))
    const prefix = randomBytes(5).toString('hex')
    this.budget = new MemoryBudget(heldAtMost(config.limits, options.processes), events.overBudget)
    this.services = {
      transport: currentTransport(
        events.fault,
        openKeyLog(options.tlsKeyLog, this.log),
        this.tickets,
        links,
        this.budget,
      ),
      budget: this.budget,
      deadlines: new Deadlines(nowMs, events.fault),
      turn: new Turn(events.fault),
      date: new DateField(),
      scratch: new ScratchPool(64),
      snapshot: {
        version: 0,
        site: () => null,
        defaultSite: null,
        limits: config.limits,
        timeouts: config.timeouts,
      },
      draining: false,
      descriptors: this.descriptors,
      challenges: this.managed,
      events,
      nextId: () => `${prefix}-${(++this.ids).toString(36)}`,
      httpsPort: () => this.httpsPort(),
    }
  }

  /** Ports in the order of the configuration's listeners; those that were 0 are known after `start`. */
  get ports(): readonly number[] {
    return this.listeners.map(listener => listener.port)
  }

  /** Counts configurations: 1 at the start, one more with each reload */
  get snapshotVersion(): number {
    return this.services.snapshot.version
  }

  /** Connections since the start. */
  get accepted(): number {
    return this.everyListener().reduce((sum, listener) => sum + listener.accepted, this.acceptedBefore)
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.everyListener().reduce((sum, listener) => sum + listener.open, 0)
  }

  async start(): Promise<void> {
    const managed = await this.managed.prepare(this.config)
    try {
      await this.open(managed)
    } catch (error) {
      await managed.discard()
      throw error
    }
    managed.commit()
  }

  private async open(managed: Prepared): Promise<void> {
    const compiled = this.compile(this.config, managed, false)
    const alerts = this.config.alerts === null ? null : alertTarget(this.config.alerts)
    await managed.load()
    this.useTickets()
    if (this.options.selfTested !== true) await selfTest(this.services.transport)
    this.services.snapshot = compiled.snapshot
    this.sites = compiled.sites
    this.sources = sourcesOf(compiled)
    this.trust.use(compiled.clientCas)
    await this.registries.staples.prepare(compiled.staples)
    const listeners = this.config.listen.map(listen => this.listener(listen))
    await bindAll(listeners, [], this.log)
    this.listeners = listeners
    this.descriptors.use(this.config, listeners.length)
    this.registries.crls.keepOnly(compiled.crls)
    this.registries.staples.start(compiled.staples)
    this.reports.use(compiled.certificates, this.config.alerts, alerts)
  }

  /**
   * Puts a new configuration into force; open connections are not disturbed. Throws and changes nothing if it cannot.
   *
   * @param config null: the one that is in force by then, with its files as they are now
   */
  reload(config: Config | null): Promise<void> {
    const reloaded = this.reloading.then(() => this.reloadNow(config ?? this.config, config === null))
    // What it has read of files that were replaced is in force, or has to be yet.
    this.reloading = reloaded.catch(() => void (config !== null && this.trust.changed()))
    return reloaded
  }

  private async reloadNow(config: Config, again: boolean): Promise<void> {
    refuseChange(this.config, config)
    const managed = await this.managed.prepare(config)
    try {
      await this.replace(config, managed, again)
    } catch (error) {
      await managed.discard()
      throw error
    }
    managed.commit()
  }

  private async replace(config: Config, managed: Prepared, again: boolean): Promise<void> {
    const compiled = this.compile(config, managed, again)
    const alerts = config.alerts === null ? null : alertTarget(config.alerts)
    await managed.load()
    const before = new Map(this.listeners.map((listener, at) => [listener, this.config.listen[at]]))
    const { all, kept, fresh } = planListeners(config.listen, this.listeners, listen => this.listener(listen))
    await this.registries.staples.prepare(compiled.staples)
    await bindAll(fresh, this.listeners, this.log)
    this.services.snapshot = compiled.snapshot
    this.sites = compiled.sites
    this.sources = sourcesOf(compiled)
    this.trust.use(compiled.clientCas)
    this.config = config
    this.budget.limit = heldAtMost(config.limits, this.options.processes)
    this.useTickets()
    this.reports.use(compiled.certificates, config.alerts, alerts)
    this.log.use(config.log)
    this.events.logAccess(config.log.access)
    for (const [listener, listen] of kept) {
      listener.options = this.listenerOptions(listen, listener)
      if (changesProxyProtocol(before.get(listener), listen)) listener.distrust()
    }
    for (const listener of this.listeners) {
      if (kept.has(listener)) continue
      listener.stopAccepting()
      listener.drain()
      this.retired.push(listener)
    }
    this.forgetRetired()
    this.listeners = all
    this.descriptors.use(config, all.length)
    this.registries.keepOnly(compiled.endpoints)
    this.registries.crls.keepOnly(compiled.crls)
    this.registries.staples.start(compiled.staples)
    const watched = [...watchedIn(compiled), ...compiled.clientCas.keys(), ...this.registries.watchedByEndpoints()]
    this.registries.certificates.keepOnly(new Set(watched))
  }

  /**
   * Stops accepting, closes idle connections, lets answers end with `Connection: close`, and resolves when all are
   * closed or `drainMs` has passed. @returns how many connections were cut at the deadline
   */
  async drain(drainMs = this.config.timeouts.drainMs): Promise<number> {
    this.services.draining = true
    this.trust.close()
    const managed = this.managed.close()
    for (const listener of this.everyListener()) {
      listener.stopAccepting()
      listener.drain()
    }
    this.registries.closeIdle()
    const until = performance.now() + drainMs
    while (this.connections > 0 && performance.now() < until) await new Promise(resolve => setTimeout(resolve, 20))
    const cut = this.connections
    for (const listener of this.everyListener()) listener.cut()
    // Orders are taken up again by the next process; a DNS record that is slow to go must not hold this one up.
    await Promise.race([managed, new Promise(resolve => setTimeout(resolve, managedCloseMs).unref())])
    this.registries.closeIdle()
    this.registries.certificates.close()
    this.reports.close()
    this.log.flush()
    return cut
  }

  /** Connections of backends first: a client's next request costs it a new connection, and a backend's only us. */
  private closeIdle(most: number): number {
    let closed = this.registries.closePooled(most)
    for (const listener of this.everyListener()) closed += listener.closeIdle(most - closed)
    return closed
  }

  private everyListener(): readonly Listener[] {
    return [...this.listeners, ...this.retired]
  }

  private forgetRetired(): void {
    for (const { open, accepted } of this.retired) if (open === 0) this.acceptedBefore += accepted
    this.retired = this.retired.filter(listener => listener.open > 0)
  }

  /** @param again the same configuration: what it was warned of is not said again */
  private compile(config: Config, managed: Prepared, again: boolean): Compiled {
    if (!again) this.warned.clear()
    let compiling = true
    const warn = (text: string) => {
      // What warns later, as revocation lists do, has its own reasons.
      if (again && compiling && this.warned.has(text)) return
      if (compiling) this.warned.add(text)
      this.log.write('warn', text)
    }
    // Whoever moves a site from files to an issuer has the old certificate until the new one is there.
    const ordered = (site: SiteConfig) =>
      withInterim(managed.site(site), interimOf(site, this.sources.get(site.name)))
    try {
      return compile(config, this.registries, this.services.snapshot.version + 1, warn, ordered)
    } finally {
      compiling = false
    }
  }

  private useTickets(): void {
    if (abilities.ticketKeys) this.tickets.use(this.config.state, this.config.tickets)
  }

  /** All that are in force or should be, each once, the soonest to end first. */
  certificates(): CertificateRow[] {
    return this.reports.rows()
  }

  /** The same without reading them: each says what it is when asked. */
  heldCertificates(): readonly ListedCertificate[] {
    return this.reports.list()
  }

  /** How many there are, how many have ended, and which ends next. */
  certificateCount(): CertificateCount {
    return this.reports.count()
  }

  /** The certificates that a client asking for this host may be shown; none where its TLS does not end here. */
  bundlesFor(host: string): readonly Bundle[] {
    const site = this.services.snapshot.site(host) ?? this.services.snapshot.defaultSite
    return (site && this.reports.bundlesFor(site.name, host)) ?? []
  }

  /** Whether traffic should be sent here, for load balancers and probes. It is served in any case. */
  readiness(): Readiness {
    const reasons = this.reports.reasons()
    if (this.services.draining) reasons.unshift('draining')
    return { ready: reasons.length === 0, reasons }
  }

  get draining(): boolean {
    return this.services.draining
  }

  private standardOutput(): (text: string) => void {
    const output = new Output(1)
    output.onRecovered = dropped => this.log.write('warn', recordsDropped, { dropped })
    return text => output.write(text)
  }

  private listener(listen: ListenConfig): Listener {
    return new Listener(this.services, this.listenerOptions(listen, null))
  }

  /** @param bound where the system has chosen the port */
  private listenerOptions(listen: ListenConfig, bound: Listener | null): ListenerOptions {
    return {
      address: listen.address,
      port: bound?.options.port ?? listen.port,
      cleartext: listen.cleartext,
      proxyFrom: listen.proxyProtocol === null ? null : new CidrSet(listen.proxyProtocol.from),
      reusePort: this.options.reusePort ?? false,
      allowedFields: listen.fields === null ? null : new Set(listen.fields.allow),
    }
  }

  private httpsPort(): string {
    const tls = this.listeners.find(listener => listener.options.cleartext === null)
    return tls === undefined || tls.port === 443 ? '' : `:${tls.port}`
  }
}

/** At the end of a drain */
const managedCloseMs = 3_000

const sourcesOf = ({ certificates }: Compiled) => new Map(certificates.map(({ site, source }) => [site, source]))

const watchedIn = ({ certificates }: Compiled) => certificates.flatMap(({ source }) => source.watched)
