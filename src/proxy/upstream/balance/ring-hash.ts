/**
 * Consistent hashing on a ring (Karger et al.; as in Ketama): each endpoint stands at many points of a circle, and a key belongs to
 * the next point. When an endpoint goes, its keys alone move, to those behind its points.
 */
import { hash32 } from '../../../base/hash32.ts'
import type { Endpoint } from '../endpoint.ts'
import { type Choose, isLeftOut, type KeyOf } from './avoid.ts'
import { namesOf } from './hashing.ts'

/** Of an endpoint with weight 1: shares are then within about a tenth of each other. */
const pointsEach = 160
/** On the whole ring; with more endpoints than that asks for, each has fewer. */
const pointsAtMost = 65_536

type Ring = { readonly points: Uint32Array; readonly owners: Uint32Array }

export function ringHash(keyOf: KeyOf): Choose {
  let seen: readonly Endpoint[] = []
  let ring: Ring = { points: new Uint32Array(0), owners: new Uint32Array(0) }
  return (endpoints, request, excluded, now) => {
    if (endpoints !== seen) {
      seen = endpoints
      ring = ringOf(endpoints)
    }
    const { points, owners } = ring
    const { length } = points
    const from = firstFrom(points, hash32(keyOf(request)))
    for (let step = 0; step < length; step++) {
      const at = from + step < length ? from + step : from + step - length
      const endpoint = endpoints[owners[at] as number] as Endpoint
      if (!isLeftOut(endpoint, excluded, now)) return endpoint
    }
    return null
  }
}

function ringOf(endpoints: readonly Endpoint[]): Ring {
  const total = endpoints.reduce((sum, { weight }) => sum + weight, 0)
  const each = Math.min(pointsEach, pointsAtMost / Math.max(1, total))
  // Point and owner in one number, so that they are sorted together: exact up to 2^53.
  const all: number[] = []
  for (const [owner, name] of namesOf(endpoints).entries()) {
    const count = Math.max(1, Math.round(each * (endpoints[owner] as Endpoint).weight))
    for (let point = 0; point < count; point++) all.push(hash32(`${name}#${point}`) * 0x10_0000 + owner)
  }
  const sorted = Float64Array.from(all).sort()
  return {
    points: Uint32Array.from(sorted, value => Math.floor(value / 0x10_0000)),
    owners: Uint32Array.from(sorted, value => value % 0x10_0000),
  }
}

/** The first point that is not below `hash`, or 0: behind the last comes the first. */
function firstFrom(points: Uint32Array, hash: number): number {
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((points[middle] as number) < hash) low = middle + 1
    else high = middle
  }
  return low === points.length ? 0 : low
}
