/** How much one client may ask for: token buckets by address and by account, in memory, and bounded in number. */
import { parseAddress } from '../base/ip.ts'
import { TokenBucket } from '../base/token-bucket.ts'
import { rateLimited } from './problem.ts'

type Rate = { readonly burst: number; readonly perSecond: number; readonly what: string }

/** By address: what costs us a signature check. By account: what costs a certificate, or a connection to somebody. */
const rates = {
  request: { burst: 300, perSecond: 20, what: 'requests from this address' },
  account: { burst: 20, perSecond: 1 / 30, what: 'new accounts from this address' },
  order: { burst: 300, perSecond: 300 / 3600, what: 'new orders of this account' },
  challenge: { burst: 100, perSecond: 100 / 3600, what: 'challenges of this account' },
} as const satisfies Record<string, Rate>

const mostBuckets = 10_000

export class Limits {
  readonly #buckets = new Map<string, TokenBucket>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  /** Throws AcmeProblem `rateLimited`. @param who an account's id or an address */
  take(kind: keyof typeof rates, who: string): void {
    const rate: Rate = rates[kind]
    const key = `${kind} ${kind === 'request' || kind === 'account' ? networkOf(who) : who}`
    const now = this.#now()
    const bucket = this.#buckets.get(key) ?? new TokenBucket(rate.burst, rate.perSecond, now)
    // Most recently used last, so that the one that is dropped is the one that has had the longest to fill up.
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > mostBuckets) this.#buckets.delete(this.#buckets.keys().next().value as string)
    if (bucket.take(now)) return
    throw rateLimited(
      `too many ${rate.what}: ${rate.burst} at once, then ${perHour(rate)} an hour`,
      1000 / rate.perSecond,
    )
  }
}

const perHour = ({ perSecond }: Rate) => Math.round(perSecond * 3600)

/** A single host has a whole /64 of IPv6 addresses to come from. */
function networkOf(address: string): string {
  const bytes = parseAddress(address.replace(/%.*$/, ''))
  return bytes === null ? address : Buffer.from(bytes.length === 16 ? bytes.subarray(0, 8) : bytes).toString('hex')
}
