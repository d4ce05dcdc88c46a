/**
 * What to do about a managed certificate, and when: pure, so that every bad day can be tried without a clock. The
 * issuer's renewal window leads (RFC 9773); without one a certificate is renewed when a third of its life is left.
 */
import { createHash } from 'node:crypto'
import type { IssueError } from '../../model/issuer.ts'
import type { FailureRecord, RenewalRecord } from './records.ts'

export type Standing = {
  /** The certificate in force, or null */
  readonly certificate: {
    readonly notBefore: number
    readonly notAfter: number
    readonly obtainedAt: number
    /** Spreads renewals: different for every certificate, the same in every process */
    readonly fingerprint256: string
    /** It is of an issuer that is no longer the configured one, and there was none of the configured one since */
    readonly elsewhere: boolean
  } | null
  readonly failures: FailureRecord | null
  /** What the issuer said about this very certificate */
  readonly renewal: RenewalRecord | null
  /** The issuer may be asked for a window from then on */
  readonly askAt: number
}

export type Step =
  | { readonly kind: 'order'; readonly why: string }
  /** The issuer is asked when it wants renewal */
  | { readonly kind: 'ask' }
  | { readonly kind: 'wait'; readonly until: number; readonly why: string }

/** The clocks of a fleet differ by less. */
const skewMs = 5 * 60_000

/** @param renewBeforeMs how long before its end a certificate is renewed; null for a third of its life */
export function plan(standing: Standing, now: number, renewBeforeMs: number | null): Step {
  const { certificate, failures, renewal, askAt } = standing
  // One that is still to come was noted by a clock that was wrong, and says nothing about when.
  if (failures !== null && now < failures.nextAt && failures.at <= now + skewMs) {
    return { kind: 'wait', until: failures.nextAt, why: `after ${failures.count} failed in a row` }
  }
  if (certificate === null) return { kind: 'order', why: 'there is none yet' }
  if (certificate.elsewhere) return { kind: 'order', why: 'the current one is from another issuer' }
  // Where it was obtained by this clock since, it is this clock that is behind, and another order would not help.
  if (certificate.notBefore > now + skewMs && certificate.obtainedAt > now + skewMs)
    return { kind: 'order', why: 'it is not valid yet: it was made while the clock ran ahead' }
  const due = dueAt(certificate, renewal, renewBeforeMs)
  // The issuer comes first: it may have pulled the renewal forward, as it does before it revokes many at once.
  if (now < due.at) {
    return now >= askAt ? { kind: 'ask' } : { kind: 'wait', until: Math.min(due.at, askAt), why: due.why }
  }
  // A clock that runs ahead, or an issuer that gives less than was thought, must not become an order after every order.
  const soonest = certificate.obtainedAt + lifetimeOf(certificate) / 6
  if (now < soonest && now >= certificate.obtainedAt) {
    return { kind: 'wait', until: soonest, why: 'it is new, and yet due: is the clock of this machine right?' }
  }
  return { kind: 'order', why: due.why }
}

type Certificate = NonNullable<Standing['certificate']>

const lifetimeOf = ({ notBefore, notAfter }: Certificate): number => Math.max(1, notAfter - notBefore)

function dueAt(
  certificate: Certificate,
  renewal: RenewalRecord | null,
  renewBeforeMs: number | null,
): { readonly at: number; readonly why: string } {
  const lifetime = lifetimeOf(certificate)
  const { notAfter } = certificate
  const before = renewBeforeMs === null ? lifetime / 3 : Math.min(renewBeforeMs, (lifetime * 5) / 6)
  const share = createHash('sha256').update(certificate.fingerprint256).digest().readUInt32BE(0) / 2 ** 32
  const why = renewBeforeMs === null ? 'a third of its life is left' : 'acme.renewBefore is reached'
  const own = { at: notAfter - before - share * (lifetime / 60), why }
  if (renewal === null) return own
  // Whatever the issuer says, not later than with a tenth of the life left.
  const latest = notAfter - lifetime / 10
  const page = renewal.explanation === null ? '' : ` (${renewal.explanation})`
  const asked =
    renewal.renewAt <= latest
      ? { at: renewal.renewAt, why: `the issuer asks for renewal${page}` }
      : { at: latest, why: 'a tenth of its life is left' }
  // Who writes renewBefore wants it no later than that; the issuer may want it sooner.
  return renewBeforeMs !== null && own.at < asked.at ? own : asked
}

/** A moment in the window, evenly drawn (RFC 9773 section 4.2). */
export const drawRenewal = (start: number, end: number, random: number): number => start + random * (end - start)

/** Let's Encrypt counts certificates by the week; no issuer may keep us away longer. */
const longestMs = 8 * 86_400_000

/** So often an issuer is taken at its word that it may be asked sooner than usual. */
const trustedShort = 2

const minutes = [1, 2, 5, 10, 20, 30, 60, 120, 240, 360]

/**
 * When to try again after a failure: ever later up to six hours, a quarter more or less by chance, and not before the
 * issuer wishes. A short-lived certificate is tried more often, so that it never ends for want of patience.
 *
 * @param count failures in a row, this one included
 * @param lifetimeMs of the certificate in force, or null
 * @param random 0 to 1
 */
export function retryAt(
  error: Pick<IssueError, 'kind' | 'retryAt'>,
  count: number,
  now: number,
  lifetimeMs: number | null,
  random: number,
): number {
  const usual = (minutes[Math.min(count, minutes.length) - 1] as number) * 60_000
  // At least eight tries in the last third.
  const capped = lifetimeMs === null ? usual : Math.min(usual, Math.max(10_000, lifetimeMs / 24))
  const own = now + capped * (0.75 + random / 2)
  if (error.retryAt === null) return own
  const asked = Math.min(Math.max(error.retryAt + random * 5_000, now + 1_000), now + longestMs)
  // One that says "in a second" and goes on failing would be asked every second.
  return count > trustedShort ? Math.max(own, asked) : asked
}
