/**
 * A page of `errors` or `maintenance` in a file that may be replaced: its content, and what happens when the file
 * changes. A change counts once the file is the same in two consecutive checks, because writing a file takes a moment. If the file
 * cannot be used (too large, gone), the previous page stays.
 */
import { UsageError } from '../base/errors.ts'
import { stampAndTime } from '../certs/files/stamped.ts'
import { type Page, readPage } from '../features/pages.ts'

/** Resolution of timestamps of file systems: two writes within it can leave the same timestamp. */
const coarseMs = 2_000

export class WatchedPage {
  readonly file: string
  current: Page
  private stamp: number
  private young: boolean
  /** A changed file, seen in one check so far */
  private seen: number | null = null

  /** Throws UsageError if the file cannot be used. */
  constructor(file: string) {
    this.file = file
    const { stamp, changedMs } = stampAndTime(file)
    this.current = pageIn(file)
    this.stamp = stamp
    this.young = Date.now() - changedMs < coarseMs
  }

  /** For a reload: takes over the current file. Throws UsageError if it cannot be used. */
  refresh(): void {
    if (this.isSame()) return
    this.take(stampAndTime(this.file))
  }

  /** @returns what has happened: a problem is reported once for each state of the file */
  look(): { readonly kind: 'same' | 'replaced' } | { readonly kind: 'broken'; readonly why: string } {
    if (this.isSame()) return same
    const now = stampAndTime(this.file)
    if (now.stamp !== this.stamp && now.stamp !== this.seen) {
      this.seen = now.stamp
      return same
    }
    try {
      return { kind: this.take(now) ? 'replaced' : 'same' }
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      this.note(now)
      return { kind: 'broken', why: error.message }
    }
  }

  private isSame(): boolean {
    return !this.young && stampAndTime(this.file).stamp === this.stamp
  }

  /** @returns whether the page has changed. Throws UsageError */
  private take(now: ReturnType<typeof stampAndTime>): boolean {
    const page = pageIn(this.file)
    this.note(now)
    if (page.bytes.equals(this.current.bytes)) return false
    this.current = page
    return true
  }

  private note({ stamp, changedMs }: ReturnType<typeof stampAndTime>): void {
    this.stamp = stamp
    this.seen = null
    this.young = Date.now() - changedMs < coarseMs
  }
}

const same = { kind: 'same' } as const

function pageIn(file: string): Page {
  const page = readPage(file)
  if (typeof page === 'string') throw new UsageError(page)
  return page
}
