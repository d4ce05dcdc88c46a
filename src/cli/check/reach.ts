/** Routes that take less than they seem to, and sites whose routes leave something out. */

import type { Problem } from '../../config/engine/problem.ts'
import type { Loaded } from '../../config/load.ts'
import type { RouteMatch } from '../../model/route.ts'

/** What a route cannot take that its author may think it does, and what no route of a site takes. */
export function reachProblems({ config, place }: Loaded): Problem[] {
  return config.sites.flatMap((site, index): Problem[] => {
    if (site.action.kind !== 'http') return []
    const { routes } = site.action
    const all = new Set(routes.flatMap(({ match }) => (match.paths.length === 0 ? ['/*'] : match.paths)))
    const below = routes.flatMap(({ match }, at) =>
      match.paths.flatMap((path): Problem[] => {
        const wanted = narrow(path)
        if (wanted === null || all.has(wanted) || all.has('/*')) return []
        return [
          {
            severity: 'warning',
            ...place('sites', index, 'routes', at, 'match', 'path'),
            message: `${path} matches nothing below it, and no other route does`,
            hint: `to match everything below as well, write ${wanted}`,
          },
        ]
      }),
    )
    const open = routes.some(({ match }) => isOpen(match))
    if (open) return below
    const rest: Problem = {
      severity: 'warning',
      ...place('sites', index, 'routes'),
      message: `${site.name}: requests that match no route get a 404`,
      hint: 'add a last route without match, as in { to: http://10.0.0.7:8080 } or { respond: { status: 404 } }',
    }
    return [...below, rest]
  })
}

/** What was probably meant by a pattern that takes one level only, or null. */
function narrow(path: string): string | null {
  if (path === '/') return '/*'
  return /^\/[^*]*[^*/]\*$/.test(path) ? `${path.slice(0, -1)}/*` : null
}

/** Takes every request. */
const isOpen = ({ paths, methods, headers, query, clients, ja4 }: RouteMatch): boolean =>
  (paths.length === 0 || paths.includes('/*')) &&
  [methods, headers, query, clients, ja4].every(conditions => conditions.length === 0)
