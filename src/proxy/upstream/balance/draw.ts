/** One of several endpoints at random, as likely as its weight says. */
import type { Endpoint } from '../endpoint.ts'

/** @param drawn 0 to 1, without 1 @param may whether an endpoint may be drawn @returns its place, or -1 for none */
export function drawn(
  endpoints: readonly Endpoint[],
  draw: number,
  may: (endpoint: Endpoint, at: number) => boolean,
): number {
  let left = 0
  let last = -1
  for (let at = 0; at < endpoints.length; at++) {
    const endpoint = endpoints[at] as Endpoint
    if (!may(endpoint, at)) continue
    left += endpoint.weight
    last = at
  }
  let skip = draw * left
  for (let at = 0; at < last; at++) {
    const endpoint = endpoints[at] as Endpoint
    if (!may(endpoint, at)) continue
    skip -= endpoint.weight
    if (skip < 0) return at
  }
  return last
}
