/**
 * Configuration to snapshot. Everything that can fail fails here, before anything is replaced: files that cannot be
 * read, keys that do not match. The result is immutable and does not refer to the configuration.
 */
import type { Cas, WatchedCas } from '../certs/files/watched-cas.ts'
import type { Config, SiteConfig, UpstreamConfig } from '../config/config.ts'
import type { Bundle } from '../model/certificate.ts'
import type { ClientTerms } from '../model/client-identity.ts'
import type { Policy } from '../model/policies.ts'
import type { Site, SiteTls } from '../model/site.ts'
import type { Snapshot } from '../model/snapshot.ts'
import type { Upstream } from '../proxy/upstream/upstream.ts'
import { offerOf } from '../tls/offer.ts'
import { policyKey, siteTls } from '../tls/site-tls.ts'
import {
  type CertificateSource,
  fromFiles,
  fromFolder,
  fromLocalCa,
  type SiteCertificates,
  toUpstream,
} from './certificates/certificates.ts'
import type { CrlSource } from './certificates/crl-source.ts'
import type { ManagedSite } from './certificates/managed-certificates.ts'
import { fromManaged } from './certificates/managed-source.ts'
import { staplingOf } from './certificates/staples.ts'
import { clientTerms } from './clients.ts'
import { actionOf, wantsFingerprints } from './compile-routes.ts'
import { fallbackRoute, plainFallback } from './fallback.ts'
import type { LastingUsed } from './lasting.ts'
import type { Registries } from './registries.ts'
import { siteTables } from './site-tables.ts'
import type { ClientCas } from './trust-watch.ts'

/** Up to this many sites, every certificate is read and checked at startup; with more, each when it is first needed. */
const eagerSites = 200

export type Compiled = {
  readonly snapshot: Snapshot
  readonly sites: readonly Site[]
  readonly upstreams: readonly Upstream[]
  /** Keys of OCSP staples; grows as certificates are read later */
  readonly staples: ReadonlySet<string>
  /** For sites, and for upstreams with a client certificate */
  readonly certificates: readonly SiteCertificates[]
  /** Files whose replacement requires compiling the configuration again: CAs for client certificates */
  readonly clientCas: ClientCas
  /** Revocation lists for client certificates */
  readonly crls: ReadonlySet<CrlSource>
  readonly lasting: LastingUsed
}

export function compile(
  config: Config,
  registries: Registries,
  version: number,
  warn: (text: string) => void,
  managed: (site: SiteConfig) => ManagedSite,
): Compiled {
  const upstreams = new Map<UpstreamConfig, Upstream>()
  const staples = new Set<string>()
  const upstreamOf = (from: UpstreamConfig): Upstream => {
    const known = upstreams.get(from)
    if (known !== undefined) return known
    const upstream = registries.upstreams.upstream(from, config.timeouts.resolveMs)
    upstreams.set(from, upstream)
    return upstream
  }

  const certificates: SiteCertificates[] = []
  const clientCas = new Map<WatchedCas, Cas>()
  const said = new Set<string>()
  // Several sites may share a file, and one warning about it is enough.
  const warnOnce = (text: string): void => {
    if (!said.has(text)) warn(text)
    said.add(text)
  }
  const warnOfWeak = (option: string, file: string, { weak }: Cas): void => {
    for (const one of weak)
      warnOnce(`${file}: ${one}: certificates issued by it are refused, unless ${option} says weak: allow`)
  }
  const crls = registries.crls.attempt(warn)
  const lasting = registries.lasting.attempt(config.state)
  const offers = new Map<string, Policy>()
  const policyOf = (name: string): Policy => {
    let policy = offers.get(name)
    if (policy === undefined) {
      const offer = offerOf(config.policies[name] as Policy)
      for (const warning of offer.warnings) warn(warning)
      policy = offer.policy
      offers.set(name, policy)
    }
    return policy
  }

  const policyKeys = new Map<Policy, string>()
  // One string for ten thousand sites: it has 500 characters.
  const termsKeyOf = (policy: Policy, clients: ClientTerms | null): string => {
    const key = policyKeys.get(policy) ?? `${policyKey(policy)} without client certificates`
    policyKeys.set(policy, key)
    return clients === null ? key : `${policyKey(policy)} ${clients.key}`
  }

  // Each file is read once, so that sites which share one trust the same CAs.
  const casFiles = new Map<string, Cas>()
  const casIn = (file: string): Cas => {
    const known = casFiles.get(file)
    if (known !== undefined) return known
    const watched = registries.certificates.cas(file)
    casFiles.set(file, watched.current)
    clientCas.set(watched, watched.current)
    return watched.current
  }

  const plain = plainFallback(config)
  const sites: Site[] = []
  const defaults = new Set<Site>()
  const eager = config.sites.length <= eagerSites
  for (const from of config.sites) {
    const clients = from.clients === null ? null : clientTerms(from.clients, from.clients.ca.map(casIn), crls)
    if (from.clients?.weak === 'refuse')
      for (const file of from.clients.ca) warnOfWeak('clients', file, casIn(file))
    const policy = policyOf(from.policy)
    const stapleOf = (bundle: Bundle) => {
      const stapling = staplingOf(bundle, from.staple, warnOnce)
      return stapling && registries.staples.of(stapling, config.state, staples, warnOnce)
    }
    const source = certificatesOf(from, config, registries, eager, warnOnce, managed)
    if (source !== null) certificates.push({ site: from.name, source })
    // A certificate that requires a staple and cannot get one is refused here if all are read at startup.
    if (source !== null && eager && from.certificate?.kind === 'files')
      for (const held of source.held()) stapleOf(held.bundle())
    const tls = source === null ? null : tlsOf(from, { ...source, staple: stapleOf }, clients, policy)
    const site: Site = {
      name: from.name,
      hosts: from.hosts,
      listeners: from.listeners,
      termsKey: termsKeyOf(policy, clients),
      policy: from.policy,
      clients,
      fingerprints: { block: from.ja4.block, wanted: wantsFingerprints(from) },
      action: actionOf(from, tls, upstreamOf, plain, lasting),
    }
    sites.push(site)
    if (from.default) defaults.add(site)
  }
  const snapshot: Snapshot = {
    version,
    ...siteTables(sites, site => defaults.has(site)),
    fallback: fallbackRoute(config.stages, { paths: [], hosts: [], isDefaultSite: false }, plain, lasting),
    limits: config.limits,
    timeouts: config.timeouts,
  }
  for (const { name, tls } of upstreams.keys()) {
    if (tls?.caFile && tls.verify && tls.weak === 'refuse')
      warnOfWeak('tls', tls.caFile, registries.certificates.cas(tls.caFile).current)
    if (tls?.certificate)
      certificates.push({
        site: `upstream ${name}`,
        source: toUpstream(tls.certificate, registries.certificates, warnOnce),
      })
  }
  return {
    snapshot,
    sites,
    upstreams: [...upstreams.values()],
    staples,
    certificates,
    clientCas,
    crls: crls.used,
    lasting: lasting.used,
  }
}

function certificatesOf(
  site: SiteConfig,
  config: Config,
  registries: Registries,
  eager: boolean,
  warn: (text: string) => void,
  managed: (site: SiteConfig) => ManagedSite,
): CertificateSource | null {
  const { certificate, hosts } = site
  switch (certificate?.kind) {
    case undefined:
      return null
    case 'local':
      return fromLocalCa(registries.localCa(config.state), hosts, registries.now)
    case 'directory':
      return fromFolder(certificate.folder, hosts, registries.certificates, eager, warn)
    case 'files':
      return fromFiles(certificate.pairs, hosts, registries.certificates, eager, warn)
    default:
      return fromManaged(managed(site))
  }
}

function tlsOf(from: SiteConfig, source: CertificateSource, clients: ClientTerms | null, policy: Policy): SiteTls {
  const { action } = from
  const alpn = action.kind === 'tcp' ? action.alpn : ['h2', 'http/1.1', 'http/1.0']
  return siteTls(source, policy, alpn, clients)
}
