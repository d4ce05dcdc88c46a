/**
 * Power of two choices: of two endpoints drawn at random, the one where a request is expected to take less: its latency (Peak EWMA)
 * times the requests under way there, over its weight. That spreads nearly as evenly as a look at all of them, and several gateways
 * in front of the same endpoints do not all run to the same one.
 */
import { nowMs } from '../../../base/deadlines.ts'
import type { Endpoint } from '../endpoint.ts'
import { type Choose, isLeftOut } from './avoid.ts'
import { drawn } from './draw.ts'

/** What one that is busy is taken to need at least: until it has answered for the first time, not all requests are for it. */
const leastMs = 1

/** @param draw as Math.random @param clock as `nowMs` */
export function p2c(draw: () => number = Math.random, clock: () => number = nowMs): Choose {
  return (endpoints, _request, excluded, now) => {
    const first = drawn(endpoints, draw(), each => !isLeftOut(each, excluded, now))
    if (first < 0) return null
    const one = endpoints[first] as Endpoint
    const second = drawn(endpoints, draw(), (each, at) => at !== first && !isLeftOut(each, excluded, now))
    if (second < 0) return one
    const other = endpoints[second] as Endpoint
    const at = clock()
    return costOf(other, at) < costOf(one, at) ? other : one
  }
}

const costOf = ({ latency, active, weight }: Endpoint, now: number): number =>
  (Math.max(latency?.at(now) ?? 0, active === 0 ? 0 : leastMs) * (active + 1)) / weight
