/** Whether a request body comes fast enough: no silence, and no slower than the minimum rate once its grace is over. */

import type { Route } from '../model/route.ts'
import type { Snapshot } from '../model/snapshot.ts'

export type BodyRules = { readonly idleMs: number; readonly graceMs: number; readonly leastPerSecond: number }

export function bodyRules({ timeouts, limits }: Snapshot, route: Route | null): BodyRules {
  const idleMs = route?.timeouts.bodyIdleMs ?? timeouts.bodyIdleMs
  return { idleMs, graceMs: timeouts.bodyGraceMs, leastPerSecond: limits.bodyRateBytes }
}

/** How often a request body's progress is looked at. */
export const bodyTickMs = 1_000

export class BodyProgress {
  movedAt: number
  private readonly startedAt: number
  private bytes = 0

  constructor(now: number) {
    this.startedAt = now
    this.movedAt = now
  }

  moved(bytes: number, now: number): void {
    this.bytes += bytes
    this.movedAt = now
  }

  /** @returns what is wrong, or null */
  problem(now: number, { idleMs, graceMs, leastPerSecond }: BodyRules): string | null {
    if (idleMs > 0 && now - this.movedAt > idleMs) return `no byte of the body for ${idleMs} ms`
    const elapsed = now - this.startedAt
    if (leastPerSecond === 0 || elapsed <= graceMs || this.bytes * 1000 >= leastPerSecond * elapsed) return null
    return `the body comes slower than limits.bodyRate (${leastPerSecond} bytes/s)`
  }
}
