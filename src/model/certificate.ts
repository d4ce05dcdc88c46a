/** A certificate chain with its private key, and what the gateway needs to know about it without parsing it again. */

export type KeyType = 'ecdsa' | 'rsa' | 'ed25519'

export type Bundle = {
  /** PEM, the leaf first, each certificate issued by the next */
  readonly chainPem: string
  /** PEM, not encrypted */
  readonly keyPem: string
  readonly keyType: KeyType
  /** The leaf's subject alternative names: DNS names in lower case, and IP addresses; the subject's CN does not count */
  readonly names: readonly string[]
  /** Milliseconds since 1970 */
  readonly notBefore: number
  /** Milliseconds since 1970: the leaf is valid up to and including this moment */
  readonly notAfter: number
  /** SHA-256 of the leaf's DER, as upper-case hex pairs with colons: the form that openssl and browsers show */
  readonly fingerprint256: string
  /** One line, such as `CN=shop.example.com, O=Example` */
  readonly subject: string
  readonly issuer: string
  /** Where it comes from, for logs: a file, `local CA`, ... */
  readonly source: string
  /** Clients shall refuse it without an OCSP response in the handshake (RFC 7633) */
  readonly mustStaple?: boolean
}
