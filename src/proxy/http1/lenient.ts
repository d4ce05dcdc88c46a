/** What the HTTP/1.1 responses of an endpoint may get wrong, and the first use of each leniency, which is reported once. */
import type { Leniency } from '../../wire/lenient-head.ts'

export type Lenient = {
  readonly allowed: ReadonlySet<Leniency>
  used(names: readonly Leniency[]): void
}

/** @returns null where nothing is allowed */
export function lenientTerms(allowed: readonly Leniency[], report: (name: Leniency) => void): Lenient | null {
  if (allowed.length === 0) return null
  const reported = new Set<Leniency>()
  return {
    allowed: new Set(allowed),
    used(names) {
      for (const name of names) {
        if (reported.has(name)) continue
        reported.add(name)
        report(name)
      }
    },
  }
}
