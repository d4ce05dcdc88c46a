/**
 * Signed requests (RFC 8555 section 6.2): flattened JWS (RFC 7515) with everything that matters inside of what is signed.
 *
 * Invariants: only four algorithms, each bound to its kind of key; exactly one of `jwk` and `kid`; nothing outside of the
 * protected header counts, and what is there is an error; base64url in its one spelling. No key is taken from a header
 * other than `jwk`, and that one never with a private half.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { keyWeakness } from '../base/key-strength.ts'
import { AcmeProblem, malformed } from './problem.ts'

export type Jwk = Readonly<Record<string, string>>

export type Jws = {
  readonly alg: string
  /** Exactly one of the two is null */
  readonly jwk: Jwk | null
  readonly kid: string | null
  readonly url: string
  readonly nonce: string | null
  readonly payload: Buffer
  readonly signature: Buffer
  readonly signed: Buffer
}

type Algorithm = { readonly digest: string | null; readonly type: string; readonly curve: string | null }

const algorithms: Readonly<Record<string, Algorithm>> = {
  ES256: { digest: 'sha256', type: 'ec', curve: 'prime256v1' },
  ES384: { digest: 'sha384', type: 'ec', curve: 'secp384r1' },
  RS256: { digest: 'sha256', type: 'rsa', curve: null },
  EdDSA: { digest: null, type: 'ed25519', curve: null },
}

/** The members of public keys, which are also those of their thumbprints (RFC 7638 section 3.2, RFC 8037). */
const members: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  RSA: ['e', 'kty', 'n'],
  OKP: ['crv', 'kty', 'x'],
}

const maxJsonBytes = 64 * 1024

/** Throws AcmeProblem. Signature, nonce and url are still to be checked. */
export function parseJws(value: unknown): Jws {
  const jws = objectOf(value, 'a request is a JWS in flattened JSON')
  const names = Object.keys(jws).sort().join()
  if (names !== 'payload,protected,signature')
    throw malformed(`a JWS has protected, payload and signature, and nothing else; this has ${names.slice(0, 100)}`)
  const protectedText = textOf(jws['protected'], 'protected')
  const payloadText = textOf(jws['payload'], 'payload')
  const header = parseJson(decode(protectedText, 'protected'), 'the protected header')
  for (const name of Object.keys(header)) {
    // `crit` names what must be understood, `b64` changes what is signed, x5c and jku bring keys from elsewhere.
    if (!['alg', 'jwk', 'kid', 'nonce', 'url', 'typ', 'cty'].includes(name))
      throw malformed(`the protected header has ${JSON.stringify(name.slice(0, 40))}, which is not known here`)
  }
  const { alg, jwk, kid, nonce, url } = header
  if (typeof alg !== 'string' || !Object.hasOwn(algorithms, alg))
    throw new AcmeProblem(
      'badSignatureAlgorithm',
      400,
      `a request is signed with ${Object.keys(algorithms).join(', ')}`,
      {
        members: { algorithms: Object.keys(algorithms) },
      },
    )
  if ((jwk === undefined) === (kid === undefined))
    throw malformed('the protected header has jwk or kid, and not both')
  if (typeof url !== 'string') throw malformed('the protected header has no url')
  if (nonce !== undefined && typeof nonce !== 'string') throw malformed('nonce is not a string')
  if (kid !== undefined && typeof kid !== 'string') throw malformed('kid is not a string')
  return {
    alg,
    jwk: jwk === undefined ? null : publicJwk(jwk),
    kid: kid ?? null,
    url,
    nonce: nonce ?? null,
    payload: decode(payloadText, 'payload'),
    signature: decode(textOf(jws['signature'], 'signature'), 'signature'),
    signed: Buffer.from(`${protectedText}.${payloadText}`, 'latin1'),
  }
}

/** The members that make the key, and an error for a private one. */
function publicJwk(value: unknown): Jwk {
  const jwk = objectOf(value, 'jwk is an object')
  const kty = typeof jwk['kty'] === 'string' && Object.hasOwn(members, jwk['kty']) ? jwk['kty'] : null
  if (kty === null) throw new AcmeProblem('badPublicKey', 400, 'jwk is an EC, RSA or OKP key')
  if ('d' in jwk || 'k' in jwk)
    throw new AcmeProblem('badPublicKey', 400, 'jwk holds a private key: make a new one')
  const names = members[kty] as readonly string[]
  return Object.fromEntries(names.map(name => [name, textOf(jwk[name], `jwk.${name}`)]))
}

/** Throws AcmeProblem `badPublicKey` for one that is weak or that the algorithm is not for. */
export function keyOf(jwk: Jwk): KeyObject {
  let key: KeyObject
  try {
    key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
  } catch {
    throw new AcmeProblem('badPublicKey', 400, 'jwk is not a key that can be read')
  }
  const weak = keyWeakness(key)
  if (weak !== null) throw new AcmeProblem('badPublicKey', 400, weak)
  return key
}

/** Throws AcmeProblem where the signature is not the key's. */
export function checkSignature(jws: Pick<Jws, 'alg' | 'signed' | 'signature'>, key: KeyObject): void {
  const algorithm = algorithms[jws.alg] as Algorithm
  const fits =
    key.asymmetricKeyType === algorithm.type &&
    (algorithm.curve === null || key.asymmetricKeyDetails?.namedCurve === algorithm.curve)
  if (!fits)
    throw new AcmeProblem('badSignatureAlgorithm', 400, `${jws.alg} is not for this kind of key`, {
      members: { algorithms: Object.keys(algorithms) },
    })
  if (!verified(algorithm, jws, key)) throw new AcmeProblem('unauthorized', 401, 'the signature does not verify')
}

function verified(
  algorithm: Algorithm,
  { signed, signature }: Pick<Jws, 'signed' | 'signature'>,
  key: KeyObject,
): boolean {
  try {
    return verify(algorithm.digest, signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
  } catch {
    return false
  }
}

/** RFC 7638, as base64url. */
export function thumbprint(jwk: Jwk): string {
  const names = members[jwk['kty'] as string] as readonly string[]
  const text = JSON.stringify(Object.fromEntries(names.map(name => [name, jwk[name]])))
  return createHash('sha256').update(text).digest('base64url')
}

/** An object in JSON; throws AcmeProblem. */
export function parseJson(bytes: Buffer, what: string): Record<string, unknown> {
  if (bytes.length > maxJsonBytes) throw malformed(`${what} is over ${maxJsonBytes} bytes`)
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw malformed(`${what} is not JSON`)
  }
  return objectOf(value, `${what} is an object`)
}

export function objectOf(value: unknown, wanted: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(wanted)
  return value as Record<string, unknown>
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string') throw malformed(`${what} is not a string`)
  return value
}

/** base64url without padding, in the one spelling that encodes these bytes; throws AcmeProblem. */
export function decode(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw malformed(`${what} is not base64url (RFC 7515 section 2)`)
  return bytes
}
