/**
 * What the first certificate of a chain says, read without node:crypto: for lists, expiry and indexes of bundles that no
 * handshake has needed yet. Nothing is checked here; `load()` of the bundle does that.
 */
import { createHash } from 'node:crypto'
import type { Bundle, KeyType } from '../../model/certificate.ts'
import { nameText } from './name-text.ts'
import { type CertificateFields, readCertificate, readValidity } from './x509-read.ts'

/** Fields as in Bundle. */
export type LeafSummary = Pick<
  Bundle,
  'names' | 'notBefore' | 'notAfter' | 'fingerprint256' | 'subject' | 'issuer' | 'keyType'
> & { readonly serial: string }

export type Validity = Pick<LeafSummary, 'notBefore' | 'notAfter'>

/** Null where it is cut off or damaged. */
export function summaryOf(chainPem: string): LeafSummary | null {
  return readLeaf(chainPem, der => fieldsSummary(readCertificate(der), der))
}

/** As summaryOf, and so little that it can be asked of ten thousand. */
export function validityOf(chainPem: string): Validity | null {
  return readLeaf(chainPem, readValidity)
}

function readLeaf<T>(chainPem: string, reader: (der: Buffer) => T): T | null {
  const begin = chainPem.indexOf(beginLine)
  const end = chainPem.indexOf('-----END CERTIFICATE-----', begin)
  if (begin < 0 || end < 0) return null
  try {
    return reader(Buffer.from(chainPem.slice(begin + beginLine.length, end), 'base64'))
  } catch {
    return null
  }
}

const beginLine = '-----BEGIN CERTIFICATE-----'

function fieldsSummary(fields: CertificateFields, der: Buffer): LeafSummary {
  const { names, notBefore, notAfter, serial, subjectDer, issuerDer, keyAlgorithm } = fields
  const digest = createHash('sha256').update(der).digest('hex').toUpperCase()
  return {
    names,
    notBefore,
    notAfter,
    serial,
    fingerprint256: digest.replace(/..(?=.)/g, '$&:'),
    subject: nameText(subjectDer),
    issuer: nameText(issuerDer),
    keyType: keyTypes[keyAlgorithm] ?? 'rsa',
  }
}

/** Kinds of keys as SubjectPublicKeyInfo names them: RFC 3279, RFC 5480, RFC 8410. */
const keyTypes: Readonly<Record<string, KeyType>> = {
  '1.2.840.113549.1.1.1': 'rsa',
  '1.2.840.10045.2.1': 'ecdsa',
  '1.3.101.112': 'ed25519',
}
