/** Where the certificates of a site come from: files, or the local CA, which issues one for each name as it is asked for. */
import { type OpenedBundle, openBundle } from '../certs/bundle.ts'
import type { LocalCa } from '../certs/local-ca.ts'
import type { KeyPairFiles } from '../config/config.ts'
import type { Bundle } from '../model/certificate.ts'
import type { Staple } from '../model/tls-terms.ts'
import type { Certificates } from '../tls/site-tls.ts'
import type { ManagedSite } from './managed-certificates.ts'

/** Names that a client made up are cheap to ask for; the oldest certificate goes when there are more than this. */
const maxIssued = 1_000
/** A local certificate is issued anew when it has less than this left. */
const renewBeforeMs = 30 * 86_400_000

/**
 * @param stapleOf what is to be stapled to a bundle, or null; throws UsageError where it must be and cannot
 * @param eager reads and checks all files now: a mistake stops the start, rather than the first handshake
 */
export function fromFiles(
  pairs: readonly KeyPairFiles[],
  eager: boolean,
  warn: (text: string) => void,
  stapleOf: (bundle: Bundle) => Staple | null,
): Certificates {
  const opened: OpenedBundle[] = pairs.map(files => openBundle(files))
  let bundles: readonly Bundle[] | null = null
  const staples = new Map<Bundle, Staple | null>()
  const load = (): readonly Bundle[] => {
    bundles ??= opened.map(each => {
      const { bundle, warnings } = each.load()
      for (const warning of warnings) warn(warning)
      staples.set(bundle, stapleOf(bundle))
      return bundle
    })
    return bundles
  }
  if (eager) load()
  return { for: load, staple: bundle => staples.get(bundle) ?? null }
}

/** Certificates that are ordered and renewed; a session goes on under the next one for the same names. */
export function fromManaged(site: ManagedSite, stapleOf: (bundle: Bundle) => Staple | null): Certificates {
  return {
    for: serverName => site.for(serverName),
    sameAs: bundle => `${bundle.source} ${bundle.keyType} ${bundle.names.join()}`,
    staple: stapleOf,
  }
}

export function fromLocalCa(ca: LocalCa, hosts: readonly string[]): Certificates {
  const issued = new Map<string, readonly Bundle[]>()
  const own = hosts[0] as string
  return {
    // Each process issues a leaf of its own; what the client has verified is that this CA vouches for the name.
    sameAs: bundle => `local CA ${ca.fingerprint256} ${bundle.names.join()}`,
    for(serverName) {
      const name = serverName === '' ? own.replace(/^\*\./, 'any.') : serverName
      const known = issued.get(name)
      if (known !== undefined && (known[0] as Bundle).notAfter - Date.now() > renewBeforeMs) {
        // Most recently used last.
        issued.delete(name)
        issued.set(name, known)
        return known
      }
      const bundles = [ca.issue(namesFor(name))]
      issued.set(name, bundles)
      if (issued.size > maxIssued) issued.delete(issued.keys().next().value as string)
      return bundles
    },
  }
}

/** People open the demo by name and by address alike. */
function namesFor(name: string): string[] {
  return name === 'localhost' ? ['localhost', '127.0.0.1', '::1'] : [name.replace(/^\[|\]$/g, '')]
}
