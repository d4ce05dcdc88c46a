/**
 * The internal CA at work: signs, records, revokes, and makes the revocation list. The command line and the ACME server
 * have one each, also in different processes: what they share is the folder of records.
 */
import { X509Certificate } from 'node:crypto'
import { formatDuration } from '../../base/units.ts'
import {
  type Authority,
  AuthorityError,
  type CertificateRecord,
  type CertificateTerms,
  type CertificateUse,
  type IssuedCertificate,
} from '../../model/authority.ts'
import { buildCrl } from '../x509/crl-build.ts'
import { readCsr } from '../x509/csr-read.ts'
import { constraintsText, permits } from '../x509/name-constraints.ts'
import { sortNames } from '../x509/names.ts'
import { buildCertificate, maxCommonName } from '../x509/x509-build.ts'
import { readCertificate } from '../x509/x509-read.ts'
import type { InternalCa } from './internal-ca.ts'
import { listedAfterEndMs, openRecords, type Records } from './issued-records.ts'

type InternalAuthority = Authority & {
  readonly ca: InternalCa
  readonly records: Records
  /** A list that holds for `validMs`, and the serial numbers whose records are damaged */
  crl(validMs: number): {
    readonly der: Buffer
    readonly pem: string
    readonly number: number
    readonly count: number
    readonly nextUpdate: number
    readonly damaged: readonly string[]
  }
}

/** Shorter makes no sense against clocks that differ. */
const minLifetimeMs = 60_000
/** A certificate begins a little before it is made: clocks of clients run behind. A quarter of a short lifetime at most. */
const backdateMs = 300_000

const uses: Readonly<Record<CertificateUse, 'serverAuth' | 'clientAuth'>> = {
  server: 'serverAuth',
  client: 'clientAuth',
}

/** @param clock milliseconds since 1970 */
export function internalAuthority(ca: InternalCa, clock: () => number = Date.now): InternalAuthority {
  const records = openRecords(ca.folder)
  const allowed = ca.constraints.map(constraintsText).filter(text => text !== null)
  const refusal = (name: string): string | null => {
    if (ca.constraints.every(each => permits(each, name))) return null
    return `the CA may not give ${name}: its certificate is limited to ${allowed.join('; and to ') || 'other names'}`
  }
  return {
    ca,
    records,
    name: ca.subject,
    refusal,
    readCsr,
    async issue(terms) {
      return issue(ca, records, terms, refusal, clock())
    },
    async find(certificateDer) {
      const fields = readCertificate(certificateDer)
      if (!fields.issuerDer.equals(ca.signer.fields.subjectDer)) return null
      // The record of a serial number is of the certificate that we signed only if that is the one which was shown.
      const verified = new X509Certificate(certificateDer).verify(new X509Certificate(ca.chainPem).publicKey)
      return verified ? records.get(fields.serial) : null
    },
    async findById(authorityKeyId, serial) {
      return ca.signer.keyId.equals(authorityKeyId) && /^[0-9a-f]{1,40}$/.test(serial) ? records.get(serial) : null
    },
    async revoke(serial, reason) {
      return records.revoke(serial, Date.now(), reason)
    },
    crl(validMs) {
      const now = Date.now()
      const { records: all, damaged } = records.list()
      const number = records.nextCrlNumber()
      const entries = [
        ...all.flatMap(({ serial, notAfter, revoked }) =>
          revoked === null || now - notAfter > listedAfterEndMs
            ? []
            : [{ serial, revokedAt: revoked.at, reason: revoked.reason }],
        ),
        ...damaged.map(serial => ({ serial, revokedAt: now, reason: 0 })),
      ]
      const nextUpdate = now + validMs
      const list = buildCrl({
        issuerDer: ca.signer.fields.subjectDer,
        signingKey: ca.signer.key,
        authorityKeyId: ca.signer.keyId,
        number,
        thisUpdate: now,
        nextUpdate,
        entries,
      })
      return { ...list, number, count: entries.length, nextUpdate, damaged }
    },
  }
}

function issue(
  ca: InternalCa,
  records: Records,
  terms: CertificateTerms,
  refusal: (name: string) => string | null,
  now: number,
): IssuedCertificate {
  const { uris, use, lifetimeMs, requester } = terms
  const { dnsNames, ipAddresses } = sortNames(terms.names)
  const names = [...dnsNames, ...ipAddresses]
  if (names.length + uris.length === 0) throw new AuthorityError('a certificate needs at least one name')
  for (const name of [...names, ...uris]) {
    const why = refusal(name)
    if (why !== null) throw new AuthorityError(why)
  }
  if (lifetimeMs < minLifetimeMs)
    throw new AuthorityError(`a certificate lives for at least ${formatDuration(minLifetimeMs)}`)
  const { notBefore: begin, notAfter: end } = ca.signer.fields
  // What it signs now would not verify now. A little is what clocks of a fleet differ by.
  if (begin > now + backdateMs)
    throw new AuthorityError(
      `the CA itself is not valid before ${new Date(begin).toISOString().slice(0, 16)}; is the clock of this machine right?`,
    )
  if (now + lifetimeMs > end)
    throw new AuthorityError(
      `the CA itself ends on ${new Date(end).toISOString().slice(0, 16)}, before the certificate would`,
    )
  const common = dnsNames.find(name => name.length <= maxCommonName)
  const { der, pem } = buildCertificate({
    // For people. An address stays out of it: where DNS names are constrained, OpenSSL takes one for a DNS name.
    subject: common === undefined ? {} : { commonName: common },
    issuer: ca.signer.fields.subjectDer,
    publicKey: terms.publicKey,
    signingKey: ca.signer.key,
    notBefore: Math.max(now - Math.min(backdateMs, lifetimeMs / 4), ca.signer.fields.notBefore),
    notAfter: now + lifetimeMs,
    dnsNames,
    ipAddresses,
    uris,
    keyUsage:
      terms.publicKey.asymmetricKeyType === 'rsa' ? ['digitalSignature', 'keyEncipherment'] : ['digitalSignature'],
    extendedKeyUsage: use.map(each => uses[each]),
    authorityKeyId: ca.signer.keyId,
  })
  const { serial, notBefore, notAfter } = readCertificate(der)
  const record: CertificateRecord = { serial, names, uris, use, notBefore, notAfter, requester, revoked: null }
  records.add(record, pem)
  return { serial, chainPem: pem + ca.chainPem, certificateDer: der, notBefore, notAfter }
}
