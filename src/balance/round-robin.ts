/** Each endpoint in its turn. */
import type { Endpoint, Pick } from '../model/upstream.ts'

export function roundRobin(endpoints: readonly Endpoint[]): Pick {
  let turn = 0
  return tried => {
    for (let step = 0; step < endpoints.length; step++) {
      const endpoint = endpoints[turn] as Endpoint
      turn = turn + 1 === endpoints.length ? 0 : turn + 1
      if (tried.length === 0 || !tried.includes(endpoint)) return endpoint
    }
    return null
  }
}
