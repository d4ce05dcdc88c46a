/** Every feature, in the order in which they run: the first is the outermost. A new one is a folder and a line here. */
import { access } from './access/feature.ts'
import { accessLog } from './access-log/feature.ts'
import { bodyLimit } from './body-limit/feature.ts'
import { compress } from './compress/feature.ts'
import { cookies } from './cookies/feature.ts'
import { errors } from './errors/feature.ts'
import type { Feature } from './feature.ts'
import { forward } from './forward/feature.ts'
import { headers } from './headers/feature.ts'
import { hsts } from './hsts/feature.ts'
import { ja4Forward } from './ja4-forward/feature.ts'
import { location } from './location/feature.ts'
import { maintenance } from './maintenance/feature.ts'
import { path } from './path/feature.ts'
import { requestId } from './request-id/feature.ts'
import { rewrite } from './rewrite/feature.ts'
import { strip } from './strip/feature.ts'
import { upgrade } from './upgrade/feature.ts'
import { via } from './via/feature.ts'

export const features = {
  accessLog,
  requestId,
  hsts,
  headers,
  compress,
  errors,
  maintenance,
  access,
  'limits.body': bodyLimit,
  forward,
  via,
  'ja4.forward': ja4Forward,
  location,
  cookies,
  upgrade,
  path,
  strip,
  rewrite,
} as const

export type FeatureName = keyof typeof features

/** The rows of the options, for the shapes of every level where they may stand. One with a dot is a row of a shape of its own. */
export const featureRows = rowsOf(features)

type Rows<F extends Readonly<Record<string, { readonly row: Feature['row'] }>>> = {
  readonly [N in keyof F as N extends `${string}.${string}` ? never : N]: F[N]['row']
}

function rowsOf<F extends Readonly<Record<string, { readonly row: Feature['row'] }>>>(of: F): Rows<F> {
  const own = Object.entries(of).filter(([name]) => !name.includes('.'))
  return Object.fromEntries(own.map(([name, { row }]) => [name, row])) as Rows<F>
}
