/**
 * Routes that are not in the configuration: the fallback of a site or of all listeners, for requests that match no route or could
 * not be parsed, and the internal routes of features. All have the stages of their level.
 */
import type { Config } from '../config/config.ts'
import { compileStages, internalRoutes, type StageConfig } from '../config/stages.ts'
import type { Lasting, Where } from '../features/feature.ts'
import { byPhase } from '../model/filter.ts'
import type { Route, RouteMatch } from '../model/route.ts'
import { compose } from '../model/stage.ts'
import { refusalOrigin } from '../proxy/exchange/origins.ts'

const anything: RouteMatch = { paths: [], methods: [], headers: [], query: [], clients: [], ja4: [], proxy: null }

/** For a level without stages. */
export const plainFallback = ({ timeouts, limits }: Config): Route => ({
  name: 'fallback',
  match: anything,
  origin: refusalOrigin,
  refused: refusalOrigin,
  timeouts,
  bodyRateBytes: limits.bodyRateBytes,
  filters: byPhase([]),
  requireClient: false,
})

/** @param plain is shared by all sites that need no other: there may be ten thousand */
export function fallbackRoute(stages: readonly StageConfig[], where: Where, plain: Route, lasting: Lasting): Route {
  const { outside } = compileStages(stages, where, lasting)
  if (outside.length === 0) return plain
  const refused = compose(outside, refusalOrigin)
  return { ...plain, origin: refused, refused }
}

/** @param fallback of the site */
export function routesOfFeatures(
  stages: readonly StageConfig[],
  where: Where,
  fallback: Route,
  lasting: Lasting,
  features?: Parameters<typeof internalRoutes>[2],
): Route[] {
  const own = internalRoutes(stages, where, features)
  if (own.length === 0) return []
  const { outside } = compileStages(stages, where, lasting)
  return own.map(({ path, methods, origin, feature }) => ({
    ...fallback,
    name: `${where.hosts[0]}${path} (${feature})`,
    match: { ...anything, paths: [path], methods },
    origin: compose(outside, origin),
  }))
}
