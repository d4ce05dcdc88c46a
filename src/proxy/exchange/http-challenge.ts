/**
 * http-01 challenges (RFC 8555 section 8.3) on cleartext listeners: a CA asks by the path, and gets the answer if one is
 * open. Anything else goes its usual way, so that a backend may answer challenges of its own.
 */
import type { ChallengeAnswers } from '../../model/challenge.ts'
import type { Reply } from '../../model/filter.ts'
import type { RequestHead } from '../../wire/heads.ts'

const prefix = '/.well-known/acme-challenge/'
/** RFC 8555 section 8.1: base64url, and at least 128 bits */
const token = /^[A-Za-z0-9_-]{16,256}$/

/** @returns null at once where it is no challenge; a promise of null where none is open */
export function httpChallenge(
  challenges: ChallengeAnswers,
  secure: boolean,
  { method, target }: Pick<RequestHead, 'method' | 'target'>,
): Promise<Reply | null> | null {
  if (secure || !target.startsWith(prefix)) return null
  if (!challenges.any || (method !== 'GET' && method !== 'HEAD')) return null
  const asked = target.slice(prefix.length)
  if (!token.test(asked)) return null
  return challenges.http01(asked).then(body => (body === null ? null : { status: 200, headers, body }))
}

const headers = { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' }
