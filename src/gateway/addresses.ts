/**
 * The addresses of an endpoint's host, good for `resolveMs`. A name that is in use is looked up again before its answer runs out,
 * so that a dial finds a fresh one; after a pause the dial waits for the look-up, for a second at most.
 *
 * Invariants: an answer that has run out is used only where no fresh one could be had: the look-up failed, or has not come within
 * `patienceMs`. A look-up that fails keeps the last good answer. There is one look-up at a time, and none for a name that is not used.
 */
import dns from 'node:dns'
import net from 'node:net'
import { nowMs } from '../base/deadlines.ts'
import type { Addresses } from '../model/upstream.ts'

export type Lookup = (host: string, settled: (error: Error | null, addresses: readonly string[]) => void) => void

/** `start` and `stop` of a timer that keeps no process alive */
type Timers = {
  now(): number
  start(act: () => void, ms: number): unknown
  stop(timer: unknown): void
}

export type AddressTerms = {
  readonly resolveMs: number
  /** Whether anything is connected, and would not notice a change */
  readonly inUse: () => boolean
  /** An answer has come: connections to other addresses are to go */
  readonly answered: () => void
  readonly lookup?: Lookup | undefined
  readonly timers?: Timers
}

const systemLookup: Lookup = (host, settled) => {
  dns.lookup(host, { all: true }, (error, found) => settled(error, error ? [] : found.map(entry => entry.address)))
}

const systemTimers: Timers = {
  now: nowMs,
  start: (act, ms) => setTimeout(act, ms).unref(),
  stop: timer => clearTimeout(timer as NodeJS.Timeout),
}

/** How long a dial waits for a fresh answer while there is an old one */
const patienceMs = 1_000
/** After a failed look-up, at most: the old answer serves meanwhile without anybody waiting */
const retryMs = 1_000
/** Between two look-ups in advance, at least */
const soonestMs = 50
/** Of an answer's lifetime, when the next one is asked for */
const early = 0.75

export function addressesOf(host: string, terms: AddressTerms): Addresses {
  if (net.isIP(host)) {
    return { count: 1, next: () => host, has: () => true, ready: settled => settled(null), stop() {} }
  }
  return new NamedAddresses(host, terms)
}

type Settled = (error: Error | null) => void

class NamedAddresses implements Addresses {
  private readonly host: string
  private readonly terms: AddressTerms
  private readonly lookup: Lookup
  private readonly timers: Timers
  private known: readonly string[] = []
  private turn = 0
  /** Until when the answer is fresh */
  private freshUntil = Number.NEGATIVE_INFINITY
  /** A look-up has failed or is slow: until then the old answer is used without waiting */
  private excusedUntil = Number.NEGATIVE_INFINITY
  private asking = false
  /** A dial has come since the last answer */
  private wanted = false
  private waiting: Settled[] = []
  private patience: unknown = null
  private renewal: unknown = null
  private stopped = false

  constructor(host: string, terms: AddressTerms) {
    this.host = host
    this.terms = terms
    this.lookup = terms.lookup ?? systemLookup
    this.timers = terms.timers ?? systemTimers
  }

  get count(): number {
    return this.known.length
  }

  next(): string | null {
    if (this.known.length === 0) return null
    this.turn = (this.turn + 1) % this.known.length
    return this.known[this.turn] as string
  }

  has(address: string): boolean {
    return this.known.includes(address)
  }

  ready(settled: Settled): void {
    this.wanted = true
    const now = this.timers.now()
    if (this.known.length > 0 && (now < this.freshUntil || now < this.excusedUntil)) {
      settled(null)
      return
    }
    this.waiting.push(settled)
    this.ask()
    // The answer may have come already.
    if (this.asking && this.known.length > 0)
      this.patience ??= this.timers.start(() => this.impatient(), patienceMs)
  }

  /** No snapshot uses the endpoint any more. */
  stop(): void {
    this.stopped = true
    this.timers.stop(this.renewal)
    this.renewal = null
  }

  private ask(): void {
    if (this.asking) return
    this.asking = true
    this.wanted = false
    this.lookup(this.host, (error, found) => {
      this.asking = false
      this.answer(error, found)
    })
  }

  private answer(error: Error | null, found: readonly string[]): void {
    const { resolveMs } = this.terms
    const now = this.timers.now()
    if (found.length > 0) {
      this.known = found
      this.freshUntil = now + resolveMs
      this.renewAfter(resolveMs * early)
    } else {
      this.excusedUntil = now + retryMs
      if (this.known.length > 0) this.renewAfter(Math.min(retryMs, resolveMs))
    }
    this.settle(this.known.length > 0 ? null : (error ?? new Error('the name has no address')))
    if (found.length > 0) this.terms.answered()
  }

  private settle(failure: Error | null): void {
    this.timers.stop(this.patience)
    this.patience = null
    const { waiting } = this
    if (waiting.length === 0) return
    this.wanted = true
    this.waiting = []
    for (const each of waiting) each(failure)
  }

  private impatient(): void {
    this.patience = null
    this.excusedUntil = this.timers.now() + retryMs
    this.settle(null)
  }

  private renewAfter(ms: number): void {
    this.timers.stop(this.renewal)
    this.renewal = this.stopped
      ? null
      : this.timers.start(
          () => {
            this.renewal = null
            if (this.wanted || this.terms.inUse()) this.ask()
          },
          Math.max(ms, soonestMs),
        )
  }
}
