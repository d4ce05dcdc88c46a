/**
 * TLS terms as data: what one set of connections agrees on. Both runtimes build their own native context from these,
 * lazily, and keep it in `native`; it goes when the terms go (a reload, or the bound on per-name certificates).
 */

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'

/** Terms for the server side of a handshake. One object per certificate and policy: sessions resume only within it. */
export type ServerTls = {
  /** Chain, leaf first, PEM */
  readonly chainPem: string
  readonly keyPem: string
  readonly minVersion: TlsVersion
  readonly maxVersion: TlsVersion
  /** OpenSSL cipher list for TLS 1.2 */
  readonly ciphers: string
  /** Key exchange groups, most wanted first, as OpenSSL names joined by ':' */
  readonly groups: string
  /** Protocols we speak on this site, most wanted first */
  readonly alpn: readonly string[]
  /** The server's order of ciphers counts, not the client's */
  readonly serverOrder: boolean
  /** Client certificates: the CAs that may have issued them, PEM, and whether a handshake without one fails */
  readonly clients: { readonly caPem: string; readonly require: boolean } | null
  /** OCSP responses for those clients who ask; null where there are none */
  readonly staple: Staple | null
  /** What a resumed session must have been made under */
  readonly sessionContext: string
  /** The runtime's own context, once it was needed; owned by the transport */
  native: unknown
}

/** The proof that a certificate is not revoked, as its CA has signed it (RFC 6960). */
export interface Staple {
  /** Null where there is none that is in force now */
  current(): Buffer | null
}

/** Terms for the client side, toward a backend. */
export type ClientTls = {
  /** Trusted CAs, PEM, or null for those of the runtime */
  readonly caPem: string | null
  /** Our own certificate, when the backend asks for one */
  readonly chainPem: string | null
  readonly keyPem: string | null
  /** Sent as SNI (unless it is an IP address) and, where `checkName` says so, verified against the certificate */
  readonly serverName: string
  readonly checkName: boolean
  /** What the certificate must be besides valid; null where it may be anything */
  readonly judge: PeerJudge | null
  readonly verify: boolean
  readonly alpn: readonly string[]
  /** The session to resume; replaced by the transport with each new ticket */
  session: Buffer | null
  /** The runtime's own context, once it was needed; owned by the transport */
  native: unknown
}

/** Judges a backend by its certificates, once the TLS library has verified them. */
export interface PeerJudge {
  /**
   * What is wrong with them, as a sentence, or null.
   * @param chain DER, the leaf first. @param resumed the session is one that was judged before
   */
  problem(chain: readonly Buffer[], resumed: boolean): string | null
}

/** Bytes of an ALPN protocol list as in RFC 7301 section 3.1, without the outer length. */
export function alpnWire(protocols: readonly string[]): Buffer {
  return Buffer.concat(protocols.map(name => Buffer.from(String.fromCharCode(name.length) + name, 'latin1')))
}
