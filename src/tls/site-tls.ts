/**
 * The TLS terms of a site: one set per certificate and policy, built when a client first needs it. With an ECDSA and an
 * RSA certificate side by side, the client's signature algorithms choose (RFC 8446 section 4.4.2.2).
 *
 * Sessions resume only within one such set: each has ticket keys of its own. Two sets are one where `sessionContext` is the
 * same, which is how sessions go on in another worker, after a reload and after a restart.
 */
import { createHash } from 'node:crypto'
import type { Bundle } from '../model/certificate.ts'
import type { ClientTerms } from '../model/client-identity.ts'
import { cipherIds, groupIds, type Policy, versionNumber } from '../model/policies.ts'
import type { SiteTls } from '../model/site.ts'
import type { ServerTls, Staple } from '../model/tls-terms.ts'
import type { ClientHello } from '../wire/client-hello.ts'

/** Gives a bundle its certificate terms. The object is made at once and small; the native context comes with the first handshake. */
export function serverTerms(
  bundle: Bundle,
  policy: Policy,
  alpn: readonly string[],
  clients: ClientTerms | null,
  certificates: Omit<Certificates, 'for'> = {},
): ServerTls {
  const groups = policy.groups.join(':')
  const sameAs = certificates.sameAs?.(bundle) ?? bundle.fingerprint256
  // A session may not be taken up where the certificate or the policy differ, even if a context were shared by mistake.
  const session = createHash('sha256')
    .update(`${policyKey(policy)}\n${sameAs}\n${alpn.join()}\n${clients?.key ?? ''}`)
    .digest('hex')
  return {
    chainPem: bundle.chainPem,
    keyPem: bundle.keyPem,
    minVersion: policy.minVersion,
    maxVersion: policy.maxVersion,
    ciphers: [...policy.suites, ...policy.ciphers].join(':'),
    groups,
    alpn,
    serverOrder: policy.order === 'server',
    clients: clients === null ? null : { caPem: clients.caPem, require: clients.mode === 'require' },
    staple: certificates.staple?.(bundle) ?? null,
    sessionContext: session.slice(0, 32),
    native: null,
  }
}

/** Two policies with the same key let in the same clients. */
export const policyKey = (policy: Policy): string => JSON.stringify({ ...policy, source: '' })

/** Where a site's certificates come from: files, or the local CA. Bundles are loaded when asked for. */
export type Certificates = {
  /** @param serverName of the client, or empty. A promise only for a name that is ordered on demand. */
  for(serverName: string): readonly Bundle[] | Promise<readonly Bundle[]>
  /** Sessions may go on under bundles of which this is the same; the fingerprint where left out */
  readonly sameAs?: (bundle: Bundle) => string
  /** OCSP responses for a bundle that it gave */
  readonly staple?: (bundle: Bundle) => Staple | null
}

export function siteTls(
  certificates: Certificates,
  policy: Policy,
  alpn: readonly string[],
  clients: ClientTerms | null,
): SiteTls {
  /** Terms of each bundle; goes with the bundle, so that per-name certificates of a bounded store do not pile up */
  let made: WeakMap<Bundle, ServerTls> | null = null
  const termsOf = (bundles: readonly Bundle[], hello: ClientHello): ServerTls => {
    const bundle = choose(bundles, hello, policy)
    // Of ten thousand sites most are never asked for: 200 bytes each.
    made ??= new WeakMap()
    let terms = made.get(bundle)
    if (terms === undefined) {
      terms = serverTerms(bundle, policy, alpn, clients, certificates)
      made.set(bundle, terms)
    }
    return terms
  }
  return {
    minVersion: versionNumber(policy.minVersion),
    maxVersion: versionNumber(policy.maxVersion),
    groups: policy.groups.map(name => groupIds[name] as number),
    alpn,
    terms(hello, serverName) {
      const bundles = certificates.for(serverName)
      return bundles instanceof Promise ? bundles.then(own => termsOf(own, hello)) : termsOf(bundles, hello)
    },
  }
}

/** ecdsa_secp256r1_sha256, 384, 521 and ecdsa_sha1 */
const ecdsa = new Set([0x0403, 0x0503, 0x0603, 0x0203])
const ed25519 = 0x0807

/** The first bundle that the client can verify; the last one, if it says nothing or nothing fits. */
function choose(bundles: readonly Bundle[], hello: ClientHello, policy: Policy): Bundle {
  if (bundles.length === 1) return bundles[0] as Bundle
  const { signatureAlgorithms } = hello
  // Without the extension a client knows RSA and ECDSA with SHA-1 only (RFC 5246 section 7.4.1.4.1): the safe guess is RSA.
  const can = (bundle: Bundle): boolean => {
    switch (bundle.keyType) {
      case 'ecdsa':
        return signatureAlgorithms.some(algorithm => ecdsa.has(algorithm)) && hasEcdsaSuite(hello, policy)
      case 'ed25519':
        return signatureAlgorithms.includes(ed25519)
      default:
        return true
    }
  }
  const ranked = [...bundles].sort((a, b) => rank(a) - rank(b))
  return ranked.find(can) ?? (ranked.at(-1) as Bundle)
}

const rank = (bundle: Bundle): number => (bundle.keyType === 'rsa' ? 1 : 0)

/** With an ECDSA certificate there is a suite that both have: in TLS 1.2 it names the key too. */
function hasEcdsaSuite(hello: ClientHello, policy: Policy): boolean {
  if (policy.maxVersion === 'TLSv1.3' && hello.versions.includes(0x0304)) return true
  return policy.ciphers.some(
    cipher => cipher.startsWith('ECDHE-ECDSA-') && hello.cipherSuites.includes(cipherIds[cipher] as number),
  )
}
