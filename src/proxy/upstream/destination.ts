/**
 * What one entry under `endpoints` leads to: the endpoints of its source, which outlive snapshots, and how they are spoken to. An
 * address that stays in its source stays the same endpoint, with its connections; one that goes is drained.
 */
import type { ClientTls } from '../../model/tls-terms.ts'
import { Endpoint, type Spoken } from './endpoint.ts'
import type { EndpointSource, Place, SourceUser } from './source.ts'

/** Whoever has no endpoint to ask, and hears when there may be one. */
export interface AddressWaiter {
  addressesCame(): void
}

export class Destination implements SourceUser {
  /** Replaced as a whole when its source has another answer */
  endpoints: readonly Endpoint[] = []
  readonly spoken: Spoken
  private readonly source: EndpointSource
  private places: readonly Place[] | null = null
  private weight = 1
  private waiting: AddressWaiter[] | null = null

  constructor(spoken: Spoken, sourceFor: (user: SourceUser) => EndpointSource) {
    this.spoken = spoken
    this.source = sourceFor(this)
    this.take()
  }

  /** Its endpoints are not known yet, and are about to be. */
  get pending(): boolean {
    return this.source.pending
  }

  /** Why it has no endpoint */
  get problem(): Error | null {
    return this.source.problem
  }

  want(): void {
    this.source.want()
  }

  /** Called once, after the next answer of the source. */
  whenAnswered(waiter: AddressWaiter): void {
    this.waiting ??= []
    this.waiting.push(waiter)
  }

  useTls(tls: ClientTls | null, http1Tls: ClientTls | null): void {
    this.spoken.tls = tls
    this.spoken.http1Tls = http1Tls
    for (const endpoint of this.endpoints) endpoint.leavePool()
  }

  /** Of each of its endpoints */
  weigh(weight: number): void {
    this.weight = weight
    for (const endpoint of this.endpoints) endpoint.weight = weight
  }

  /** No snapshot uses it any more. */
  stop(): void {
    this.source.stop()
    for (const endpoint of this.endpoints) endpoint.retire()
  }

  inUse(): boolean {
    return this.waiting !== null || this.endpoints.some(endpoint => endpoint.inUse)
  }

  answered(): void {
    this.take()
    const { waiting } = this
    if (waiting === null) return
    this.waiting = null
    for (const each of waiting) each.addressesCame()
  }

  private take(): void {
    const { places } = this.source
    if (places === this.places) return
    this.places = places
    const before = new Map(this.endpoints.map(endpoint => [keyOf(endpoint.place), endpoint]))
    this.endpoints = places.map(place => {
      const key = keyOf(place)
      const known = before.get(key)
      before.delete(key)
      return known ?? this.made(place)
    })
    for (const endpoint of before.values()) endpoint.retire()
  }

  private made(place: Place): Endpoint {
    const endpoint = new Endpoint(place, this.spoken)
    endpoint.weight = this.weight
    return endpoint
  }
}

const keyOf = ({ address, port }: Place): string => `${address} ${port}`
