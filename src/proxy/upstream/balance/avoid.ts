/**
 * An endpoint that could not be connected to is tried last for ten seconds, whatever the algorithm: the others are asked first, and it
 * only where none of them is left. When the time is over one exchange tries it, and the others go on passing it by until a
 * connection has come about. One that still has connections in its pool gets its share back at once.
 */
import { nowMs } from '../../../base/deadlines.ts'
import { avoidMs, type Endpoint } from '../endpoint.ts'
import type { Picked } from '../picked.ts'

/** Chooses an endpoint that is not in `excluded`; null when none is left. */
export type Pick = (
  endpoints: readonly Endpoint[],
  request: Picked,
  excluded: readonly Endpoint[],
) => Endpoint | null

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

export const isLeftOut = (endpoint: Endpoint, excluded: readonly Endpoint[], now: number): boolean =>
  endpoint.avoidUntil > now || (excluded.length > 0 && excluded.includes(endpoint))

function noneAvoided(endpoints: readonly Endpoint[]): boolean {
  for (let at = 0; at < endpoints.length; at++) if (endpoints[at]?.avoidUntil !== 0) return false
  return true
}

/** @param clock as `nowMs` */
export function avoiding(choose: Choose, clock: () => number = nowMs): Pick {
  return (endpoints, request, excluded) => {
    // The clock is read where there is something to compare with it.
    const now = noneAvoided(endpoints) ? 0 : clock()
    const endpoint = choose(endpoints, request, excluded, now)
    if (endpoint === null) return choose(endpoints, request, excluded, Number.POSITIVE_INFINITY)
    if (endpoint.avoidUntil !== 0) endpoint.avoidUntil = (endpoint.pool?.size ?? 0) > 0 ? 0 : now + avoidMs
    return endpoint
  }
}
