/** A source of revocation lists, a file or a URL, as the check of clients sees it. */
import type { Crl } from '../../certs/x509/crl.ts'

export type Warn = (text: string) => void

export interface CrlSource {
  /** The current lists; checks for newer ones if that is due. Never throws. */
  current(now: number): readonly Crl[]
  /** Checks now. Throws UsageError if the file cannot be used. */
  check(now: number): void
  /** The current lists, without a check */
  readonly lists: readonly Crl[]
}
