/**
 * Several CAs as one issuer: the first that can issues. And the trial run: after a failed challenge the next try for the
 * same names goes to the staging directory, and to the real one only when it has succeeded there; failed validations
 * count against rate limits, and those of staging are wide.
 *
 * What must outlive the process goes through `progress`: which CA has an order under way, and that a trial comes first.
 */
import { messageOf } from '../base/errors.ts'
import { IssueError, type IssueFailure, type IssueOrder, type Issuer, type RenewalWindow } from '../model/issuer.ts'

type IssuerEntry = {
  readonly issuer: Issuer
  /** For trials, or null */
  readonly staging: Issuer | null
}

type Issued = { readonly chainPem: string; readonly issuer: Issuer }

export type Issuers = Issuer & {
  /** As `issue`, and says who has issued: to be kept beside the certificate */
  issueBy(order: IssueOrder, signal: AbortSignal): Promise<Issued>
  /** The one with this name, or null: for the renewal and revocation of what it has issued */
  by(name: string): Issuer | null
}

/** Told what comes next, for the log. */
type IssuersLog = (message: string) => void

/**
 * Failures that another CA may not have. A challenge fails everywhere, and costs the limits there as well; what was
 * cancelled is over.
 */
const othersMay: readonly IssueFailure[] = ['unavailable', 'rate-limited', 'rejected', 'wrong-certificate']
/** Sets of names remembered */
const maxRemembered = 10_000
/** How long a CA that is down is passed over, where it does not say itself */
const downMs = 60_000

type Kept = {
  /** Of the order under way */
  readonly issuer: string
  readonly pending: string | null
  /** A challenge has failed: a trial comes first */
  readonly trial: boolean
}

export function withFallback(entries: readonly IssuerEntry[], log: IssuersLog, now = Date.now): Issuers {
  const trials = new Remembered<true>()
  /** Until when a CA is passed over, for a set of names */
  const away = new Remembered<{ readonly error: IssueError; readonly until: number }>()

  async function attempt(
    entry: IssuerEntry,
    order: IssueOrder,
    kept: Kept | null,
    signal: AbortSignal,
  ): Promise<string> {
    const { issuer, staging } = entry
    const names = namesKey(order)
    const pending = kept?.issuer === issuer.name ? kept.pending : null
    if (staging !== null && (trials.get(names) || kept?.trial)) {
      log(`a challenge has failed before: trying ${order.names[0]} at ${staging.name} first`)
      const trial = { ...order, pending: null, replaces: null, progress: async () => {}, issuedBy: undefined }
      try {
        await staging.issue(trial, signal)
      } catch (error) {
        // Only what the trial is about stops the real thing: staging may be down, or lack a profile.
        if (isFailure(error, ['challenge', 'cancelled'])) throw error
        log(`no trial for ${order.names[0]}: ${messageOf(error)}; trying ${issuer.name} without one`)
      }
      trials.delete(names)
    }
    const keep = (text: string | null, trial: boolean) =>
      order.progress(JSON.stringify({ issuer: issuer.name, pending: text, trial } satisfies Kept))
    let latest = pending
    try {
      const progress = (text: string) => {
        latest = text
        return keep(text, false)
      }
      return await issuer.issue({ ...order, pending, progress }, signal)
    } catch (error) {
      if (staging !== null && isFailure(error, ['challenge'])) {
        trials.set(names, true)
        // Best effort: the failure itself is what counts.
        await keep(latest, true).catch(() => {})
      }
      throw error
    }
  }

  async function issueBy(order: IssueOrder, signal: AbortSignal): Promise<Issued> {
    const kept = parseKept(order.pending)
    const failures: IssueError[] = []
    // An order that is under way somewhere is finished there first.
    const under = entries.filter(one => kept?.pending != null && one.issuer.name === kept.issuer)
    for (const entry of [...under, ...entries.filter(one => !under.includes(one))]) {
      const { issuer } = entry
      const key = `${issuer.name} ${namesKey(order)}`
      const passed = away.get(key)
      if (passed && passed.until > now()) {
        failures.push(passed.error)
        continue
      }
      try {
        const chainPem = await attempt(entry, order, kept, signal)
        away.delete(key)
        order.issuedBy?.(issuer.name)
        return { chainPem, issuer }
      } catch (error) {
        if (!(error instanceof IssueError) || !othersMay.includes(error.kind)) throw error
        failures.push(error)
        if (entries.length > 1 && (error.kind === 'unavailable' || error.kind === 'rate-limited'))
          away.set(key, { error, until: error.retryAt ?? now() + downMs })
        const next = entries[entries.indexOf(entry) + 1]
        if (next) log(`${error.message}; trying ${next.issuer.name}`)
      }
    }
    throw together(failures)
  }

  const by = (name: string) => entries.find(one => one.issuer.name === name)?.issuer ?? null
  return {
    name: entries.map(one => one.issuer.name).join(', '),
    issueBy,
    by,
    issue: async (order, signal) => (await issueBy(order, signal)).chainPem,
    /** Where it is not known who has issued: whoever knows the certificate answers. */
    async renewal(certificateId, signal): Promise<RenewalWindow | null> {
      let failed: unknown = null
      for (const { issuer } of entries) {
        try {
          const window = await issuer.renewal(certificateId, signal)
          if (window !== null) return window
        } catch (error) {
          if (isFailure(error, ['cancelled'])) throw error
          failed ??= error
        }
      }
      if (failed !== null) throw failed
      return null
    },
    async revoke(certificateDer, reason, signal) {
      const failures: IssueError[] = []
      for (const { issuer } of entries) {
        try {
          return await issuer.revoke(certificateDer, reason, signal)
        } catch (error) {
          if (!(error instanceof IssueError) || error.kind === 'cancelled') throw error
          failures.push(error)
        }
      }
      throw together(failures)
    },
  }
}

/** Names in one order, whatever the order: the same certificate to a CA. */
const namesKey = ({ names }: IssueOrder): string => [...names].sort().join()

const isFailure = (error: unknown, kinds: readonly IssueFailure[]): error is IssueError =>
  error instanceof IssueError && kinds.includes(error.kind)

/** One error of several: of the first one's kind, to be tried again when the first of them may be asked. */
function together(failures: readonly IssueError[]): IssueError {
  const [first, ...more] = failures as [IssueError, ...IssueError[]]
  if (more.length === 0) return first
  // Where one CA gives no time, it can be asked at any time.
  const times = failures.map(one => one.retryAt)
  const retryAt = times.includes(null) ? null : Math.min(...(times as number[]))
  const isHopeful = failures.find(one => one.kind === 'unavailable' || one.kind === 'rate-limited')
  const kind = isHopeful?.kind ?? first.kind
  return new IssueError(kind, failures.map(one => one.message).join('; '), { retryAt, cause: first })
}

function parseKept(text: string | null): Kept | null {
  try {
    const { issuer, pending, trial } = JSON.parse(text ?? 'null')
    const isText = typeof issuer === 'string' && (pending === null || typeof pending === 'string')
    return isText && typeof trial === 'boolean' ? { issuer, pending, trial } : null
  } catch {
    return null
  }
}

/** A map that forgets its oldest entries. */
class Remembered<T> {
  readonly #entries = new Map<string, T>()

  get(key: string): T | undefined {
    return this.#entries.get(key)
  }

  set(key: string, value: T): void {
    this.#entries.delete(key)
    if (this.#entries.size === maxRemembered) this.#entries.delete(this.#entries.keys().next().value as string)
    this.#entries.set(key, value)
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }
}
