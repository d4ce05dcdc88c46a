/**
 * Signals of a gateway, caught from the first moment of the process: SIGHUP while it starts is a reload once it serves,
 * SIGTERM and SIGINT while it starts end it; SIGUSR1 opens log files again, and would open Node's inspector otherwise. Without a handler each of them would kill the process. The launcher holds
 * signals back until it is told that they are caught; when the launcher is gone, the gateway drains and ends.
 *
 * Workers are told by their supervisor and not by signals, since a terminal sends its signals to all processes at once:
 * they ignore SIGHUP, SIGUSR1 and SIGINT.
 */
import { workerNumber } from './channel.ts'

type SignalHandlers = {
  readonly reload: () => void
  /** SIGUSR1 */
  readonly reopen: () => void
  /** SIGTERM or SIGINT; again with each further one */
  readonly stop: () => void
  /** The launcher was killed */
  readonly orphaned: () => void
}

/** Control-C reaches the launcher and the gateway, and the launcher passes it on: within this time both are one. */
const sameInterruptMs = 300

/** Set by bin/sallyport, which has a channel to its child then. */
const launcherVariable = 'SALLYPORT_LAUNCHER'

const servingVerbs = ['run', 'proxy']

/** Null for a verb that does not serve. */
export const servingSignals = (verb: string | undefined): Signals | null =>
  servingVerbs.includes(verb ?? '') ? new Signals() : null

export class Signals {
  private handlers: SignalHandlers | null = null
  private reloadWaits = false
  private interruptedAt = Number.NEGATIVE_INFINITY
  private readonly isLaunched: boolean

  constructor() {
    const isWorker = workerNumber() !== null
    process.on('SIGHUP', () => {
      if (isWorker) return
      if (this.handlers === null) this.reloadWaits = true
      else this.handlers.reload()
    })
    // Files that are opened later need no reopening.
    process.on('SIGUSR1', () => {
      if (!isWorker) this.handlers?.reopen()
    })
    process.on('SIGTERM', () => this.stop())
    process.on('SIGINT', () => {
      const now = performance.now()
      if (isWorker || now - this.interruptedAt < sameInterruptMs) return
      this.interruptedAt = now
      this.stop()
    })
    this.isLaunched = !isWorker && process.env[launcherVariable] !== undefined && process.send !== undefined
    // Of this process alone, not of its workers.
    delete process.env[launcherVariable]
    if (!this.isLaunched) return
    process.on('disconnect', () => (this.handlers === null ? process.exit(0) : this.handlers.orphaned()))
    process.send?.('signals are caught')
  }

  /** From now on the process can reload and drain. */
  use(handlers: SignalHandlers): void {
    this.handlers = handlers
    if (!this.reloadWaits) return
    this.reloadWaits = false
    handlers.reload()
  }

  /** The process ends by itself: an open channel to the launcher would keep it. */
  release(): void {
    if (!this.isLaunched) return
    process.removeAllListeners('disconnect')
    process.disconnect?.()
  }

  private stop(): void {
    // Nothing is open yet, and nothing to be finished.
    if (this.handlers === null) process.exit(0)
    this.handlers.stop()
  }
}
