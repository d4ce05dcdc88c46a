/**
 * One certificate that is kept current: loads it from storage, and orders another when the plan says so. Several
 * processes do the same with the same storage; the lock of a certificate lets one of them order, and whoever comes second
 * finds the result.
 *
 * Invariants: the bundle in force is replaced only by one that was parsed and fits its key; no failure takes it away.
 * The key and the order are in storage before the issuer acts on them: a process that dies at any moment goes on where
 * it was. Everything that fails says what happens next, and when.
 */
import { createPrivateKey } from 'node:crypto'
import { messageOf } from '../../base/errors.ts'
import type { LogFields } from '../../base/log.ts'
import type { Bundle } from '../../model/certificate.ts'
import { IssueError, type Issuer } from '../../model/issuer.ts'
import { type Lease, type Storage, StorageError } from '../../model/storage.ts'
import { buildCsr } from '../x509/csr.ts'
import { renewalId } from '../x509/renewal-id.ts'
import { OrderNote } from './order-note.ts'
import { drawRenewal, plan, retryAt, type Standing, type Step } from './plan.ts'
import {
  bundleOf,
  type CertificateRecord,
  type FailureRecord,
  type Kept,
  Records,
  type RenewalRecord,
  type SubjectId,
} from './records.ts'

export type ManagedCertificateOptions = {
  readonly storage: Storage
  readonly issuer: Issuer
  /** Null: a third of the life of each certificate */
  readonly renewBeforeMs: number | null
  readonly log: (level: 'info' | 'warn' | 'error', message: string, fields: LogFields) => void
  /** Milliseconds since 1970 */
  readonly now: () => number
  /** 0 to 1 */
  readonly random: () => number
  /** A new bundle is in force */
  readonly changed: (certificate: ManagedCertificate) => void
  /** An order has failed so often that somebody should look */
  readonly failed: (failure: RenewalFailure) => void
}

export type RenewalFailure = {
  readonly name: string
  /** What serves meanwhile, or null */
  readonly bundle: Bundle | null
  /** What is wrong, and when it is tried again */
  readonly why: string
}

/** How long a process waits for another one that orders the same before it looks again. */
const lockedMs = 2_000
/** When storage cannot be reached, and after an answer about renewal that failed. */
const awayMs = 10_000
/** An issuer that does not say when to renew is asked again after this: it may learn to. */
const neverSaysMs = 24 * 3_600_000
const askSoonestMs = 60_000
const askFailedMs = 6 * 3_600_000
/** A certificate that storage had no room for is put again after this. */
const storeAgainMs = 60_000

export class ManagedCertificate {
  readonly id: SubjectId
  bundle: Bundle | null = null
  /** Why there is no newer one, or null when all is well */
  problem: string | null = null
  /** When `step` wants to be called again, milliseconds since 1970 */
  dueAt = 0
  private readonly options: ManagedCertificateOptions
  private readonly records: Records
  private record: CertificateRecord | null = null
  /**
   * One of our issuer has been in force. Another issuer's after that is of a process whose configuration is another: it
   * stays until it is due, or the two would order against each other for ever.
   */
  private wasOurs = false
  private failures: FailureRecord | null = null
  private renewal: RenewalRecord | null = null
  /** The issuer is asked when it wants renewal, from then on */
  private askAt = 0
  /** A certificate that storage has no room for, or has lost: it serves, and is put as soon as it can be */
  private unstored = false
  private readonly note: OrderNote
  /** The last step found storage away: when that can be read again, the next one waits no longer */
  private wasAway = false

  constructor(id: SubjectId, options: ManagedCertificateOptions) {
    this.id = id
    this.options = options
    this.records = new Records(options.storage, id, text => options.log('error', text, this.named))
    const { issuer, now } = options
    this.note = new OrderNote({ records: this.records, keyType: id.keyType, issuer: issuer.name, now })
  }

  /** Takes over what storage has, if it is newer. Throws StorageError. */
  async load(): Promise<void> {
    const kept = await this.records.certificate()
    if (kept === null) this.unstored = this.record !== null
    else if (this.isNewer(kept)) {
      this.unstored = false
      this.adopt(kept.record, kept.bundle)
    } else if (kept.bundle.fingerprint256 === this.bundle?.fingerprint256) this.unstored = false
    const failures = await this.records.failures().catch(error => {
      // The copy that serves while storage is away has certificates, and nothing else.
      if (this.bundle === null) throw error
      return null
    })
    if (failures === null || failures.at < (this.record?.obtainedAt ?? 0)) return
    this.failures = failures
    this.problem = failures.why
  }

  private isNewer({ record, bundle }: Kept): boolean {
    if (bundle.fingerprint256 === this.bundle?.fingerprint256) return false
    return !this.unstored || this.record === null || record.obtainedAt > this.record.obtainedAt
  }

  /** Another process has put a certificate. */
  async refresh(): Promise<void> {
    const before = this.bundle
    await this.load()
    if (this.unstored || this.wasAway) this.dueAt = 0
    this.wasAway = false
    if (this.bundle === before) return
    this.dueAt = 0
    this.options.log('info', 'certificate picked up', { ...this.named, ...validity(this.bundle) })
  }

  /** Does what is due, and sets `dueAt`. Never throws. @param forced orders whatever the plan says */
  async step(signal: AbortSignal, forced = false): Promise<void> {
    const { now } = this.options
    try {
      if (this.unstored) await this.storeAgain()
      const step = this.planned(forced)
      if (step.kind === 'wait') this.dueAt = step.until
      else if (step.kind === 'ask') await this.ask(signal)
      else await this.underLock(forced, signal)
      if (this.unstored) this.dueAt = Math.min(this.dueAt, now() + storeAgainMs)
      else this.problem = this.failures?.why ?? null
    } catch (error) {
      // Storage: whatever it is, nothing was lost.
      this.dueAt = now() + awayMs * (1 + this.options.random())
      this.problem = messageOf(error)
      this.wasAway = error instanceof StorageError && error.kind === 'away'
      if (signal.aborted) return
      const state = this.bundle === null ? 'there is no certificate yet' : 'the current certificate stays in use'
      this.options.log('error', `storage fails; ${state}`, {
        ...this.named,
        why: messageOf(error),
        next: dateOf(this.dueAt),
      })
    }
  }

  private planned(forced: boolean): Step {
    if (forced) return { kind: 'order', why: 'it was requested' }
    return plan(this.standing(), this.options.now(), this.options.renewBeforeMs)
  }

  private standing(): Standing {
    const { bundle, record, failures, renewal } = this
    const certificate =
      bundle === null || record === null
        ? null
        : {
            notBefore: bundle.notBefore,
            notAfter: bundle.notAfter,
            obtainedAt: record.obtainedAt,
            fingerprint256: bundle.fingerprint256,
            elsewhere: record.issuer !== this.options.issuer.name && !this.wasOurs,
          }
    return { certificate, failures, renewal, askAt: this.askAt }
  }

  private async underLock(forced: boolean, signal: AbortSignal): Promise<void> {
    const lease = await this.records.lock()
    if (lease === null) {
      this.dueAt = this.options.now() + lockedMs * (1 + this.options.random())
      return
    }
    try {
      // Somebody may have won while we waited, or have failed.
      await this.refresh()
      const step = this.planned(forced)
      if (step.kind === 'order') await this.order(step.why, lease, AbortSignal.any([signal, lease.lost]))
      this.dueAt = 0
    } finally {
      await lease.release().catch(() => {})
    }
  }

  private async order(why: string, lease: Lease, signal: AbortSignal): Promise<void> {
    const { issuer, log, now } = this.options
    log('info', this.bundle === null ? 'ordering a certificate' : 'renewing a certificate', {
      ...this.named,
      issuer: issuer.name,
      why,
    })
    const pending = await this.note.open(lease, this.record?.keyPem ?? null)
    const { progress, failed } = this.note.writer(pending, lease)
    const key = createPrivateKey(pending.keyPem)
    let by = issuer.name
    try {
      const chainPem = await issuer.issue(
        {
          names: [this.id.name],
          csrDer: buildCsr([this.id.name], key),
          replaces: this.bundle === null ? null : renewalId(this.bundle.chainPem),
          pending: pending.progress,
          progress,
          issuedBy: name => void (by = name),
        },
        AbortSignal.any([signal, failed]),
      )
      const fallback = by === issuer.name ? {} : { issuedBy: by }
      const record = { chainPem, keyPem: pending.keyPem, issuer: issuer.name, ...fallback, obtainedAt: now() }
      const bundle = checked(record)
      this.adopt(record, bundle)
      await this.store(lease)
      log('info', 'certificate obtained', { ...this.named, issuer: by, ...validity(bundle) })
    } catch (error) {
      if (!(error instanceof IssueError)) throw error
      // What storage does is no fault of the issuer's; a challenge that has failed is one all the same.
      if (failed.aborted && error.kind !== 'challenge') throw failed.reason
      if (error.kind !== 'cancelled') return await this.failed(error, lease)
      if (lease.lost.aborted) throw lease.lost.reason
      return
    }
    if (this.unstored) return
    await this.records.remove('pending')
    await this.records.remove('failures')
  }

  private async store(lease: Lease): Promise<void> {
    try {
      await this.records.putCertificate(this.record as CertificateRecord, lease)
      this.unstored = false
    } catch (error) {
      this.unstored = true
      this.problem = `not in storage: ${messageOf(error)}`
      const next = 'it serves from memory, and is put again every minute'
      this.options.log('error', 'a new certificate cannot be stored', {
        ...this.named,
        why: messageOf(error),
        next,
      })
    }
  }

  private async storeAgain(): Promise<void> {
    const lease = await this.records.lock()
    if (lease === null) return
    try {
      // Another process may have put it, or a newer one.
      await this.refresh()
      if (!this.unstored) return
      await this.store(lease)
      if (this.unstored) return
      this.options.log('info', 'certificate stored', this.named)
      if ((await this.records.pending())?.keyPem === this.record?.keyPem) await this.records.remove('pending')
    } finally {
      await lease.release().catch(() => {})
    }
  }

  private async failed(error: IssueError, lease: Lease): Promise<void> {
    const { log, now, random } = this.options
    const count = (this.failures?.count ?? 0) + 1
    const lifetime = this.bundle === null ? null : this.bundle.notAfter - this.bundle.notBefore
    this.failures = {
      count,
      at: now(),
      nextAt: retryAt(error, count, now(), lifetime, random()),
      why: error.message,
    }
    this.problem = error.message
    const left = this.bundle === null ? 'none' : dateOf(this.bundle.notAfter)
    log(this.bundle === null || count > 3 ? 'error' : 'warn', 'no new certificate', {
      ...this.named,
      kind: error.kind,
      why: error.message,
      tries: count,
      servesUntil: left,
      next: dateOf(this.failures.nextAt),
    })
    if (isAlarming(count, this.bundle)) {
      const why = `${error.message}; tried ${count} times, again at ${dateOf(this.failures.nextAt)}`
      this.options.failed({ name: this.id.name, bundle: this.bundle, why })
    }
    // Another key for the next order: what was wrong may be this one. First, since it needs no room on the disk.
    if (error.kind === 'rejected' || error.kind === 'wrong-certificate') await this.records.remove('pending')
    await this.records.putFailures(this.failures, lease)
  }

  private async ask(signal: AbortSignal): Promise<void> {
    const { issuer, log, now, random } = this.options
    const bundle = this.bundle as Bundle
    const certificateId = renewalId(bundle.chainPem)
    this.dueAt = 0
    if (certificateId === null) {
      this.askAt = Number.POSITIVE_INFINITY
      return
    }
    const kept = await this.records.renewal()
    const known = kept?.certificateId === certificateId ? kept : null
    // Another process has asked meanwhile.
    if (known !== null && known.askAgainAt > now()) {
      this.renewal = known
      this.askAt = known.askAgainAt
      return
    }
    try {
      const window = await issuer.renewal(certificateId, signal)
      this.askAt = Math.max(window?.askAgainAt ?? now() + neverSaysMs, now() + askSoonestMs)
      if (window === null) return
      const same = known?.start === window.start && known.end === window.end
      const renewAt = same ? known.renewAt : drawRenewal(window.start, window.end, random())
      this.renewal = { ...window, certificateId, renewAt }
      if (!same) log('info', 'the issuer says when to renew', { ...this.named, renewal: dateOf(renewAt) })
      await this.records.putRenewal(this.renewal)
    } catch (error) {
      if (!(error instanceof IssueError)) throw error
      // What it said before stays good; so does the third of the life that is left.
      this.askAt = now() + Math.min(askFailedMs, (bundle.notAfter - bundle.notBefore) / 24)
      if (error.kind === 'cancelled') return
      const next = dateOf(this.askAt)
      log('warn', 'the issuer does not say when to renew', { ...this.named, why: error.message, next })
    }
  }

  private adopt(record: CertificateRecord, bundle: Bundle): void {
    const isOurs = record.issuer === this.options.issuer.name
    if (!isOurs && this.wasOurs) {
      const why = 'it stays until it is due; give all processes that share this storage the same issuer'
      this.options.log('warn', 'a process with another issuer has replaced a certificate', {
        ...this.named,
        issuer: record.issuer,
        why,
      })
    }
    this.wasOurs ||= isOurs
    this.record = record
    this.bundle = bundle
    this.failures = null
    this.problem = null
    this.note.forget()
    this.renewal = null
    this.askAt = 0
    this.options.changed(this)
  }

  private get named(): LogFields {
    return { name: this.id.name, key: this.id.keyType }
  }
}

/** What an issuer has sent, if it fits its key. Throws IssueError. */
function checked(record: CertificateRecord): Bundle {
  try {
    return bundleOf(record)
  } catch (error) {
    throw new IssueError('wrong-certificate', messageOf(error), { cause: error })
  }
}

/** The first of a name that has none; else when it does not go away by itself, and now and then after that. */
const isAlarming = (count: number, bundle: Bundle | null): boolean =>
  bundle === null ? count === 1 || count % 10 === 0 : count === 3 || count % 10 === 0

const dateOf = (ms: number): string => new Date(ms).toISOString()

const validity = (bundle: Bundle | null): LogFields =>
  bundle === null ? {} : { notAfter: dateOf(bundle.notAfter), fingerprint: bundle.fingerprint256 }
