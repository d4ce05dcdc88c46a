/** Every balancing algorithm, by the name it has in the configuration. */
import type { Endpoint, Pick } from '../model/upstream.ts'
import { avoiding } from './avoid.ts'
import { leastRequests } from './least-requests.ts'
import { roundRobin } from './round-robin.ts'

export const balancers: Readonly<Record<string, (endpoints: readonly Endpoint[]) => Pick>> = {
  'round-robin': endpoints => avoiding(roundRobin(endpoints)),
  'least-requests': endpoints => avoiding(leastRequests(endpoints)),
}
