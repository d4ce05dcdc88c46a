/** When a CA wishes a certificate to be renewed: ACME Renewal Information (RFC 9773). */
import { IssueError, type RenewalWindow } from '../model/issuer.ts'
import { retryAfterMs } from '../wire/retry-after.ts'
import type { Ca } from './directory.ts'
import { shownUrl } from './http.ts'
import { excerpt, jsonOrNull, problemError } from './problem.ts'

/** Section 4.3.2: without Retry-After, six hours. What is asked for is kept within a minute and a day. */
const usualMs = 6 * 3_600_000
const leastMs = 60_000
const mostMs = 86_400_000

/** Null where the CA does not say, or not of this certificate. */
export async function renewalWindow(ca: Ca, id: string, signal: AbortSignal): Promise<RenewalWindow | null> {
  const { renewalInfo } = await ca.directory(signal)
  if (renewalInfo === null) return null
  if (!/^[A-Za-z0-9_-]{1,200}\.[A-Za-z0-9_-]{1,100}$/.test(id))
    throw new IssueError('rejected', 'the id of the certificate is not one of RFC 9773')
  const url = `${renewalInfo.replace(/\/$/, '')}/${id}`
  const answer = await ca.http.request({ method: 'GET', url }, signal)
  if (answer.status === 404) return null
  const what = `GET ${shownUrl(url)}`
  if (answer.status !== 200) throw problemError(what, answer)
  const { suggestedWindow, explanationURL } = (jsonOrNull(answer.body) ?? {}) as Record<string, unknown>
  const { start, end } = (suggestedWindow ?? {}) as Record<string, unknown>
  const [from, to] = [timestamp(start), timestamp(end)]
  // Section 4.2: a window that ends before it begins is treated like no answer.
  if (from === null || to === null || to <= from)
    throw new IssueError('unavailable', `${what}: no window in which to renew`)
  const wait = retryAfterMs(answer.headers, Date.now()) ?? usualMs
  const explanation = excerpt(explanationURL, 1000)
  return {
    start: from,
    end: to,
    askAgainAt: Date.now() + Math.min(Math.max(wait, leastMs), mostMs),
    explanation: /^https?:\/\//.test(explanation) ? explanation : null,
  }
}

/** RFC 3339. */
function timestamp(text: unknown): number | null {
  if (typeof text !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i.test(text))
    return null
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : at
}
