/** Routes of a configuration as a table that can be asked, for verbs that open no connection: what a route does is left out. */
import type { RouteConfig } from '../config/config.ts'
import { pathFormOf } from '../config/stages.ts'
import { byPhase } from '../model/filter.ts'
import type { Route, RouteTable } from '../model/route.ts'
import { needsNoBody } from '../model/stage.ts'
import { routeTable } from '../route/match.ts'

export function tableOf(routes: readonly RouteConfig[]): RouteTable {
  return routeTable(
    routes.map(route => ({
      name: route.name,
      match: route.match,
      origin: () => needsNoBody,
      refused: () => needsNoBody,
      timeouts: route.timeouts,
      bodyRateBytes: route.bodyRateBytes,
      filters: byPhase(route.filters),
      requireClient: route.requireClient,
      path: pathFormOf(route.stages),
    })) satisfies Route[],
  )
}
