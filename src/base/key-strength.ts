/** Which public keys of strangers are good enough: for certificates, and for the accounts that ask for them. */
import type { KeyObject } from 'node:crypto'

/** Why a public key is not to be certified, or an account's to be trusted; null for a good one. */
export function keyWeakness(key: KeyObject): string | null {
  const { modulusLength = 0, publicExponent = 0n, namedCurve } = key.asymmetricKeyDetails ?? {}
  switch (key.asymmetricKeyType) {
    case 'rsa':
      if (modulusLength < 2048 || modulusLength > 8192)
        return `an RSA key has 2048 to 8192 bits, not ${modulusLength}`
      return publicExponent >= 65_537n && publicExponent % 2n === 1n
        ? null
        : 'the exponent of an RSA key is odd and at least 65537'
    case 'ec':
      return namedCurve === 'prime256v1' || namedCurve === 'secp384r1' || namedCurve === 'secp521r1'
        ? null
        : `an ECDSA key is on P-256, P-384 or P-521, not ${namedCurve}`
    case 'ed25519':
      return null
    default:
      return `a key is ECDSA, RSA or Ed25519, not ${key.asymmetricKeyType}`
  }
}
