/** A gateway in this process with its admin listener and control socket: of a single process and of a worker alike. */

import { messageOf, UsageError } from '../base/errors.ts'
import { Output, recordsDropped } from '../base/output.ts'
import { collectGarbage } from '../base/runtime.ts'
import { hiding } from '../config/hiding.ts'
import { Admin } from '../control/admin.ts'
import type { Running } from '../control/command.ts'
import { makeControlFolder } from '../control/folder.ts'
import { openControl } from '../control/socket.ts'
import { Gateway } from '../gateway/gateway.ts'
import type { GatewayOptions } from '../gateway/gateway-options.ts'
import type { ShareSource } from '../model/shared-limit.ts'
import { noReloads, processMetrics, type Reloads, recordsDroppedTotal } from '../observe/process-metrics.ts'
import type { Loaded } from './loaded.ts'

type ServingOptions = {
  readonly loaded: Loaded
  /** From 1 */
  readonly worker: number
  readonly workers: number
  readonly tlsKeyLog: string | undefined
  /** Of limits that workers keep together; null for a single process */
  readonly shares: ShareSource | null
  /** What the control socket asks for: of the whole gateway */
  readonly reload: () => Promise<void>
  readonly drain: () => void
}

/** How long the last lines of the log may take to be read. */
const lastLinesMs = 500

export class Serving {
  readonly gateway: Gateway
  private readonly admin: Admin
  private readonly reloads: Reloads = noReloads()
  private readonly output: Output
  private readonly options: ServingOptions
  private readonly running: Running
  private stopping = false

  constructor(options: ServingOptions) {
    const { loaded, worker, workers, tlsKeyLog, shares } = options
    this.options = options
    this.output = new Output(1, { shared: workers > 1 })
    const out = (text: string) => this.output.write(text)
    const reportsCertificates = worker === 1
    const several = { reusePort: workers > 1, processes: workers, unixListeners: worker === 1 }
    const shared: GatewayOptions = { ...several, out, reportsCertificates, shares }
    this.gateway = new Gateway(loaded.config, tlsKeyLog === undefined ? shared : { ...shared, tlsKeyLog })
    this.output.onRecovered = dropped => this.gateway.log.write('warn', recordsDropped, { dropped })
    this.gateway.metrics.read(recordsDroppedTotal, () => this.output.dropped)
    const { gateway } = this
    this.running = {
      gateway,
      worker,
      gatewayPid: workers > 1 ? process.ppid : process.pid,
      startedAt: Date.now(),
      metrics: () => processMetrics(gateway.metrics, worker),
      reload: options.reload,
      drain: options.drain,
    }
    this.admin = new Admin(gateway, { worker, workers, reloads: this.reloads, running: this.running })
    this.logFaults()
  }

  /** Throws UsageError where it cannot serve. */
  async start(): Promise<void> {
    const { loaded, worker } = this.options
    refuseControlFolder(loaded.config.state)
    // Before the listeners: probes are answered while a long start is under way.
    if (worker === 1) await this.admin.open(loaded.config.admin)
    // Of parsing first, so that what stays goes where it lay: 20 MB less with 10,000 sites.
    collectGarbage()
    await hiding(loaded, () => this.gateway.start())
    collectGarbage()
    await this.openControls()
  }

  /** Throws what was wrong, having logged it. */
  async reload(load: () => Promise<Loaded>): Promise<void> {
    const { gateway, admin, reloads, options } = this
    // Whatever becomes of the configuration: who renames a log file sends SIGHUP for it.
    gateway.reopenLogs()
    try {
      const loaded = await load()
      const { config } = loaded
      const prepared = options.worker === 1 ? await admin.prepare(config.admin) : null
      try {
        await hiding(loaded, () => gateway.apply(config))
      } catch (error) {
        await prepared?.discard()
        throw error
      }
      prepared?.commit()
      reloads.done++
      reloads.lastFailed = false
      gateway.log.write('info', 'reloaded', { sites: config.sites.length })
    } catch (error) {
      this.rejected(messageOf(error))
      throw error
    }
  }

  /** Logs and counts a reload that has failed. */
  rejected(why: string): void {
    this.gateway.reopenLogs()
    this.reloads.failed++
    this.reloads.lastFailed = true
    this.gateway.log.write('error', 'reload failed; the current configuration stays in use', { why })
  }

  /** Drains and ends the process; at once when it is asked again. */
  stop(): void {
    if (this.stopping) process.exit(1)
    this.drain()
  }

  /** The same without the hurry when it is asked again. */
  drain(): void {
    if (this.stopping) return
    this.stopping = true
    const { gateway, output } = this
    gateway.log.write('info', 'draining', { connections: gateway.connections })
    gateway
      .drain()
      .then(async cut => {
        gateway.log.write('info', 'stopped', { cut })
        gateway.log.flush()
        await output.finish(lastLinesMs)
      })
      // Timers of pooled connections or of a filter must not hold up the exit.
      .finally(() => process.exit(0))
  }

  /** A gateway that cannot be asked still serves. */
  private async openControls(): Promise<void> {
    const { gateway } = this
    try {
      await openControl(gateway.config.state, this.running)
    } catch (error) {
      gateway.log.write('warn', 'no control socket: status, reload, drain and handshakes cannot ask this process', {
        why: messageOf(error),
      })
    }
  }

  private logFaults(): void {
    const { log } = this.gateway
    process.on('uncaughtException', error => log.write('error', 'fault', { where: 'uncaught', stack: error.stack }))
    process.on('unhandledRejection', error =>
      log.write('error', 'fault', {
        where: 'promise',
        stack: error instanceof Error ? error.stack : messageOf(error),
      }),
    )
  }
}

/** Throws UsageError where others may have put a control socket beside ours: whoever asks the gateway would ask them. */
export function refuseControlFolder(state: string): void {
  let problem: string | null = null
  try {
    problem = makeControlFolder(state)
  } catch {
    // It cannot be made: the gateway serves without, and says so.
  }
  if (problem !== null) throw new UsageError(problem)
}
