/**
 * Certificate revocation lists (RFC 5280 section 5), read by ourselves so that both runtimes treat them alike, a new
 * list counts at once, and it counts for resumed sessions and open connections too. A list is taken only when one of
 * the CAs has signed it; one that has ended, or a CA without a list, refuses (fail closed).
 */
import type { X509Certificate } from 'node:crypto'
import { UsageError } from '../../base/errors.ts'
import { children, DerError, expectTag, read, readTime, tags } from './der.ts'
import { signedBy } from './signature.ts'
import { readCertificate, serialOf } from './x509-read.ts'

export type Crl = {
  readonly issuerDer: Buffer
  /** Milliseconds since 1970; Infinity where the list names none */
  readonly nextUpdate: number
  /** Serial numbers as hex */
  readonly revoked: ReadonlySet<string>
}

/** Reads lists in PEM or DER. @param what names the file, for errors. Throws UsageError. */
export function readCrls(bytes: Buffer, cas: readonly X509Certificate[], what: string): Crl[] {
  const text = bytes.toString('latin1')
  const lists = text.includes('-----BEGIN') ? pemLists(text) : [bytes]
  if (lists.length === 0) throw new UsageError(`${what}: holds no CRL (PEM "X509 CRL", or DER)`)
  return lists.map(der => {
    try {
      return readCrl(der, cas, what)
    } catch (error) {
      if (error instanceof DerError) throw new UsageError(`${what}: is not a CRL: ${error.message}`)
      throw error
    }
  })
}

function readCrl(der: Buffer, cas: readonly X509Certificate[], what: string): Crl {
  const [list, algorithm, signature] = children(read(der, tags.sequence))
  const fields = children(expectTag(list, tags.sequence))
  let at = fields[0]?.tag === tags.integer ? 1 : 0
  at++ // The algorithm once more, inside of what is signed.
  const issuer = expectTag(fields[at++], tags.sequence)
  readTime(expectTag(fields[at++]))
  let nextUpdate = Number.POSITIVE_INFINITY
  const next = fields[at]
  if (next !== undefined && (next.tag === tags.utcTime || next.tag === tags.generalizedTime)) {
    nextUpdate = readTime(next)
    at++
  }
  const revoked = new Set<string>()
  const entries = fields[at]
  if (entries?.tag === tags.sequence) {
    for (const entry of children(entries)) revoked.add(serialOf(expectTag(children(entry)[0], tags.integer)))
  }
  const signed = signedBy(list, algorithm, signature)
  if (signed.unknown !== null)
    throw new UsageError(`${what}: the CRL is signed with ${signed.unknown}, which is not supported`)
  const by = cas.filter(ca => readCertificate(ca.raw).subjectDer.equals(issuer.raw))
  if (!by.some(ca => signed.by(ca.publicKey)))
    throw new UsageError(`${what}: the CRL was not signed by any of the CAs in clients.ca`)
  return { issuerDer: issuer.raw, nextUpdate, revoked }
}

function pemLists(text: string): Buffer[] {
  const found = text.matchAll(/-----BEGIN X509 CRL-----([^-]*)-----END X509 CRL-----/g)
  return [...found].map(([, base64]) => Buffer.from(base64 as string, 'base64'))
}
