/**
 * Alerts about certificates, as POST requests to a webhook. Raising one never waits: it goes into a queue, one is
 * sent at a time, and a failed delivery is tried again a few times with growing pauses.
 *
 * The receiver is not trusted: redirects are not followed, only the status of its response is read, and everything has a
 * deadline. Its URL and headers may contain secrets, so the log shows only the origin of the URL.
 */
import os from 'node:os'
import { messageOf } from '../../base/errors.ts'
import { request, type ServerTrust } from '../../base/http-request.ts'
import type { Log } from '../../base/log.ts'
import { daysLeft } from '../../certs/files/list.ts'
import type { LeafSummary } from '../../certs/x509/leaf.ts'
import type { AlertsConfig } from '../../config/config.ts'
import { serverTrust } from './server-trust.ts'

type AlertEvent = 'certificate-expiring' | 'certificate-expired' | 'certificate-broken' | 'renewal-failed'

export type Alert = {
  readonly event: AlertEvent
  /** The current certificate, or null */
  readonly leaf: Pick<LeafSummary, 'names' | 'notAfter' | 'fingerprint256'> | null
  readonly source: string
  readonly sites: readonly string[]
  /** What is wrong and what happens next, as a sentence; null if the event says it all */
  readonly why: string | null
}

/** The receiver of alerts, with its files read. */
export type AlertTarget = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly trust: ServerTrust
  readonly timeoutMs: number
}

/** Throws UsageError if the CA cannot be used. */
export function alertTarget({ url, headers, token, caFile, timeoutMs }: AlertsConfig): AlertTarget {
  const all: Record<string, string> = Object.fromEntries(headers)
  if (token !== null) all['authorization'] = `Bearer ${token}`
  return { url, headers: all, trust: serverTrust(caFile), timeoutMs }
}

export const mostWaiting = 200
/** Pauses before the second attempt, the third, ... */
const pausesMs: readonly number[] = [2_000, 15_000, 60_000, 300_000]

export class Alerts {
  target: AlertTarget | null = null
  private readonly log: Log
  private readonly pausesMs: readonly number[]
  private readonly waiting: string[] = []
  private sending = false
  private closed = false
  private wake: (() => void) | null = null

  constructor(log: Log, pauses: readonly number[] = pausesMs) {
    this.log = log
    this.pausesMs = pauses
  }

  /** Never waits and never throws. Does nothing if no webhook is configured. */
  raise(alert: Alert, now = Date.now()): void {
    if (this.target === null || this.closed) return
    if (this.waiting.length >= mostWaiting) {
      this.waiting.shift()
      this.log.write('error', `more than ${mostWaiting} alerts wait to be delivered: the oldest is dropped`)
    }
    this.waiting.push(bodyOf(alert, now))
    if (!this.sending) void this.deliver()
  }

  /** Drops the alerts in the queue. */
  close(): void {
    this.closed = true
    this.waiting.length = 0
    this.wake?.()
  }

  private async deliver(): Promise<void> {
    this.sending = true
    // After this turn, so that raising several at once does not wait for the first.
    await new Promise(resolve => setImmediate(resolve))
    for (let body = this.waiting.shift(); body !== undefined; body = this.waiting.shift())
      await this.deliverOne(body)
    this.sending = false
  }

  private async deliverOne(body: string): Promise<void> {
    for (let tried = 0; ; tried++) {
      const target = this.target
      if (target === null || this.closed) return
      const to = new URL(target.url).origin
      try {
        await post(target, body)
        return
      } catch (error) {
        const why = messageOf(error)
        const pause = this.pausesMs[tried]
        if (pause === undefined) {
          this.log.write('error', 'alert could not be delivered and is given up', { to, why, tries: tried + 1 })
          return
        }
        const next = `tried again in ${Math.ceil(pause / 1000)} s`
        this.log.write('warn', 'alert could not be delivered', { to, why, next })
        await this.pause(pause)
      }
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(done, ms).unref()
      const self = this
      function done() {
        clearTimeout(timer)
        self.wake = null
        resolve()
      }
      this.wake = done
    })
  }
}

const bodyOf = ({ event, leaf, source, sites, why }: Alert, now: number): string =>
  JSON.stringify({
    event,
    names: leaf?.names.slice(0, 100) ?? [],
    sites: sites.slice(0, 100),
    source,
    notAfter: leaf === null ? null : new Date(leaf.notAfter).toISOString(),
    daysLeft: leaf === null ? null : daysLeft(leaf.notAfter, now),
    fingerprint: leaf?.fingerprint256 ?? null,
    why,
    gateway: os.hostname(),
    time: new Date(now).toISOString(),
  })

/** Resolves for any 2xx, otherwise rejects. */
async function post({ url, headers, trust, timeoutMs }: AlertTarget, body: string): Promise<void> {
  const { status } = await request(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body,
    agent: null,
    ...trust,
    timeoutMs,
    maxBytes: 0,
    signal: null,
  })
  if (status < 200 || status >= 300) throw new Error(`it answered ${status}`)
}
