/** Retry-After (RFC 9110 section 10.2.3): seconds, or a date. */
import type { IncomingHttpHeaders } from 'node:http'

/** Nobody may silence us for longer than this: what they say is a wish, and a wrong one must not outlive a certificate. */
const maxRetryAfterMs = 86_400_000

/** Milliseconds from now, from 0 to a day; null where the answer has none, or one that makes no sense. */
export function retryAfterMs(headers: IncomingHttpHeaders, now: number): number | null {
  const text = headers['retry-after']?.trim() ?? ''
  if (/^[0-9]{1,9}$/.test(text)) return Math.min(Number(text) * 1000, maxRetryAfterMs)
  const at = /^[A-Z][a-z]{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) return null
  // A date is by their clock, and so is the Date of the same answer: their difference holds when our clock is wrong.
  const theirs = Date.parse(headers.date ?? '')
  const wait = at - (Number.isNaN(theirs) ? now : theirs)
  return Math.min(Math.max(wait, 0), maxRetryAfterMs)
}
