/** From a request head to its route: the target's normal form, the site of its host, and the site's routes. */
import { ProxyError } from '../../base/errors.ts'
import type { Client, Trust } from '../../model/client.ts'
import type { Route, RouteTable, Who } from '../../model/route.ts'
import type { Site } from '../../model/site.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import type { RequestHead } from '../../wire/heads.ts'
import { parseTarget, type Target } from '../../wire/target.ts'
import { clientProblem } from '../seam/client-certificate.ts'
import type { Forwarding } from '../seam/forward.ts'
import type { Services } from '../seam/services.ts'
import { trustedClient } from '../seam/trusted-client.ts'
import { maxForwardsProblem } from './max-forwards.ts'
import { httpsLocation, toHttps } from './to-https.ts'

/** What an exchange learns about itself; what was found before an error stays, for the log. */
interface Located {
  readonly head: RequestHead
  path: string
  query: string
  host: string
  client: Client
  site: { readonly name: string } | null
  route: Route | null
  /** Who answers where the request is refused: the fallback route of its listener or site, or the route that would take it */
  refusing: Route
}

/** @returns why there is no route, or null */
export function locate(
  exchange: Located,
  forwarding: Forwarding,
  snapshot: Snapshot,
  services: Pick<Services, 'httpsPort'>,
): ProxyError | null {
  const { head } = exchange
  const { connection } = forwarding
  let forwardedHost: string | null = null
  if (head.claims !== null) {
    const trusted = trustedClient(head.claims, connection, connection.trust as Trust, head.host)
    if (trusted instanceof ProxyError) return trusted
    exchange.client = trusted.client
    forwardedHost = trusted.host
  }
  if (head.method === 'CONNECT') return new ProxyError('METHOD_NOT_SUPPORTED', 'CONNECT')
  const counted = maxForwardsProblem(head)
  if (counted !== null) return counted
  const target = parseTarget(head.method, head.target)
  if (target instanceof ProxyError) return target
  exchange.path = target.path
  exchange.query = target.query
  if (target.authority !== null) exchange.host = target.authority
  if (forwardedHost !== null) exchange.host = forwardedHost
  if (connection.httpsOnly && !exchange.client.secure) {
    const location = httpsLocation(exchange.host, services, target.raw, target.query)
    if (location instanceof ProxyError) return location
    exchange.route = toHttps(snapshot, location)
    return null
  }
  const misaimed = forwarding.aim(exchange.host === '' ? null : exchange.host, snapshot, head, exchange.client)
  if (misaimed !== null) return misaimed
  const site = forwarding.site as Site
  exchange.site = site
  const { action } = site
  const route = action.kind === 'http' ? routeOf(exchange, action.routes, target, connection) : null
  if (action.kind === 'http')
    exchange.refusing = route === null || route instanceof ProxyError ? action.fallback : route
  if (route instanceof ProxyError) return route
  const problem = clientProblem(connection, site, route)
  if (problem !== null) return problem
  if (route === null)
    return new ProxyError('NO_ROUTE', `no route of ${site.name} takes ${head.method} ${exchange.path}`)
  exchange.route = route
  return null
}

/** The route of a path, which is put into the form that the route takes. */
function routeOf(
  exchange: Located,
  routes: RouteTable,
  { path, raw, query, problem }: Target,
  who: Who,
): Route | ProxyError | null {
  const { method, fields } = exchange.head
  if (routes.read === null || raw === '*') return problem ?? routes.find(method, path, query, fields, who)
  const read = routes.read(method, raw, query, fields, who)
  if (read instanceof ProxyError) return read
  exchange.path = read.path
  return read.route
}
