/**
 * http-01 (RFC 8555 section 8.3) and tls-alpn-01 (RFC 8737): the answer is put where every listener of every node finds
 * it. What a listener says: for http-01 the key authorization at the token's path; for tls-alpn-01 a certificate for the
 * name with the digest of it.
 */
import { isIP } from 'node:net'
import { messageOf } from '../base/errors.ts'
import type { Solver } from '../model/challenge.ts'

type AnswerKind = 'http-01' | 'tls-alpn-01'

export interface Answers {
  /** Resolves when every node would answer with it. `token` is base64url of up to 200 characters, with upper case. */
  put(kind: AnswerKind, name: string, token: string, keyAuthorization: string, signal: AbortSignal): Promise<void>
  remove(kind: AnswerKind, name: string, token: string): Promise<void>
}

/** @param warn told what could not be taken away */
export function answerSolver(kind: AnswerKind, answers: Answers, warn: (message: string) => void): Solver {
  return {
    kind,
    // Addresses can be proved by both (RFC 8738), wildcards by neither.
    fits: (name, wildcard) => !wildcard && (isIP(name) !== 0 || !name.startsWith('*.')),
    present: ({ name, token, keyAuthorization }, signal) =>
      answers.put(kind, name, token, keyAuthorization, signal),
    async remove({ name, token }) {
      try {
        await answers.remove(kind, name, token)
      } catch (error) {
        warn(`the ${kind} answer for ${name} could not be removed: ${messageOf(error)}`)
      }
    },
  }
}
