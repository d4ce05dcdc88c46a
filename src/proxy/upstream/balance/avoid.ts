/**
 * Which endpoints are asked before an algorithm chooses among them. One that could not be connected to is tried last for ten seconds:
 * the others are asked first, and it only where none of them is left. When the time is over one exchange tries it, and the others
 * go on passing it by until a connection has come about. One that still has connections in its pool gets its share back at once.
 * Backups are asked where no other endpoint is left that is not avoided.
 */
import { nowMs } from '../../../base/deadlines.ts'
import { avoidMs, type Endpoint } from '../endpoint.ts'
import type { Picked } from '../picked.ts'

/** Endpoints that are asked before those of the next tier; none is empty. */
export type Tiers = readonly (readonly Endpoint[])[]

/** Chooses an endpoint that is not in `excluded`; null when none is left. */
export type Pick = (tiers: Tiers, request: Picked, excluded: readonly Endpoint[]) => Endpoint | null

/**
 * @param endpoints of this moment: another array with the next change of addresses
 * @param excluded tried already, for this request
 * @returns the next one that is neither excluded nor avoided at `now`, or null. Retries do not advance its turn.
 */
export type Choose = (
  endpoints: readonly Endpoint[],
  request: Picked,
  excluded: readonly Endpoint[],
  now: number,
) => Endpoint | null

/** What the hashing algorithms hash of a request. */
export type KeyOf = (request: Picked) => string

export const isLeftOut = (endpoint: Endpoint, excluded: readonly Endpoint[], now: number): boolean =>
  endpoint.avoidUntil > now || (excluded.length > 0 && excluded.includes(endpoint))

function noneAvoided(endpoints: readonly Endpoint[]): boolean {
  for (let at = 0; at < endpoints.length; at++) if (endpoints[at]?.avoidUntil !== 0) return false
  return true
}

function areWell(tiers: Tiers): boolean {
  for (let tier = 0; tier < tiers.length; tier++) if (!noneAvoided(tiers[tier] as readonly Endpoint[])) return false
  return true
}

/** @param algorithm makes one for each tier, which takes its turns by itself @param clock as `nowMs` */
export function avoiding(algorithm: () => Choose, clock: () => number = nowMs): Pick {
  const choosers = [algorithm()]
  const chooser = (tier: number): Choose => (choosers[tier] ??= algorithm())
  const inOrder = (tiers: Tiers, request: Picked, excluded: readonly Endpoint[], now: number): Endpoint | null => {
    for (let tier = 0; tier < tiers.length; tier++) {
      const endpoint = chooser(tier)(tiers[tier] as readonly Endpoint[], request, excluded, now)
      if (endpoint !== null) return endpoint
    }
    return null
  }
  return (tiers, request, excluded) => {
    // The clock is read where there is something to compare with it.
    const now = areWell(tiers) ? 0 : clock()
    const endpoint = inOrder(tiers, request, excluded, now)
    if (endpoint === null) return inOrder(tiers, request, excluded, Number.POSITIVE_INFINITY)
    if (endpoint.avoidUntil !== 0) endpoint.avoidUntil = (endpoint.pool?.size ?? 0) > 0 ? 0 : now + avoidMs
    return endpoint
  }
}
