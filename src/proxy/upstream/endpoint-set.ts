/** The endpoints of an upstream at this moment, gathered from its destinations. A change of addresses shows with the next look. */
import { ProxyError } from '../../base/errors.ts'
import type { Tiers } from './balance/avoid.ts'
import type { AddressWaiter, Destination } from './destination.ts'
import type { Endpoint } from './endpoint.ts'

export class EndpointSet {
  readonly destinations: readonly Destination[]
  /** Those whose endpoints may change */
  private readonly named: readonly Destination[]
  /** What was gathered from each of `named` */
  private readonly seen: (readonly Endpoint[])[]
  /** Whose endpoints are asked only where no other is left; null for none */
  private readonly backups: ReadonlySet<Destination> | null
  private gathered: Tiers

  /**
   * @param named those of `destinations` whose endpoints may change; one that is listed twice counts twice
   * @param backups those of `destinations` that are asked only where no other is left
   */
  constructor(
    destinations: readonly Destination[],
    named: readonly Destination[],
    backups: readonly Destination[],
  ) {
    this.destinations = destinations
    this.backups = backups.length === 0 ? null : new Set(backups)
    this.named = named.length === 0 ? none : named
    this.seen = named.length === 0 ? noneSeen : named.map(each => each.endpoints)
    this.gathered = this.gather()
  }

  /** Whoever looks uses them: names that are not known yet are looked up. */
  get tiers(): Tiers {
    if (this.named.length > 0) this.look()
    return this.gathered
  }

  get endpoints(): readonly Endpoint[] {
    const { tiers } = this
    return tiers.length === 1 ? (tiers[0] as readonly Endpoint[]) : tiers.flat()
  }

  /** @returns false where no other endpoint is about to be known; otherwise `waiter` is called after the next answer, maybe twice */
  awaitMore(waiter: AddressWaiter): boolean {
    let waits = false
    for (const destination of this.named) {
      if (!destination.pending) continue
      destination.whenAnswered(waiter)
      waits = true
    }
    return waits
  }

  /** Why there is no endpoint at all */
  problem(upstream: string): ProxyError {
    const failed = this.named.find(each => each.problem !== null)
    if (failed === undefined) return new ProxyError('NO_ENDPOINT', `${upstream} has no endpoint left to try`)
    const error = failed.problem as Error
    return new ProxyError('NAME_NOT_RESOLVED', error.message, error)
  }

  private look(): void {
    const { named, seen } = this
    let changed = false
    for (let at = 0; at < named.length; at++) {
      const destination = named[at] as Destination
      destination.want()
      if (destination.endpoints === seen[at]) continue
      seen[at] = destination.endpoints
      changed = true
    }
    if (changed) this.gathered = this.gather()
  }

  private gather(): Tiers {
    const { destinations, backups } = this
    const tiers =
      backups === null
        ? [endpointsOf(destinations)]
        : [
            endpointsOf(destinations.filter(each => !backups.has(each))),
            endpointsOf(destinations.filter(each => backups.has(each))),
          ]
    return tiers.filter(tier => tier.length > 0)
  }
}

// Shared by the upstreams that have addresses in their configuration, of which there may be ten thousand
const none: readonly Destination[] = []
const noneSeen: (readonly Endpoint[])[] = []

const endpointsOf = (destinations: readonly Destination[]): readonly Endpoint[] =>
  destinations.length === 1
    ? (destinations[0] as Destination).endpoints
    : destinations.flatMap(each => each.endpoints)
