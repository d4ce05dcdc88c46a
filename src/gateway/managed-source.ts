/** A site's certificates that the gateway orders and renews by itself, in the form of those from files. */
import { summaryOf, validityOf } from '../certs/leaf.ts'
import type { Bundle } from '../model/certificate.ts'
import type { CertificateSource, HeldCertificate } from './certificates.ts'
import type { ManagedSite } from './managed-certificates.ts'

export function fromManaged(site: ManagedSite): CertificateSource {
  return {
    watched: [],
    for: serverName => site.for(serverName),
    inForce: serverName => site.inForce(serverName),
    // A session goes on under the next certificate for the same names.
    sameAs: bundle => `${bundle.source} ${bundle.keyType} ${bundle.names.join()}`,
    *held() {
      for (const { name, bundles, problem } of site.held()) {
        if (bundles.length === 0) yield missing(name, problem)
        for (const bundle of bundles) yield held(name, bundle, problem)
      }
    },
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
