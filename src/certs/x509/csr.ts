/** Certificate signing requests (PKCS #10, RFC 2986) with subjectAltName, ECDSA or RSA and SHA-2. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import * as der from './der.ts'
import { sortNames } from './names.ts'
import { alternativeNames, encodeName, extension, signSequence } from './x509-build.ts'

/** @param names DNS names, wildcards and IP addresses. The subject is empty: nobody looks at a common name any more. */
export function buildCsr(names: readonly string[], key: KeyObject): Buffer {
  const extensions = der.sequence(extension('2.5.29.17', true, der.sequence(...alternativeNames(sortNames(names)))))
  const body = der.sequence(
    der.integer(0),
    encodeName({}),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    // extensionRequest (RFC 2985 section 5.4.2) in the [0] IMPLICIT SET of attributes.
    der.encode(0xa0, der.sequence(der.oid('1.2.840.113549.1.9.14'), der.set(extensions))),
  )
  return signSequence(body, key)
}
