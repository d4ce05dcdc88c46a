/**
 * The routes of one site, compiled once. Order: the more specific path wins; among equal paths, the route with more
 * conditions (method, then headers and query); then the one written first. A site whose only route takes everything
 * costs one comparison.
 */
import { clientMatches } from '../model/client-identity.ts'
import type { NameAndValue, ProxyMatch, Route, RouteTable, Who } from '../model/route.ts'
import { fitsFingerprint } from '../model/site.ts'
import type { Fields } from '../wire/fields.ts'
import type { CloudIds } from '../wire/proxy-header.ts'
import { Paths } from './paths.ts'
import { readPath } from './readings.ts'

export function routeTable(routes: readonly Route[]): RouteTable {
  const only = routes.length === 1 && takesEverything(routes[0] as Route) ? (routes[0] as Route) : null
  if (only !== null) return table(routes, () => only)
  const paths = new Paths<Route>()
  routes.forEach((route, index) => {
    const rank = conditions(route) * 100_000 - index
    for (const path of route.match.paths.length === 0 ? ['/*'] : route.match.paths) paths.add(path, route, rank)
  })
  return table(routes, (method, path, query, fields, who) =>
    paths.find(path, route => accepts(route, method, query, fields, who)),
  )
}

function table(routes: readonly Route[], find: RouteTable['find']): RouteTable {
  if (routes.every(({ path }) => path === undefined)) return { routes, find, read: null }
  const stripsParameters = routes.some(({ path }) => path?.stripParameters)
  return {
    routes,
    find,
    read: (method, raw, query, fields, who) =>
      readPath(raw, stripsParameters, path => find(method, path, query, fields, who)),
  }
}

function takesEverything({ match }: Route): boolean {
  const anyPath = match.paths.length === 0 || match.paths.includes('/*')
  return (
    anyPath &&
    match.methods.length + match.headers.length + match.query.length + match.clients.length + match.ja4.length ===
      0 &&
    match.proxy === null
  )
}

const conditions = ({ match }: Route): number =>
  (match.methods.length > 0 ? 1 : 0) +
  (match.clients.length > 0 ? 1 : 0) +
  (match.ja4.length > 0 ? 1 : 0) +
  (match.proxy === null ? 0 : 1) +
  match.headers.length +
  match.query.length

function accepts({ match }: Route, method: string, query: string, fields: Fields, who: Who): boolean {
  if (match.methods.length > 0 && !match.methods.includes(method)) return false
  if (match.clients.length > 0 && !match.clients.some(wanted => clientMatches(wanted, who.identity))) return false
  if (match.ja4.length > 0 && !match.ja4.some(wanted => fitsFingerprint(wanted, who.fingerprint?.ja4 ?? '')))
    return false
  if (match.proxy !== null && !cameThrough(match.proxy, who.cloud)) return false
  for (const wanted of match.headers) if (!hasHeader(fields, wanted)) return false
  if (match.query.length > 0) {
    const parameters = new URLSearchParams(query)
    for (const { name, value } of match.query) {
      const found = parameters.getAll(name)
      if (value === null ? found.length === 0 : !found.includes(value)) return false
    }
  }
  return true
}

const cloudNames = ['awsVpceId', 'gcpConnectionId', 'azureLinkId'] as const

function cameThrough(wanted: ProxyMatch, cloud: CloudIds | null): boolean {
  if (cloud === null) return false
  return cloudNames.every(name => wanted[name].length === 0 || wanted[name].includes(cloud[name] ?? ''))
}

function hasHeader(fields: Fields, { name, value }: NameAndValue): boolean {
  if (value === null) return fields.has(name)
  return fields.getAll(name).includes(value)
}
