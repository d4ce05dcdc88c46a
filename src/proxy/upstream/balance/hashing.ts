/** What the hashing algorithms have in common: what names an endpoint in every process alike. */
import type { Endpoint } from '../endpoint.ts'

/** By what it is, not by where it stands; one that is listed twice has two names, so that it has twice the share. */
export function namesOf(endpoints: readonly Endpoint[]): string[] {
  const seen = new Map<string, number>()
  return endpoints.map(({ label, place }) => {
    const name = `${label} ${place.address} ${place.port}`
    const times = seen.get(name) ?? 0
    seen.set(name, times + 1)
    return times === 0 ? name : `${name} ${times}`
  })
}
