/** Who issues certificates: an ACME CA, HashiCorp Vault, the internal CA. The keys stay with the one who asks. */

export type IssueOrder = {
  /** DNS names in lower case and punycode, a leading `*.` allowed, and IP addresses */
  readonly names: readonly string[]
  /** PKCS #10 (RFC 2986), DER, for these names, signed with the key of the certificate to be */
  readonly csrDer: Uint8Array
  /** Of the certificate that this one replaces: its id for ACME renewal information (RFC 9773 section 4.1), or null */
  readonly replaces: string | null
  /** What `progress` was last told for the same key and names: that order is taken up again, where it still lives */
  readonly pending: string | null
  /**
   * Told what must be known to take the order up again after a crash. Kept before the issuer goes on, so that a process
   * killed at any moment orders nothing twice.
   */
  readonly progress: (pending: string) => Promise<void>
  /** Told who has issued, by name, where that is one of several behind this issuer */
  readonly issuedBy?: (name: string) => void
}

/** When a certificate should be renewed, as its issuer wishes (RFC 9773 section 4.2). Milliseconds since 1970. */
export type RenewalWindow = {
  readonly start: number
  readonly end: number
  /** Not to be asked again before */
  readonly askAgainAt: number
  /** A page that says why, where there is one */
  readonly explanation: string | null
}

export interface Issuer {
  /** For logs, and kept beside the certificate: the directory's URL, or `vault NAME` */
  readonly name: string
  /** @returns the chain in PEM, the leaf first. Throws IssueError; nothing else. */
  issue(order: IssueOrder, signal: AbortSignal): Promise<string>
  /** @param certificateId as in RFC 9773 section 4.1. @returns null where the issuer does not say */
  renewal(certificateId: string, signal: AbortSignal): Promise<RenewalWindow | null>
  /** @param certificateDer the leaf. @param reason as in RFC 5280 section 5.3.1 */
  revoke(certificateDer: Uint8Array, reason: number, signal: AbortSignal): Promise<void>
}

export type IssueFailure =
  /** The network, a 5xx, an answer that makes no sense: worth another try */
  | 'unavailable'
  /** 429 or a rate-limit problem: not before `retryAt` */
  | 'rate-limited'
  /** A challenge did not validate: DNS or the network must be mended, more tries cost rate limit */
  | 'challenge'
  /** The issuer will not: names, account, policy */
  | 'rejected'
  /** What was issued is not what was asked for */
  | 'wrong-certificate'
  | 'cancelled'

export class IssueError extends Error {
  readonly kind: IssueFailure
  /** The issuer's own wish (Retry-After), milliseconds since 1970, or null */
  readonly retryAt: number | null

  constructor(kind: IssueFailure, message: string, options: { retryAt?: number | null; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'IssueError'
    this.kind = kind
    this.retryAt = options.retryAt ?? null
  }
}
