/** Proofs that we hold a name: ACME challenges (RFC 8555 section 8, RFC 8737). */

export type ChallengeKind = 'http-01' | 'tls-alpn-01' | 'dns-01'

export type Challenge = {
  readonly kind: ChallengeKind
  /** The identifier without a leading `*.`: a DNS name in lower case, or an IP address */
  readonly name: string
  readonly token: string
  /** RFC 8555 section 8.1 */
  readonly keyAuthorization: string
}

export interface Solver {
  readonly kind: ChallengeKind
  /** Whether it can answer for this name: a wildcard needs dns-01, an IP address cannot have it */
  fits(name: string, wildcard: boolean): boolean
  /** Resolves when a CA that looks now finds the answer. */
  present(challenge: Challenge, signal: AbortSignal): Promise<void>
  /** Takes the answer away again. Must not throw: what cannot be removed is logged. */
  remove(challenge: Challenge): Promise<void>
}
