/**
 * A gateway: configuration to running listeners, and back down. The same object serves `sallyport run`, each of its workers, and
 * programs that embed it. Its parts are in parts.ts, and apply.ts applies configurations.
 */
import { UsageError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { MemoryBudget } from '../base/memory-budget.ts'
import type { Room } from '../base/room.ts'
import type { CertificateRow, ListedCertificate } from '../certs/files/list.ts'
import type { Config, ConfigInput } from '../config/config.ts'
import { hiding } from '../config/hiding.ts'
import type { Bundle } from '../model/certificate.ts'
import type { Metrics } from '../model/metrics.ts'
import type { Observer } from '../model/records.ts'
import type { Site } from '../model/site.ts'
import type { Observation } from '../observe/observation.ts'
import { readOwnMetrics } from '../observe/own-metrics.ts'
import type { Drainable } from '../proxy/seam/holder.ts'
import type { Services } from '../proxy/seam/services.ts'
import { apply, type InForce } from './apply.ts'
import type { CertificateCount } from './certificates/certificate-list.ts'
import type { ManagedCertificates } from './certificates/managed-certificates.ts'
import type { Descriptors } from './descriptor-room.ts'
import { loadFromCode } from './from-code.ts'
import type { GatewayEvent, GatewayOptions } from './gateway-options.ts'
import { makeParts, type Parts } from './parts.ts'

export type MaintenanceRow = { readonly site: string; readonly on: boolean }

export type Readiness = { readonly ready: boolean; readonly reasons: string[] }

/** A client's connection, as listed for operators */
export type OpenConnection = Pick<Drainable, 'connection' | 'use'>

export class Gateway {
  readonly log: Log
  readonly metrics: Metrics
  readonly observation: Observation
  readonly budget: MemoryBudget
  readonly descriptors: Descriptors
  /** For bodies that are compressed as streams */
  readonly compressors: Room
  /** Certificates that are ordered and renewed here */
  readonly managed: ManagedCertificates
  private readonly services: Services
  private readonly parts: Parts
  private readonly first: Config
  private inForce: InForce | null = null
  /** One at a time: each starts from the result of the previous one */
  private applying: Promise<void> = Promise.resolve()

  /** @param config is applied by `start` */
  constructor(config: Config, options: GatewayOptions = {}) {
    this.first = config
    const changed = () => this.tell({ kind: 'certificates' })
    this.parts = makeParts(config, options, () => this.apply(null), changed)
    const { log, metrics, events, budget, descriptors, managed, services } = this.parts
    this.log = log
    this.metrics = metrics
    this.observation = events
    this.budget = budget
    this.descriptors = descriptors
    this.managed = managed
    this.services = services
    this.compressors = services.compressors
    readOwnMetrics(metrics, this)
  }

  /** The current configuration, or the one that `start` will apply */
  get config(): Config {
    return this.inForce?.config ?? this.first
  }

  get sites(): readonly Site[] {
    return this.inForce?.compiled.sites ?? []
  }

  /** Ports in the order of the configured listeners; ports that were 0 are known after `start`. */
  get ports(): readonly number[] {
    return this.parts.listeners.ports
  }

  /** Counts configurations: 1 at the start, one more with each reload */
  get snapshotVersion(): number {
    return this.services.snapshot.version
  }

  /** Connections since the start. */
  get accepted(): number {
    return this.parts.listeners.accepted
  }

  /** Open connections. */
  get connections(): number {
    return this.parts.listeners.open
  }

  /** The open connections and their use; read them at once, because they change with every turn */
  openConnections(): Iterable<OpenConnection> {
    return this.parts.listeners.connections()
  }

  get draining(): boolean {
    return this.services.draining
  }

  /** Throws UsageError if the configuration cannot be applied; then nothing is left open, and it may be tried again. */
  start(): Promise<void> {
    return this.inTurn(() => {
      if (this.inForce !== null)
        throw new UsageError('the gateway has been started; use reload to apply another configuration')
      return this.first
    })
  }

  /**
   * Reads a configuration, an object as for `defineConfig` or the path of a file, and applies it without disturbing open
   * connections. Rejects with ConfigError or UsageError on failure, and then changes nothing.
   */
  async reload(input: ConfigInput | string): Promise<void> {
    const loaded = await loadFromCode(input).catch(error => this.rejected(error))
    for (const { message, path } of loaded.warnings) this.log.write('warn', message, { at: path })
    await this.attempt(() => hiding(loaded, () => this.inTurn(() => loaded.config)))
  }

  /**
   * Like `reload`, with a configuration that has already been read.
   *
   * @param config null for the one that is current by then, with its files as they are now
   */
  async apply(config: Config | null): Promise<void> {
    if (config !== null) await this.attempt(() => this.inTurn(() => config))
    else await this.inTurn(() => null).catch(error => this.rejected(error))
  }

  /**
   * Stops accepting, closes idle connections, ends responses with `Connection: close`, and resolves when all connections are
   * closed or `drainMs` has passed. @returns how many connections were cut at the deadline
   */
  async drain(drainMs = this.config.timeouts.drainMs): Promise<number> {
    const { listeners, registries, trust, reports, accessLog, log } = this.parts
    this.services.draining = true
    this.tell({ kind: 'draining', connections: this.connections })
    trust.close()
    const managed = this.managed.close()
    listeners.drain()
    registries.closeIdle()
    const until = performance.now() + drainMs
    while (this.connections > 0 && performance.now() < until) await new Promise(resolve => setTimeout(resolve, 20))
    const cut = this.connections
    listeners.cut()
    // The next process resumes the orders; a DNS record that is slow to disappear must not delay this one.
    await Promise.race([managed, new Promise(resolve => setTimeout(resolve, managedCloseMs).unref())])
    registries.close()
    reports.close()
    await accessLog.closeAll()
    log.flush()
    this.tell({ kind: 'stopped', cut })
    return cut
  }

  /** Reopens the file of the access log, which may have been renamed. @returns why it could not, or null */
  reopenLogs(): string | null {
    return this.parts.accessLog.reopen()
  }

  /** Registers an observer of requests and more (docs/observability.md). @returns a function that removes it */
  observe(observer: Observer): () => void {
    return this.observation.observe(observer)
  }

  /** All certificates that are in use or should be, each once, the first to expire first. */
  certificates(): CertificateRow[] {
    return this.parts.reports.rows()
  }

  /** The same without reading them: each is read on demand. */
  heldCertificates(): readonly ListedCertificate[] {
    return this.parts.reports.list()
  }

  /** How many there are, how many have expired, and which expires next. */
  certificateCount(): CertificateCount {
    return this.parts.reports.count()
  }

  /** The certificates that may be presented to a client for this host; none if its TLS does not end here. */
  bundlesFor(host: string): readonly Bundle[] {
    const site = this.services.snapshot.site(host) ?? this.services.snapshot.defaultSite
    return (site && this.parts.reports.bundlesFor(site.name, host)) ?? []
  }

  /** The sites that can be put into maintenance, by their first hosts, and which of them are. */
  maintenance(): readonly MaintenanceRow[] {
    const { lasting } = this.parts.registries
    const sites = this.inForce?.compiled.lasting.sites ?? []
    return [...sites].map(site => ({ site, on: lasting.maintenance.of(site).on }))
  }

  /** Puts a site into maintenance, or back, for this process and all that share its state folder. Throws UsageError where it cannot. */
  setMaintenance(host: string, on: boolean): void {
    const { lasting } = this.parts.registries
    const site = this.config.sites.find(({ hosts }) => hosts.includes(host.toLowerCase()))
    if (site === undefined) throw new UsageError(`no site has the host ${host}`)
    if (this.inForce?.compiled.lasting.sites.has(site.name) !== true)
      throw new UsageError(
        `the site ${site.name} has no maintenance in its configuration: add maintenance: true, or a page`,
      )
    lasting.maintenance.set(site.name, on)
  }

  /** Whether load balancers should send traffic here. Requests are served in any case. */
  readiness(): Readiness {
    const reasons = this.parts.reports.reasons()
    if (this.services.draining) reasons.unshift('draining')
    return { ready: reasons.length === 0, reasons }
  }

  /** @param next returns the configuration when its turn has come; null for the current one */
  private inTurn(next: () => Config | null): Promise<void> {
    const done = this.applying.then(async () => {
      this.inForce = await apply(this.parts, this.inForce, next())
      const { sites, ports, snapshotVersion: version } = this
      this.tell({ kind: 'applied', version, ports, sites: sites.length })
    })
    this.applying = done.catch(() => {})
    return done
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      // Client-CA files that were read again for it still have to be applied.
      this.parts.trust.changed()
      this.rejected(error)
    }
  }

  private rejected(error: unknown): never {
    this.tell({ kind: 'rejected', error: error instanceof Error ? error : new Error(String(error)) })
    throw error
  }

  private tell(event: GatewayEvent): void {
    try {
      this.parts.options.onEvent?.(event)
    } catch (error) {
      this.parts.events.fault('onEvent', error)
    }
  }
}

/** At the end of a drain */
const managedCloseMs = 3_000
