/**
 * A chain and its key in files that somebody replaces, as certbot, Kubernetes or a person does: what is in force, and what
 * becomes of it when the files change. `look()` compares stamps, which costs two stats; whoever owns the pair calls it.
 *
 * Invariants: chain and key change together, and only to a pair that passed the full check. Anything else (half a file,
 * a key that does not fit, a file that is gone, one that has expired in place of one that has not) leaves in force what
 * was. A problem is told once, and only when it lasts: to replace two files takes a moment.
 */
import { messageOf, UsageError } from '../../base/errors.ts'
import type { Bundle } from '../../model/certificate.ts'
import { dateText } from '../x509/expiry.ts'
import type { LeafSummary, Validity } from '../x509/leaf.ts'
import { type BundleFiles, type BundleOptions, type LoadedBundle, type OpenedBundle, openBundle } from './bundle.ts'
import { ProblemDebounce } from './problem-debounce.ts'
import { pairStamp } from './stamped.ts'

export type Look =
  | { readonly kind: 'same' }
  /** The files changed, and the new pair is in force; `from` is null where nothing could be read before */
  | {
      readonly kind: 'replaced'
      readonly from: LeafSummary | null
      readonly to: Bundle
      readonly warnings: readonly string[]
    }
  /** What is in the files cannot be used, for a reason that was not told yet */
  | { readonly kind: 'broken'; readonly why: string }
  /** What is in force is in the files again, after a `broken` */
  | { readonly kind: 'mended' }

const same: Look = { kind: 'same' }

export class WatchedPair {
  readonly files: BundleFiles
  private readonly options: BundleOptions
  /** Null while the files never held anything with the looks of a pair */
  private inForce: OpenedBundle | null = null
  /** Of what was read last */
  private stamp = Number.NaN
  private young = true
  /** None: what is in the files is in force */
  private readonly trouble = new ProblemDebounce()
  private valid: Validity | null | undefined = undefined

  private constructor(files: BundleFiles, options: BundleOptions) {
    this.files = files
    this.options = options
  }

  /** The cheap stage. Throws UsageError as openBundle does. */
  static open(files: BundleFiles, options: BundleOptions = {}): WatchedPair {
    const pair = new WatchedPair(files, options)
    const opened = openBundle(files, options)
    pair.inForce = opened
    pair.stamp = opened.stamp
    pair.young = opened.young
    return pair
  }

  /** The same for files that nobody has named: what is wrong with them is a `problem`, and they are tried again. */
  static find(files: BundleFiles, options: BundleOptions = {}, now = Date.now()): WatchedPair {
    try {
      const pair = WatchedPair.open(files, options)
      // Nobody would ever ask for one without names: what is wrong with it would stay unknown.
      if (pair.validity() === null) pair.usable()
      return pair
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      const pair = new WatchedPair(files, options)
      pair.broken(error.message, now)
      return pair
    }
  }

  /** The full check of what is in force, at the first call. Throws UsageError while nothing in the files was ever usable. */
  load(): LoadedBundle {
    if (this.inForce === null) throw new UsageError(this.trouble.why ?? `${this.files.chainFile}: cannot be used`)
    try {
      return this.inForce.load()
    } catch (error) {
      // Told by the next look, which finds the same: these files are not about to be replaced.
      this.trouble.why ??= messageOf(error)
      throw error
    }
  }

  get loaded(): boolean {
    return this.inForce?.loaded ?? false
  }

  /** What is in force, without the full check; null where even the first certificate cannot be read. */
  leaf(): LeafSummary | null {
    return this.inForce?.leaf() ?? null
  }

  /** When it begins and ends, kept once it was asked for. */
  validity(): Validity | null {
    if (this.valid === undefined) {
      const { notBefore, notAfter } = this.inForce?.validity() ?? {}
      this.valid = notBefore === undefined || notAfter === undefined ? null : { notBefore, notAfter }
    }
    return this.valid
  }

  /** Why what is in the files is not in force, once that is sure; null: it is. */
  get problem(): string | null {
    return this.trouble.told
  }

  /** Looks at the files, and takes over what changed. Files that could not be used are read again every time. */
  look(now = Date.now()): Look {
    if (this.trouble.why === null && !this.young) {
      if (pairStamp(this.files.chainFile, this.files.keyFile) === this.stamp) return same
    }
    try {
      const known = this.inForce?.digest ?? null
      const fresh = openBundle(this.files, this.options, known !== null)
      // Young files are read again; ten thousand of them are not parsed for that.
      const unchanged = this.trouble.why === null && known !== null && fresh.digest === known
      const look = unchanged ? same : this.take(fresh, now)
      this.stamp = fresh.stamp
      this.young = fresh.young
      return look
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      return this.broken(error.message, now)
    }
  }

  /** Takes over what is in the files now; throws UsageError with what is wrong with it, and what is in force stays. */
  refresh(now = Date.now()): Look {
    const look = this.look(now)
    if (this.trouble.why !== null) throw new UsageError(this.trouble.why)
    return look
  }

  private take(fresh: OpenedBundle, now: number): Look {
    const { bundle, warnings } = fresh.load()
    const old = this.usable()
    if (old !== null && bundle.chainPem === old.chainPem && bundle.keyPem === old.keyPem) return this.mended()
    // Yesterday's files put back by mistake would take down what works.
    if (old !== null && bundle.notAfter < now && now <= old.notAfter)
      throw new UsageError(`${this.files.chainFile}: the new certificate expired on ${dateText(bundle.notAfter)}`)
    const from = old === null ? null : this.leaf()
    this.inForce = fresh
    this.valid = undefined
    this.mended()
    return { kind: 'replaced', from, to: bundle, warnings }
  }

  private usable(): Bundle | null {
    try {
      return this.inForce?.load().bundle ?? null
    } catch (error) {
      this.trouble.why ??= messageOf(error)
      return null
    }
  }

  private mended(): Look {
    return this.trouble.mended() ? { kind: 'mended' } : same
  }

  private broken(why: string, now: number): Look {
    return this.trouble.broken(why, now) ? { kind: 'broken', why } : same
  }
}
