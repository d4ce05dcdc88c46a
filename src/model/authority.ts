/** A certificate authority of our own, as those see it who ask it for certificates: the command line and the ACME server. */
import type { KeyObject } from 'node:crypto'

/** What a certificate is for: a server shows it to clients, a client to servers. */
export type CertificateUse = 'server' | 'client'

export type CsrFields = {
  readonly publicKey: KeyObject
  /** DNS names in lower case (a leading `*.` allowed) and IP addresses in their one spelling; the common name is among them */
  readonly names: readonly string[]
  readonly uris: readonly string[]
}

export class CsrError extends Error {
  /** `key`: the key is too weak, or of a kind that is not certified; `bad`: anything else */
  readonly kind: 'key' | 'bad'

  constructor(kind: CsrError['kind'], message: string) {
    super(message)
    this.name = 'CsrError'
    this.kind = kind
  }
}

/** The authority will not: names that it may not give, a lifetime beyond its own. The message is for whoever asked. */
export class AuthorityError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'AuthorityError'
  }
}

export type CertificateTerms = {
  readonly publicKey: KeyObject
  /** DNS names and IP addresses; may be empty where there are URIs */
  readonly names: readonly string[]
  readonly uris: readonly string[]
  readonly use: readonly CertificateUse[]
  readonly lifetimeMs: number
  /** Who asked, for the records: `command line`, `acme ACCOUNT` */
  readonly requester: string
}

export type IssuedCertificate = {
  /** Hex, lower case, without leading zeros */
  readonly serial: string
  /** PEM, the leaf first, then what leads to a root; the root itself is left out */
  readonly chainPem: string
  readonly certificateDer: Buffer
  /** Milliseconds since 1970 */
  readonly notBefore: number
  readonly notAfter: number
}

export type CertificateRecord = {
  readonly serial: string
  readonly names: readonly string[]
  readonly uris: readonly string[]
  readonly use: readonly CertificateUse[]
  /** Milliseconds since 1970 */
  readonly notBefore: number
  readonly notAfter: number
  readonly requester: string
  /** Null: in force */
  readonly revoked: { readonly at: number; readonly reason: number } | null
}

export interface Authority {
  /** One line, for logs: the subject of the certificate that signs */
  readonly name: string
  /** Why it may not give this DNS name, wildcard, IP address or URI; null where it may */
  refusal(name: string): string | null
  /** Throws CsrError. */
  readCsr(csrDer: Uint8Array): CsrFields
  /** Recorded before it is handed out. Throws AuthorityError; RangeError for what is no name at all. */
  issue(terms: CertificateTerms): Promise<IssuedCertificate>
  /** Null for a certificate of somebody else's, or one that ended long ago */
  find(certificateDer: Uint8Array): Promise<CertificateRecord | null>
  /** The same by the issuer's key identifier and a serial number in hex, as in RFC 9773 section 4.1 */
  findById(authorityKeyId: Uint8Array, serial: string): Promise<CertificateRecord | null>
  /** @param reason as in RFC 5280 section 5.3.1. @returns false where it was revoked before: the first reason stands */
  revoke(serial: string, reason: number): Promise<boolean>
}
