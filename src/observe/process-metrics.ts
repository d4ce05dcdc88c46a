/** The metrics of one process of a gateway, as they are sent between its workers. */
import { areFamilies, counter, type FamilyData, gauge, type Metrics } from '../model/metrics.ts'

export type ProcessMetrics = {
  /** From 1 */
  readonly worker: number
  /** Process ids; the parent of workers is their supervisor */
  readonly pid: number
  readonly parent: number
  readonly families: readonly FamilyData[]
}

/** Written by whoever reloads. */
export type Reloads = { done: number; failed: number; lastFailed: boolean }

export const noReloads = (): Reloads => ({ done: 0, failed: 0, lastFailed: false })

const reloadsTotal = counter('sallyport_reloads_total', 'Reloads of the configuration.', ['outcome'])
const lastReloadFailed = gauge(
  'sallyport_last_reload_failed',
  '1 if the last reload failed, so that the previous configuration is still in use.',
)

/** Of the output of a process that writes to standard output itself */
export const recordsDroppedTotal = counter(
  'sallyport_log_records_dropped_total',
  'Log records dropped because the reader of standard output was too slow.',
)

export function readReloads(metrics: Metrics, reloads: Reloads): void {
  metrics.read(reloadsTotal, () => [
    { labels: ['done'], value: reloads.done },
    { labels: ['failed'], value: reloads.failed },
  ])
  metrics.read(lastReloadFailed, () => Number(reloads.lastFailed))
}

export function processMetrics(metrics: Metrics, worker: number): ProcessMetrics {
  return { worker, pid: process.pid, parent: process.ppid, families: metrics.families() }
}

/** A worker that was started after an upgrade of the files may be of another version. */
export function isProcessMetrics(value: unknown): value is ProcessMetrics {
  const { worker, pid, parent, families } = (value ?? {}) as Partial<ProcessMetrics>
  return [worker, pid, parent].every(each => typeof each === 'number') && areFamilies(families)
}
