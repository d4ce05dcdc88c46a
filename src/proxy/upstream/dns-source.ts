/**
 * The addresses of a name. It is looked up when it is first asked for, and from then on again in the background whenever its answer
 * has run out: at the end of what DNS says (its TTL), not before `soonestMs` and at the latest after `resolveMs`, until nobody has
 * used it for `forgetMs`. Then it is forgotten, as if it had never been known.
 *
 * Invariants: no request waits for a name that is known, and none is sent to an answer that nobody has looked after. A look-up that
 * fails or brings no address keeps the last good answer. There is one look-up at a time.
 */
import { nowMs } from '../../base/deadlines.ts'
import type { EndpointSource, Place, SourceUser } from './source.ts'
import { systemLookup } from './system-lookup.ts'

/**
 * Looks up a name and calls `settled` once. `holds` may be called then or later, with how long the answer holds, in milliseconds;
 * where nobody knows, it is not called.
 */
export type Lookup = (
  host: string,
  settled: (error: Error | null, addresses: readonly string[]) => void,
  holds: (ms: number) => void,
) => void

/** `start` and `stop` of a timer that keeps no process alive */
type Timers = {
  now(): number
  start(act: () => void, ms: number): unknown
  stop(timer: unknown): void
}

type DnsTerms = {
  readonly host: string
  readonly port: number
  readonly resolveMs: number
  /** Called when look-ups begin to fail, with why, and with null when they succeed again */
  readonly report: (failure: string | null) => void
  readonly lookup?: Lookup | undefined
  readonly timers?: Timers
}

const systemTimers: Timers = {
  now: nowMs,
  start: (act, ms) => setTimeout(act, ms).unref(),
  stop: timer => clearTimeout(timer as NodeJS.Timeout),
}

/** Between two look-ups, at least, whatever a TTL says; `timeouts.resolve` may say less */
const soonestMs = 1_000
/** Whatever `timeouts.resolve` says */
const leastPauseMs = 50
/** After a look-up that has failed, at least. Of a name with a last answer it is doubled each time, up to `resolveMs` */
const retryMs = 1_000
/** A name that nobody has used for so long is not looked up any more */
const forgetMs = 600_000
const nowhere: readonly Place[] = []

export class DnsSource implements EndpointSource {
  places: readonly Place[] = nowhere
  pending = false
  problem: Error | null = null
  private readonly terms: DnsTerms
  private readonly user: SourceUser
  private readonly lookup: Lookup
  private readonly timers: Timers
  /** Somebody has asked since the last look-up */
  private wanted = false
  private usedAt: number
  private failures = 0
  private answeredAt = 0
  private failedAt = 0
  private timer: unknown = null
  private dueAt = 0
  private stopped = false
  /** Counts look-ups: what is said of an earlier one is too late */
  private asked = 0

  constructor(terms: DnsTerms, user: SourceUser) {
    this.terms = terms
    this.user = user
    this.lookup = terms.lookup ?? systemLookup
    this.timers = terms.timers ?? systemTimers
    this.usedAt = this.timers.now()
  }

  want(): void {
    this.wanted = true
    if (this.places.length > 0 || this.pending) return
    // Whoever has waited in vain asks once more for an endpoint, and must not begin the next look-up with that.
    if (this.problem !== null && this.timers.now() < this.failedAt + retryMs) return
    this.pending = true
    this.ask()
  }

  stop(): void {
    this.stopped = true
    this.timers.stop(this.timer)
    this.timer = null
  }

  private ask(): void {
    const asked = ++this.asked
    const { host } = this.terms
    this.lookup(
      host,
      (error, found) => {
        if (asked !== this.asked) return
        if (found.length > 0) this.found(found)
        else this.failed(error ?? new Error('the name has no address'))
      },
      ms => {
        if (asked === this.asked && this.failures === 0) this.holds(ms)
      },
    )
  }

  private found(addresses: readonly string[]): void {
    const { port, resolveMs, report } = this.terms
    if (this.failures > 0) report(null)
    this.failures = 0
    this.problem = null
    this.pending = false
    this.answeredAt = this.timers.now()
    const distinct = [...new Set(addresses)]
    if (!sameAddresses(this.places, distinct)) {
      this.places = byFamilyInTurn(distinct).map(address => ({ address, port, unix: false }))
    }
    this.againIn(resolveMs)
    this.user.answered()
  }

  private failed(error: Error): void {
    const { host, resolveMs, report } = this.terms
    if (this.failures === 0) report(error.message)
    this.failures++
    if (this.places.length > 0) {
      // The last good answer serves meanwhile.
      this.againIn(Math.min(retryMs * 2 ** Math.min(this.failures - 1, 16), resolveMs))
      return
    }
    this.failedAt = this.timers.now()
    this.problem = new Error(`look up ${host}: ${error.message}`, { cause: error })
    this.pending = false
    this.user.answered()
  }

  /** How long the answer holds has become known. */
  private holds(ms: number): void {
    const { resolveMs } = this.terms
    const lasts = Math.min(Math.max(ms, soonestMs), resolveMs)
    // Both families have one, and the soonest counts.
    if (this.answeredAt + lasts < this.dueAt) this.againIn(this.answeredAt + lasts - this.timers.now())
  }

  private againIn(ms: number): void {
    this.timers.stop(this.timer)
    const leastMs = Math.max(ms, leastPauseMs)
    this.dueAt = this.timers.now() + leastMs
    this.timer = this.stopped ? null : this.timers.start(() => this.renew(), leastMs)
  }

  private renew(): void {
    const now = this.timers.now()
    this.timer = null
    if (this.wanted || this.user.inUse()) this.usedAt = now
    this.wanted = false
    if (now - this.usedAt < forgetMs) this.ask()
    else this.forget()
  }

  private forget(): void {
    this.places = nowhere
    this.failures = 0
    this.user.answered()
  }
}

function sameAddresses(places: readonly Place[], addresses: readonly string[]): boolean {
  if (places.length !== addresses.length) return false
  const known = new Set(places.map(place => place.address))
  return addresses.every(address => known.has(address))
}

/** Where one family leads nowhere, the second try is of the other (RFC 8305 section 4). The family that came first stays first. */
function byFamilyInTurn(addresses: readonly string[]): string[] {
  const isFirst = (address: string) => address.includes(':') === addresses[0]?.includes(':')
  const [first, second] = [addresses.filter(isFirst), addresses.filter(address => !isFirst(address))]
  const ordered: string[] = []
  for (let at = 0; at < Math.max(first.length, second.length); at++)
    ordered.push(...first.slice(at, at + 1), ...second.slice(at, at + 1))
  return ordered
}
