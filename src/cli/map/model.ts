/**
 * Where traffic is plaintext, and who holds the keys: for every site and route each hop from client to backend, and
 * behind them the hops of the gateway itself (services.ts), read from a configuration. Pure; the same model is drawn
 * as text, as JSON and as a picture, and judged by `--require`.
 */
import {
  beginsWithTls,
  type ClientsConfig,
  type Config,
  endpointLabel,
  type ListenConfig,
  type RouteConfig,
  type SiteConfig,
  type UpstreamConfig,
  type UpstreamTlsConfig,
} from '../../config/config.ts'
import { servedOn } from '../../config/listen-address.ts'
import { type Policy, versionRange } from '../../model/policies.ts'
import { type Hop, isLocalPlace, isLoopback, type Path, placeOf, plain, shown } from './hops.ts'
import { servicesOf } from './services.ts'

export function mapOf(config: Config): Path[] {
  const paths: Path[] = []
  for (const site of config.sites) {
    const listeners = config.listen.filter(({ name }) => servedOn(site.listeners, name))
    const tls = listeners.some(beginsWithTls)
    if (site.action.kind !== 'http') {
      const startTls = site.action.kind === 'tcp' ? site.action.startTls : null
      if (tls || listeners.some(listen => startTls !== null && listen.startTls === startTls))
        paths.push(layer4Path(config, site))
      continue
    }
    for (const route of site.action.routes) {
      if (tls && site.certificate !== null) paths.push(httpPath(config, site, route, null))
      for (const listen of listeners) {
        const { cleartext, trust } = listen
        // Clients that have come to a trusted proxy by https are not redirected.
        const serves = cleartext === 'serve' || (cleartext === 'redirect' && trust !== null)
        if (serves && site.clients?.mode !== 'require') paths.push(httpPath(config, site, route, listen))
      }
    }
  }
  return [...paths, ...servicesOf(config)]
}

function layer4Path(config: Config, site: SiteConfig): Path {
  const { action } = site
  const { kind, upstream } = action as Exclude<SiteConfig['action'], { kind: 'http' }>
  const where = endpointsOf(upstream)
  const name = upstream.name
  if (kind === 'passthrough') {
    const hop = (from: string, to: string): Hop => ({
      from,
      to,
      encrypted: null,
      how: 'not decrypted here',
      verified: 'encryption and verification are between client and backend; the gateway cannot check either',
      serverVerified: null,
      mutual: false,
      key: 'the backend',
      onHost: false,
    })
    const hops = [hop('client', 'gateway'), { ...hop('gateway', where), onHost: isOnHost(upstream) }]
    return { site: site.name, route: '', pattern: 'passthrough', hops, plaintext: [], inspects: [], missing: [] }
  }
  return {
    site: site.name,
    route: '',
    pattern: 'unwrap',
    hops: [clientHop(config, site), plain('gateway', where, 'raw TCP in the open', isOnHost(upstream))],
    plaintext: ['in the gateway', ...onWire(where, upstream)],
    inspects: [],
    missing: [
      `to reach end-to-end: let the backend end TLS itself, with passthrough: { to } in place of tcp (${name})`,
      ...(site.clients === null ? [`to know the clients: give ${site.name} clients: { ca }`] : []),
    ],
  }
}

function httpPath(config: Config, site: SiteConfig, route: RouteConfig, listener: ListenConfig | null): Path {
  const first = listener === null ? clientHop(config, site) : cleartextHop(listener)
  const inspects = [
    'routing by host, path and fields',
    ...route.filters.map(filter => `filter ${filter.name}`),
    ...(config.log.access ? ['the access log (client, method, host, path and query; no bodies)'] : []),
  ]
  const seen = listener === null ? [] : [`on the wire from clients to ${placeOf(listener)}`]
  const base = { site: site.name, route: route.name.slice(site.name.length) || '/*', inspects }
  const missing =
    listener === null
      ? []
      : [`to encrypt the first hop: cleartext: redirect in place of serve on ${placeOf(listener)}`]
  if (route.action.kind !== 'upstream') {
    const pattern = listener === null ? 'answered here' : 'cleartext'
    return { ...base, pattern, hops: [first], plaintext: [...seen, 'in the gateway'], missing }
  }
  const { upstream } = route.action
  const where = endpointsOf(upstream)
  const second =
    upstream.tls === null
      ? plain('gateway', where, `${upstream.http === 2 ? 'HTTP/2' : 'HTTP'} in the open`, isOnHost(upstream))
      : tlsHop(config, where, upstream)
  const pattern = listener !== null ? 'cleartext' : upstream.tls === null ? 'edge' : 'bridge'
  if (upstream.tls === null)
    missing.push(`to reach end-to-end: give upstream ${upstream.name} https:// endpoints and tls: { ca }`)
  else if (!upstream.tls.verify)
    missing.push(
      `to reach end-to-end: remove verify: false from upstream ${upstream.name}, and give it tls: { ca }`,
    )
  if (listener === null && !first.mutual)
    missing.push(`for mutual TLS with clients: give ${site.name} clients: { ca, verify: require }`)
  if (upstream.tls !== null && upstream.tls.certificate === null)
    missing.push(
      `for mutual TLS with backends: give upstream ${upstream.name} tls: { certificate: { chain, key } }`,
    )
  return {
    ...base,
    pattern,
    hops: [first, second],
    plaintext: [...seen, 'in the gateway', ...(upstream.tls === null ? onWire(where, upstream) : [])],
    missing,
  }
}

function clientHop(config: Config, site: SiteConfig): Hop {
  const policy = config.policies[site.policy] as Policy
  const { clients } = site
  return {
    from: 'client',
    to: 'gateway',
    encrypted: true,
    how: `TLS ${versionRange(policy)} (${site.policy})`,
    verified: `the gateway shows a certificate for ${site.name}, which the client has to verify; ${clientsText(config, clients)}`,
    serverVerified: true,
    mutual: clients?.mode === 'require',
    key: `the gateway (${keyPlace(config, site)})`,
    onHost: false,
  }
}

function keyPlace(config: Config, { certificate }: SiteConfig): string {
  const stored = config.storage.redis === null ? 'its state folder' : 'its storage'
  switch (certificate?.kind) {
    case 'files':
      return certificate.pairs.map(pair => shown(config, pair.keyFile)).join(', ')
    case 'directory':
      return `files in ${shown(config, certificate.folder)}`
    case 'acme':
      return `in ${stored}, for ACME`
    case 'vault':
      return `in ${stored}, for Vault`
    default:
      return 'issued by its local CA'
  }
}

function clientsText(config: Config, clients: ClientsConfig | null): string {
  if (clients === null) return 'clients are not asked who they are'
  const list = clients.allow.length > 0 ? ` and the list of ${clients.allow.length}` : ''
  const revoked = clients.crl.length > 0 ? ', revocation checked' : ''
  return `clients ${clients.mode === 'require' ? 'must' : 'may'} show a certificate of ${clients.ca.map(file => shown(config, file)).join(', ')}${list}${revoked}`
}

const cleartextHop = (listener: ListenConfig): Hop =>
  plain('client', 'gateway', `HTTP in the open, ${placeOf(listener)}`, isLocalPlace(listener))

/** @param name that of the endpoint, where the configuration says no other */
export function verifiedText(tls: UpstreamTlsConfig, name: string): string {
  if (!tls.verify) return 'NOT verified (verify: false)'
  const byName = tls.spiffe.length === 0 || tls.serverName !== null ? [`as ${tls.serverName ?? name}`] : []
  const byId = tls.spiffe.length === 0 ? [] : [`by SPIFFE id ${tls.spiffe.join(' or ')}`]
  const signed = byId.length > 0 ? ', signed by' : ' by'
  return `verified ${[...byId, ...byName].join(' and ')}${signed} ${tls.caFile ?? "the system's CAs"}`
}

function tlsHop(config: Config, to: string, upstream: UpstreamConfig): Hop {
  const tls = upstream.tls as NonNullable<UpstreamConfig['tls']>
  const name = tls.serverName ?? [...new Set(upstream.endpoints.map(endpoint => endpoint.host))].join(', ')
  const own =
    tls.certificate === null
      ? 'the gateway shows no certificate'
      : `the gateway shows ${shown(config, tls.certificate.chainFile)}`
  const server = verifiedText({ ...tls, caFile: tls.caFile && shown(config, tls.caFile) }, name)
  return {
    from: 'gateway',
    to,
    encrypted: true,
    how: 'TLS 1.2 - 1.3',
    verified: `${server}; ${own}`,
    serverVerified: tls.verify,
    mutual: tls.verify && tls.certificate !== null,
    key: 'the backend',
    onHost: isOnHost(upstream),
  }
}

const endpointsOf = (upstream: UpstreamConfig): string => upstream.endpoints.map(endpointLabel).join(', ')

const onWire = (where: string, upstream: UpstreamConfig): string[] => [
  `on the way to ${where}${isOnHost(upstream) ? ' (which does not leave this host)' : ''}`,
]

const isOnHost = (upstream: UpstreamConfig): boolean =>
  upstream.endpoints.every(({ host, unix }) => unix === true || isLoopback(host))
export const requirements = ['end-to-end', 'no-plaintext-offhost', 'mtls'] as const
export type Requirement = (typeof requirements)[number]

/** The hops that fall short, each as a sentence. */
export function shortfalls(paths: readonly Path[], requirement: Requirement): string[] {
  const found: string[] = []
  for (const path of paths) {
    for (const hop of path.hops) {
      const why = fallsShort(hop, path, requirement)
      if (why !== null) found.push(`${path.site}${path.route}: ${hop.from} to ${hop.to}: ${why}`)
    }
  }
  return found
}

/** What is not decrypted here is as safe as client and backend make it: only `mtls` asks for more than can be known. */
function fallsShort(hop: Hop, path: Path, requirement: Requirement): string | null {
  const own = path.pattern === 'connection' || path.pattern === 'listener'
  switch (requirement) {
    case 'no-plaintext-offhost':
      return hop.encrypted !== false || hop.onHost ? null : `${hop.how}, off this host`
    case 'mtls':
      if (path.pattern === 'passthrough') return 'not known here: client and backend settle it between them'
      if (!own) return hop.mutual ? null : hop.verified
  }
  // Metrics or a local Redis that stay on this host are not on the way between client and backend.
  if (own && hop.onHost) return null
  if (hop.encrypted === false) return hop.how
  return hop.serverVerified === false ? hop.verified : null
}
