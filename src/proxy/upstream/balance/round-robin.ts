/** Each endpoint in its turn. A retry takes the next one and leaves the turn to the others. */
import type { Endpoint } from '../endpoint.ts'
import { type Choose, isLeftOut } from './avoid.ts'
import { areEqual, Turns } from './turns.ts'

export function roundRobin(): Choose {
  let turn = 0
  let seen: readonly Endpoint[] = []
  let weighted: Turns | null = null
  return (endpoints, _request, excluded, now) => {
    if (endpoints !== seen) {
      seen = endpoints
      weighted = areEqual(endpoints) ? null : new Turns()
      // There may have been more of them when it was set.
      if (turn >= endpoints.length) turn = 0
    }
    if (weighted !== null)
      return weighted.next(endpoints, each => !isLeftOut(each, excluded, now), excluded.length === 0)
    const { length } = endpoints
    for (let step = 0; step < length; step++) {
      const at = turn + step < length ? turn + step : turn + step - length
      const endpoint = endpoints[at] as Endpoint
      if (isLeftOut(endpoint, excluded, now)) continue
      if (excluded.length === 0) turn = at + 1 === length ? 0 : at + 1
      return endpoint
    }
    return null
  }
}
