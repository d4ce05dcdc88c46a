/** `sallyport explain URL`: which site, TLS policy, route and endpoints would serve it, and why. Opens no connection. */
import { ProxyError, UsageError } from '../../base/errors.ts'
import type { Config, RouteConfig, SiteConfig } from '../../config/config.ts'
import { loadConfig } from '../../config/load.ts'
import { byPhase } from '../../model/filter.ts'
import type { Policy } from '../../model/policies.ts'
import type { Route } from '../../model/route.ts'
import { routeTable } from '../../route/match.ts'
import { Names } from '../../route/names.ts'
import { Fields } from '../../wire/fields.ts'
import { canonicalHost } from '../../wire/host.ts'
import { parseTarget } from '../../wire/target.ts'
import { verifiedText } from '../map/model.ts'
import type { Verb } from '../verb.ts'

export const explain: Verb = {
  name: 'explain',
  usage: 'explain URL [-c FILE] [--method METHOD]',
  summary: 'which site, TLS policy, route and endpoint would serve a URL, and why',
  details: 'URL is https://host/path, http://host/path for a cleartext listener, or tls://host for layer 4.',
  values: ['config', 'method'],
  flags: [],
  async run(words) {
    const text = words.rest[0]
    if (text === undefined) throw new UsageError('explain needs a URL, such as https://shop.example.com/api/items')
    const url = URL.canParse(text) ? new URL(text) : null
    if (url === null || !['https:', 'http:', 'tls:'].includes(url.protocol)) {
      throw new UsageError(`'${text}' is not a URL with https://, http:// or tls://`)
    }
    const file = words.options.get('config')
    const { config } = await loadConfig(file === undefined ? {} : { file })
    process.stdout.write(`${explainUrl(config, url, words.options.get('method') ?? 'GET').join('\n')}\n`)
    return 0
  },
}

/** Lines of `name   what (why)`. */
function explainUrl(config: Config, url: URL, method: string): string[] {
  const lines: string[] = []
  const say = (name: string, what: string) => lines.push(`${name.padEnd(10)} ${what}`)
  const secure = url.protocol !== 'http:'
  const port = Number(url.port || (secure ? 443 : 80))
  const listen = config.listen.find(each => each.port === port && (each.cleartext === null) === secure)
  const offered = config.listen.map(
    each => `${each.port}${each.cleartext === null ? '' : ` (cleartext: ${each.cleartext})`}`,
  )
  say(
    'listener',
    listen
      ? `${listen.address}:${port}${listen.cleartext ? ` cleartext: ${listen.cleartext}` : ' TLS'}`
      : `none on port ${port} for ${url.protocol}// (there is ${offered.join(', ')})`,
  )
  if (listen?.cleartext === 'redirect') {
    say('answer', `308 to https://${url.hostname}${url.pathname}${url.search}`)
    return lines
  }
  const names = new Names<SiteConfig>()
  for (const each of config.sites) for (const host of each.hosts) names.add(host, each)
  const host = canonicalHost(url.hostname)
  const named = names.find(host)
  const site = named ?? config.sites.find(each => each.default) ?? null
  if (site === null) {
    say('site', `none has the name ${host}, and none is the default`)
    say('answer', secure ? 'TLS alert unrecognized_name' : '404')
    return lines
  }
  const by = named === null ? 'the default site' : site.hosts.includes(host) ? 'exact name' : 'wildcard'
  say('site', `${site.name} (${by})`)
  if (site.action.kind === 'passthrough') {
    say('tls', 'not decrypted here: routed by SNI, the backend holds the key')
    sayUpstream(say, site.action.upstream)
    return lines
  }
  if (secure) {
    const { certificate } = site
    if (certificate === null) {
      say('answer', 'TLS alert unrecognized_name (the site has no certificate)')
      return lines
    }
    const policy = config.policies[site.policy] as Policy
    say(
      'policy',
      `${site.policy}: ${policy.minVersion} to ${policy.maxVersion}; groups ${policy.groups.join(', ')}`,
    )
    say(
      'cert',
      certificate.kind === 'local'
        ? 'issued by the local CA'
        : certificate.kind === 'acme'
          ? `from ${config.acme?.issuers[0]?.directory}`
          : certificate.kind === 'vault'
            ? `issued by ${config.vault?.address}`
            : certificate.kind === 'directory'
              ? `the best in ${certificate.folder} for the name`
              : certificate.pairs.map(pair => pair.chainFile).join(', '),
    )
  }
  if (site.action.kind === 'tcp') {
    say('mode', 'TLS in, raw TCP out')
    sayUpstream(say, site.action.upstream)
    return lines
  }
  sayRoute(say, site.action.routes, url, method)
  return lines
}

type Say = (name: string, what: string) => void

function sayRoute(say: Say, routes: readonly RouteConfig[], url: URL, method: string): void {
  const target = parseTarget(method, url.pathname)
  if (target instanceof ProxyError) {
    say('answer', `400 (${target.message})`)
    return
  }
  const byName = new Map(routes.map(route => [route.name, route]))
  const table = routeTable(
    routes.map(route => ({
      name: route.name,
      match: route.match,
      action: { kind: 'respond', status: 200, body: '', headers: [] },
      timeouts: route.timeouts,
      maxBodyBytes: route.bodyBytes,
      filters: byPhase(route.filters),
      requireClient: route.requireClient,
    })) satisfies Route[],
  )
  const found = table.find(method, target.path, url.search, new Fields(''), { identity: null, fingerprint: null })
  const route = found === null ? null : (byName.get(found.name) ?? null)
  if (route === null) {
    say(
      'route',
      `none of ${routes.length} takes ${method} ${target.path} (routes with header conditions are tried without headers)`,
    )
    say('answer', '404')
    return
  }
  const { paths, methods, headers, query } = route.match
  const why = [
    paths.length === 0 ? 'any path' : `path ${paths.join(' or ')}`,
    ...(methods.length > 0 ? [`method ${methods.join(' or ')}`] : []),
    ...[...headers, ...query].map(({ name, value }) => (value === null ? `has ${name}` : `${name}=${value}`)),
  ]
  say('route', `${route.name} (${why.join(', ')})`)
  if (target.path !== url.pathname) say('path', `${target.path} (normal form, routed on and forwarded)`)
  if (route.filters.length > 0) say('filters', route.filters.map(filter => filter.name).join(', '))
  if (route.action.kind === 'upstream') sayUpstream(say, route.action.upstream)
  else if (route.action.kind === 'redirect') say('answer', `${route.action.status} to ${route.action.to}`)
  else say('answer', `${route.action.status} from the configuration`)
}

function sayUpstream(say: Say, upstream: import('../../config/config.ts').UpstreamConfig): void {
  const { scheme, tls } = upstream
  say('upstream', `${upstream.name} (${upstream.balance})`)
  for (const { host, port } of upstream.endpoints) {
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
    const how = tls === null ? (scheme === 'http' ? 'plain HTTP' : 'TCP') : `TLS, ${verifiedText(tls, host)}`
    say('endpoint', `${address} (${how})`)
  }
}
