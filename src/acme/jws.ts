/** Signed requests (RFC 8555 section 6.2): flattened JWS by ES256, the inner JWS of external accounts, thumbprints. */
import { calculateJwkThumbprint, exportJWK, FlattenedSign, generateKeyPair, type JWK } from 'jose'

/** A private key as JWK: P-256 for accounts; a certificate's own key may be another. */
export type SigningKey = { readonly alg: 'ES256' | 'ES384' | 'RS256'; readonly privateJwk: JWK }

/** Who signs: an account by its URL, or a key by itself. */
export type Signer = { readonly key: SigningKey; readonly kid: string | null }

type Jws = { readonly protected: string; readonly payload: string; readonly signature: string }

export async function newAccountKey(): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { alg: 'ES256', privateJwk: await exportJWK(privateKey) }
}

/** Only what RFC 7638 section 3.2 counts: nothing of the private half can be in it. */
export function publicJwk({ privateJwk }: SigningKey): JWK {
  const { kty, crv, x, y, n, e } = privateJwk
  return kty === 'RSA' ? { e, kty, n } : { crv, kty, x, y }
}

/** @param payload null for POST-as-GET (RFC 8555 section 6.3). @param nonce null inside of a key change (section 7.3.5) */
export async function signJws(
  payload: object | null,
  { key, kid }: Signer,
  url: string,
  nonce: string | null,
): Promise<Jws> {
  const bytes = payload === null ? new Uint8Array() : Buffer.from(JSON.stringify(payload))
  const who = kid === null ? { jwk: publicJwk(key) } : { kid }
  const header = { alg: key.alg, ...(nonce === null ? {} : { nonce }), url, ...who }
  return (await new FlattenedSign(bytes).setProtectedHeader(header).sign(key.privateJwk)) as Jws
}

/** RFC 8555 section 7.3.4. @param macKey base64url, as the CA gives it */
export async function signBinding(key: SigningKey, keyId: string, macKey: string, url: string): Promise<Jws> {
  const bytes = Buffer.from(JSON.stringify(publicJwk(key)))
  return (await new FlattenedSign(bytes)
    .setProtectedHeader({ alg: 'HS256', kid: keyId, url })
    .sign(Buffer.from(macKey, 'base64url'))) as Jws
}

/** RFC 8555 section 8.1. */
export async function keyAuthorization(token: string, key: SigningKey): Promise<string> {
  return `${token}.${await calculateJwkThumbprint(publicJwk(key), 'sha256')}`
}
