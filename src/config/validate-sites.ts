/** Sites and their routes, from rows to config.ts, with the checks that need more than one row. */
import type { LocationTemplate } from '../features/location.ts'
import type { NameAndValue, RouteMatch } from '../model/route.ts'
import { gatewayNames } from '../wire/field-names.ts'
import type { CertificateConfig, RouteAction, RouteConfig, SiteAction, SiteConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, describePlace, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { keyPairShape } from './schema/certificate.ts'
import { ja4Shape } from './schema/clients.ts'
import { matchShape, redirectShape, respondShape, type routeShape } from './schema/route.ts'
import type { siteShape } from './schema/site.ts'
import { checkStages, keepsClientsOut, stagesOf, type WrittenLevel, writtenFeatures } from './stages.ts'
import { certificateOf } from './validate-certificate.ts'
import { checkNoClients, validateClients, warnUseless } from './validate-clients.ts'
import { type FilesChecks, validateFiles } from './validate-files.ts'
import { validateLayer4 } from './validate-layer4.ts'
import { validateOcsp } from './validate-ocsp.ts'
import { checkPaths } from './validate-paths.ts'
import type { Policies } from './validate-policies.ts'
import { checkDefault, checkListeners, type ListenerChecks } from './validate-site-listeners.ts'
import type { Upstreams } from './validate-upstreams.ts'

type Site = Raw<typeof siteShape>
type Route = Raw<typeof routeShape>

/** What every route begins with. */
type RouteBase = Pick<RouteConfig, 'timeouts' | 'bodyRateBytes' | 'filters'>

export type SiteChecks = ListenerChecks &
  FilesChecks & {
    readonly upstreams: Upstreams
    readonly policies: Policies
    /** Of sites that name none */
    readonly policy: string
    readonly base: RouteBase
    /** Who has each host; filled in here */
    readonly owners: Map<string, Node>
    /** Of `defaults`, and of the site whose routes are looked at */
    readonly outer: readonly WrittenLevel[]
    readonly site: { readonly hosts: readonly string[]; readonly isDefault: boolean } | null
  }

/** Of routes without conditions: there may be ten thousand. */
const anything: RouteMatch = { paths: [], methods: [], headers: [], query: [], clients: [], ja4: [], proxy: null }

const endings = ['to', 'routes', 'passthrough', 'tcp']

/** undefined: something in it was wrong, and reported. */
export function validateSite(raw: Site, node: Node, checks: SiteChecks): SiteConfig | undefined {
  const { problems } = checks
  checkHosts(raw.host ?? [], node, checks)
  const listeners = checkListeners(raw.listeners ?? [], node, checks)
  if (raw.default) checkDefault(listeners, node, checks)
  const action = validateEnding(raw, node, checks)
  checkSiteStages(raw, node, checks.outer, problems)
  const certificate = validateCertificate(raw, node, checks)
  const policyNode = childOf(node, 'policy')
  const known = !policyNode || !raw.policy || checks.policies.check(raw.policy, policyNode)
  const clients = validateClients(raw.clients, node, problems)
  if (!raw.host || raw.default === undefined || raw.policy === undefined || !action || certificate === undefined)
    return undefined
  if (!known || clients === undefined) return undefined
  if (action.kind === 'http') checkPaths(action.routes, childOf(node, 'routes') ?? node, problems)
  if (clients === null && action.kind === 'http') checkNoClients(action.routes, problems, node)
  const staple = validateOcsp(raw.ocsp, certificate, node, problems)
  const ja4 = whole(ja4Shape, raw.ja4)
  if (!ja4) return undefined
  const hosts = raw.host
  const policy = raw.policy ?? checks.policy
  return {
    name: hosts[0]!,
    hosts,
    default: raw.default,
    listeners,
    certificate,
    policy,
    staple,
    clients,
    ja4,
    stages: stagesOf([...checks.outer, { node, raw }]),
    action,
  }
}

/** Layer 4 has no requests that anything could happen to. */
function checkSiteStages(raw: Site, node: Node, outer: readonly WrittenLevel[], problems: Problems): void {
  checkStages({ node, raw }, problems)
  const kind = ['passthrough', 'tcp'].find(key => childOf(node, key))
  if (kind === undefined) return
  for (const name of outer.flatMap(level => writtenFeatures(level.node)).filter(keepsClientsOut))
    problems.warn(
      node.at,
      `${name} of the defaults does not hold for this ${kind} site: it is for requests, and no HTTP is served here`,
      'anyone who reaches the listener can connect to it; restrict that with a firewall or with clients',
    )
  const ja4 = childOf(node, 'ja4')
  if (ja4 && raw.ja4?.forward)
    problems.warn(
      placeOfKey(ja4, 'forward'),
      `ja4.forward is for requests, and a ${kind} site serves no HTTP: it has no effect`,
      'remove it; block works here as well',
    )
  for (const name of [...writtenFeatures(node), ...['timeouts', 'limits'].filter(key => childOf(node, key))])
    problems.error(
      placeOfKey(node, name),
      `${name} is for requests, and a ${kind} site serves no HTTP`,
      'remove it',
    )
}

function checkHosts(hosts: readonly string[], node: Node, checks: SiteChecks): void {
  const list = childOf(node, 'host')
  hosts.forEach((host, index) => {
    const owner = checks.owners.get(host)
    if (!owner) checks.owners.set(host, node)
    else {
      const where = owner === node ? 'this site' : `the site at ${describePlace(owner.at, node.at)}`
      checks.problems.error(
        placeOf(list ?? node, index),
        `${host} already belongs to ${where}`,
        'a host has one site; give it routes there',
      )
    }
  })
}

function validateEnding(raw: Site, node: Node, checks: SiteChecks): SiteAction | undefined {
  const ending = onlyOne(node, endings, 'a site', checks.problems)
  const value = ending && childOf(node, ending)
  if (!value) return undefined
  switch (ending) {
    case 'passthrough':
    case 'tcp':
      return validateLayer4(ending, raw, value, checks.upstreams, checks.base.timeouts)
    case 'to': {
      const upstream = checks.upstreams.resolve(raw.to ?? undefined, value)
      if (!upstream || !raw.host) return undefined
      const action: RouteAction = { kind: 'upstream', upstream }
      return {
        kind: 'http',
        routes: [
          {
            name: `${raw.host[0]}/*`,
            at: node.at.path,
            match: anything,
            action,
            ...levelBase(checks.base, raw, node),
            requireClient: false,
            stages: stagesOf([...checks.outer, { node, raw }]),
          },
        ],
      }
    }
    default:
      return validateRoutes(raw.routes ?? [], value, raw.host?.[0] ?? '', {
        ...checks,
        base: levelBase(checks.base, raw, node),
        outer: [...checks.outer, { node, raw }],
        site: { hosts: raw.host ?? [], isDefault: raw.default === true },
      })
  }
}

/** The one of `keys` that is written; reports none, and more than one. */
function onlyOne(node: Node, keys: readonly string[], what: string, problems: Problems): string | undefined {
  const written = keys.filter(key => childOf(node, key))
  const all = `${keys.slice(0, -1).join(', ')} and ${keys.at(-1)}`
  if (written.length === 1) return written[0]
  if (written.length === 0) problems.error(node.at, `${what} has one of ${all}`, 'as in to: http://10.0.0.7:8080')
  else
    problems.error(
      placeOfKey(node, written[1]!),
      `${what} has only one of ${all}`,
      `here are ${written.join(' and ')}`,
    )
  return undefined
}

function validateCertificate(raw: Site, node: Node, checks: SiteChecks): CertificateConfig | null | undefined {
  const { problems } = checks
  const written = childOf(node, 'certificate')
  if (childOf(node, 'passthrough')) {
    if (written) {
      const hint = 'the backend has the certificate; to decrypt here, use to, routes or tcp instead of passthrough'
      problems.error(
        placeOfKey(node, 'certificate'),
        'a passthrough site is never decrypted and has no certificate',
        hint,
      )
    }
    if (childOf(node, 'policy')) {
      problems.error(
        placeOfKey(node, 'policy'),
        'a passthrough site has no TLS policy',
        'the backend decides; remove policy',
      )
    }
    return null
  }
  if (!written) {
    if (!checks.inTls(raw.listeners?.filter(name => name !== undefined) ?? []) && !childOf(node, 'tcp')) return null
    problems.error(
      node.at,
      'certificate is missing',
      'as in certificate: { chain: shop.pem, key: shop.key }, certificate: acme, or certificate: local',
    )
    return undefined
  }
  if (!raw.certificate) return undefined
  if (raw.certificate.as === 'text') return { kind: raw.certificate.value }
  if (raw.certificate.as === 'map') return certificateOf(raw.certificate.value, written, problems)
  const pairs = raw.certificate.value.map(pair => whole(keyPairShape, pair)).filter(pair => pair !== undefined)
  return pairs.length === raw.certificate.value.length ? { kind: 'files', pairs } : undefined
}

function validateRoutes(
  raw: readonly (Route | undefined)[],
  list: Node,
  host: string,
  checks: SiteChecks,
): SiteAction {
  const routes: RouteConfig[] = []
  const names = new Map<string, number>()
  const taken = new Map<string, string>()
  raw.forEach((one, index) => {
    const node = list.kind === 'list' ? list.items[index] : undefined
    if (!one || !node) return
    const route = validateRoute(one, node, host, checks)
    if (!route) return
    const count = (names.get(route.name) ?? 0) + 1
    names.set(route.name, count)
    routes.push(count === 1 ? route : { ...route, name: `${route.name}#${count}` })
    warnIfShadowed(route, node, taken, checks.problems)
  })
  return { kind: 'http', routes }
}

/** Only equal conditions leave a route without requests: of different ones the more specific wins. */
function warnIfShadowed(route: RouteConfig, node: Node, taken: Map<string, string>, problems: Problems): void {
  const { paths, methods, headers, query, clients, ja4, proxy } = route.match
  const conditions = JSON.stringify([methods.toSorted(), headers, query, clients, ja4, proxy])
  const keys = (paths.length > 0 ? paths : ['/*']).map(path => `${path} ${conditions}`)
  const free = keys.filter(key => !taken.has(key))
  if (free.length === 0) {
    problems.warn(
      node.at,
      `this route is never reached: ${taken.get(keys[0]!)} matches the same requests`,
      'remove one of them',
    )
  }
  for (const key of free) taken.set(key, route.at)
}

function validateRoute(raw: Route, node: Node, host: string, checks: SiteChecks): RouteConfig | undefined {
  const { base, problems } = checks
  const match = childOf(node, 'match') ? validateMatch(raw.match) : anything
  const action = validateRouteAction(raw, node, checks)
  if (childOf(node, 'redirect') || childOf(node, 'respond')) {
    for (const key of ['timeouts', 'limits']) {
      if (childOf(node, key))
        problems.warn(placeOfKey(node, key), `${key} of a route without a backend have no effect`, `remove ${key}`)
    }
  }
  if (!match || !action || !raw.timeouts || !raw.limits || !raw.filters) return undefined
  const { timeouts, bodyRateBytes } = levelBase(base, raw, node)
  const own = raw.filters.filter(filter => filter !== undefined)
  const filters = own.length > 0 ? [...base.filters, ...own] : base.filters
  const name = `${host}${match.paths[0] ?? '/*'}`
  const requireClient = raw.clients === 'require'
  if (requireClient && match.clients.length > 0) warnUseless(node, problems)
  const level = { node, raw }
  checkStages(level, problems)
  const stages = stagesOf([...checks.outer, level])
  return {
    name,
    at: node.at.path,
    match,
    action,
    timeouts,
    bodyRateBytes,
    filters,
    requireClient,
    stages,
  }
}

/** What a site or a route writes in place of the values of the level above. */
function levelBase(
  base: RouteBase,
  { timeouts, limits }: Pick<Site | Route, 'timeouts' | 'limits'>,
  node: Node,
): RouteBase {
  if (!childOf(node, 'timeouts') && !childOf(node, 'limits')) return base
  return {
    ...base,
    timeouts: timeouts ? over(base.timeouts, timeouts) : base.timeouts,
    bodyRateBytes: limits?.bodyRateBytes ?? base.bodyRateBytes,
  }
}

function over<T extends object>(base: T, written: { readonly [K in keyof T]: T[K] | null | undefined }): T {
  const values = Object.entries(written).filter(([, value]) => value !== null && value !== undefined)
  return { ...base, ...Object.fromEntries(values) }
}

function validateMatch(raw: Raw<typeof matchShape> | undefined): RouteMatch | undefined {
  const match = whole(matchShape, raw)
  if (!match) return undefined
  const [headers, query] = [namedValues(match.header), namedValues(match.query)]
  return {
    paths: match.path,
    methods: match.method,
    headers,
    query,
    clients: match.client,
    ja4: match.ja4,
    proxy: match.proxy,
  }
}

/** Sorted by name, so that equal conditions look equal. */
function namedValues(map: ReadonlyMap<string, string>): NameAndValue[] {
  const sorted = [...map].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return sorted.map(([name, value]) => ({ name, value: value === '*' ? null : value }))
}

function validateRouteAction(raw: Route, node: Node, checks: SiteChecks): RouteAction | undefined {
  const key = onlyOne(node, ['to', 'files', 'redirect', 'respond'], 'a route', checks.problems)
  if (key === 'to') {
    const upstream = checks.upstreams.resolve(raw.to ?? undefined, childOf(node, 'to')!)
    return upstream && { kind: 'upstream', upstream }
  }
  if (key === 'files')
    return validateFiles(raw.files ?? undefined, childOf(node, 'files')!, checks.problems, checks)
  if (key === 'redirect') {
    const redirect = whole(redirectShape, raw.redirect ?? undefined)
    if (!redirect) return undefined
    checkLocation(redirect.to, childOf(node, 'redirect')!, checks)
    return { kind: 'redirect', ...redirect }
  }
  if (key === 'respond') return validateRespond(raw.respond, childOf(node, 'respond')!, checks.problems)
  return undefined
}

/** A client chooses the host that it asks a default or wildcard site for: it would choose where it is sent, and a cache others with it. */
function checkLocation({ usesHost, text }: LocationTemplate, node: Node, { problems, site }: SiteChecks): void {
  const open = site?.isDefault
    ? 'the default site'
    : site?.hosts.some(host => host.startsWith('*.'))
      ? 'a wildcard site'
      : null
  if (!usesHost || open === null) return
  const message = `${text}: on ${open} the client chooses the host, and so where it is sent`
  const hint = 'write the host, or a path that begins with /'
  const at = placeOf(node, 'to')
  if (text.includes('{request.host}')) problems.error(at, message, hint)
  else problems.warn(at, message, hint)
}

function validateRespond(raw: Route['respond'], node: Node, problems: Problems): RouteAction | undefined {
  const { status, body } = raw ?? {}
  if (body && (status === 204 || status === 205 || status === 304)) {
    problems.error(placeOf(node, 'body'), `a ${status} has no body`, 'remove body, or choose another status')
  }
  for (const name of raw?.headers?.keys() ?? []) {
    if (gatewayNames.has(name) || name === 'date')
      problems.error(
        placeOfKey(childOf(node, 'headers')!, name),
        `${name} is set by the gateway itself`,
        'remove it',
      )
  }
  const respond = whole(respondShape, raw ?? undefined)
  if (!respond) return undefined
  const headers = [...respond.headers]
  if (respond.body !== '' && !respond.headers.has('content-type'))
    headers.push(['content-type', 'text/plain; charset=utf-8'])
  return { kind: 'respond', ...respond, headers }
}
