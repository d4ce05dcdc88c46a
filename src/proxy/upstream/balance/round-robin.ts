/** Each endpoint in its turn. A retry takes the next one and leaves the turn to the others. */
import type { Endpoint } from '../endpoint.ts'
import { type Choose, isLeftOut } from './avoid.ts'

export function roundRobin(): Choose {
  let turn = 0
  return (endpoints, _request, excluded, now) => {
    const { length } = endpoints
    // There were more of them when it was set.
    if (turn >= length) turn = 0
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
