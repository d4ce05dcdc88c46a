/**
 * Reports about certificates: to the log, to observers, to the webhook, and on request. It lives as long as the gateway; a reload
 * gives it another list and another webhook, and nothing is reported twice.
 */
import type { Log } from '../../base/log.ts'
import { type CertificateRow, certificateRows, type ListedCertificate } from '../../certs/files/list.ts'
import type { RenewalFailure } from '../../certs/managed/managed-certificate.ts'
import { defaultDays } from '../../certs/x509/expiry.ts'
import type { AlertsConfig } from '../../config/config.ts'
import type { Bundle } from '../../model/certificate.ts'
import type { CertificateRecord } from '../../model/records.ts'
import { type Alert, Alerts, type AlertTarget } from './alerts.ts'
import { type CertificateCount, countCertificates, expiredReasons, listCertificates } from './certificate-list.ts'
import { logChange } from './certificate-log.ts'
import { recordOfChange, recordOfFailure } from './certificate-record.ts'
import type { CertificateChange } from './certificate-watch.ts'
import { inForce, type SiteCertificates } from './certificates.ts'
import { ExpiryWatch } from './expiry-watch.ts'

type ReportOptions = {
  /** Several processes have the same certificates, and another one reports them */
  readonly silent: boolean
}

/** Builds the record only if there is a listener. */
type CertificateListener = { certificate(record: () => CertificateRecord | null): void }

export class CertificateReports {
  private readonly log: Log
  private readonly listener: CertificateListener
  private readonly silent: boolean
  private readonly alerts: Alerts
  private readonly expiry: ExpiryWatch
  private sites: readonly SiteCertificates[] = []

  constructor(log: Log, listener: CertificateListener, { silent }: ReportOptions) {
    this.log = log
    this.listener = listener
    this.silent = silent
    this.alerts = new Alerts(log)
    this.expiry = new ExpiryWatch({ log, list: () => this.list(), alert: alert => this.raise(alert) })
  }

  /** A snapshot was applied. */
  use(sites: readonly SiteCertificates[], alerts: AlertsConfig | null, target: AlertTarget | null): void {
    this.sites = sites
    this.alerts.target = target
    this.expiry.alertDays = alerts !== null && alerts.days.length > 0 ? alerts.days : defaultDays
    if (!this.silent) this.expiry.start()
  }

  /** Sends an alert to the webhook, if there is one. */
  raise(alert: Alert): void {
    if (!this.silent) this.alerts.raise(alert)
  }

  /** Reported by the process that has tried: only one does. */
  renewalFailed(failure: RenewalFailure): void {
    const { name, bundle, why } = failure
    this.listener.certificate(() => recordOfFailure(failure))
    const sites = this.list()
      .filter(one => one.source === (bundle?.source ?? name))
      .flatMap(one => one.sites)
    this.alerts.raise({ event: 'renewal-failed', leaf: bundle, source: bundle?.source ?? name, sites, why })
  }

  changed(change: CertificateChange): void {
    logChange(this.log, change)
    this.listener.certificate(() => recordOfChange(change))
    if (change.kind === 'broken') {
      const { source, leaf, why } = change
      const sites = this.list()
        .filter(one => one.source === source)
        .flatMap(one => one.sites)
      this.raise({ event: 'certificate-broken', leaf, source, sites, why })
    }
  }

  /** Each certificate once, without reading it. */
  list(): ListedCertificate[] {
    return listCertificates(this.sites)
  }

  /** Each certificate once, the first to expire first. */
  rows(now = Date.now()): CertificateRow[] {
    return certificateRows(this.list(), now)
  }

  /** Reasons related to certificates why this gateway should get no traffic. */
  reasons(now = Date.now()): string[] {
    return expiredReasons(this.list(), now)
  }

  count(now = Date.now()): CertificateCount {
    return countCertificates(this.list(), now)
  }

  /** The current certificate for a host, or null if it has none. Throws UsageError if none can be loaded. */
  bundlesFor(site: string, host: string): readonly Bundle[] | null {
    const found = this.sites.find(each => each.site === site)
    return found === undefined ? null : inForce(found.source, host)
  }

  close(): void {
    this.expiry.close()
    this.alerts.close()
  }
}
