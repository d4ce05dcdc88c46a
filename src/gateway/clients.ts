/** Terms for client certificates, from files: the CAs, the revocation lists, and the allow list. */
import { createHash, X509Certificate } from 'node:crypto'
import { certificateBlocks } from '../certs/files/pem.ts'
import type { Cas } from '../certs/files/watched-cas.ts'
import { readClientIdentity } from '../certs/x509/client-identity.ts'
import { pathsTo } from '../certs/x509/client-path.ts'
import { issuerFault } from '../certs/x509/issuer-fault.ts'
import { strongEnough } from '../certs/x509/weakness.ts'
import type { ClientsConfig } from '../config/config.ts'
import { type ClientTerms, clientMatches } from '../model/client-identity.ts'
import type { CrlAttempt } from './certificates/crl-sources.ts'
import { revocation } from './client-revocation.ts'

/**
 * @param files the current CA files
 * @param crls opens the lists, or borrows them from the previous snapshot
 *
 * Throws UsageError if a list cannot be read or is not signed by one of the CAs.
 */
export function clientTerms(config: ClientsConfig, files: readonly Cas[], crls: CrlAttempt): ClientTerms {
  const caPem = files.map(({ pem }) => pem).join('')
  const cas = certificateBlocks(caPem, 'clients.ca').map(block => new X509Certificate(block))
  const lists = config.crl.map(file => crls.open(file, cas))
  const findPath = pathsTo(cas)
  const { mode, forward, allow, weak } = config
  const key = createHash('sha256')
    .update(JSON.stringify([mode, cas.map(ca => ca.fingerprint256).sort(), config.crl, allow, weak]))
    .digest('hex')
    .slice(0, 16)
  return {
    mode,
    caPem,
    read: (chain, resumed) => readClientIdentity(chain, findPath, resumed),
    issuerFault(chain) {
      const [leaf, ...sent] = chain.map(der => new X509Certificate(der))
      return leaf === undefined ? null : issuerFault(leaf, sent, cas)
    },
    forward,
    key: `client certificates ${mode} ${key}`,
    refusal(identity, now) {
      if (now > identity.notAfter)
        return `the certificate has ended on ${new Date(identity.notAfter).toISOString()}`
      if (now < identity.notBefore) return 'the certificate is not valid yet'
      if (weak === 'refuse' && identity.weakness !== null)
        return `the certificate is too weak: ${identity.weakness}; ${strongEnough}, or write clients: { weak: allow }`
      const revoked =
        lists.length === 0
          ? null
          : revocation(
              identity.path,
              lists.flatMap(list => list.current(now)),
              now,
            )
      if (revoked !== null) return revoked
      if (allow.length > 0 && !allow.some(match => clientMatches(match, identity)))
        return `${identity.subject} is not in clients.allow`
      return null
    },
  }
}
