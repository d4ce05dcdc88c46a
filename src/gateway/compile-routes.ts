/**
 * Compiles the action of a site and its routes: origins with the stages and filters
 * around them.
 */
import type { RouteAction, RouteConfig, SiteConfig, UpstreamConfig } from '../config/config.ts'
import { compileStages, needsFingerprint, pathFormOf } from '../config/stages.ts'
import type { Lasting, Where } from '../features/feature.ts'
import { filesOrigin } from '../features/files/origin.ts'
import { byPhase, type Filters } from '../model/filter.ts'
import type { Route } from '../model/route.ts'
import type { SiteAction, SiteTls } from '../model/site.ts'
import { compose, type Origin } from '../model/stage.ts'
import { filterStage } from '../proxy/exchange/filter-stage.ts'
import { redirectOrigin, refusalOrigin, replyOrigin } from '../proxy/exchange/origins.ts'
import { upstreamOrigin } from '../proxy/upstream/origin.ts'
import type { Upstream } from '../proxy/upstream/upstream.ts'
import { restOf } from '../route/captures.ts'
import { routeTable } from '../route/match.ts'
import { fallbackRoute, routesOfFeatures } from './fallback.ts'

/** Whether any part of a site uses fingerprints. */
export function wantsFingerprints({ stages, action }: SiteConfig): boolean {
  if (action.kind !== 'http') return false
  return (
    needsFingerprint(stages) ||
    action.routes.some(
      route => route.match.ja4.length > 0 || needsFingerprint(route.stages) || hashesFingerprint(route.action),
    )
  )
}

const hashesFingerprint = (action: RouteAction): boolean =>
  action.kind === 'upstream' && action.upstream.hash?.value === 'ja4'

export function actionOf(
  from: SiteConfig,
  tls: SiteTls | null,
  upstreamOf: (from: UpstreamConfig) => Upstream,
  fallback: Route,
  lasting: Lasting,
): SiteAction {
  const { action } = from
  switch (action.kind) {
    case 'passthrough':
      return { ...action, upstream: upstreamOf(action.upstream) }
    case 'tcp':
      return { ...action, upstream: upstreamOf(action.upstream), tls: tls as SiteTls }
    default: {
      const routes = action.routes.map(route => {
        const filters = byPhase(route.filters)
        return {
          name: route.name,
          match: route.match,
          ...originsOf(route, from, filters, upstreamOf, lasting),
          timeouts: route.timeouts,
          bodyRateBytes: route.bodyRateBytes,
          filters,
          requireClient: route.requireClient,
          path: pathFormOf(route.stages),
        } satisfies Route
      })
      const where: Where = { paths: [], hosts: from.hosts, isDefaultSite: from.default }
      const own = fallbackRoute(from.stages, where, fallback, lasting)
      const all = [...routesOfFeatures(from.stages, where, own, lasting), ...routes]
      return { kind: 'http', routes: routeTable(all), fallback: own, tls }
    }
  }
}

/** The origin of a route with its stages around it; without stages, the plain origin. */
function originsOf(
  { action, stages, match }: RouteConfig,
  site: SiteConfig,
  filters: Filters,
  upstreamOf: (from: UpstreamConfig) => Upstream,
  lasting: Lasting,
): Pick<Route, 'origin' | 'refused'> {
  const plain = plainOrigin(action, match.paths, upstreamOf)
  const { request, requestBody, response, responseBody } = filters
  const waits = request.length + requestBody.length + response.length + responseBody.length > 0
  if (stages.length === 0 && !waits) return { origin: plain, refused: refusalOrigin }
  const where: Where = { paths: match.paths, hosts: site.hosts, isDefaultSite: site.default }
  const { outside, inside } = compileStages(stages, where, lasting)
  const origin = compose([...outside, ...(waits ? [filterStage(filters)] : []), ...inside], plain)
  return { origin, refused: compose(outside, refusalOrigin) }
}

function plainOrigin(
  action: RouteAction,
  paths: readonly string[],
  upstreamOf: (from: UpstreamConfig) => Upstream,
): Origin {
  switch (action.kind) {
    case 'upstream':
      return upstreamOrigin(upstreamOf(action.upstream))
    case 'files':
      return filesOrigin(action)
    case 'redirect': {
      const { template } = action.to
      const rest = restOf(paths)
      return redirectOrigin(action.status, exchange => template({ exchange, response: null, rest }) ?? '/')
    }
    case 'respond': {
      const { status, headers, body } = action
      return replyOrigin(() => ({ status, headers: Object.fromEntries(headers), body }))
    }
  }
}
