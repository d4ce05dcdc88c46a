/** `sallyport explain URL`: which site, TLS policy, route and endpoints would serve it, and why. Opens no connection. */
import { UsageError } from '../../base/errors.ts'
import { beginsWithTls, type Config, type ListenConfig, type SiteConfig } from '../../config/config.ts'
import { placeText, publicPort, servedOn } from '../../config/listen-address.ts'
import { loadConfig } from '../../config/load.ts'
import type { Policy } from '../../model/policies.ts'
import { Names } from '../../route/names.ts'
import { canonicalHost } from '../../wire/host.ts'
import { handshakeText, refusal } from '../explain/clients.ts'
import { sayFallback, sayRoute, sayUpstream } from '../explain/route.ts'
import { print } from '../print.ts'
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
    print(`${explainUrl(config, url, words.options.get('method') ?? 'GET').join('\n')}\n`)
    return 0
  },
}

/** A URL without a port means the usual one, or where nothing listens there, the first listener of its kind. */
function listenerOf(config: Config, url: URL, secure: boolean): ListenConfig {
  const able = config.listen.filter(each => (each.cleartext === null) === secure)
  const port = Number(url.port || (secure ? 443 : 80))
  const found =
    able.find(each => publicPort(each) === port) ??
    able.find(each => each.port === port) ??
    (url.port === '' ? (able.find(each => each.startTls === null) ?? able[0]) : undefined)
  if (found !== undefined) return found
  const offered = config.listen.map(
    each => `${portText(each)}${beginsWithTls(each) ? '' : ` (${wayOf(each).trim()})`}`,
  )
  const where = url.port === '' ? 'no listener' : `no listener on port ${port}`
  throw new UsageError(`${where} for ${url.protocol}//: the configuration listens on ${offered.join(', ')}`)
}

const wayOf = ({ cleartext, startTls }: ListenConfig): string =>
  cleartext !== null ? ` cleartext: ${cleartext}` : startTls !== null ? ` startTls: ${startTls}` : ' TLS'

const portText = (listen: ListenConfig): string =>
  listen.unix
    ? placeText(listen)
    : listen.public === null
      ? `${listen.port}`
      : `${listen.port} (public ${listen.public})`

function namesOf(sites: readonly SiteConfig[]): Names<SiteConfig> {
  const names = new Names<SiteConfig>()
  for (const each of sites) for (const host of each.hosts) names.add(host, each)
  return names
}

/** Whether a listener has a site for the host. */
function serves(sites: readonly SiteConfig[], listen: ListenConfig, host: string): boolean {
  const served = sites.filter(({ listeners }) => servedOn(listeners, listen.name))
  return namesOf(served).find(host) !== null || served.some(each => each.default)
}

/** Lines of `name   what (why)`. */
function explainUrl(config: Config, url: URL, method: string): string[] {
  const lines: string[] = []
  const say = (name: string, what: string) => lines.push(`${name.padEnd(10)} ${what}`)
  const secure = url.protocol !== 'http:'
  const listen = listenerOf(config, url, secure)
  const called = listen.name === null ? '' : `${listen.name} `
  say(
    'listener',
    `${called}${listen.unix ? placeText(listen) : `${listen.address}:${portText(listen)}`}${wayOf(listen)}`,
  )
  if (listen.trust !== null && listen.cleartext !== 'redirect')
    say('trust', `${listen.trust.from.join(' and ')} say who the client is (${listen.trust.fields})`)
  if (listen.cleartext === 'redirect') {
    const inTls = config.listen.filter(beginsWithTls)
    const tls = inTls.find(each => serves(config.sites, each, canonicalHost(url.hostname))) ?? inTls[0]
    const port = tls === undefined || publicPort(tls) === 443 ? '' : `:${publicPort(tls)}`
    say('answer', `308 to https://${url.hostname}${port}${url.pathname}${url.search}`)
    if (listen.trust !== null)
      say(
        'trust',
        `clients that came to ${listen.trust.from.join(' or ')} by https are served here, without a redirect`,
      )
    return lines
  }
  const served = config.sites.filter(({ listeners }) => servedOn(listeners, listen.name))
  const host = canonicalHost(url.hostname)
  const named = namesOf(served).find(host)
  const site = named ?? served.find(each => each.default) ?? null
  if (site === null) {
    const elsewhere = namesOf(config.sites).find(host)
    const where = served.length < config.sites.length ? ' on this listener' : ''
    say('site', `none${where} has the name ${host}, and none is the default`)
    if (elsewhere !== null)
      say('listeners', `${elsewhere.name} is served on ${elsewhere.listeners.join(' and ')} only`)
    if (secure) say('answer', 'TLS alert unrecognized_name')
    else sayFallback(say, config.stages)
    return lines
  }
  const by = named === null ? 'the default site' : site.hosts.includes(host) ? 'exact name' : 'wildcard'
  say('site', `${site.name} (${by})`)
  if (site.listeners.length > 0) say('listeners', `the site is served on ${site.listeners.join(' and ')} only`)
  if (listen.startTls !== null && !(site.action.kind === 'tcp' && site.action.startTls === listen.startTls)) {
    say('answer', `TLS alert unrecognized_name (the site does not say tcp: { startTls: ${listen.startTls} })`)
    return lines
  }
  if (!secure && site.action.kind !== 'http') {
    say('answer', `421 (MISDIRECTED: a ${site.action.kind} site needs TLS, and no HTTP is served for it)`)
    return lines
  }
  if (site.action.kind === 'passthrough') {
    say('tls', 'not decrypted here: routed by SNI, the backend holds the key')
    sayUpstream(say, site.action.upstream)
    return lines
  }
  if (!secure && site.clients?.mode === 'require') {
    say(
      'clients',
      `a certificate signed by ${site.clients.ca.join(' or ')} is required, and none can be shown in cleartext`,
    )
    say('answer', refusal)
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
    if (site.clients !== null) say('clients', handshakeText(site.clients))
  }
  if (site.action.kind === 'tcp') {
    say('mode', 'TLS in, raw TCP out')
    if (site.action.alpn.length > 0) say('alpn', site.action.alpn.join(', '))
    sayUpstream(say, site.action.upstream)
    return lines
  }
  sayRoute(say, site.action.routes, {
    url,
    method,
    secure,
    clients: site.clients,
    stages: site.stages,
    where: { paths: [], hosts: site.hosts, isDefaultSite: site.default },
  })
  return lines
}
