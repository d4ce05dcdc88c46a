/**
 * Revocation lists in a file: while they are in use, the file is checked every second. An unreadable file
 * is reported once, and the last good list stays in use until it expires.
 */
import { createHash, type X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { messageOf, UsageError } from '../../base/errors.ts'
import { readOpened, stampAndTime } from '../../certs/files/stamped.ts'
import { type Crl, readCrls } from '../../certs/x509/crl.ts'
import { renewLists } from './crl-order.ts'
import type { CrlSource, Warn } from './crl-source.ts'

const lookEveryMs = 1_000
/** An unusable file is read again after this long even if it is unchanged: the clock may have been wrong. */
const againMs = 10_000
/** Timestamps of file systems are coarse: a file as new as this may change without a new timestamp. */
const youngMs = 2_000
const mostBytes = 128 * 1024 * 1024

export class CrlFile implements CrlSource {
  lists: readonly Crl[]
  private readonly file: string
  private readonly cas: readonly X509Certificate[]
  private readonly warn: Warn
  /** NaN: read the file in any case */
  private stamp = Number.NaN
  private digest = ''
  /** On the clock of performance.now(), which cannot be set */
  private lookAt = 0
  private againAt = Number.POSITIVE_INFINITY
  /** The problem with the current file */
  private problem: string | null = null
  private told: string | null = null

  /** @param lists the previous ones. Throws UsageError if the file cannot be used. */
  constructor(file: string, cas: readonly X509Certificate[], lists: readonly Crl[], warn: Warn) {
    this.file = file
    this.cas = cas
    this.warn = warn
    this.lists = lists
    this.check(Date.now())
  }

  current(now: number): readonly Crl[] {
    if (performance.now() >= this.lookAt) this.look(now)
    if (this.problem !== null) this.tell(`${this.problem}; the last good CRL stays in use`)
    return this.lists
  }

  check(now: number): void {
    this.look(now)
    if (this.problem !== null) throw new UsageError(this.problem)
  }

  private look(now: number): void {
    const at = performance.now()
    this.lookAt = at + lookEveryMs
    const { stamp, changedMs } = stampAndTime(this.file)
    if (stamp === this.stamp && at < this.againAt) return
    this.stamp = Math.abs(now - changedMs) < youngMs ? Number.NaN : stamp
    this.againAt = Number.POSITIVE_INFINITY
    try {
      const bytes = readOpened(this.file, mostBytes, 'a CRL has at most 128 MB', descriptor =>
        readFileSync(descriptor),
      )
      const digest = createHash('sha256').update(bytes).digest('base64')
      if (digest !== this.digest) this.take(readCrls(bytes, this.cas, this.file, now), now)
      this.digest = digest
      this.problem = null
    } catch (error) {
      this.digest = ''
      this.againAt = at + againMs
      this.problem = messageOf(error)
    }
  }

  private take(fresh: readonly Crl[], now: number): void {
    const { lists, refused } = renewLists(this.lists, fresh, 'goes', now)
    this.lists = lists
    this.told = null
    for (const text of refused) this.warn(`${this.file}: ${text}`)
  }

  private tell(text: string): void {
    if (text !== this.told) this.warn(text)
    this.told = text
  }
}
