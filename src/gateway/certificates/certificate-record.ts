/** Records about certificates, for observers. */
import type { RenewalFailure } from '../../certs/managed/managed-certificate.ts'
import type { CertificateRecord } from '../../model/records.ts'
import type { CertificateChange } from './certificate-watch.ts'

/** Null if it is not about a certificate that is presented. */
export function recordOfChange(change: CertificateChange): CertificateRecord | null {
  if (change.kind === 'problem' || change.kind === 'cas') return null
  const { kind, source, leaf } = change
  const why = change.kind === 'broken' ? change.why : null
  return { kind, source, names: leaf?.names ?? [], notAfter: leaf?.notAfter ?? null, why }
}

export const recordOfFailure = ({ name, bundle, why }: RenewalFailure): CertificateRecord => ({
  kind: 'renewal-failed',
  source: bundle?.source ?? name,
  names: bundle?.names ?? [],
  notAfter: bundle?.notAfter ?? null,
  why,
})
