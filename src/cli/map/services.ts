/**
 * The hops that belong to no site: what the gateway itself connects to, and what it listens on beside the sites. All
 * that the configuration names is here. Name resolution is not, and nor are connections that a filter opens.
 */
import { isIP } from 'node:net'
import type { AcmeConfig, Config, DnsProviderConfig, ListenConfig, RedisConfig } from '../../config/config.ts'
import { servedOn } from '../../config/listen-address.ts'
import { type Hop, isLocalPlace, isLoopback, type Path, placeOf, plain, shown } from './hops.ts'

type Peer = {
  /** PEM; null: the CAs of the system */
  readonly caFile: string | null
  /** How the gateway says who it is */
  readonly proof: string
}

export function servicesOf(config: Config): Path[] {
  const { storage, admin, acme, vault, alerts, ca } = config
  return [
    ...config.listen.filter(({ cleartext }) => cleartext === 'redirect').map(redirectPath),
    ...refusedPaths(config),
    ...(storage.redis === null ? [] : [redisPath(config, storage.redis)]),
    ...(acme === null ? [] : acmePaths(config, acme)),
    ...(vault === null
      ? []
      : [
          toUrl(config, 'vault', vault.address, {
            caFile: vault.caFile,
            proof: `the gateway by ${vault.auth.kind}`,
          }),
        ]),
    ...(ca === null || ca.acme === null ? [] : acmeServerPaths(ca.acme)),
    ...(alerts === null
      ? []
      : [
          toUrl(config, 'alerts', alerts.url, {
            caFile: alerts.caFile,
            proof: alerts.token === null ? anonymous : 'the gateway by a token',
          }),
        ]),
    ...revocationPaths(config),
    ...(admin === null ? [] : [adminPath(admin)]),
  ]
}

const anonymous = 'the gateway does not say who it is'

function redirectPath(listen: ListenConfig): Path {
  const hop = plain('client', 'gateway', `HTTP in the open, ${placeOf(listen)}`, isLocalPlace(listen))
  const verified = `${hop.verified}; it is the first request of a client, answered with a redirect`
  return {
    ...own('redirect', 'redirect', { ...hop, verified }),
    plaintext: [`on the wire from clients to ${placeOf(listen)}: method, path, fields and cookies of that request`],
    missing: ['for browsers that have been here before: give the sites hsts: { maxAge }'],
  }
}

/** Sites for clients with a certificate are not served in cleartext, but whoever asks has sent the request by then. */
function refusedPaths({ listen, sites }: Config): Path[] {
  const serving = listen.filter(({ cleartext }) => cleartext === 'serve')
  if (serving.length === 0) return []
  const refused = sites.filter(({ action, clients }) => action.kind === 'http' && clients?.mode === 'require')
  if (refused.length === 0) return []
  return serving.flatMap(listen => {
    const names = refused.filter(({ listeners }) => servedOn(listeners, listen.name)).map(({ name }) => name)
    return names.length === 0 ? [] : [refusedPath(listen, names.join(', '))]
  })
}

const refusedPath = (listen: ListenConfig, names: string): Path => ({
  ...own(
    'refused',
    'cleartext',
    plain('client', 'gateway', `HTTP in the open, ${placeOf(listen)}`, isLocalPlace(listen)),
  ),
  plaintext: [`on the wire from clients to ${placeOf(listen)}: requests for ${names}, which are refused there`],
  missing: [`to have none sent there: remove the listener on ${placeOf(listen)}`],
})

function redisPath(config: Config, redis: RedisConfig): Path {
  const where = authority(redis.host, redis.port)
  const { caFile, certificate, password } = redis
  const sealed = config.storage.seal !== null
  const values = sealed ? 'values are sealed with AES-256-GCM' : 'private keys are stored as they are'
  if (redis.tls) {
    const proof =
      certificate !== null
        ? `the gateway shows ${shown(config, certificate.chainFile)}`
        : password === null
          ? anonymous
          : 'the gateway by a password'
    const verified = `verified as ${redis.host} by ${casText(config, caFile)}; ${proof}; ${values}`
    const hop: Hop = {
      ...over('gateway', where, 'Redis over TLS', verified, isLoopback(redis.host)),
      mutual: certificate !== null,
    }
    return { ...own('storage', 'connection', hop), plaintext: sealed ? [] : ['in Redis'] }
  }
  // Sealed values need no TLS to stay secret; a password does.
  const open = sealed && password === null ? 'Redis in the open, with sealed values' : 'Redis in the open'
  const hop = plain(
    'gateway',
    where,
    password === null ? open : `${open}, and the password with it`,
    isLoopback(redis.host),
  )
  const safe = sealed && password === null
  return {
    ...own('storage', 'connection', { ...hop, encrypted: safe, verified: `no verification; ${values}` }),
    plaintext: [...(sealed ? [] : ['in Redis']), ...(safe ? [] : onTheWay(hop))],
    missing: ['to encrypt it: rediss:// and ca', ...(sealed ? [] : ['to keep private keys from Redis: seal'])],
  }
}

function acmePaths(config: Config, { issuers, dns, onDemand }: AcmeConfig): Path[] {
  const urls = issuers.flatMap(({ directory, staging, caFile }) =>
    [directory, ...(staging === null ? [] : [staging])].map(url => ({ url, caFile })),
  )
  const proof = 'the gateway by its account key'
  return [
    ...urls.map(({ url, caFile }) => toUrl(config, 'acme', url, { caFile, proof }, 'or the public ones')),
    ...(dns === null ? [] : [dnsPath(config, dns.provider)]),
    ...(onDemand === null || onDemand.ask === null
      ? []
      : [toUrl(config, 'acme.onDemand.ask', onDemand.ask, { caFile: null, proof: anonymous })]),
  ]
}

function dnsPath(config: Config, provider: DnsProviderConfig): Path {
  const name = 'acme.dns'
  switch (provider.kind) {
    case 'rfc2136': {
      const { server, tsig } = provider
      const how = 'DNS UPDATE in the open'
      const hop = plain(
        'gateway',
        authority(server.host, server.port),
        tsig === null ? how : `${how}, signed`,
        isLoopback(server.host),
      )
      const verified = tsig === null ? hop.verified : `both ends by TSIG (${tsig.algorithm})`
      return { ...own(name, 'connection', { ...hop, verified }), plaintext: onTheWay(hop) }
    }
    case 'program': {
      const hop = {
        ...plain('gateway', shown(config, provider.file), 'a program, started on this host', true),
        verified: 'what it connects to is not known',
      }
      return own(name, 'connection', hop)
    }
    case 'webhook': {
      const proof =
        provider.secret !== null
          ? 'the gateway by a signature'
          : provider.token !== null
            ? 'the gateway by a token'
            : anonymous
      return toUrl(config, name, provider.url, { caFile: provider.caFile, proof })
    }
    case 'acme-dns':
      return toUrl(config, name, provider.url, { caFile: provider.caFile, proof: 'the gateway by a password' })
  }
}

function acmeServerPaths(server: NonNullable<NonNullable<Config['ca']>['acme']>): Path[] {
  const { listen, host, challenges, http01Port } = server
  const verified = `the gateway shows a certificate of the internal CA for ${host}; clients prove themselves by their account keys`
  const hop = over('ACME clients', 'gateway', `TLS, port ${listen.port}`, verified, isLoopback(listen.address))
  const served = own('ca.acme', 'listener', hop)
  if (!challenges.includes('http-01')) return [served]
  const asked = plain(
    'gateway',
    `port ${http01Port} of names that are ordered`,
    'HTTP in the open, for challenges',
    false,
  )
  return [
    served,
    {
      ...own('ca.acme', 'connection', { ...asked, verified: 'the answer proves the name, and is public' }),
      plaintext: onTheWay(asked),
      missing: ['to do without: ca: { acme: { challenges: [tls-alpn-01] } }, or external accounts'],
    },
  ]
}

function adminPath({ listen, token }: NonNullable<Config['admin']>): Path {
  const how = `HTTP in the open, port ${listen.port}${token === null ? '' : ', and the token with it'}`
  const hop = {
    ...plain('scrapers', 'gateway', how, isLoopback(listen.address)),
    verified: token === null ? 'no verification' : 'clients by a token',
  }
  return {
    ...own('admin', 'listener', hop),
    plaintext: [`on the wire to port ${listen.port}${hop.onHost ? ' (which does not leave this host)' : ''}`],
    missing: hop.onHost ? [] : ['to keep it on this host: admin: { listen: { address: 127.0.0.1 } }'],
  }
}

/** Public data, signed by the CA: in the open it can be read and held back, but not forged. */
function revocationPaths(config: Config): Path[] {
  const signed = 'what comes is verified by the signature of its CA'
  const urls = new Set(
    config.sites.flatMap(({ clients }) => clients?.crl.filter(each => /^https?:\/\//.test(each)) ?? []),
  )
  const paths = [...urls].map(url => {
    const path = toUrl(config, 'clients.crl', url, { caFile: null, proof: signed })
    return { ...path, missing: [] }
  })
  if (!config.sites.some(({ staple }) => staple)) return paths
  const hop = {
    ...plain('gateway', 'the OCSP responders that certificates name', 'HTTP in the open', false),
    verified: signed,
  }
  return [...paths, { ...own('ocsp', 'connection', hop), plaintext: onTheWay(hop) }]
}

function toUrl(config: Config, name: string, url: string, { caFile, proof }: Peer, publicToo = ''): Path {
  const { protocol, hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const where = authority(host, Number(port) || (protocol === 'https:' ? 443 : 80))
  if (protocol === 'https:') {
    const cas = `${casText(config, caFile)}${caFile !== null && publicToo !== '' ? ` ${publicToo}` : ''}`
    return own(
      name,
      'connection',
      over('gateway', where, 'HTTPS', `verified as ${host} by ${cas}; ${proof}`, isLoopback(host)),
    )
  }
  const hop = {
    ...plain('gateway', where, 'HTTP in the open', isLoopback(host)),
    verified: `not verified by TLS; ${proof}`,
  }
  return {
    ...own(name, 'connection', hop),
    plaintext: onTheWay(hop),
    missing: [`to encrypt it: an https:// URL for ${name}`],
  }
}

const own = (site: string, pattern: Path['pattern'], hop: Hop): Path => ({
  site,
  route: '',
  pattern,
  hops: [hop],
  plaintext: [],
  inspects: [],
  missing: [],
})

const over = (from: string, to: string, how: string, verified: string, onHost: boolean): Hop => ({
  from,
  to,
  encrypted: true,
  how,
  verified,
  serverVerified: true,
  mutual: false,
  key: null,
  onHost,
})

const onTheWay = ({ to, onHost }: Hop): string[] => [
  `on the way to ${to}${onHost ? ' (which does not leave this host)' : ''}`,
]

const casText = (config: Config, file: string | null): string =>
  file === null ? "the system's CAs" : shown(config, file)

const authority = (host: string, port: number): string => `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
