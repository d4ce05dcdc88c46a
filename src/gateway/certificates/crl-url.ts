/**
 * Revocation lists from a URL, fetched again in the background when half of their time is over, or when the clock was set
 * back. What cannot be had is reported, and the last good list stays in force until it ends; before the first one there is
 * none, and everybody is refused.
 */
import type { X509Certificate } from 'node:crypto'
import { messageOf } from '../../base/errors.ts'
import { type Crl, readCrlsInSlices } from '../../certs/x509/crl.ts'
import { boundedBody } from './bounded-body.ts'
import { renewLists } from './crl-order.ts'
import type { CrlSource, Warn } from './crl-source.ts'

const fetchMs = 30_000
const mostBytes = 32 * 1024 * 1024
/** Between tries that fail, and at least and at most between good ones */
const againMs = 60_000
const longestMs = 24 * 3_600_000
/** While everybody is refused for want of a list */
const firstAgainMs = 2_000
/** A clock is set back when it goes back by more than this; less is how clocks are kept right. */
const backMs = 1_000

export class CrlUrl implements CrlSource {
  lists: readonly Crl[]
  private readonly url: string
  private readonly cas: readonly X509Certificate[]
  private readonly warn: Warn
  /** When it should be fetched again, by both clocks: performance.now() is set by nobody, and only the other knows when a list ends */
  private dueMono = 0
  private dueAt = 0
  private lastNow = Number.NEGATIVE_INFINITY
  private fetching = false
  private failures = 0
  private told: string | null = null

  /** @param lists in force until it is fetched */
  constructor(url: string, cas: readonly X509Certificate[], lists: readonly Crl[], warn: Warn) {
    this.url = url
    this.cas = cas
    this.warn = warn
    this.lists = lists
    this.current(Date.now())
  }

  /** Without a timer: whoever asks notices that it is time, and one that nobody asks any more is not fetched. */
  current(now: number): readonly Crl[] {
    const back = now < this.lastNow - backMs
    this.lastNow = now
    if (back || now >= this.dueAt || performance.now() >= this.dueMono) this.refresh(now)
    return this.lists
  }

  check(now: number): void {
    this.current(now)
  }

  private refresh(now: number): void {
    if (this.fetching) return
    this.fetching = true
    const mono = performance.now()
    this.load(now)
      .then(fresh => {
        const { lists, refused } = renewLists(this.lists, fresh, 'stays', now)
        this.lists = lists
        this.failures = 0
        this.tell(refused.length === 0 ? null : `${this.url}: ${refused.join('; ')}`)
        this.plan(now, mono)
      })
      .catch(error => {
        const none = this.lists.length === 0
        this.dueIn(none ? Math.min(againMs, firstAgainMs * 2 ** Math.min(this.failures++, 10)) : againMs, now, mono)
        const stays = none ? 'clients are refused until it can' : 'the last good CRL stays in use'
        this.tell(`${this.url}: cannot be fetched: ${messageOf(error)}; ${stays}`)
      })
      .finally(() => {
        this.fetching = false
      })
  }

  private plan(now: number, mono: number): void {
    const ends = Math.min(...this.lists.map(list => list.nextUpdate))
    this.dueIn(Math.min(longestMs, Math.max(againMs, (ends - now) / 2)), now, mono)
  }

  private dueIn(ms: number, now: number, mono: number): void {
    this.dueAt = now + ms
    this.dueMono = mono + ms
  }

  /** The same is said once, however often it is tried. */
  private tell(text: string | null): void {
    if (text !== null && text !== this.told) this.warn(text)
    this.told = text
  }

  private async load(now: number): Promise<readonly Crl[]> {
    const response = await fetch(this.url, { signal: AbortSignal.timeout(fetchMs), redirect: 'follow' })
    if (!response.ok) {
      await response.body?.cancel()
      throw new Error(`the server answered ${response.status}`)
    }
    return readCrlsInSlices(await boundedBody(response, mostBytes), this.cas, this.url, now)
  }
}
