/** Every balancing algorithm, by the name it has in the configuration: a new one is a file and a line here. */
import { avoiding, type Choose, type KeyOf, type Pick } from './avoid.ts'
import { leastRequests } from './least-requests.ts'
import { maglev } from './maglev.ts'
import { p2c } from './p2c.ts'
import { random } from './random.ts'
import { ringHash } from './ring-hash.ts'
import { roundRobin } from './round-robin.ts'

type Algorithm = {
  readonly docs: string
  /** @param keyOf of those that hash */
  readonly choose: (keyOf: KeyOf) => Choose
  /** It goes by the `latency` of endpoints, which is measured for nobody else */
  readonly timed?: true
  /** It goes by a key of the request: `hash` in the configuration */
  readonly hashes?: true
}

export const algorithms = {
  'round-robin': { docs: 'each in turn', choose: () => roundRobin() },
  'least-requests': {
    docs: 'the one with the fewest requests (or connections) in progress, in turn if several have equally few',
    choose: () => leastRequests(),
  },
  p2c: {
    docs:
      'of two drawn at random, the one with the lower product of latency (a moving average that reacts to a slow response at once) and ' +
      'requests in progress',
    choose: () => p2c(),
    timed: true,
  },
  random: { docs: 'any, with equal probability', choose: () => random() },
  'ring-hash': {
    docs: 'the same for the same `hash`, by consistent hashing: when an endpoint goes, only its clients move',
    choose: ringHash,
    hashes: true,
  },
  maglev: {
    docs: 'the same for the same `hash`, by Maglev hashing: shares are more even than with `ring-hash`, and a few more clients move',
    choose: maglev,
    hashes: true,
  },
} as const satisfies Readonly<Record<string, Algorithm>>

export type BalanceName = keyof typeof algorithms
export const balanceNames = Object.keys(algorithms) as BalanceName[]

const rowOf = (name: BalanceName): Algorithm => algorithms[name]
export const isTimed = (name: BalanceName): boolean => rowOf(name).timed === true
export const hashes = (name: BalanceName): boolean => rowOf(name).hashes === true

/** How an upstream picks its endpoints: by the algorithm of this name, and those that have just refused last. */
export const balancer = (name: BalanceName, keyOf: KeyOf): Pick => avoiding(() => rowOf(name).choose(keyOf))
