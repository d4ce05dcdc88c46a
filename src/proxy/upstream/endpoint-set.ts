/** The endpoints of an upstream at this moment, gathered from its destinations. A change of addresses shows with the next look. */
import { ProxyError } from '../../base/errors.ts'
import type { AddressWaiter, Destination } from './destination.ts'
import type { Endpoint } from './endpoint.ts'

export class EndpointSet {
  readonly destinations: readonly Destination[]
  /** Those whose endpoints may change */
  private readonly named: readonly Destination[]
  /** What was gathered from each of `named` */
  private readonly seen: (readonly Endpoint[])[]
  private gathered: readonly Endpoint[]

  /** @param named those of `destinations` whose endpoints may change; one that is listed twice counts twice */
  constructor(destinations: readonly Destination[], named: readonly Destination[]) {
    this.destinations = destinations
    this.named = named.length === 0 ? none : named
    this.seen = named.length === 0 ? noneSeen : named.map(each => each.endpoints)
    this.gathered = gather(destinations)
  }

  /** Whoever looks uses them: names that are not known yet are looked up. */
  get endpoints(): readonly Endpoint[] {
    if (this.named.length > 0) this.look()
    return this.gathered
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
    if (changed) this.gathered = gather(this.destinations)
  }
}

// Shared by the upstreams that have addresses in their configuration, of which there may be ten thousand
const none: readonly Destination[] = []
const noneSeen: (readonly Endpoint[])[] = []

const gather = (destinations: readonly Destination[]): readonly Endpoint[] =>
  destinations.length === 1
    ? (destinations[0] as Destination).endpoints
    : destinations.flatMap(each => each.endpoints)
