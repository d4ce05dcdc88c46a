/**
 * Backends by SPIFFE id (X509-SVID section 5.2). The chain has been verified by the TLS library, against the CAs of the
 * trust domain; here it is seen whom the leaf names.
 */
import { fitsSpiffeId, isSpiffeId } from '../../model/spiffe.ts'
import { readCertificate } from './x509-read.ts'

/**
 * What is wrong with this leaf (DER), as a sentence, or null. Throws DerError.
 * @param ids at least one; each may end with `/*`
 */
export function spiffeProblem(leaf: Uint8Array, ids: readonly string[]): string | null {
  const { uris, isCa } = readCertificate(leaf)
  const [id] = uris
  if (isCa) return 'the certificate of the backend is that of a CA'
  // Exactly one (X509-SVID section 2): of several, one program would take the first and another the last.
  if (id === undefined || uris.length !== 1)
    return `the certificate of the backend has ${uris.length} URIs, and a SPIFFE id stands alone`
  if (!isSpiffeId(id)) return `the certificate of the backend is for ${id}, which is no SPIFFE id`
  return ids.some(pattern => fitsSpiffeId(pattern, id))
    ? null
    : `the certificate of the backend is for ${id}, not for ${ids.join(' or ')}`
}
