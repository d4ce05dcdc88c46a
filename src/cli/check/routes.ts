/**
 * Who else gets in: a route for some clients refuses nobody, since whoever does not match goes to the next route that takes the
 * request. Finds those routes by asking the route table itself, as a client without a certificate.
 */
import type { RouteConfig, SiteConfig } from '../../config/config.ts'
import type { Problem } from '../../config/engine/problem.ts'
import type { Loaded } from '../../config/load.ts'
import type { NameAndValue, RouteMatch } from '../../model/route.ts'
import { Fields } from '../../wire/fields.ts'
import { tableOf } from '../routes.ts'

export function routeProblems({ config, place }: Loaded): Problem[] {
  return config.sites.flatMap((site, index) => {
    if (site.action.kind !== 'http') return []
    const { routes } = site.action
    const named = new Map(routes.map(route => [route.name, route]))
    return routes.flatMap((route, at): Problem[] => {
      if (route.match.clients.length === 0 || route.match.paths.length === 0) return []
      const other = open(route, routes, named)
      if (other === null) return []
      const path = route.match.paths.join(', ')
      return [
        {
          severity: 'warning',
          ...place('sites', index, 'routes', at, 'match', 'client'),
          message: `${path} is not closed to others: ${whoElse(site)} gets ${does(other)} from the route ${other.name}`,
          hint: `to refuse them, add { match: { path: ${path} }, respond: { status: 403 } } after it`,
        },
      ]
    })
  })
}

const whoElse = ({ clients }: SiteConfig): string =>
  clients?.mode === 'require'
    ? `a client that does not match here but has a certificate from ${clients.ca.join(', ')}`
    : 'a client that does not match here, even one without a certificate,'

function does({ action }: RouteConfig): string {
  if (action.kind === 'upstream') return `what ${action.upstream.name} serves`
  if (action.kind === 'files') return `files of ${action.root}`
  return action.kind === 'redirect' ? `a ${action.status} to ${action.to.text}` : `a ${action.status}`
}

/** A route that serves somebody without a certificate what `route` is about, or null. A refusal serves nobody. */
function open(
  route: RouteConfig,
  routes: readonly RouteConfig[],
  named: ReadonlyMap<string, RouteConfig>,
): RouteConfig | null {
  const table = tableOf(routes)
  const nobody = { identity: null, fingerprint: null, cloud: null }
  for (const path of route.match.paths.map(sampleOf)) {
    for (const other of routes) {
      if (other.match.clients.length > 0 || other.requireClient || other.match.ja4.length > 0 || other.match.proxy)
        continue
      const method = methodOf(route.match, other.match)
      if (method === null) continue
      const headers = [...route.match.headers, ...other.match.headers]
      const fields = Fields.fromPairs(headers.map(({ name, value }) => [name, value ?? 'x'] as const))
      const found = table.find(method, path, queryOf([...route.match.query, ...other.match.query]), fields, nobody)
      const winner = found && named.get(found.name)
      if (winner && !winner.requireClient && !isRefusal(winner)) return winner
    }
  }
  return null
}

const isRefusal = ({ action }: RouteConfig): boolean => action.kind === 'respond' && action.status >= 400

/** One path that the pattern takes. */
const sampleOf = (pattern: string): string => pattern.replaceAll('*', 'x')

/** A method that both take. */
function methodOf(one: RouteMatch, other: RouteMatch): string | null {
  if (one.methods.length === 0) return other.methods[0] ?? 'GET'
  if (other.methods.length === 0) return one.methods[0] as string
  return one.methods.find(method => other.methods.includes(method)) ?? null
}

const queryOf = (wanted: readonly NameAndValue[]): string =>
  wanted.length === 0 ? '' : `?${new URLSearchParams(wanted.map(({ name, value }) => [name, value ?? 'x']))}`
