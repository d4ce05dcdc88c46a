/** What one process of a gateway counts: read at each scrape from what is there anyway, and sent between processes as JSON. */
import { runtime } from '../base/runtime.ts'
import type { Gateway } from '../gateway/gateway.ts'

export type ProcessMetrics = {
  /** From 1 */
  readonly worker: number
  /** Process ids; the parent of workers is their supervisor */
  readonly pid: number
  readonly parent: number
  readonly runtime: string
  /** Milliseconds since 1970 */
  readonly startedAt: number
  readonly snapshot: number
  readonly draining: boolean
  readonly connections: number
  readonly accepted: number
  readonly failedHandshakes: Readonly<Record<string, number>>
  /** By class of status, the first without one; null where they are not counted */
  readonly requests: readonly number[] | null
  readonly reloads: Reloads
  readonly rssBytes: number
  readonly cpuSeconds: number
}

/** Written by whoever reloads. */
export type Reloads = { done: number; failed: number; lastFailed: boolean }

export const noReloads = (): Reloads => ({ done: 0, failed: 0, lastFailed: false })

export function processMetrics(gateway: Gateway, worker: number, reloads: Reloads): ProcessMetrics {
  const { user, system } = process.cpuUsage()
  return {
    worker,
    pid: process.pid,
    parent: process.ppid,
    runtime: `${runtime.name} ${runtime.version}`,
    startedAt: Math.round(Date.now() - process.uptime() * 1000),
    snapshot: gateway.snapshotVersion,
    draining: gateway.draining,
    connections: gateway.connections,
    accepted: gateway.accepted,
    failedHandshakes: Object.fromEntries(gateway.handshakes.byError),
    requests: gateway.requests.counting ? [...gateway.requests.byClass] : null,
    reloads: { ...reloads },
    rssBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1e6,
  }
}

const counts = [
  'worker',
  'pid',
  'parent',
  'startedAt',
  'snapshot',
  'connections',
  'accepted',
  'rssBytes',
  'cpuSeconds',
]

/** A worker that was started after an upgrade of the files may be of another version. */
export function isProcessMetrics(value: unknown): value is ProcessMetrics {
  const each = value as ProcessMetrics & Record<string, unknown>
  if (typeof value !== 'object' || value === null || counts.some(name => typeof each[name] !== 'number'))
    return false
  const { runtime: name, draining, failedHandshakes, requests, reloads } = each
  return (
    typeof name === 'string' &&
    typeof draining === 'boolean' &&
    areNumbers(failedHandshakes) &&
    (requests === null || (Array.isArray(requests) && requests.length === 6 && areNumbers(requests))) &&
    areNumbers({ done: reloads?.done, failed: reloads?.failed }) &&
    typeof reloads.lastFailed === 'boolean'
  )
}

const areNumbers = (all: object | undefined | null): boolean =>
  typeof all === 'object' && all !== null && Object.values(all).every(each => typeof each === 'number')
