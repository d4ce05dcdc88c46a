/**
 * Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): a table in which every endpoint has its share of the places to within
 * one, and in which few places change hands when an endpoint comes or goes. A look-up is one hash and one read.
 */
import { hash32 } from '../../../base/hash32.ts'
import type { Endpoint } from '../endpoint.ts'
import { type Choose, isLeftOut, type KeyOf } from './avoid.ts'
import { namesOf } from './hashing.ts'

/** A prime, a hundred times as many as there are endpoints or more; always the same, or all keys would move with its size. */
const places = 65_537
/** Where the owner of a place is left out, so many others are looked for by further hashes, and then any. */
const hashesAtMost = 16

export function maglev(keyOf: KeyOf): Choose {
  let seen: readonly Endpoint[] = []
  let table = new Uint32Array(0)
  return (endpoints, request, excluded, now) => {
    if (endpoints.length === 0) return null
    if (endpoints !== seen) {
      seen = endpoints
      table = tableOf(endpoints)
    }
    const key = keyOf(request)
    for (let again = 0; again < hashesAtMost; again++) {
      const endpoint = endpoints[table[hash32(key, again) % places] as number] as Endpoint
      if (!isLeftOut(endpoint, excluded, now)) return endpoint
    }
    const from = hash32(key) % endpoints.length
    for (let step = 0; step < endpoints.length; step++) {
      const endpoint = endpoints[(from + step) % endpoints.length] as Endpoint
      if (!isLeftOut(endpoint, excluded, now)) return endpoint
    }
    return null
  }
}

function tableOf(endpoints: readonly Endpoint[]): Uint32Array<ArrayBuffer> {
  const free = 0xffff_ffff
  const table = new Uint32Array(places).fill(free)
  const heaviest = Math.max(...endpoints.map(({ weight }) => weight))
  // By name: where they stand in the configuration, or in an answer of DNS, must not matter.
  const named = namesOf(endpoints)
    .map((name, owner) => ({ name, owner }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const turns = named.map(({ name, owner }) => ({
    owner,
    next: hash32(name, 1) % places,
    skip: (hash32(name, 2) % (places - 1)) + 1,
    weight: (endpoints[owner] as Endpoint).weight,
    credit: 0,
  }))
  for (let filled = 0; filled < places; ) {
    for (const turn of turns) {
      if (filled === places) break
      // The heaviest has a turn in every round, the others in proportion.
      turn.credit += turn.weight
      if (turn.credit < heaviest) continue
      turn.credit -= heaviest
      while (table[turn.next] !== free) turn.next = (turn.next + turn.skip) % places
      table[turn.next] = turn.owner
      turn.next = (turn.next + turn.skip) % places
      filled++
    }
  }
  return table
}
