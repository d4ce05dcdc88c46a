/**
 * The Online Certificate Status Protocol (RFC 6960, in the profile of RFC 5019): a request for one certificate, and the
 * response read strictly and verified. Without a nonce: what is stapled is meant to be kept.
 *
 * Invariant: what `readOcspResponse` gives was signed by the issuer of the certificate, or by a responder that this issuer
 * has appointed, is about this certificate, and is in force now. Everything else is an OcspError that says why.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { messageOf } from '../../base/errors.ts'
import * as der from './der.ts'
import { children, type DerValue, expectTag, read, readOid, readTime, tags } from './der.ts'
import { type Signed, signedBy } from './signature.ts'
import { type CertificateFields, readCertificate, serialOf } from './x509-read.ts'

/** Larger ones are not looked at; real ones have 0.3 to 3 kB. */
export const mostResponseBytes = 64 * 1024
const mostCertificates = 8
/** A responder's clock may be ahead of ours by this much. */
const skewMs = 300_000
/** Of a response that names no end: newer information is always to be had, says RFC 6960 section 4.2.2.1. */
const endlessMs = 3_600_000

const sha1 = '1.3.14.3.2.26'
const sha256 = '2.16.840.1.101.3.4.2.1'
const basicResponse = '1.3.6.1.5.5.7.48.1.1'
const ocspSigning = '1.3.6.1.5.5.7.3.9'

/** A certificate and who has issued it. */
export type OcspSubject = {
  readonly serial: string
  readonly issuer: X509Certificate
  readonly issuerFields: CertificateFields
}

export type OcspResponse = {
  readonly der: Buffer
  readonly status: 'good' | 'revoked'
  /** Milliseconds since 1970 */
  readonly thisUpdate: number
  readonly nextUpdate: number
}

export class OcspError extends Error {}

/** Throws OcspError where the second has not issued the first. */
export function ocspSubject(leaf: X509Certificate, issuer: X509Certificate): OcspSubject {
  const fields = readCertificate(leaf.raw)
  const issuerFields = readCertificate(issuer.raw)
  if (!fields.issuerDer.equals(issuerFields.subjectDer) || !leaf.verify(issuer.publicKey))
    throw new OcspError('the certificate was not issued by the one that follows it')
  return { serial: fields.serial, issuer, issuerFields }
}

/** SHA-1, which responders of every age know: it names the issuer here, and proves nothing. */
export function ocspRequest(subject: OcspSubject): Buffer {
  const { name, key } = issuerHashes(subject, 'sha1')
  const id = der.sequence(
    der.sequence(der.oid(sha1), der.encode(0x05)),
    der.octetString(name),
    der.octetString(key),
    der.integer(Buffer.from(subject.serial, 'hex')),
  )
  return der.sequence(der.sequence(der.sequence(der.sequence(id))))
}

function issuerHashes({ issuerFields, issuer }: OcspSubject, algorithm: string): { name: Buffer; key: Buffer } {
  return {
    name: createHash(algorithm).update(issuerFields.subjectDer).digest(),
    key: keyHash(issuer, algorithm),
  }
}

/** Of the bits of the public key, without their tag, length and number of unused bits (RFC 6960 section 4.1.1). */
function keyHash(certificate: X509Certificate, algorithm: string): Buffer {
  const spki = children(read(certificate.publicKey.export({ type: 'spki', format: 'der' })))
  return createHash(algorithm).update(expectTag(spki[1], tags.bitString).content.subarray(1)).digest()
}

const failures: Readonly<Record<number, string>> = {
  1: 'it could not read the request',
  2: 'it has an internal error',
  3: 'try later',
  5: 'it wants the request to be signed',
  6: 'it does not serve us (unauthorized)',
}

/** Throws OcspError; nothing else, whatever the bytes. */
export function readOcspResponse(bytes: Buffer, subject: OcspSubject, now: number): OcspResponse {
  if (bytes.length > mostResponseBytes) throw new OcspError(`a response of more than ${mostResponseBytes} bytes`)
  try {
    return readResponse(bytes, subject, now)
  } catch (error) {
    if (error instanceof OcspError) throw error
    throw new OcspError(`not an OCSP response: ${messageOf(error)}`)
  }
}

function readResponse(bytes: Buffer, subject: OcspSubject, now: number): OcspResponse {
  const [status, wrapped] = children(read(bytes, tags.sequence))
  const { content } = expectTag(status, 0x0a)
  if (content.length !== 1 || content[0] !== 0)
    throw new OcspError(`the responder says no: ${failures[content[0] ?? -1] ?? `status ${content[0]}`}`)
  const [type, body] = children(read(expectTag(wrapped, 0xa0).content, tags.sequence))
  if (readOid(expectTag(type)) !== basicResponse) throw new OcspError('a response of a kind that is not known')
  const parts = children(read(expectTag(body, tags.octetString).content, tags.sequence))
  const [tbs, algorithm, signature, certificates] = parts
  const signed = signedBy(tbs, algorithm, signature)
  if (signed.unknown !== null) throw new OcspError(`signed with ${signed.unknown}, which is not supported`)

  const fields = children(expectTag(tbs, tags.sequence))
  let at = fields[0]?.tag === 0xa0 ? 1 : 0
  const responder = expectTag(fields[at++])
  if (!isSigner(responder, certificates, signed, subject, now))
    throw new OcspError('not signed by the issuer of the certificate, or by a responder that it has appointed')
  readTime(expectTag(fields[at++], tags.generalizedTime))
  const answers = children(expectTag(fields[at++], tags.sequence))
  refuseCritical(fields[at])
  const own = answers
    .map(answer => children(expectTag(answer, tags.sequence)))
    .find(one => isAbout(one[0], subject))
  if (own === undefined) throw new OcspError('the response is about another certificate')
  return readAnswer(own, bytes, now)
}

/** Reads one SingleResponse. */
function readAnswer(parts: readonly DerValue[], bytes: Buffer, now: number): OcspResponse {
  const [, status, begins, ...rest] = parts
  const thisUpdate = readTime(expectTag(begins, tags.generalizedTime))
  const next = rest.find(value => value.tag === 0xa0)
  const nextUpdate = next ? readTime(read(next.content, tags.generalizedTime)) : thisUpdate + endlessMs
  refuseCritical(rest.find(value => value.tag === 0xa1))
  if (thisUpdate > now + skewMs) throw new OcspError(`it is not valid before ${new Date(thisUpdate).toISOString()}`)
  if (nextUpdate <= now) throw new OcspError(`it has ended on ${new Date(nextUpdate).toISOString()}`)
  const answer = { der: Buffer.from(bytes), thisUpdate, nextUpdate }
  switch (expectTag(status).tag) {
    case 0x80:
      return { ...answer, status: 'good' }
    case 0xa1:
      return { ...answer, status: 'revoked' }
    default:
      throw new OcspError('the responder does not know the certificate')
  }
}

function isAbout(id: DerValue | undefined, subject: OcspSubject): boolean {
  const [algorithm, name, key, serial] = children(expectTag(id, tags.sequence))
  const oid = readOid(expectTag(children(expectTag(algorithm, tags.sequence))[0]))
  const hash = oid === sha1 ? 'sha1' : oid === sha256 ? 'sha256' : null
  if (hash === null || serialOf(expectTag(serial, tags.integer)) !== subject.serial) return false
  const own = issuerHashes(subject, hash)
  return (
    own.name.equals(expectTag(name, tags.octetString).content) &&
    own.key.equals(expectTag(key, tags.octetString).content)
  )
}

/** RFC 6960 section 4.2.2.2: the issuer itself, or whom it has given a certificate for this purpose, which is in force. */
function isSigner(
  responder: DerValue,
  certificates: DerValue | undefined,
  signed: Signed,
  subject: OcspSubject,
  now: number,
): boolean {
  const { issuer, issuerFields } = subject
  if (names(responder, issuer, issuerFields) && signed.by(issuer.publicKey)) return true
  if (certificates === undefined) return false
  const shown = children(read(expectTag(certificates, 0xa0).content, tags.sequence))
  if (shown.length > mostCertificates) throw new OcspError(`more than ${mostCertificates} certificates`)
  return shown.some(({ raw }) => {
    const certificate = parse(raw)
    if (certificate === null) return false
    const fields = readCertificate(raw)
    return (
      names(responder, certificate, fields) &&
      fields.extendedKeyUsage?.includes(ocspSigning) === true &&
      now >= fields.notBefore &&
      now <= fields.notAfter &&
      fields.issuerDer.equals(issuerFields.subjectDer) &&
      certificate.verify(issuer.publicKey) &&
      signed.by(certificate.publicKey)
    )
  })
}

/** ResponderID: by name, or by the SHA-1 of the key. */
function names(responder: DerValue, certificate: X509Certificate, fields: CertificateFields): boolean {
  if (responder.tag === 0xa1) return fields.subjectDer.equals(responder.content)
  if (responder.tag !== 0xa2) return false
  return keyHash(certificate, 'sha1').equals(read(responder.content, tags.octetString).content)
}

function parse(raw: Buffer): X509Certificate | null {
  try {
    const certificate = new X509Certificate(raw)
    // A key of a kind that is not known is found only now.
    void certificate.publicKey
    return certificate
  } catch {
    return null
  }
}

/** An extension that must be understood is one that we do not: none of those we know is critical (section 4.4). */
function refuseCritical(extensions: DerValue | undefined): void {
  if (extensions === undefined) return
  for (const extension of children(read(extensions.content, tags.sequence))) {
    const [id, critical] = children(extension)
    if (critical?.tag === tags.boolean && critical.content[0] !== 0)
      throw new OcspError(`the critical extension ${readOid(expectTag(id))} is not known`)
  }
}
