/** Signatures on what a CA says (revocation lists, OCSP responses): the algorithms that are taken, and the check. */
import { type KeyObject, verify } from 'node:crypto'
import { children, type DerValue, expectTag, readOid, tags } from './der.ts'

/** Digest by object identifier; null where the algorithm has its own. SHA-1 is not among them. */
const digests: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': null,
}

export type Signed = {
  /** Its object identifier, where it is one that is not taken */
  readonly unknown: string | null
  by(key: KeyObject): boolean
}

/** @param body what is signed. @param algorithm AlgorithmIdentifier. @param signature BIT STRING */
export function signedBy(
  body: DerValue | undefined,
  algorithm: DerValue | undefined,
  signature: DerValue | undefined,
): Signed {
  const id = readOid(expectTag(children(expectTag(algorithm, tags.sequence))[0]))
  const digest = digests[id]
  const { raw } = expectTag(body)
  const bits = expectTag(signature, tags.bitString).content.subarray(1)
  return {
    unknown: digest === undefined ? id : null,
    by(key) {
      if (digest === undefined) return false
      try {
        return verify(digest, raw, key, bits)
      } catch {
        // A key of another kind than the algorithm's.
        return false
      }
    },
  }
}
