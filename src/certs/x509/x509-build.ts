/**
 * Makes X.509 v3 certificates (RFC 5280) with ECDSA or RSA and SHA-2: what our CAs issue, and what tests need.
 *
 * Invariants: the result passes `openssl verify -x509_strict`; names are only in subjectAltName, which is critical when
 * the subject is empty (section 4.2.1.6); times are cut to whole seconds.
 */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto'
import { toPem } from '../../base/pem.ts'
import * as der from './der.ts'
import { encodeNameConstraints, type NameConstraints } from './name-constraints.ts'
import { addressBytes } from './names.ts'

/** Parts of a distinguished name, written in this order; an empty object is the empty name. */
export type DistinguishedName = {
  readonly country?: string
  readonly organization?: string
  readonly organizationalUnit?: string
  readonly commonName?: string
}

type KeyUsage = 'digitalSignature' | 'keyEncipherment' | 'keyCertSign' | 'cRLSign'
export type ExtendedKeyUsage = 'serverAuth' | 'clientAuth' | 'OCSPSigning'

type CertificateRequest = {
  readonly subject: DistinguishedName | Uint8Array
  /** A name, or the DER of the issuer certificate's subject, which must be repeated byte for byte */
  readonly issuer: DistinguishedName | Uint8Array
  readonly publicKey: KeyObject
  /** The issuer's private key, ECDSA or RSA; the subject's own for a self-signed certificate */
  readonly signingKey: KeyObject
  /** Positive, at most 20 bytes; 16 random bytes when left out */
  readonly serial?: Uint8Array
  /** Milliseconds since 1970 */
  readonly notBefore: number
  readonly notAfter: number
  readonly dnsNames?: readonly string[]
  /** URIs of subjectAltName */
  readonly uris?: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly isCa?: boolean
  /** How many CAs may stand between this one and a leaf; only with isCa */
  readonly pathLength?: number
  readonly keyUsage?: readonly KeyUsage[]
  readonly extendedKeyUsage?: readonly ExtendedKeyUsage[]
  /** Which names those below a CA may have; only with isCa */
  readonly nameConstraints?: NameConstraints
  /** Computed from publicKey when left out */
  readonly subjectKeyId?: Uint8Array
  /** The issuer's subjectKeyId; computed from signingKey when left out */
  readonly authorityKeyId?: Uint8Array
  /** Further ones, each made with `extension` */
  readonly otherExtensions?: readonly Uint8Array[]
}

type BuiltCertificate = { readonly der: Buffer; readonly pem: string }

const attributeOids = {
  country: '2.5.4.6',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  commonName: '2.5.4.3',
} as const

/** Bits of section 4.2.1.3. */
const keyUsageBits = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, cRLSign: 6 } as const

const extendedKeyUsageOids = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  OCSPSigning: '1.3.6.1.5.5.7.3.9',
} as const

/** The longest commonName (RFC 5280 appendix A.1, ub-common-name), in characters. */
export const maxCommonName = 64

export function buildCertificate(request: CertificateRequest): BuiltCertificate {
  if (request.notAfter < request.notBefore) throw new RangeError('a certificate cannot end before it begins')
  const algorithm = signatureAlgorithm(request.signingKey)
  const issuer = request.issuer instanceof Uint8Array ? request.issuer : encodeName(request.issuer)
  const body = der.sequence(
    der.explicit(0, der.integer(2)),
    der.integer(checkSerial(request.serial ?? randomSerial())),
    algorithm,
    issuer,
    der.sequence(der.time(request.notBefore), der.time(request.notAfter)),
    request.subject instanceof Uint8Array ? request.subject : encodeName(request.subject),
    request.publicKey.export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...extensions(request))),
  )
  const bytes = signSequence(body, request.signingKey)
  return { der: bytes, pem: toPem('CERTIFICATE', bytes) }
}

/** 128 bits, positive, and as long with every call: the first bit is 0 and the second 1. */
function randomSerial(): Buffer {
  const serial = randomBytes(16)
  serial[0] = (serial[0] & 0x3f) | 0x40
  return serial
}

function checkSerial(serial: Uint8Array): Uint8Array {
  if (serial.length > 20 || serial.every(byte => byte === 0)) {
    throw new RangeError('a serial number is positive and at most 20 bytes (RFC 5280 section 4.1.2.2)')
  }
  return serial
}

/** The leftmost 160 bits of the SHA-256 of the public key's bits (RFC 7093 section 2, method 1). */
export function keyId(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const spki = der.children(der.read(publicKey.export({ type: 'spki', format: 'der' })))
  const bits = der.expectTag(spki[1], der.tags.bitString).content.subarray(1)
  return createHash('sha256').update(bits).digest().subarray(0, 20)
}

export function encodeName(name: DistinguishedName): Buffer {
  const parts: Buffer[] = []
  for (const attribute of ['country', 'organization', 'organizationalUnit', 'commonName'] as const) {
    const value = name[attribute]
    if (value === undefined) continue
    const text = attribute === 'country' ? der.printableString(value) : der.utf8String(value)
    parts.push(der.set(der.sequence(der.oid(attributeOids[attribute]), text)))
  }
  return der.sequence(...parts)
}

/** What X.509 signs, then with what, then the signature: the outside of certificates, requests and revocation lists. */
export function signSequence(body: Uint8Array, key: KeyObject): Buffer {
  const digest = isP384(key) ? 'sha384' : 'sha256'
  return der.sequence(body, signatureAlgorithm(key), der.bitString(sign(digest, body, key)))
}

const isP384 = (key: KeyObject) => key.asymmetricKeyDetails?.namedCurve === 'secp384r1'

export function signatureAlgorithm(key: KeyObject): Buffer {
  // RFC 5758 section 3.2: a digest as long as the curve.
  if (isP384(key)) return der.sequence(der.oid('1.2.840.10045.4.3.3'))
  if (key.asymmetricKeyType === 'ec') return der.sequence(der.oid('1.2.840.10045.4.3.2'))
  // RFC 4055 section 5: the parameters of sha256WithRSAEncryption are NULL, and must be there.
  if (key.asymmetricKeyType === 'rsa') return der.sequence(der.oid('1.2.840.113549.1.1.11'), der.encode(0x05))
  throw new RangeError(`certificates are signed with ECDSA or RSA keys, not ${key.asymmetricKeyType}`)
}

function extensions(request: CertificateRequest): Uint8Array[] {
  const { isCa = false, pathLength, keyUsage = [], extendedKeyUsage = [] } = request
  const list: Uint8Array[] = []
  const basic: Buffer[] = isCa ? [der.boolean(true)] : []
  if (isCa && pathLength !== undefined) basic.push(der.integer(pathLength))
  list.push(extension('2.5.29.19', true, der.sequence(...basic)))
  if (keyUsage.length > 0)
    list.push(extension('2.5.29.15', true, der.bitFlags(keyUsage.map(use => keyUsageBits[use]))))
  if (extendedKeyUsage.length > 0) {
    const uses = extendedKeyUsage.map(use => der.oid(extendedKeyUsageOids[use]))
    list.push(extension('2.5.29.37', false, der.sequence(...uses)))
  }
  list.push(extension('2.5.29.14', false, der.octetString(request.subjectKeyId ?? keyId(request.publicKey))))
  const authority = der.implicit(0, request.authorityKeyId ?? keyId(request.signingKey))
  list.push(extension('2.5.29.35', false, der.sequence(authority)))
  if (isCa && request.nameConstraints !== undefined)
    list.push(extension('2.5.29.30', true, encodeNameConstraints(request.nameConstraints)))
  const names = alternativeNames(request)
  const { subject } = request
  const critical = !(subject instanceof Uint8Array) && Object.values(subject).every(value => value === undefined)
  if (names.length > 0) list.push(extension('2.5.29.17', critical, der.sequence(...names)))
  return [...list, ...(request.otherExtensions ?? [])]
}

type AlternativeNames = Pick<CertificateRequest, 'dnsNames' | 'uris' | 'ipAddresses'>

/** The GeneralNames of subjectAltName (RFC 5280 section 4.2.1.6). */
export function alternativeNames({ dnsNames = [], uris = [], ipAddresses = [] }: AlternativeNames): Buffer[] {
  return [
    ...dnsNames.map(name => der.implicit(2, Buffer.from(name, 'latin1'))),
    ...uris.map(uri => der.implicit(6, Buffer.from(uri, 'latin1'))),
    ...ipAddresses.map(address => der.implicit(7, addressBytes(address))),
  ]
}

/** `critical` is DEFAULT FALSE, so DER leaves a false out. */
export function extension(id: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [der.boolean(true)] : []
  return der.sequence(der.oid(id), ...flag, der.octetString(value))
}
