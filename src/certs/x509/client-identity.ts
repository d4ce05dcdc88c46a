/** Reads who a client is out of the certificates it has shown; whether they verify is the TLS library's business. */
import { createHash, X509Certificate } from 'node:crypto'
import type { ClientIdentity } from '../../model/client-identity.ts'
import type { FindPath } from './client-path.ts'
import { commonNameOf, distinguishedName } from './name-text.ts'
import { readCertificate } from './x509-read.ts'

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/**
 * @param findPath to the CAs that are trusted. Throws DerError on what is not X.509.
 * @param resumed the session is an earlier one's, and may lack what the client sent
 */
export function readClientIdentity(chain: readonly Buffer[], findPath: FindPath, resumed: boolean): ClientIdentity {
  const leaf = chain[0] as Buffer
  const fields = readCertificate(leaf)
  const certificate = new X509Certificate(leaf)
  const sent = chain.slice(1).map(der => new X509Certificate(der))
  const { path, issuer, weakness, anchored } = findPath(certificate, sent)
  return {
    chain,
    subject: distinguishedName(fields.subjectDer),
    commonName: commonNameOf(fields.subjectDer),
    dnsNames: fields.names,
    uris: fields.uris,
    emails: fields.emails,
    fingerprint: sha256(leaf),
    issuerFingerprint: issuer === null ? '' : sha256(issuer.raw),
    path,
    // In a full handshake the way is among what was sent: where it is not, the library has taken one that we cannot judge.
    weakness: weakness ?? (anchored || resumed ? null : 'its way to a CA in clients.ca cannot be followed'),
    notBefore: fields.notBefore,
    notAfter: fields.notAfter,
  }
}
