/**
 * An upstream: endpoints that can stand in for each other, and how one is picked. It outlives snapshots: one whose terms a reload
 * leaves as they are is the same object afterwards, and one whose terms have changed keeps the destinations that have not.
 */
import { isDeepStrictEqual } from 'node:util'
import { type BalanceName, balancer, isTimed } from './balance/all.ts'
import type { Pick } from './balance/avoid.ts'
import type { Destination } from './destination.ts'
import type { Endpoint } from './endpoint.ts'
import { EndpointSet } from './endpoint-set.ts'
import { compileHash } from './hash-key.ts'
import { type Ejected, Outlier, type OutlierTerms } from './outlier.ts'
import type { Picked } from './picked.ts'
import { compileRetry, type RetryPolicy } from './retry.ts'

type Rank = { readonly weight: number; readonly backup: boolean }

export type UpstreamTerms = {
  /** As in the configuration; also where it stands there, if it has no name */
  readonly name: string
  readonly scheme: 'http' | 'https' | 'tcp'
  readonly balance: BalanceName
  /** What the hashing algorithms go by, as hash-key.ts has it */
  readonly hash: string
  /** Of each destination, in their order */
  readonly ranks: readonly Rank[]
  /** Null: no endpoint is ejected */
  readonly outlier: OutlierTerms | null
  /** Idle connections kept for each endpoint */
  readonly maxIdle: number
  /** What the Host field says toward the backend */
  readonly hostHeader: 'preserve' | 'endpoint'
  readonly proxyProtocol: 'v1' | 'v2' | null
}

export class Upstream {
  readonly terms: UpstreamTerms
  readonly name: string
  readonly set: EndpointSet
  readonly retry: RetryPolicy = defaultRetry
  /** It balances by the latency of its endpoints, which has to be measured */
  readonly timed: boolean
  readonly outlier: Outlier | null
  private readonly choose: Pick

  /** @param ejected told of every ejection */
  constructor(
    terms: UpstreamTerms,
    destinations: readonly Destination[],
    named: readonly Destination[],
    ejected: Ejected,
  ) {
    this.terms = terms
    this.name = terms.name
    const { outlier, ranks } = terms
    this.set = new EndpointSet(
      destinations,
      named,
      destinations.filter((_each, at) => ranks[at]?.backup),
    )
    this.outlier = outlier === null ? null : new Outlier(outlier, () => this.set.endpoints, ejected)
    this.timed = isTimed(terms.balance)
    this.choose = balancer(terms.balance, compileHash(terms.hash))
  }

  /** It is in use now: its destinations, which others may have had before, get the weights that it gives them. */
  weigh(): void {
    for (const [at, destination] of this.set.destinations.entries())
      destination.weigh(this.terms.ranks[at]?.weight ?? 1)
  }

  pick(request: Picked, excluded: readonly Endpoint[]): Endpoint | null {
    return this.choose(this.set.tiers, request, excluded)
  }

  /** Whether it would be made again from these */
  isMadeOf(terms: UpstreamTerms, destinations: readonly Destination[]): boolean {
    const own = this.set.destinations
    return (
      termNames.every(name => this.terms[name] === terms[name]) &&
      isDeepStrictEqual(this.terms.outlier, terms.outlier) &&
      isDeepStrictEqual(this.terms.ranks, terms.ranks) &&
      own.length === destinations.length &&
      own.every((each, at) => each === destinations[at])
    )
  }
}

const termNames: readonly (keyof UpstreamTerms)[] = [
  'name',
  'scheme',
  'balance',
  'hash',
  'maxIdle',
  'hostHeader',
  'proxyProtocol',
]

const defaultRetry = compileRetry({ tries: 4, refusals: 8 })
