/**
 * Warns before certificates expire: in the log and at the webhook, once for each threshold and certificate (see
 * certs/x509/expiry.ts). Warnings are remembered in memory: a restart repeats them, a reload does not.
 */
import type { Log } from '../../base/log.ts'
import { daysLeft, type ListedCertificate } from '../../certs/files/list.ts'
import { defaultDays, durationText, passed } from '../../certs/x509/expiry.ts'
import type { LeafSummary } from '../../certs/x509/leaf.ts'
import type { Alert } from './alerts.ts'

/** Certificates may be valid for hours only. Ten thousand comparisons take a millisecond. */
const everyMs = 60_000
/** Certificates that no handshake has needed yet are read here, 5 us each; a handshake must not wait for all of them. */
const inOneTurn = 100

/** The threshold that was last reported for a certificate, in milliseconds before its expiry; Infinity for none. */
type Told = { log: number; alert: number }

type ExpiryOptions = {
  readonly log: Log
  list(): readonly ListedCertificate[]
  alert(alert: Alert): void
}

export class ExpiryWatch {
  /** Those of alerts; the log has its own */
  alertDays: readonly number[] = defaultDays
  private readonly options: ExpiryOptions
  private told = new Map<string, Told>()
  private timer: NodeJS.Timeout | null = null
  private checking = false
  private closed = false

  constructor(options: ExpiryOptions) {
    this.options = options
  }

  start(): void {
    this.timer ??= setInterval(() => void this.check(), everyMs).unref()
    void this.check()
  }

  close(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
    this.closed = true
  }

  async check(now = Date.now()): Promise<void> {
    if (this.checking) return
    this.checking = true
    const kept = new Map<string, Told>()
    let count = 0
    for (const one of this.options.list()) {
      if (++count % inOneTurn === 0) await new Promise(resolve => setImmediate(resolve))
      if (this.closed) break
      this.checkOne(one, now, kept)
    }
    // Certificates that are gone are forgotten.
    this.told = kept
    this.checking = false
  }

  private checkOne(one: ListedCertificate, now: number, kept: Map<string, Told>): void {
    const valid = one.superseded ? null : one.validity()
    if (valid === null) return
    const log = passed(valid, now) ?? none
    const alert = passed(valid, now, this.alertDays) ?? none
    const leaf = log < none || alert < none ? one.leaf() : null
    if (leaf === null) return
    const told = this.told.get(leaf.fingerprint256) ?? { log: none, alert: none }
    if (log < told.log) this.write(one, leaf, now)
    if (alert < told.alert) this.options.alert(expiryAlert(one, leaf, now))
    kept.set(leaf.fingerprint256, { log: Math.min(log, told.log), alert: Math.min(alert, told.alert) })
  }

  private write({ source, sites }: ListedCertificate, leaf: LeafSummary, now: number): void {
    const { names, notAfter, fingerprint256: fingerprint } = leaf
    const fields = { names: names.slice(0, 10), sites: sites.slice(0, 10), source, fingerprint }
    const ends = { notAfter: new Date(notAfter).toISOString(), daysLeft: daysLeft(notAfter, now) }
    const time = durationText(notAfter - now)
    if (now > notAfter) this.options.log.write('error', `certificate expired ${time} ago`, { ...fields, ...ends })
    else this.options.log.write('warn', `certificate expires in ${time}`, { ...fields, ...ends })
  }
}

const none = Number.POSITIVE_INFINITY

const expiryAlert = ({ source, sites }: ListedCertificate, leaf: LeafSummary, now: number): Alert => ({
  event: now > leaf.notAfter ? 'certificate-expired' : 'certificate-expiring',
  leaf,
  source,
  sites,
  why: null,
})
