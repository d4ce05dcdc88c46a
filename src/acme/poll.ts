/** Asking again until something has happened, at the pace that the CA asks for (RFC 8555 section 7.5.1). */
import { setTimeout as delay } from 'node:timers/promises'
import { IssueError } from '../model/issuer.ts'
import { retryAfterMs } from '../wire/retry-after.ts'
import type { Posted } from './post.ts'

export type Pace = {
  /** Before the first repeat; doubled from then on */
  readonly firstMs: number
  /** The longest wait between two, whatever the CA wishes */
  readonly mostMs: number
}

export const defaultPace: Pace = { firstMs: 250, mostMs: 30_000 }
/** Failures in a row that are sat out; what goes on for longer is for the next try of the whole. */
const maxFailures = 3

/**
 * Reads until `done`. A 429 or 5xx is sat out a few times where it asks for no longer a wait than the pace allows.
 * @param first an answer that is there already, or null
 */
export async function poll<T>(
  first: { readonly value: T; readonly answer: Posted } | null,
  ask: () => Promise<{ readonly value: T; readonly answer: Posted }>,
  done: (value: T) => boolean,
  pace: Pace,
  signal: AbortSignal,
): Promise<T> {
  let waitMs = pace.firstMs
  let failures = 0
  let got = first
  for (;;) {
    let wished: number | null = null
    try {
      got ??= await ask()
      if (done(got.value)) return got.value
      failures = 0
      wished = retryAfterMs(got.answer.headers, Date.now())
    } catch (error) {
      if (!(error instanceof IssueError) || (error.kind !== 'unavailable' && error.kind !== 'rate-limited'))
        throw error
      wished = error.retryAt === null ? null : error.retryAt - Date.now()
      if (++failures === maxFailures || signal.aborted || (wished !== null && wished > pace.mostMs)) throw error
    }
    got = null
    const ms = Math.min(Math.max(wished ?? waitMs, pace.firstMs), pace.mostMs)
    waitMs = Math.min(waitMs * 2, pace.mostMs, 5_000)
    await delay(ms, undefined, { signal }).catch(() => {
      throw new IssueError('cancelled', 'cancelled while waiting for the CA')
    })
  }
}
