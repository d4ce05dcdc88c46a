/** Managed certificates of a site, with the same interface as those from files. */
import { summaryOf, validityOf } from '../../certs/x509/leaf.ts'
import { covers } from '../../certs/x509/names.ts'
import type { SiteConfig } from '../../config/config.ts'
import type { Bundle } from '../../model/certificate.ts'
import { type CertificateSource, type HeldCertificate, inForce } from './certificates.ts'
import type { ManagedSite } from './managed-certificates.ts'

export function fromManaged(site: ManagedSite): CertificateSource {
  return {
    watched: [],
    for: serverName => site.for(serverName),
    inForce: serverName => site.inForce(serverName),
    // A session stays valid under the next certificate for the same names.
    sameAs: bundle => `${bundle.source} ${bundle.keyType} ${bundle.names.join()}`,
    *held() {
      for (const { name, bundles, problem } of site.held()) {
        if (bundles.length === 0) yield missing(name, problem)
        for (const bundle of bundles) yield held(name, bundle, problem)
      }
    },
  }
}

/** The certificates that a site used before it was configured to order: used until the first order is done. */
type Interim = ReadonlyMap<string, readonly Bundle[]>

/** @param before the previous source of the site. Only certificates that are valid for a host of the site are taken over. */
export function interimOf({ hosts }: SiteConfig, before: CertificateSource | undefined): Interim {
  const interim = new Map<string, readonly Bundle[]>()
  if (before === undefined) return interim
  for (const host of hosts) {
    const name = host.replace(/^\*\./, 'any.')
    let bundles: readonly Bundle[] = []
    try {
      bundles = inForce(before, name).filter(bundle => bundle.notAfter > Date.now() && covers(bundle, name))
    } catch (error) {
      // It had nothing that could be taken over.
      if (!(error instanceof Error)) throw error
    }
    if (bundles.length > 0) interim.set(host.replace(/^\[|\]$/g, ''), bundles)
  }
  return interim
}

export function withInterim(site: ManagedSite, interim: Interim): ManagedSite {
  if (interim.size === 0) return site
  const find = (serverName: string): readonly Bundle[] | undefined =>
    interim.get(serverName) ?? interim.get(`*${serverName.slice(serverName.indexOf('.'))}`)
  return {
    for(serverName) {
      try {
        return site.for(serverName)
      } catch (error) {
        const bundles = find(serverName)
        if (bundles === undefined) throw error
        return bundles
      }
    },
    inForce(serverName) {
      const bundles = site.inForce(serverName)
      return bundles.length > 0 ? bundles : (find(serverName) ?? [])
    },
    held: () =>
      site.held().map(each => {
        if (each.bundles.length > 0) return each
        return { ...each, bundles: find(each.name) ?? [], problem: each.problem ?? 'it is being ordered' }
      }),
  }
}

const held = (name: string, bundle: Bundle, problem: string | null): HeldCertificate => ({
  key: bundle,
  source: bundle.source,
  leaf: () => summaryOf(bundle.chainPem),
  validity: () => validityOf(bundle.chainPem),
  problem,
  superseded: false,
  ordered: name,
  bundle: () => bundle,
})

const missing = (name: string, problem: string | null): HeldCertificate => ({
  key: { name },
  source: name,
  leaf: () => null,
  validity: () => null,
  problem: problem ?? 'it is being ordered',
  superseded: false,
  ordered: name,
  bundle() {
    throw new Error(problem ?? 'it is being ordered')
  },
})
