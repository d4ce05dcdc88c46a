/** Challenges of an authorization (RFC 8555 section 8), and which of them is taken. */
import type { Challenge, ChallengeKind, Solver } from '../model/challenge.ts'
import { IssueError } from '../model/issuer.ts'
import { isSafeUrl } from './http.ts'
import { keyAuthorization, type SigningKey } from './jws.ts'
import { excerpt, type Problem, parseProblem } from './problem.ts'

export type OfferedChallenge = {
  readonly kind: string
  readonly url: string
  readonly status: string
  readonly token: string
  readonly error: Problem | null
}

const maxChallenges = 20
/** Names whose failed kinds are remembered */
const maxRemembered = 10_000

/** What makes no sense is left out: an authorization may offer kinds that nobody here has heard of. */
export function parseChallenges(list: unknown): OfferedChallenge[] {
  if (!Array.isArray(list)) return []
  return list.slice(0, maxChallenges).flatMap((one): OfferedChallenge[] => {
    const { type, url, status, token, error } = (one ?? {}) as Record<string, unknown>
    if (typeof type !== 'string' || typeof url !== 'string' || url.length > 2000 || !isSafeUrl(url)) return []
    // Section 8.3: base64url; it becomes part of a path and of a key in storage.
    if (typeof token !== 'string' || !/^[A-Za-z0-9_-]{1,200}$/.test(token)) return []
    return [{ kind: excerpt(type, 40), url, status: excerpt(status, 40), token, error: parseProblem(error, 0) }]
  })
}

/**
 * Chooses by the configured order. A kind that has failed for a name comes last from then on: an authorization cannot
 * go back once a challenge has failed, so that the next kind has its turn with the next order.
 */
export class Choice {
  readonly #solvers: readonly Solver[]
  readonly #failed = new Map<string, Set<ChallengeKind>>()

  constructor(solvers: readonly Solver[]) {
    this.#solvers = solvers
  }

  choose(
    name: string,
    wildcard: boolean,
    offered: readonly OfferedChallenge[],
  ): { readonly solver: Solver; readonly challenge: OfferedChallenge } {
    const fitting = this.#solvers.filter(solver => solver.fits(name, wildcard))
    const failed = this.#failed.get(name)
    const ordered = [
      ...fitting.filter(one => !failed?.has(one.kind)),
      ...fitting.filter(one => failed?.has(one.kind)),
    ]
    for (const solver of ordered) {
      const challenge = offered.find(one => one.kind === solver.kind)
      if (challenge) return { solver, challenge }
    }
    const shown = `${wildcard ? '*.' : ''}${name}`
    const ours = fitting.map(one => one.kind).join(', ') || 'none that fits'
    const theirs = offered.map(one => one.kind).join(', ') || 'none'
    const hint = wildcard && !fitting.some(one => one.kind === 'dns-01') ? '; a wildcard needs dns-01' : ''
    throw new IssueError(
      'rejected',
      `no challenge for ${shown}: configured ${ours}, offered by the CA ${theirs}${hint}`,
    )
  }

  /** @returns the kind that has its turn next, or null where there is only the one */
  failed(name: string, wildcard: boolean, kind: ChallengeKind): ChallengeKind | null {
    const kinds = this.#solvers.filter(solver => solver.fits(name, wildcard)).map(solver => solver.kind)
    const failed = this.#failed.get(name) ?? new Set()
    failed.add(kind)
    // All have had their turn: from the start again.
    if (kinds.every(one => failed.has(one))) failed.clear()
    this.#failed.delete(name)
    if (this.#failed.size === maxRemembered) this.#failed.delete(this.#failed.keys().next().value as string)
    if (failed.size > 0) this.#failed.set(name, failed)
    const next = kinds.find(one => !failed.has(one)) ?? null
    return next === kind ? null : next
  }

  succeeded(name: string): void {
    this.#failed.delete(name)
  }
}

export async function challengeFor(
  kind: ChallengeKind,
  name: string,
  offered: OfferedChallenge,
  key: SigningKey,
): Promise<Challenge> {
  const { token } = offered
  return { kind, name, token, keyAuthorization: await keyAuthorization(token, key) }
}
