/** The endpoint with the fewest requests under way for its weight; among equals, each in its turn. */
import type { Endpoint } from '../endpoint.ts'
import { type Choose, isLeftOut } from './avoid.ts'
import { Turns } from './turns.ts'

export function leastRequests(): Choose {
  const turns = new Turns()
  return (endpoints, _request, excluded, now) => {
    let best: Endpoint | null = null
    for (const endpoint of endpoints) {
      if (isLeftOut(endpoint, excluded, now)) continue
      if (best === null || endpoint.active * best.weight < best.active * endpoint.weight) best = endpoint
    }
    if (best === null) return null
    const { active, weight } = best
    const isEqual = (each: Endpoint) =>
      each.active * weight === active * each.weight && !isLeftOut(each, excluded, now)
    return turns.next(endpoints, isEqual, excluded.length === 0)
  }
}
