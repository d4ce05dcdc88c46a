/** Every feature, in the order in which they run: the first is the outermost. A new one is a folder and a line here. */
import type { Feature } from './feature.ts'
import { headers } from './headers/feature.ts'
import { hsts } from './hsts/feature.ts'
import { rewrite } from './rewrite/feature.ts'
import { strip } from './strip/feature.ts'

export const features = { hsts, headers, strip, rewrite } as const

export type FeatureName = keyof typeof features

/** The rows of the options, for the shapes of every level where they may stand. */
export const featureRows = rowsOf(features)

function rowsOf<F extends Readonly<Record<string, { readonly row: Feature['row'] }>>>(
  of: F,
): { readonly [N in keyof F]: F[N]['row'] } {
  const rows = Object.entries(of).map(([name, { row }]) => [name, row])
  return Object.fromEntries(rows) as { readonly [N in keyof F]: F[N]['row'] }
}
