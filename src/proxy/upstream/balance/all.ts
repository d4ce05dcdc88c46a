/** Every balancing algorithm, by the name it has in the configuration: a new one is a file and a line here. */
import { avoiding, type Choose, type Pick } from './avoid.ts'
import { leastRequests } from './least-requests.ts'
import { random } from './random.ts'
import { roundRobin } from './round-robin.ts'

type Algorithm = { readonly docs: string; readonly choose: () => Choose }

export const algorithms = {
  'round-robin': { docs: 'each in turn', choose: roundRobin },
  'least-requests': {
    docs: 'the one with the fewest requests (or connections) in progress, in turn if several have equally few',
    choose: leastRequests,
  },
  random: { docs: 'any, with equal probability', choose: () => random() },
} as const satisfies Readonly<Record<string, Algorithm>>

export type BalanceName = keyof typeof algorithms
export const balanceNames = Object.keys(algorithms) as BalanceName[]

/** How an upstream picks its endpoints: by the algorithm of this name, and those that have just refused last. */
export const balancer = (name: BalanceName): Pick => avoiding(algorithms[name].choose())
