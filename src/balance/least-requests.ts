/** The endpoint with the fewest requests under way; among equals, each in its turn. */
import type { Endpoint, Pick } from '../model/upstream.ts'

export function leastRequests(endpoints: readonly Endpoint[]): Pick {
  let turn = 0
  return tried => {
    let best: Endpoint | null = null
    let bestAt = 0
    for (let step = 0; step < endpoints.length; step++) {
      const at = (turn + step) % endpoints.length
      const endpoint = endpoints[at] as Endpoint
      if (tried.includes(endpoint)) continue
      if (best === null || endpoint.active < best.active) {
        best = endpoint
        bestAt = at
      }
    }
    if (best !== null) turn = (bestAt + 1) % endpoints.length
    return best
  }
}
