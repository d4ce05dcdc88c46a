/**
 * Whose turn it is, by weight: nginx's smooth weighted round robin, which spreads the turns of a heavy endpoint (of 3 and 1: a a b a).
 * With equal weights that is one after another.
 */
import type { Endpoint } from '../endpoint.ts'

export class Turns {
  private seen: readonly Endpoint[] = []
  /** By place in `seen`: how much each is owed */
  private owed: number[] = []

  /**
   * @param may whether an endpoint is one of those whose turn it may be
   * @param takes false: nobody's turn is taken
   */
  next(endpoints: readonly Endpoint[], may: (endpoint: Endpoint) => boolean, takes: boolean): Endpoint | null {
    if (endpoints !== this.seen) {
      this.seen = endpoints
      this.owed = endpoints.map(() => 0)
    }
    const { owed } = this
    let best = -1
    let most = Number.NEGATIVE_INFINITY
    let total = 0
    for (let at = 0; at < endpoints.length; at++) {
      const endpoint = endpoints[at] as Endpoint
      if (!may(endpoint)) continue
      total += endpoint.weight
      const owing = (owed[at] as number) + endpoint.weight
      if (takes) owed[at] = owing
      if (owing <= most) continue
      most = owing
      best = at
    }
    if (best < 0) return null
    if (takes) owed[best] = most - total
    return endpoints[best] as Endpoint
  }
}

export const areEqual = (endpoints: readonly Endpoint[]): boolean => {
  const weight = endpoints[0]?.weight
  return endpoints.every(each => each.weight === weight)
}
