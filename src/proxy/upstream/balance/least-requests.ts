/** The endpoint with the fewest requests under way; among equals, each in its turn. */
import type { Endpoint } from '../endpoint.ts'
import { type Choose, isLeftOut } from './avoid.ts'

export function leastRequests(): Choose {
  let turn = 0
  return (endpoints, _request, excluded, now) => {
    let best: Endpoint | null = null
    let bestAt = 0
    for (let step = 0; step < endpoints.length; step++) {
      const at = (turn + step) % endpoints.length
      const endpoint = endpoints[at] as Endpoint
      if (isLeftOut(endpoint, excluded, now)) continue
      if (best === null || endpoint.active < best.active) {
        best = endpoint
        bestAt = at
      }
    }
    if (best !== null && excluded.length === 0) turn = (bestAt + 1) % endpoints.length
    return best
  }
}
