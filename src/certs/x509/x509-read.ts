/**
 * Reads out of an X.509 certificate (RFC 5280) what node:crypto gives only as text to be parsed again, or differently
 * on each runtime: names as bytes, times as numbers, and the extensions the gateway looks at.
 *
 * Signatures are not checked here; whoever reads a certificate also hands it to node:crypto.
 */
import { formatAddress } from '../../base/ip.ts'
import { children, DerError, type DerValue, expectTag, read, readOid, readTime, tags } from './der.ts'

export type CertificateFields = {
  /** DER of the whole Name: two names are the same when their bytes are */
  readonly subjectDer: Buffer
  readonly issuerDer: Buffer
  /** Milliseconds since 1970 */
  readonly notBefore: number
  readonly notAfter: number
  /** DNS names in lower case and IP addresses of subjectAltName; other kinds of names are left out */
  readonly names: readonly string[]
  /** URIs and e-mail addresses of subjectAltName, as they are */
  readonly uris: readonly string[]
  readonly emails: readonly string[]
  /** As hex without leading zeros */
  readonly serial: string
  readonly isCa: boolean
  /** Key usage allows it, or says nothing */
  readonly signsCertificates: boolean
  readonly subjectKeyId: Buffer | null
  /** The issuer's subjectKeyId; null also where the extension names the issuer in another way */
  readonly authorityKeyId: Buffer | null
  /** The extension as it is (section 4.2.1.10); name-constraints.ts reads it */
  readonly nameConstraints: Buffer | null
  /** Object identifiers; null where the certificate may be used for anything */
  readonly extendedKeyUsage: readonly string[] | null
  /** Clients shall refuse it without an OCSP response in the handshake (RFC 7633) */
  readonly mustStaple: boolean
  /** Object identifier of the algorithm that the issuer signed it with */
  readonly signatureAlgorithm: string
  /** Object identifier of the kind of its key */
  readonly keyAlgorithm: string
  /** Where the issuer's certificate, and its word on revocation, are to be had (RFC 5280 section 4.2.2.1); http URLs only */
  readonly issuerUrls: readonly string[]
  readonly ocspUrls: readonly string[]
  /** It says that certificate transparency logs have it (RFC 6962 section 3.3) */
  readonly logged: boolean
}

/** Only when a certificate begins and ends, in milliseconds since 1970: a fifth of the work, and hardly any memory. */
export function readValidity(bytes: Uint8Array): { readonly notBefore: number; readonly notAfter: number } {
  const fields = children(expectTag(children(read(bytes, tags.sequence))[0], tags.sequence))
  const [begin, end] = children(expectTag(fields[fields[0]?.tag === 0xa0 ? 4 : 3], tags.sequence))
  return { notBefore: readTime(expectTag(begin)), notAfter: readTime(expectTag(end)) }
}

export function readCertificate(bytes: Uint8Array): CertificateFields {
  const certificate = children(read(bytes, tags.sequence))
  const fields = children(expectTag(certificate[0], tags.sequence))
  // [0] version is DEFAULT v1; only a v3 certificate has extensions.
  const first = fields[0]?.tag === 0xa0 ? 1 : 0
  const [serial, signature, issuer, validity, subject, publicKey] = fields.slice(first)
  const [begin, end] = children(expectTag(validity, tags.sequence))
  const found = readExtensions(fields.find(value => value.tag === 0xa3))
  const names = found.get('2.5.29.17')
  const usage = found.get('2.5.29.15')
  const basic = found.get('2.5.29.19')
  const keyId = found.get('2.5.29.14')
  const authority = found.get('2.5.29.35')
  const constraints = found.get('2.5.29.30')
  const uses = found.get('2.5.29.37')
  const access = found.get('1.3.6.1.5.5.7.1.1')
  const features = found.get('1.3.6.1.5.5.7.1.24')
  return {
    subjectDer: expectTag(subject, tags.sequence).raw,
    issuerDer: expectTag(issuer, tags.sequence).raw,
    notBefore: readTime(expectTag(begin)),
    notAfter: readTime(expectTag(end)),
    names: names ? readNames(names) : [],
    uris: names ? readTexts(names, 0x86) : [],
    emails: names ? readTexts(names, 0x81) : [],
    serial: serialOf(expectTag(serial, tags.integer)),
    isCa: basic ? children(basic)[0]?.tag === tags.boolean : false,
    // keyCertSign is bit 5 of section 4.2.1.3; the first byte counts the unused bits.
    signsCertificates: usage === undefined || ((expectTag(usage, tags.bitString).content[1] ?? 0) & 0x04) !== 0,
    subjectKeyId: keyId ? expectTag(keyId, tags.octetString).content : null,
    authorityKeyId: (authority && children(authority).find(value => value.tag === 0x80)?.content) ?? null,
    nameConstraints: constraints?.raw ?? null,
    extendedKeyUsage: uses ? children(uses).map(readOid) : null,
    mustStaple: features !== undefined && children(features).some(isStatusRequest),
    signatureAlgorithm: firstOid(expectTag(signature, tags.sequence)),
    keyAlgorithm: firstOid(expectTag(children(expectTag(publicKey, tags.sequence))[0], tags.sequence)),
    issuerUrls: access ? readUrls(access, '1.3.6.1.5.5.7.48.2') : [],
    ocspUrls: access ? readUrls(access, '1.3.6.1.5.5.7.48.1') : [],
    logged: found.has('1.3.6.1.4.1.11129.2.4.2'),
  }
}

const firstOid = (value: DerValue): string => readOid(expectTag(children(value)[0], tags.oid))

/** URLs of one access method. They end up in front of people: what is not plain http or https is left out. */
function readUrls(access: DerValue, method: string): string[] {
  return children(access)
    .map(children)
    .filter(([id, location]) => id?.tag === tags.oid && readOid(id) === method && location?.tag === 0x86)
    .map(([, location]) => (location as DerValue).content.toString('latin1'))
    .filter(url => url.length <= 300 && /^https?:\/\/[\x21-\x7e]+$/i.test(url) && URL.canParse(url))
}

function readExtensions(value: DerValue | undefined): Map<string, DerValue> {
  const found = new Map<string, DerValue>()
  if (!value) return found
  for (const extension of children(read(value.content, tags.sequence))) {
    const parts = children(extension)
    const id = readOid(expectTag(parts[0]))
    // RFC 5280 section 4.2: at most one of each kind.
    if (found.has(id)) throw new DerError(`the extension ${id} is there twice`)
    const content = expectTag(parts.at(-1), tags.octetString).content
    // Others are not ours to judge, and may hold anything.
    if (known.has(id)) found.set(id, read(content))
    else if (shown.has(id)) showable(content, value => found.set(id, value))
  }
  return found
}

const known = new Set([
  '2.5.29.14',
  '2.5.29.15',
  '2.5.29.17',
  '2.5.29.19',
  '2.5.29.30',
  '2.5.29.35',
  '2.5.29.37',
  '1.3.6.1.5.5.7.1.24',
])

/** status_request among the TLS features that the certificate asks of its server. */
const isStatusRequest = ({ tag, content }: DerValue): boolean =>
  tag === tags.integer && content.length === 1 && content[0] === 5

/** Only for people to look at: one that is damaged is as good as none. */
const shown = new Set(['1.3.6.1.5.5.7.1.1', '1.3.6.1.4.1.11129.2.4.2'])

function showable(content: Buffer, keep: (value: DerValue) => void): void {
  try {
    const value = read(content)
    if (value.tag === tags.sequence) for (const access of children(value)) children(access)
    keep(value)
  } catch (error) {
    if (!(error instanceof DerError)) throw error
  }
}

function readNames(value: DerValue): string[] {
  const names: string[] = []
  for (const name of children(value)) {
    if (name.tag === 0x82) names.push(name.content.toString('latin1').toLowerCase())
    // 8 or 32 bytes are a range, and only belong in a CA's name constraints.
    if (name.tag === 0x87 && (name.content.length === 4 || name.content.length === 16)) {
      names.push(formatAddress(name.content))
    }
  }
  return names
}

/** Names that are one text each (IA5String). One with a control character is left out: it could only deceive. */
function readTexts(value: DerValue, tag: number): string[] {
  return children(value)
    .filter(name => name.tag === tag)
    .map(name => name.content.toString('latin1'))
    .filter(text => /^[\x20-\x7e]+$/.test(text))
}

/** A serial number as certificates and revocation lists are compared by: hex without leading zeros, lower case. */
export const serialOf = (value: DerValue): string => value.content.toString('hex').replace(/^(00)+(?=.)/, '')
