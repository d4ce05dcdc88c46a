/**
 * The sources of a site's certificates: files, a folder of them, or the local CA, which issues one for each name when
 * it is first requested.
 */
import { UsageError } from '../../base/errors.ts'
import type { LocalCa } from '../../certs/ca/local-ca.ts'
import type { WatchedFolder } from '../../certs/files/watched-folder.ts'
import type { WatchedPair } from '../../certs/files/watched-pair.ts'
import type { LeafSummary, Validity } from '../../certs/x509/leaf.ts'
import { covers } from '../../certs/x509/names.ts'
import type { KeyPairFiles } from '../../config/config.ts'
import type { Bundle } from '../../model/certificate.ts'
import type { Certificates } from '../../tls/site-tls.ts'
import type { CertificateWatch } from './certificate-watch.ts'

/** One certificate of a site, and the problem with the one that should replace it. */
export type HeldCertificate = {
  /** The same object for the same certificate of another site */
  readonly key: object
  readonly source: string
  /** The current one, or null. Read on demand, which takes 20 us if no handshake has needed it yet. */
  leaf(): LeafSummary | null
  /** A part of it, in a fifth of that time */
  validity(): Validity | null
  /** The problem with the one that should be in use */
  readonly problem: string | null
  /** Another one is presented for all of its names */
  readonly superseded: boolean
  /** The name that it is ordered for, if the gateway orders it */
  readonly ordered?: string
  /** Loads it. Throws UsageError. */
  bundle(): Bundle
}

export type CertificateSource = Certificates & {
  /** All that may be presented to clients now */
  held(): Iterable<HeldCertificate>
  /** Like `for`, but orders nothing; left out if nothing is ever ordered */
  readonly inForce?: (serverName: string) => readonly Bundle[]
  /** The part of CertificateWatch that is used */
  readonly watched: readonly (WatchedPair | WatchedFolder)[]
}

/** Which certificates a site has, or `upstream NAME`, for lists and for watching their expiry. */
export type SiteCertificates = { readonly site: string; readonly source: CertificateSource }

/** The certificates that are presented to a client for `host` now. Throws UsageError if there is none. */
export function inForce(source: CertificateSource, host: string): readonly Bundle[] {
  if (source.inForce !== undefined) return source.inForce(host)
  const bundles = source.for(host)
  return bundles instanceof Promise ? [] : bundles
}

/** In a folder with more than this, each certificate is read in full when a handshake needs it. */
const mostEager = 200

type Warn = (text: string) => void

/** Clients can make up names; if there are more than this, the oldest certificate is dropped. */
const maxIssued = 1_000
/** A local certificate is reissued when its remaining lifetime is shorter than this. */
const renewBeforeMs = 30 * 86_400_000

/**
 * @param eager reads and checks all files now, so that a mistake prevents the start instead of the first handshake
 */
export function fromFiles(
  files: readonly KeyPairFiles[],
  hosts: readonly string[],
  watch: CertificateWatch,
  eager: boolean,
  warn: Warn,
): CertificateSource {
  const pairs = files.map(each => watch.pair(each, eager))
  if (eager) {
    for (const pair of pairs) {
      const { bundle, warnings } = pair.load()
      for (const warning of [...warnings, ...nameWarnings(bundle, hosts)]) warn(warning)
    }
  }
  let bundles: readonly Bundle[] | null = null
  let generation = -1
  return {
    watched: pairs,
    for() {
      if (bundles !== null && generation === watch.generation) return bundles
      generation = watch.generation
      return (bundles = loadAll(pairs, warn))
    },
    held: () => pairs.map(pair => heldPair(pair, () => pair.leaf(), false)),
  }
}

/** If several are loaded late, those that cannot be loaded are left out. Throws UsageError if none can. */
function loadAll(pairs: readonly WatchedPair[], warn: Warn): Bundle[] {
  const bundles: Bundle[] = []
  let failure: unknown = null
  for (const pair of pairs) {
    try {
      const { loaded } = pair
      const { bundle, warnings } = pair.load()
      bundles.push(bundle)
      if (!loaded) for (const warning of warnings) warn(warning)
    } catch (error) {
      failure ??= error
    }
  }
  if (bundles.length === 0) throw failure
  return bundles
}

/** A certificate that is valid for none of the names that it is presented for is a mistake. */
export function nameWarnings(bundle: Pick<Bundle, 'names' | 'source'>, hosts: readonly string[]): string[] {
  if (bundle.names.length === 0 || hosts.some(host => coversHost(bundle, host))) return []
  const names = bundle.names.slice(0, 5).join(', ')
  return [
    `${bundle.source}: covers none of the names it is shown for (${hosts.slice(0, 5).join(', ')}): it is for ${names}`,
  ]
}

/** A site's host may be a wildcard; then a certificate for a name below it is valid for some of its clients. */
function coversHost(bundle: Pick<Bundle, 'names'>, host: string): boolean {
  if (!host.startsWith('*.')) return covers(bundle, host)
  return bundle.names.some(name => name === host || `*${name.slice(name.indexOf('.'))}` === host)
}

/** Throws UsageError if the folder cannot be read, or has nothing for a host. */
export function fromFolder(
  name: string,
  hosts: readonly string[],
  watch: CertificateWatch,
  eager: boolean,
  warn: Warn,
): CertificateSource {
  const folder = watch.folder(name)
  if (eager && folder.members.size <= mostEager) {
    for (const { pair } of folder.members.values()) {
      try {
        for (const warning of pair.load().warnings) warn(warning)
      } catch (error) {
        if (!(error instanceof UsageError)) throw error
        warn(`${error.message}; it is left out`)
      }
    }
  }
  const [main] = hosts as [string]
  const missing = hosts.filter(host => !folder.covers(bare(host)))
  if (missing.length > 0) {
    const some = missing.slice(0, 5).join(', ')
    const hint = folder.members.size === 0 ? ': it holds no certificate with its key' : ''
    throw new UsageError(`${name}: has no certificate for ${some}${missing.length > 5 ? ', ...' : ''}${hint}`)
  }
  return {
    watched: [folder],
    for(serverName) {
      const found = folder.find(serverName === '' ? bare(main) : serverName)
      if (found.length > 0) return found
      // The default site's clients may ask for any name, or for none.
      const other = folder.find(main.replace(/^\*\./, 'any.'))
      if (other.length > 0) return other
      throw new UsageError(`${name}: has no certificate for ${serverName || main} that can be used`)
    },
    *held() {
      for (const member of folder.members.values()) {
        const { pair } = member
        yield heldPair(pair, () => folder.leafOf(pair), folder.superseded(member))
      }
    },
  }
}

/** The client certificate for an upstream. Throws UsageError if it cannot be used. */
export function toUpstream(files: KeyPairFiles, watch: CertificateWatch, warn: Warn): CertificateSource {
  const pair = watch.pair(files, true, 'client')
  for (const warning of pair.load().warnings) warn(warning)
  return {
    watched: [pair],
    for: () => [pair.load().bundle],
    held: () => [heldPair(pair, () => pair.leaf(), false)],
  }
}

const bare = (host: string): string => host.replace(/^\[|\]$/g, '')

const heldPair = (pair: WatchedPair, leaf: () => LeafSummary | null, superseded: boolean): HeldCertificate => ({
  key: pair,
  source: pair.files.chainFile,
  leaf,
  validity: () => pair.validity(),
  problem: pair.problem,
  superseded,
  bundle: () => pair.load().bundle,
})

export function fromLocalCa(
  ca: LocalCa,
  hosts: readonly string[],
  clock: () => number = Date.now,
): CertificateSource {
  const issued = new Map<string, readonly Bundle[]>()
  const own = hosts[0] as string
  return {
    // Each process issues its own leaf certificate; clients verify that this CA has signed it.
    sameAs: bundle => `local CA ${ca.fingerprint256} ${bundle.names.join()}`,
    watched: [],
    // They are issued at every start and reissued in time, so nobody has to maintain them.
    held: () => [],
    for(serverName) {
      const name = serverName === '' ? own.replace(/^\*\./, 'any.') : serverName
      const known = issued.get(name)
      if (known !== undefined && isInTime(known[0] as Bundle, clock())) {
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

/** A certificate that was issued before the clock was set back is not valid yet. */
const isInTime = ({ notBefore, notAfter }: Bundle, now: number): boolean =>
  notBefore <= now && notAfter - now > renewBeforeMs

/** People open the demo by name and by address. */
function namesFor(name: string): string[] {
  return name === 'localhost' ? ['localhost', '127.0.0.1', '::1'] : [name.replace(/^\[|\]$/g, '')]
}
