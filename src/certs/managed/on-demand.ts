/**
 * Certificates for names that are first seen in a handshake. A name comes from whoever connects, so nothing is done for
 * one, and nothing kept, before the allow list and the `ask` URL have agreed: no order, no value in storage, and in
 * memory an entry of a bounded list. Names that are known are never held up by those that are not.
 */
import { nowMs } from '../../base/deadlines.ts'
import { messageOf } from '../../base/errors.ts'
import { TokenBucket } from '../../base/token-bucket.ts'
import type { Bundle } from '../../model/certificate.ts'
import { IssueError, type Issuer } from '../../model/issuer.ts'
import type { Renewer } from './renewer.ts'

export type OnDemandTerms = {
  /** Asked with `?domain=NAME` about a name that is not on the list: 200 is yes, anything else no; null: all others are not */
  readonly ask: string | null
  /** Names, and `*.` for one label before the rest */
  readonly allow: readonly string[]
  /** New names that are ordered a minute, in the long run, and at once before that counts */
  readonly perMinute: number
  readonly burst: number
  /** Names that are asked for or ordered at once */
  readonly maxPending: number
}

/** Refused before, and how long that is remembered. */
const refusedMs = 60_000
const mostRefused = 10_000
/** Names in memory; the one that was not asked for longest goes, and comes back from storage. */
const mostNames = 10_000
const askMs = 5_000

export class OnDemand {
  private readonly terms: OnDemandTerms
  private readonly renewer: Renewer
  private readonly known: (name: string) => Promise<boolean>
  private readonly bucket: TokenBucket
  private readonly pending = new Map<string, Promise<readonly Bundle[]>>()
  private readonly refused = new Map<string, { readonly until: number; readonly why: string }>()
  /** Most recently used last */
  private readonly used = new Set<string>()

  /** @param known whether storage has a certificate for the name */
  constructor(terms: OnDemandTerms, renewer: Renewer, known: (name: string) => Promise<boolean>) {
    this.terms = terms
    this.renewer = renewer
    this.known = known
    this.bucket = new TokenBucket(terms.burst, terms.perMinute / 60, nowMs())
  }

  /** At once where the name is known. Throws or rejects with an Error that says why there is none. */
  bundles(name: string): readonly Bundle[] | Promise<readonly Bundle[]> {
    const ready = this.renewer.bundles(name)
    if (ready !== null && ready.length > 0) {
      this.use(name)
      return ready
    }
    const pending = this.pending.get(name)
    if (pending !== undefined) return pending
    const { ask: url, allow, maxPending } = this.terms
    if (url === null && !allowed(allow, name)) throw new Error(`${name} is not on the list of acme.onDemand.allow`)
    const refused = this.refused.get(name)
    if (refused !== undefined) {
      if (nowMs() < refused.until) throw new Error(refused.why)
      this.refused.delete(name)
    }
    if (this.pending.size >= maxPending) {
      throw new Error(`${this.pending.size} names are being ordered at this moment (acme.onDemand.maxPending)`)
    }
    const obtained = this.obtain(name)
      .catch(error => {
        this.refuse(name, messageOf(error))
        throw error
      })
      .finally(() => this.pending.delete(name))
    this.pending.set(name, obtained)
    return obtained
  }

  private async obtain(name: string): Promise<readonly Bundle[]> {
    if (!(await this.known(name))) {
      await permitted(this.terms, name)
      if (!this.bucket.take(nowMs())) throw new Error(`more than ${this.terms.perMinute} new names a minute`)
    }
    try {
      const bundles = await this.renewer.obtain(name)
      this.use(name)
      return bundles
    } catch (error) {
      this.renewer.forget(name)
      throw error
    }
  }

  private use(name: string): void {
    this.used.delete(name)
    this.used.add(name)
    if (this.used.size <= mostNames) return
    const oldest = this.used.values().next().value as string
    this.used.delete(oldest)
    this.renewer.forget(oldest)
  }

  private refuse(name: string, why: string): void {
    this.refused.set(name, { until: nowMs() + refusedMs, why })
    if (this.refused.size > mostRefused) this.refused.delete(this.refused.keys().next().value as string)
  }
}

function allowed(patterns: readonly string[], name: string): boolean {
  const parent = name.slice(name.indexOf('.') + 1)
  return patterns.some(pattern => (pattern.startsWith('*.') ? pattern.slice(2) === parent : name === pattern))
}

/** Rejects unless the list has the name, or the answer is yes. */
async function permitted({ allow, ask: url }: OnDemandTerms, name: string): Promise<void> {
  if (allowed(allow, name)) return
  if (url === null) throw new Error(`${name} is not on the list of acme.onDemand.allow`)
  const asked = new URL(url)
  asked.searchParams.set('domain', name)
  let status: number
  try {
    const response = await fetch(asked, { redirect: 'error', signal: AbortSignal.timeout(askMs) })
    status = response.status
    await response.body?.cancel()
  } catch (error) {
    throw new Error(`acme.onDemand.ask cannot be asked about ${name}: ${messageOf(error)}`, { cause: error })
  }
  if (status !== 200) throw new Error(`acme.onDemand.ask says no to ${name} (${status})`)
}

/** An issuer for names seen on demand: renewals are asked for as well, since the customer may have left. */
export const asking = (issuer: Issuer, terms: OnDemandTerms): Issuer => ({
  name: issuer.name,
  async issue(order, signal) {
    try {
      if (order.replaces !== null) for (const name of order.names) await permitted(terms, name)
    } catch (error) {
      throw new IssueError('rejected', messageOf(error), { cause: error })
    }
    return await issuer.issue(order, signal)
  },
  renewal: (id, signal) => issuer.renewal(id, signal),
  revoke: (der, reason, signal) => issuer.revoke(der, reason, signal),
})
