/**
 * Why whoever has signed a client's certificate may not have: the TLS libraries say of a certificate that is no CA's now `not for
 * clients`, now `no issuer`, and Node has no code for some of it. Looked for after a failure only.
 */
import type { X509Certificate } from 'node:crypto'
import { nameText } from './name-text.ts'
import { readCertificate } from './x509-read.ts'

/** As in client-path.ts. */
const mostSteps = 16
const mostSignatures = 64
const longestName = 200

/**
 * @param sent what the client sent beside its leaf. @param cas those that are trusted
 * @returns as in `is signed by CN=a, which is no CA (basicConstraints)`, or null where no issuer is at fault. Throws DerError.
 */
export function issuerFault(
  leaf: X509Certificate,
  sent: readonly X509Certificate[],
  cas: readonly X509Certificate[],
): string | null {
  const pool = [...sent, ...cas]
  let below = leaf
  let signatures = 0
  for (let steps = 0; steps < mostSteps; steps++) {
    const { issuerDer, subjectDer } = readCertificate(below.raw)
    if (issuerDer.equals(subjectDer)) return null
    const issuer = pool.find(each => {
      if (each.subject !== below.issuer || signatures >= mostSignatures) return false
      signatures++
      return verifies(below, each)
    })
    if (issuer === undefined) return null
    const fault = faultOf(issuer)
    if (fault !== null) {
      const name = nameText(readCertificate(issuer.raw).subjectDer).slice(0, longestName)
      const whose = below === leaf ? 'is signed by' : 'has a CA above it that is signed by'
      return `${whose} ${name}, which ${fault}`
    }
    below = issuer
  }
  return null
}

function verifies(below: X509Certificate, by: X509Certificate): boolean {
  try {
    return below.verify(by.publicKey)
  } catch {
    return false
  }
}

function faultOf(issuer: X509Certificate): string | null {
  const { isCa, extendedKeyUsage: uses, signsCertificates } = readCertificate(issuer.raw)
  if (!isCa) return 'is no CA (basicConstraints): have it issued by one'
  if (!signsCertificates)
    return 'may not sign certificates (key usage without keyCertSign): have it issued by a CA that may'
  if (uses !== null && !uses.includes('1.3.6.1.5.5.7.3.2') && !uses.includes('2.5.29.37.0'))
    return 'is a CA for other certificates than those of clients (its extended key usage): have it issued by another'
  return null
}
