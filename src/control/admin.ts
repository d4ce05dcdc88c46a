/**
 * The admin listener of a gateway process: metrics and probes, over reloads. Of several workers the first has it, and asks
 * the others over their control sockets at each scrape.
 *
 * A reload binds the new address before it lets go of the old one, and everything that can fail is in `prepare`. Where the
 * two cannot be bound at once (127.0.0.1:9090 to 0.0.0.0:9090), the old one is bound again if the reload fails.
 */
import { UsageError } from '../base/errors.ts'
import type { AdminConfig } from '../config/config.ts'
import { certificateMetrics } from '../gateway/certificates/certificate-metrics.ts'
import type { Gateway, Readiness } from '../gateway/gateway.ts'
import { gatewayMetrics } from '../observe/gateway-metrics.ts'
import { isProcessMetrics, noReloads, type Reloads, readReloads } from '../observe/process-metrics.ts'
import { askOthers } from './client.ts'
import { CoalescedCache } from './coalesced-cache.ts'
import type { Running } from './command.ts'
import { metrics } from './commands/metrics.ts'
import type { AdminSource } from './http.ts'
import { answerCommand, type Others } from './http-commands.ts'
import { type AdminBounds, type AdminServer, adminBounds, bindAdmin } from './http-server.ts'
import { runningHere } from './running.ts'

/** A worker that is busier than this is left out of a scrape. */
const workerMs = 1_000
/** Some 8 kB are usual; label values come from configurations, which may have thousands of sites. */
const mostBytes = 4_000_000

export type AdminOptions = {
  /** The number of this process, from 1 */
  readonly worker?: number
  /** How many processes there should be */
  readonly workers?: number
  /** Counted by whoever reloads */
  readonly reloads?: Reloads
  readonly bounds?: AdminBounds
  /** What commands see; this process alone when left out */
  readonly running?: Running
}

/** An admin section before its configuration is in force. */
type PreparedAdmin = { commit(): void; discard(): Promise<void> }

export class Admin {
  private readonly gateway: Gateway
  private readonly options: Required<Omit<AdminOptions, 'running'>>
  private readonly running: Running
  /** Where the control sockets are: opened at the start, and a reload does not move them */
  private readonly state: string
  private server: AdminServer | null = null
  private readonly source: AdminSource

  constructor(gateway: Gateway, options: AdminOptions = {}) {
    this.gateway = gateway
    this.state = gateway.config.state
    this.options = { worker: 1, workers: 1, reloads: noReloads(), bounds: adminBounds, ...options }
    this.running = options.running ?? runningHere(gateway)
    readReloads(gateway.metrics, this.options.reloads)
    const text = new CoalescedCache(() => this.text())
    const readiness = new CoalescedCache(async () => this.readiness())
    this.source = {
      metrics: () => text.get(),
      readiness: () => readiness.get(),
      command: (path, query) => answerCommand(path, query, this.running, this.others),
    }
  }

  /** Null where nothing listens. */
  get port(): number | null {
    return this.server?.port ?? null
  }

  /** Throws UsageError where the address cannot be had, and changes nothing then. */
  async prepare(config: AdminConfig | null): Promise<PreparedAdmin> {
    const old = this.server
    if (config === null) return { commit: () => this.use(null), discard: async () => {} }
    const { listen, token } = config
    if (old !== null && old.address === listen.address && (old.port === listen.port || listen.port === 0))
      return { commit: () => void (old.token = token), discard: async () => {} }
    const stopped = old !== null && old.port === listen.port
    if (stopped) await old.stop()
    let fresh: AdminServer
    try {
      fresh = await bindAdmin(listen, token, this.source, this.options.bounds)
    } catch (error) {
      if (stopped) await this.bindAgain(old)
      throw error
    }
    return {
      commit: () => this.use(fresh),
      discard: async () => {
        await fresh.stop()
        if (stopped) await this.bindAgain(old)
      },
    }
  }

  /** As `prepare` and `commit` in one. */
  async open(config: AdminConfig | null): Promise<void> {
    const prepared = await this.prepare(config)
    prepared.commit()
  }

  close(): void {
    this.server?.cut()
    this.server = null
  }

  private use(server: AdminServer | null): void {
    const old = this.server
    this.server = server
    this.gateway.observation.metricsAreRead(server !== null)
    void old?.stop()
    if (server !== null)
      this.gateway.log.write('info', 'admin listener', { address: server.address, port: server.port })
  }

  private async bindAgain(old: AdminServer): Promise<void> {
    try {
      this.server = await bindAdmin(old, old.token, this.source, this.options.bounds)
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      this.server = null
      this.gateway.log.write('error', 'the admin listener is lost: its address cannot be bound again', {
        why: error.message,
      })
    }
  }

  private readiness(): Readiness {
    // Probes are answered while listeners are still being bound.
    if (this.gateway.ports.length === 0) return { ready: false, reasons: ['starting'] }
    return this.gateway.readiness()
  }

  private async text(): Promise<string> {
    const { worker, workers } = this.options
    const own = this.running.metrics()
    const replies = await this.others(metrics, null)
    const others = replies.map(({ ok }) => ok).filter(isProcessMetrics)
    const found = new Map(others.filter(each => each.worker !== own.worker).map(each => [each.worker, each]))
    const processes = [own, ...found.values()].sort((a, b) => a.worker - b.worker)
    const certificates = await certificateMetrics(this.gateway.heldCertificates(), Date.now)
    return gatewayMetrics(processes, Math.max(workers, worker), certificates)
  }

  /** Another gateway may have the same state folder, for as long as it takes to replace one by the other: it is not asked. */
  private readonly others: Others = async (command, input) =>
    this.options.workers > 1
      ? await askOthers(this.state, this.running.gatewayPid, command, input, workerMs, mostBytes)
      : []
}
