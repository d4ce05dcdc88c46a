/**
 * Starts the workers of a gateway and keeps their number: one that ends is replaced, and the others do not notice. The
 * supervisor alone reads the configuration. What was read last and could be put into force is in force: workers get it
 * over their channels, and one that is started later gets the same, whatever the file holds by then.
 *
 * A reload goes to one worker first; where that worker cannot put it into force, the others are not asked. Where another
 * one then fails, those that have it go back to the configuration before.
 */
import { spawn } from 'node:child_process'
import { messageOf, UsageError } from '../base/errors.ts'
import { Output } from '../base/output.ts'
import type { Config } from '../config/config.ts'
import type { ConfigSource } from '../config/load.ts'
import { sendToWorker, type ToSupervisor, workerEnvironment } from './channel.ts'
import { inTurn } from './in-turn.ts'
import type { Loaded } from './loaded.ts'
import { Ports } from './ports.ts'
import { refuseControlFolder } from './serving.ts'
import { SupervisorShares } from './shares.ts'
import type { Signals } from './signals.ts'
import { Worker } from './worker-process.ts'

/**
 * Workers are restarted at once, unless they die within this time: then after it. One that dies again and again before it is
 * ready is given twice the time with each try, up to the second number: its reason stands on standard error each time.
 */
const respawnMs = 1_000
const longestRespawnMs = 60_000

/** @param failures how often in a row it has ended before it was ready */
export const respawnAfter = (failures: number, young: boolean): number =>
  failures > 0 ? Math.min(respawnMs * 2 ** (failures - 1), longestRespawnMs) : young ? respawnMs : 0

const lastLinesMs = 500

/** A Unix socket has none: the first worker alone listens there. */
const portsOf = ({ listen }: Config) => listen.filter(({ unix }) => !unix)

export class Supervisor {
  private readonly count: number
  private readonly errors: Output
  /** Shared with the workers: see Output.unblock */
  private readonly log = new Output(1, { shared: true })
  private readonly ports = new Ports()
  private readonly workers = new Set<Worker>()
  /** What workers keep together */
  private readonly shares = new SupervisorShares<Worker>(({ child }, message) => sendToWorker(child, message))
  private config: Config
  /** In force */
  private source: ConfigSource
  /** By the number of a worker: how often in a row it has ended before it was ready */
  private readonly failures = new Map<number, number>()
  /** Workers that are to be started later */
  private readonly later = new Map<number, NodeJS.Timeout>()
  private announced = false
  private stopping = false
  private exitCode = 0
  private readonly reload: () => Promise<void>
  private ended: (code: number) => void = () => {}
  private allReady: () => void = () => {}
  /** A reload that is asked for while workers are starting waits for them */
  private readonly ready: Promise<void>

  /** @param read the configuration as the file has it now; throws where it cannot be used */
  constructor(count: number, loaded: Loaded, errors: Output, read: () => Promise<Loaded>) {
    this.count = count
    this.config = loaded.config
    this.source = loaded.source
    this.errors = errors
    this.reload = inTurn(() => this.reloadNow(read))
    this.ready = new Promise(resolve => {
      this.allReady = resolve
    })
  }

  /** @returns the exit code, when every worker has ended. Throws UsageError where the gateway cannot start. */
  async run(signals: Signals): Promise<number> {
    const { config } = this
    if (config.listen.some(listen => listen.port === 0 && !listen.unix))
      throw new UsageError('with several workers every listener needs a fixed port, not 0')
    refuseControlFolder(config.state)
    await this.ports.claim(config.state, portsOf(config))
    const code = await new Promise<number>(resolve => {
      this.ended = resolve
      for (let number = 1; number <= this.count; number++) this.start(number)
      signals.use({
        reload: () => void this.reload().catch(() => {}),
        reopen: () => {
          for (const { child } of this.workers) sendToWorker(child, { kind: 'reopen' })
        },
        stop: () => this.stop(),
        orphaned: () => this.drain(),
      })
    })
    this.ports.keepOnly(config.state, [])
    await this.errors.finish(lastLinesMs)
    process.exit(code)
  }

  private start(number: number): void {
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: workerEnvironment(number),
    })
    this.unblock()
    const worker = new Worker(number, child)
    this.workers.add(worker)
    child.on('message', message => this.took(worker, message as ToSupervisor))
    child.on('exit', code => this.left(worker, code))
    child.on('error', error => {
      this.say(`sallyport: cannot start a worker: ${error.message}`)
      this.left(worker, 1)
    })
  }

  private took(worker: Worker, message: ToSupervisor): void {
    switch (message.kind) {
      case 'hello':
        worker.source = this.source
        sendToWorker(worker.child, { kind: 'start', source: this.source })
        return
      case 'ready':
        worker.ready = true
        this.isReady(worker)
        return
      case 'reloaded':
        worker.answered(message.id, message.error)
        return
      case 'ask':
        this.reload().then(
          () => sendToWorker(worker.child, { kind: 'answer', id: message.id, error: null }),
          error => sendToWorker(worker.child, { kind: 'answer', id: message.id, error: messageOf(error) }),
        )
        return
      case 'take':
      case 'give':
      case 'recalled':
        this.shares.took(worker, message)
        return
      case 'stop':
        this.drain()
    }
  }

  private isReady(worker: Worker): void {
    if (!this.announced && [...this.workers].filter(({ ready }) => ready).length === this.count) {
      this.announced = true
      this.say('sallyport ready')
      this.allReady()
    }
    // While it was starting, a reload may have replaced what it was given.
    if (worker.source !== this.source) void worker.reload(this.source)
  }

  private left(worker: Worker, code: number | null): void {
    if (!this.workers.delete(worker)) return
    worker.gone()
    this.shares.left(worker)
    this.unblock()
    if (!this.stopping && !this.announced) {
      // It never came up: the reason is on standard error, and another would say the same.
      this.exitCode = code ?? 1
      this.drain()
    } else if (!this.stopping) {
      this.replace(worker, code)
    }
    if (this.stopping && this.workers.size === 0) this.ended(this.exitCode)
  }

  private replace({ number, ready, startedAt }: Worker, code: number | null): void {
    const failures = ready ? 0 : (this.failures.get(number) ?? 0) + 1
    this.failures.set(number, failures)
    const ms = respawnAfter(failures, performance.now() - startedAt < respawnMs)
    const { kind, name } = this.source
    // Nobody can hand on a function: of all that a configuration may be read from, only a module is read again.
    const again =
      kind === 'module'
        ? `. ${name} is code, which every process loads for itself: the file on disk has to work`
        : ''
    this.say(
      failures === 0
        ? `sallyport: a worker ended (${code ?? 'by a signal'}); starting another`
        : `sallyport: a worker ended (${code ?? 'by a signal'}) before it was ready; starting another in ${ms / 1000} s${again}`,
    )
    this.later.set(
      number,
      setTimeout(() => this.startNow(number), ms),
    )
  }

  private startNow(number: number): void {
    clearTimeout(this.later.get(number))
    this.later.delete(number)
    if (!this.stopping) this.start(number)
  }

  /** Throws what was wrong; what was in force before is then in force. */
  private async reloadNow(read: () => Promise<Loaded>): Promise<void> {
    await this.ready
    try {
      const { config, source } = await read()
      await this.ports.claim(this.config.state, portsOf(config))
      await this.hand(source)
      this.source = source
      this.config = config
    } catch (error) {
      for (const worker of this.workers) {
        if (worker.ready && !worker.failedLast)
          sendToWorker(worker.child, { kind: 'rejected', why: messageOf(error) })
        worker.failedLast = false
      }
      throw error
    } finally {
      this.ports.keepOnly(this.config.state, portsOf(this.config))
    }
    // What kept them from starting may be mended.
    for (const number of [...this.later.keys()]) this.startNow(number)
    // Workers that became ready in the meantime.
    for (const worker of this.workers)
      if (worker.ready && worker.source !== this.source) void worker.reload(this.source)
  }

  private async hand(source: ConfigSource): Promise<void> {
    const [first, ...others] = [...this.workers].filter(({ ready }) => ready)
    const error = (await first?.reload(source)) ?? null
    if (error !== null) throw new UsageError(error)
    const errors = await Promise.all(others.map(worker => worker.reload(source)))
    const failed = errors.find(each => each !== null) ?? null
    if (failed === null) return
    const back = [...this.workers].filter(worker => worker.ready && worker.source === source)
    await Promise.all(back.map(worker => worker.reload(this.source)))
    throw new UsageError(failed)
  }

  /** A signal: the second one does not wait for connections. */
  private stop(): void {
    if (this.stopping) for (const { child } of this.workers) child.kill('SIGKILL')
    else this.drain()
  }

  private drain(): void {
    if (this.stopping) return
    this.stopping = true
    for (const { child } of this.workers) sendToWorker(child, { kind: 'drain' })
    if (this.workers.size === 0) this.ended(this.exitCode)
  }

  private say(text: string): void {
    this.errors.write(`${text}\n`)
  }

  /** The workers' standard output and error are this process's, and each start and end of one makes them wait again. */
  private unblock(): void {
    this.errors.unblock()
    this.log.unblock()
  }
}
