/**
 * Which route of a site would take a request, and what becomes of it. Where it depends on the client's certificate, each route
 * that may be the one is said, with the clients that get there; the last one is for everybody else.
 */
import { ProxyError } from '../../base/errors.ts'
import { type ClientsConfig, endpointLabel, type RouteConfig, type UpstreamConfig } from '../../config/config.ts'
import { explainStage, internalRoutes, type StageConfig } from '../../config/stages.ts'
import type { Where } from '../../features/feature.ts'
import type { ClientIdentity, ClientMatch } from '../../model/client-identity.ts'
import { Fields } from '../../wire/fields.ts'
import { parseTarget, type Target } from '../../wire/target.ts'
import { verifiedText } from '../map/model.ts'
import { tableOf } from '../routes.ts'
import { matchText, refusal, requiredText } from './clients.ts'

type Say = (name: string, what: string) => void

type Asked = {
  readonly url: URL
  readonly method: string
  /** Over TLS, where a certificate can be shown */
  readonly secure: boolean
  readonly clients: ClientsConfig | null
  /** What the site puts around the requests that none of its routes takes */
  readonly stages: readonly StageConfig[]
  /** The site */
  readonly where: Where
}

export function sayRoute(say: Say, routes: readonly RouteConfig[], asked: Asked): void {
  const { url, method, secure, clients } = asked
  const target = parseTarget(method, url.pathname)
  const path = target instanceof ProxyError ? target : pathOf(target, routes, method, url.search)
  if (path instanceof ProxyError) {
    say('answer', `400 (${path.message})`)
    return
  }
  const own = internalRoutes(asked.stages, asked.where).find(
    ({ path: each, methods }) => each === path && (methods.length === 0 || methods.includes(method)),
  )
  if (own !== undefined) {
    say('route', `${own.path}, which ${own.feature} has for itself`)
    sayStages(say, asked.stages)
    return
  }
  if (path !== url.pathname) say('path', `${path} (the form that is routed on and forwarded)`)
  const found = candidates(routes, method, path, url.search)
  const forSome = found.filter(({ match }) => match.clients.length > 0)
  const forAll = found.find(({ match }) => match.clients.length === 0) ?? null
  if (secure) {
    for (const route of forSome) {
      const whose = `for clients whose certificate has ${matchText(route.match.clients)}`
      say('route', `${route.name} (${conditionsOf(route)}) ${whose}`)
      sayAction(say, route)
    }
  } else if (forSome.length > 0) {
    const names = forSome.map(route => route.name).join(', ')
    say(
      'clients',
      `no certificate can be shown in cleartext: ${names} for clients with one is not for this request`,
    )
  }
  const others = secure && forSome.length > 0 ? ' for everybody else' : ''
  if (forAll === null) {
    const why = `takes ${method} ${path}${others}`
    say(
      'route',
      `none of ${routes.length} ${why} (routes with conditions on headers or a PROXY header are tried without those)`,
    )
    sayFallback(say, asked.stages)
    return
  }
  say('route', `${forAll.name} (${conditionsOf(forAll)})${others}`)
  if (!secure && forAll.requireClient) {
    say('answer', `${refusal}: the route requires a certificate, and none can be shown in cleartext`)
    return
  }
  const required = requiredText(forAll, clients)
  if (required !== null) say('clients', required)
  sayAction(say, forAll)
}

/** Fits whatever asks for nothing in particular. */
const anyClient: readonly ClientMatch[] = [{ san: null, dn: null, spiffe: null, issuer: null }]
const somebody: ClientIdentity = {
  chain: [],
  subject: '',
  commonName: '',
  dnsNames: [],
  uris: [],
  emails: [],
  fingerprint: '',
  issuerFingerprint: '',
  path: { steps: [], complete: true },
  weakness: null,
  notBefore: 0,
  notAfter: 0,
}

/** In the form of the route that takes it */
function pathOf(
  { path, raw, problem }: Target,
  routes: readonly RouteConfig[],
  method: string,
  query: string,
): string | ProxyError {
  const { read } = tableOf(routes)
  if (read === null || raw === '*') return problem ?? path
  const found = read(method, raw, query, new Fields(''), { identity: somebody, fingerprint: null, cloud: null })
  return found instanceof ProxyError ? found : found.path
}

/** The routes that may take it, in the order in which they are tried, down to the first that takes any client. */
function candidates(routes: readonly RouteConfig[], method: string, path: string, query: string): RouteConfig[] {
  const found: RouteConfig[] = []
  let left = routes
  while (left.length > 0) {
    // Conditions on clients stay, since they count in the order, and are met by everybody.
    const lenient = left.map(route =>
      route.match.clients.length === 0 ? route : { ...route, match: { ...route.match, clients: anyClient } },
    )
    const who = { identity: somebody, fingerprint: null, cloud: null }
    const next = tableOf(lenient).find(method, path, query, new Fields(''), who)
    const route = next && left.find(({ name }) => name === next.name)
    if (!route) break
    found.push(route)
    if (route.match.clients.length === 0) break
    left = left.filter(each => each !== route)
  }
  return found
}

function conditionsOf({ match }: RouteConfig): string {
  const { paths, methods, headers, query, proxy } = match
  return [
    paths.length === 0 ? 'any path' : `path ${paths.join(' or ')}`,
    ...(methods.length > 0 ? [`method ${methods.join(' or ')}`] : []),
    ...[...headers, ...query].map(({ name, value }) => (value === null ? `has ${name}` : `${name}=${value}`)),
    ...Object.entries(proxy ?? {}).flatMap(([name, ids]) =>
      ids.length > 0 ? [`${name} ${ids.join(' or ')}`] : [],
    ),
  ].join(', ')
}

function sayAction(say: Say, { filters, action, stages }: RouteConfig): void {
  sayStages(say, stages)
  if (filters.length > 0) say('filters', filters.map(filter => filter.name).join(', '))
  if (action.kind === 'upstream') sayUpstream(say, action.upstream)
  else if (action.kind === 'files') say('answer', `files of ${action.root}`)
  else if (action.kind === 'redirect') say('answer', `${action.status} to ${action.to.text}`)
  else say('answer', `${action.status} from the configuration`)
}

function sayStages(say: Say, stages: readonly StageConfig[]): void {
  for (const stage of stages) for (const line of explainStage(stage)) say('stage', line)
}

/** The route that answers what no other takes. */
export function sayFallback(say: Say, stages: readonly StageConfig[]): void {
  sayStages(say, stages)
  say('answer', '404')
}

export function sayUpstream(say: Say, { name, balance, endpoints, scheme, tls, lenient }: UpstreamConfig): void {
  say('upstream', `${name} (${balance})`)
  if (lenient.length > 0) say('lenient', lenient.join(', '))
  for (const endpoint of endpoints) {
    const how =
      tls === null ? (scheme === 'http' ? 'plain HTTP' : 'TCP') : `TLS, ${verifiedText(tls, endpoint.host)}`
    say('endpoint', `${endpointLabel(endpoint)} (${how})`)
  }
}
