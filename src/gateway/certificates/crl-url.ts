/**
 * Revocation lists from a URL, fetched again in the background after half of their lifetime, or when the clock was set
 * back. A failure is reported, and the last good list stays in use until it expires. Before the first list
 * every client is refused.
 */
import type { X509Certificate } from 'node:crypto'
import { messageOf } from '../../base/errors.ts'
import { type Crl, readCrlsInSlices } from '../../certs/x509/crl.ts'
import { boundedBody } from './bounded-body.ts'
import { renewLists } from './crl-order.ts'
import type { CrlSource, Warn } from './crl-source.ts'

const fetchMs = 30_000
const mostBytes = 32 * 1024 * 1024
/** Between failed attempts, and the least and most between successful ones */
const againMs = 60_000
const longestMs = 24 * 3_600_000
/** While every client is refused because there is no list */
const firstAgainMs = 2_000
/** A clock that goes back by more than this was set back; less is normal adjustment. */
const backMs = 1_000

export class CrlUrl implements CrlSource {
  lists: readonly Crl[]
  private readonly url: string
  private readonly cas: readonly X509Certificate[]
  private readonly warn: Warn
  /** When to fetch it again, by both clocks: performance.now() cannot be set, and only the other one tells when a list expires */
  private dueMono = 0
  private dueAt = 0
  private lastNow = Number.NEGATIVE_INFINITY
  private fetching = false
  private failures = 0
  private told: string | null = null

  /** @param lists are used until it is fetched */
  constructor(url: string, cas: readonly X509Certificate[], lists: readonly Crl[], warn: Warn) {
    this.url = url
    this.cas = cas
    this.warn = warn
    this.lists = lists
    this.current(Date.now())
  }

  /** There is no timer: a request for the lists notices that a fetch is due, so that unused lists are not fetched. */
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

  /** The same failure is reported once, however often it happens. */
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
