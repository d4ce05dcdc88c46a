/**
 * An endpoint that could not be connected to is tried last for ten seconds, whatever the algorithm: the others are asked first, and it
 * only where none of them is left. When the time is over one exchange tries it, and the others go on passing it by until a
 * connection has come about. One that still has connections in its pool gets its share back at once.
 */
import { nowMs } from '../base/deadlines.ts'
import { avoidMs, type Endpoint, type Pick } from '../model/upstream.ts'

/** @returns the next endpoint that is neither in `tried` nor avoided at `now`, or null. Retries do not advance its turn. */
export type Choose = (tried: readonly Endpoint[], now: number) => Endpoint | null

export const isLeftOut = (endpoint: Endpoint, tried: readonly Endpoint[], now: number): boolean =>
  endpoint.avoidUntil > now || (tried.length > 0 && tried.includes(endpoint))

/** @param clock as `nowMs` */
export function avoiding(choose: Choose, clock: () => number = nowMs): Pick {
  return tried => {
    const now = clock()
    const endpoint = choose(tried, now)
    if (endpoint === null) return choose(tried, Number.POSITIVE_INFINITY)
    if (endpoint.avoidUntil !== 0) endpoint.avoidUntil = (endpoint.pool?.size ?? 0) > 0 ? 0 : now + avoidMs
    return endpoint
  }
}
