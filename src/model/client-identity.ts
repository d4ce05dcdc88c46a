/** Who a client has proved to be with its certificate, and the terms under which one is asked for (mutual TLS). */

export type ClientIdentity = {
  /** DER, the leaf first: as the client sent it or, where the chain is forwarded, each signed by the next, without the root */
  readonly chain: readonly Buffer[]
  /** RFC 4514: `CN=alice,O=Example` */
  readonly subject: string
  /** Empty where the subject has none */
  readonly commonName: string
  /** DNS names in lower case, IP addresses, URIs and e-mail addresses of subjectAltName */
  readonly dnsNames: readonly string[]
  readonly uris: readonly string[]
  readonly emails: readonly string[]
  /** SHA-256 of the leaf, lower-case hex */
  readonly fingerprint: string
  /** SHA-256 of the certificate that issued the leaf, lower-case hex; empty where it is not known */
  readonly issuerFingerprint: string
  readonly path: ClientPath
  /** Why it, or a CA above it, proves nothing any more: as in `it has an RSA key of 1024 bits`; null for a strong one */
  readonly weakness: string | null
  /** Milliseconds since 1970 */
  readonly notBefore: number
  readonly notAfter: number
}

/** The certificates between a client and the roots that are trusted, as revocation lists know them. */
export type ClientPath = {
  /** The leaf first. Where CAs have signed each other there may be several ways up: those of all. Roots are left out. */
  readonly steps: readonly ClientPathStep[]
  /** It leads up to a root; a resumed session may lack what the client sent */
  readonly complete: boolean
}

export type ClientPathStep = {
  /** DER of the issuer's Name, and the serial number as hex: what a CRL lists */
  readonly issuerDer: Buffer
  readonly serial: string
  readonly isCa: boolean
  /** Names of the distribution points of its revocation lists, the DER as hex */
  readonly points: readonly string[]
  /** Digests of the keys of which one has signed it */
  readonly issuerKeys: readonly string[]
}

/** All that is not null must hold. A value may end with `*`, which stands for anything. */
export type ClientMatch = {
  /** Any name of subjectAltName */
  readonly san: string | null
  /** The whole subject, in the form of RFC 4514 */
  readonly dn: string | null
  /** A URI of subjectAltName that begins with `spiffe://` */
  readonly spiffe: string | null
  /** SHA-256 of the issuer's certificate, lower-case hex */
  readonly issuer: string | null
}

export const forwardedForms = ['client-cert', 'xfcc', 'x-client-cert', 'x-client-dn'] as const
type ForwardedForm = (typeof forwardedForms)[number]

export type ClientTerms = {
  /** `optional`: one that is shown must verify, and routes may require it */
  readonly mode: 'optional' | 'require'
  /** The CAs that may have issued it, PEM */
  readonly caPem: string
  /**
   * Reads who it is; throws where the bytes are no certificate.
   * @param resumed the session is an earlier one's, and may come without what the client sent beside its certificate
   */
  read(chain: readonly Buffer[], resumed: boolean): ClientIdentity
  /** Why whoever signed a certificate that does not verify may not have, as a part of a sentence; null where that is well */
  issuerFault(chain: readonly Buffer[]): string | null
  readonly forward: readonly ForwardedForm[]
  /** What makes two sets of terms the same, for sessions and connections */
  readonly key: string
  /** Why this certificate is not accepted now, though its chain verifies: expired, revoked, not on the list; or null */
  refusal(identity: ClientIdentity, now: number): string | null
}

export function clientMatches(match: ClientMatch, identity: ClientIdentity | null): boolean {
  if (identity === null) return false
  const { san, dn, spiffe, issuer } = match
  const names = () => [...identity.dnsNames, ...identity.uris, ...identity.emails]
  return (
    (san === null || names().some(name => fits(san, name))) &&
    (dn === null || fits(dn, identity.subject)) &&
    (spiffe === null || identity.uris.some(uri => uri.startsWith('spiffe://') && fits(spiffe, uri))) &&
    (issuer === null || identity.issuerFingerprint === issuer)
  )
}

const fits = (pattern: string, text: string): boolean =>
  pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern
