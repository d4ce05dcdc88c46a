/**
 * OpenSSL's security level on Node. It judges peers' certificates by a rule of its own, which the other runtime does not have,
 * tells nobody which certificate it meant, and gives all of its reasons one code (`UNSPECIFIED`, 26.10). Where a peer shows
 * certificates the level is 0, and they are judged by certs/x509/weakness.ts on both runtimes.
 *
 * Invariant: what else the level holds is said here or in the terms: signatures in the handshake, the size of DH groups
 * (`leastDhBits`), ciphers and groups. test/gateway/weak-certificates.test.ts holds it.
 */
import type tls from 'node:tls'

/** What OpenSSL 3.5 has at level 2. A name behind `?` may be unknown to it. */
const signatures = [
  '?mldsa65',
  '?mldsa87',
  '?mldsa44',
  'ecdsa_secp256r1_sha256',
  'ecdsa_secp384r1_sha384',
  'ecdsa_secp521r1_sha512',
  'ed25519',
  'ed448',
  'rsa_pss_pss_sha256',
  'rsa_pss_pss_sha384',
  'rsa_pss_pss_sha512',
  'rsa_pss_rsae_sha256',
  'rsa_pss_rsae_sha384',
  'rsa_pss_rsae_sha512',
  'rsa_pkcs1_sha256',
  'rsa_pkcs1_sha384',
  'rsa_pkcs1_sha512',
].join(':')

/** Of a backend's DHE, which Node measures at the end of the handshake. */
export const leastDhBits = 2048

/** OpenSSL refuses a level in a list without a cipher of TLS 1.2 ("no cipher match"). Where 1.3 is the least, none is taken from it. */
const anyCipher = 'ECDHE-RSA-AES128-GCM-SHA256'

const isOnlyFor13 = (ciphers: string): boolean => ciphers.split(':').every(each => each.startsWith('TLS_'))

/** @param ciphers all of at least 112 bits */
export const withoutLevel = (ciphers: string): tls.SecureContextOptions => ({
  ciphers: `${ciphers}${isOnlyFor13(ciphers) ? `:${anyCipher}` : ''}:@SECLEVEL=0`,
  sigalgs: signatures,
})
