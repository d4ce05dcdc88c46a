/** How ACME names a certificate when it speaks of renewal (RFC 9773 section 4.1). */
import { X509Certificate } from 'node:crypto'
import { readCertificate } from './x509-read.ts'

/** @returns null for a certificate without an authority key identifier */
export function renewalId(chainPem: string): string | null {
  const { authorityKeyId, serial } = readCertificate(new X509Certificate(chainPem).raw)
  if (authorityKeyId === null) return null
  // The content of the INTEGER, with the zero that keeps a high first bit from being a sign.
  const even = serial.length % 2 === 0 ? serial : `0${serial}`
  const bytes = Buffer.from(Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even, 'hex')
  return `${authorityKeyId.toString('base64url')}.${bytes.toString('base64url')}`
}
