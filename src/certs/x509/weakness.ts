/**
 * Which certificates prove nothing any more, by one rule for both runtimes: OpenSSL refuses some of them by its security
 * level (which `policy: legacy` lowers), and BoringSSL takes an RSA key of 1024 bits and a signature with SHA-1.
 *
 * Signatures are listed by what is good, so that an algorithm nobody here has thought of is refused; keys by what is bad,
 * since the TLS library has already refused those that it cannot use.
 */
import type { X509Certificate } from 'node:crypto'
import { messageOf } from '../../base/errors.ts'
import { children, type DerValue, expectTag, read, readOid, tags } from './der.ts'

/** Hashes for which two texts with the same value can be made, by the signature algorithms that use them. */
export const brokenHashes: Readonly<Record<string, 'MD2' | 'MD4' | 'MD5' | 'SHA-1'>> = {
  '1.2.840.113549.1.1.2': 'MD2',
  '1.2.840.113549.1.1.3': 'MD4',
  '1.2.840.113549.1.1.4': 'MD5',
  '1.3.14.3.2.3': 'MD5',
  '1.2.840.113549.1.1.5': 'SHA-1',
  '1.3.14.3.2.29': 'SHA-1',
  '1.2.840.10045.4.1': 'SHA-1',
  '1.2.840.10040.4.3': 'SHA-1',
}

const goodSignatures: ReadonlySet<string> = new Set([
  // RSA with SHA-2: 256, 384, 512, 224, 512/224, 512/256
  ...[11, 12, 13, 14, 15, 16].map(last => `1.2.840.113549.1.1.${last}`),
  // ECDSA with SHA-2: 224, 256, 384, 512
  ...[1, 2, 3, 4].map(last => `1.2.840.10045.4.3.${last}`),
  // ECDSA and RSA with SHA-3, ML-DSA, SLH-DSA (3.1 to 3.8 are DSA)
  ...Array.from({ length: 38 }, (_, at) => `2.16.840.1.101.3.4.3.${at + 9}`),
  // Ed25519, Ed448
  '1.3.101.112',
  '1.3.101.113',
])

const rsaPss = '1.2.840.113549.1.1.10'
/** SHA-2 and SHA-3, for RSA-PSS, which names its hash beside the algorithm */
const goodHashes: ReadonlySet<string> = new Set(
  Array.from({ length: 10 }, (_, at) => `2.16.840.1.101.3.4.2.${at + 1}`),
)

/** What to do about any of them */
export const strongEnough = 'have it issued with SHA-256 for an RSA key of 2048 bits or more, or an ECDSA key'

const leastRsaBits = 2048
const leastCurveBits = 224

/** What is wrong with how a certificate is signed, as in `is signed with SHA-1`, or null. Throws DerError. */
export function weakSignature(certificate: X509Certificate): string | null {
  const [body] = children(read(certificate.raw, tags.sequence))
  const fields = children(expectTag(body, tags.sequence))
  const algorithm = children(expectTag(fields[fields[0]?.tag === 0xa0 ? 2 : 1], tags.sequence))
  const id = readOid(expectTag(algorithm[0], tags.oid))
  if (id === rsaPss) {
    const hash = pssHash(algorithm[1])
    if (hash !== null && goodHashes.has(hash)) return null
    return `is signed with RSA-PSS and ${hash === null ? 'SHA-1' : `the hash ${hash}`}`
  }
  if (goodSignatures.has(id)) return null
  const broken = brokenHashes[id]
  return broken === undefined
    ? `is signed with the algorithm ${id}, which is not among the strong ones`
    : `is signed with ${broken}`
}

/** RFC 4055 section 3.1: SHA-1 where none is named, which is null here. */
function pssHash(parameters: DerValue | undefined): string | null {
  const first = parameters?.tag === tags.sequence ? children(parameters)[0] : undefined
  if (first?.tag !== 0xa0) return null
  return readOid(expectTag(children(read(first.content, tags.sequence))[0], tags.oid))
}

/** What is wrong with a certificate's key, as in `has an RSA key of 1024 bits`, or null. */
export function weakKey(certificate: X509Certificate): string | null {
  let key: X509Certificate['publicKey']
  try {
    key = certificate.publicKey
  } catch (error) {
    return `has a key that cannot be read (${messageOf(error)})`
  }
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  switch (key.asymmetricKeyType) {
    case 'rsa':
    case 'rsa-pss':
      if (modulusLength < leastRsaBits) return `has an RSA key of ${modulusLength} bits`
      return publicExponent >= 3n ? null : `has an RSA key with the exponent ${publicExponent}`
    case 'dsa':
      return 'has a DSA key'
    case 'ec': {
      const bits = curveBits(key.export({ type: 'spki', format: 'der' }))
      return bits < leastCurveBits ? `has a key on an elliptic curve of about ${bits} bits` : null
    }
    default:
      return null
  }
}

/** By the length of the point, compressed or not: the curve may have any name, or none. */
function curveBits(spki: Buffer): number {
  const point = expectTag(children(read(spki, tags.sequence))[1], tags.bitString).content.subarray(1)
  const length = point[0] === 4 ? (point.length - 1) / 2 : point.length - 1
  return length * 8
}
