/**
 * How near a certificate is to its end, and when that is worth a word. Pure: times in, steps out.
 *
 * A certificate of 90 days is renewed with 30 left, one of six days with two: a warning at 30 days would never end for the
 * second. So a threshold in days counts only where it is at most a third of the certificate's life, and for one that lives
 * less than 30 days there is one threshold, a sixth of its life. The last step, for all, is the end itself.
 */
import type { LeafSummary } from './leaf.ts'

export const dayMs = 86_400_000
/** The days before the end at which people are told, where nothing else is configured */
export const defaultDays: readonly number[] = [30, 14, 7, 3, 1]
/** Certificates are cut a second or a day short of what they are called. */
const slackMs = dayMs

type Validity = Pick<LeafSummary, 'notBefore' | 'notAfter'>

/** Times before the end at which somebody is told, the longest first; the last is 0, the end. */
export function thresholds({ notBefore, notAfter }: Validity, days: readonly number[] = defaultDays): number[] {
  const lifeMs = notAfter - notBefore
  if (lifeMs < 30 * dayMs) return [Math.max(0, lifeMs / 6), 0]
  const counted = days.filter(each => each > 0 && each * dayMs <= (lifeMs + slackMs) / 3).sort((a, b) => b - a)
  return [...counted.map(each => each * dayMs), 0]
}

/** The last threshold that has passed, as milliseconds before the end; null: none has. */
export function passed(validity: Validity, now: number, days: readonly number[] = defaultDays): number | null {
  const leftMs = validity.notAfter - now
  // Valid up to and including the last moment.
  if (leftMs < 0) return 0
  return thresholds(validity, days).findLast(each => each > 0 && leftMs <= each) ?? null
}

/** `12 days`, `5 hours`, `40 minutes`: rounded down. */
export function durationText(ms: number): string {
  const amount = Math.abs(ms)
  const [count, unit] =
    amount >= 2 * dayMs
      ? [Math.floor(amount / dayMs), 'days']
      : amount >= 7_200_000
        ? [Math.floor(amount / 3_600_000), 'hours']
        : [Math.floor(amount / 60_000), 'minutes']
  return `${count} ${unit}`
}

/** `2026-03-31 12:00:00 UTC` */
export function dateText(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace('.000Z', ' UTC')
}
