/** Revocation (RFC 8555 section 7.6): by the account that ordered, or by the certificate's own key. */
import { createPrivateKey } from 'node:crypto'
import type { JWK } from 'jose'
import { IssueError } from '../model/issuer.ts'
import type { Ca } from './directory.ts'
import type { Signer, SigningKey } from './jws.ts'
import { post } from './post.ts'
import { problemOf } from './problem.ts'

/** @param reason as in RFC 5280 section 5.3.1. A certificate that is revoked already is a success. */
export async function revoke(
  ca: Ca,
  certificateDer: Uint8Array,
  reason: number,
  signer: Signer,
  signal: AbortSignal,
): Promise<void> {
  const { revokeCert } = await ca.directory(signal)
  const payload = { certificate: Buffer.from(certificateDer).toString('base64url'), reason }
  try {
    await post(ca, revokeCert, payload, signer, signal)
  } catch (error) {
    if (problemOf(error)?.type !== 'alreadyRevoked') throw error
  }
}

/** For who has the key and not the account: whoever finds a key that has leaked. */
export async function revokeByKey(
  ca: Ca,
  certificateDer: Uint8Array,
  reason: number,
  keyPem: string,
  signal: AbortSignal,
): Promise<void> {
  return revoke(ca, certificateDer, reason, { key: signingKey(keyPem), kid: null }, signal)
}

function signingKey(keyPem: string): SigningKey {
  const privateJwk = createPrivateKey(keyPem).export({ format: 'jwk' }) as JWK
  if (privateJwk.kty === 'RSA') return { alg: 'RS256', privateJwk }
  if (privateJwk.crv === 'P-256') return { alg: 'ES256', privateJwk }
  if (privateJwk.crv === 'P-384') return { alg: 'ES384', privateJwk }
  throw new IssueError('rejected', 'requests to a CA are signed with RSA, P-256 or P-384 keys, and this is none')
}
