/**
 * Revocation lists in a file, as they are now: it is looked at again every second that it is asked for. What cannot be read
 * is reported once, and the last good list stays in force until it ends.
 */
import { createHash, type X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { messageOf, UsageError } from '../../base/errors.ts'
import { readOpened, stampAndTime } from '../../certs/files/stamped.ts'
import { type Crl, readCrls } from '../../certs/x509/crl.ts'
import { renewLists } from './crl-order.ts'
import type { CrlSource, Warn } from './crl-source.ts'

const lookEveryMs = 1_000
/** A file that could not be used is read again after this long although it is the same: the clock may have been wrong. */
const againMs = 10_000
/** File systems keep times coarsely: a file as young as this may have changed without another stamp. */
const youngMs = 2_000
const mostBytes = 128 * 1024 * 1024

export class CrlFile implements CrlSource {
  lists: readonly Crl[]
  private readonly file: string
  private readonly cas: readonly X509Certificate[]
  private readonly warn: Warn
  /** NaN: read it in any case */
  private stamp = Number.NaN
  private digest = ''
  /** On the clock of performance.now(), which nobody sets */
  private lookAt = 0
  private againAt = Number.POSITIVE_INFINITY
  /** What is wrong with the file as it is */
  private problem: string | null = null
  private told: string | null = null

  /** @param lists in force before. Throws UsageError where the file cannot be used. */
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
