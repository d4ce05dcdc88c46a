/** What a file or a URL with revocation lists gives to whoever judges a client by them. */
import type { Crl } from '../../certs/x509/crl.ts'

export type Warn = (text: string) => void

export interface CrlSource {
  /** What is in force; looks for something newer where it is time. Never throws. */
  current(now: number): readonly Crl[]
  /** Looks now. Throws UsageError where a file cannot be used as it is. */
  check(now: number): void
  /** What is in force, without looking */
  readonly lists: readonly Crl[]
}
