/** Each endpoint in its turn. A retry takes the next one and leaves the turn to the others. */
import type { Endpoint } from '../model/upstream.ts'
import { type Choose, isLeftOut } from './avoid.ts'

export function roundRobin(endpoints: readonly Endpoint[]): Choose {
  let turn = 0
  return (tried, now) => {
    for (let step = 0; step < endpoints.length; step++) {
      const at = turn + step < endpoints.length ? turn + step : turn + step - endpoints.length
      const endpoint = endpoints[at] as Endpoint
      if (isLeftOut(endpoint, tried, now)) continue
      if (tried.length === 0) turn = at + 1 === endpoints.length ? 0 : at + 1
      return endpoint
    }
    return null
  }
}
