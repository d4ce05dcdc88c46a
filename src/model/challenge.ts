/** Proofs that we hold a name: ACME challenges (RFC 8555 section 8, RFC 8737). */
import type { ServerTls } from './tls-terms.ts'

export const challengeKinds = ['http-01', 'tls-alpn-01', 'dns-01'] as const
export type ChallengeKind = (typeof challengeKinds)[number]

/** RFC 8737 section 6.2 */
export const acmeProtocol = 'acme-tls/1'

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

/** What the data plane asks when a CA comes to look. Null: no such challenge is open. Never rejects. */
export interface ChallengeAnswers {
  /** Whether any could be open: a look-up costs nothing where there is none */
  readonly any: boolean
  /** RFC 8555 section 8.3. @returns the key authorization */
  http01(token: string): Promise<string | null>
  /** RFC 8737. @param serverName as the CA sends it; for an IP address its reverse name (RFC 8738 section 6) */
  tlsAlpn01(serverName: string): Promise<ServerTls | null>
}

export const noChallenges: ChallengeAnswers = {
  any: false,
  http01: () => Promise.resolve(null),
  tlsAlpn01: () => Promise.resolve(null),
}
