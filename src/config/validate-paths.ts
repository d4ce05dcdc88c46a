/**
 * Sites whose routes take paths in a form that backends may read in another way. An encoded slash can get a request around the
 * route that is meant for it, so no route of such a site may ask more of clients than another.
 */
import { isDeepStrictEqual } from 'node:util'
import { type FeatureName, features } from '../features/all.ts'
import type { Feature } from '../features/feature.ts'
import type { RouteConfig } from './config.ts'
import type { Problems } from './engine/problem.ts'
import { type Node, placeOf } from './engine/tree.ts'
import { changesPath, pathFormOf, type StageConfig } from './stages.ts'

const all = features as unknown as Readonly<Record<FeatureName, Feature>>

/** @param node the list of the routes */
export function checkPaths(
  routes: readonly RouteConfig[],
  node: Node,
  problems: Problems,
  from: Readonly<Record<string, Feature>> = all,
): void {
  const lenient = routes.filter(({ stages }) => pathFormOf(stages, from) !== undefined)
  for (const route of lenient) {
    const at = placeOf(node, indexOf(route))
    const form = pathFormOf(route.stages, from)
    const own = route.stages.filter(({ name }) => changesPath(name, from))
    if (form?.dots === false && own.length > 0)
      problems.error(
        at,
        `${own[0]?.name} needs paths in normal form, and path.normalize is keep`,
        'a dot segment could lead out of what it leaves of the path',
      )
    const byPath = route.stages.find(({ name }) => from[name]?.authorizes === 'paths')
    if (byPath !== undefined && (form?.encodedSlash || form?.merge === false || form?.dots === false))
      problems.error(
        at,
        `${byPath.name} decides by the path, which a backend may read in another way than it`,
        'remove path here, or decide without the path',
      )
  }
  const keeps = lenient.find(({ stages }) => pathFormOf(stages, from)?.encodedSlash)
  if (keeps === undefined) return
  const hint = `path.encodedSlash is keep on ${keeps.at}, and a backend that decodes %2F would serve the path of one route through another`
  for (const route of routes) {
    const at = placeOf(node, indexOf(route))
    const { status, paths } = { status: statusOf(route), paths: route.match.paths }
    if (status >= 400 && paths.length > 0)
      problems.error(
        at,
        `this route refuses ${paths.join(', ')} with a ${status}, which an encoded slash gets around`,
        hint,
      )
    const different = differenceOf(route, routes[0] as RouteConfig, from)
    if (different !== null) problems.error(at, `${different} is not the same on all routes of this site`, hint)
  }
}

/** Routes of a site with `to` have no list. */
const indexOf = ({ at }: RouteConfig): number => Number(/\[(\d+)\]$/.exec(at)?.[1] ?? -1)

const statusOf = ({ action }: RouteConfig): number => (action.kind === 'respond' ? action.status : 0)

/** What one route asks of clients and another does not, or null. */
function differenceOf(
  one: RouteConfig,
  other: RouteConfig,
  from: Readonly<Record<string, Feature>>,
): string | null {
  if (one.requireClient !== other.requireClient) return 'clients'
  if (!isDeepStrictEqual(one.match.clients, other.match.clients)) return 'match.client'
  if (!isDeepStrictEqual(one.match.ja4, other.match.ja4)) return 'match.ja4'
  const [here, there] = [authorizing(one, from), authorizing(other, from)]
  for (const name of new Set([...here.keys(), ...there.keys()]))
    if (!isDeepStrictEqual(here.get(name), there.get(name))) return name
  return null
}

const authorizing = (
  { stages }: RouteConfig,
  from: Readonly<Record<string, Feature>>,
): ReadonlyMap<string, StageConfig['values']> =>
  new Map(
    stages
      .filter(({ name }) => from[name]?.authorizes !== undefined)
      .map(({ name, values }) => [name, values] as const),
  )
