/**
 * Revocation lists by their source and the CAs that verify them, for as long as a snapshot uses them: a reload
 * borrows them, fetches no current list again, and several sites share one.
 *
 * Invariant: it holds what the current snapshot uses, and what the last two attempts at another one have opened: a failed
 * attempt neither removes a list nor leaves more behind each time.
 */
import { createHash, type X509Certificate } from 'node:crypto'
import { type Crl, keyDigest } from '../../certs/x509/crl.ts'
import { CrlFile } from './crl-file.ts'
import type { CrlSource, Warn } from './crl-source.ts'
import { CrlUrl } from './crl-url.ts'

type Held = { readonly from: string; readonly source: CrlSource }

export class CrlSources {
  private readonly held = new Map<string, Held>()
  private inForce: ReadonlySet<CrlSource> = new Set()
  private attempted = new Set<CrlSource>()

  /** For a snapshot that is about to be compiled: returns the function that opens its lists, and collects them for `keepOnly`. */
  attempt(warn: Warn): CrlAttempt {
    this.forget(source => this.inForce.has(source) || this.attempted.has(source))
    const used = new Set<CrlSource>()
    this.attempted = used
    return {
      used,
      open: (from, cas) => {
        const source = this.open(from, cas, warn, used)
        used.add(source)
        return source
      },
    }
  }

  /** The snapshot that uses these was applied; lists that no snapshot uses are dropped. */
  keepOnly(used: ReadonlySet<CrlSource>): void {
    this.inForce = used
    this.forget(source => used.has(source))
  }

  get size(): number {
    return this.held.size
  }

  private forget(stays: (source: CrlSource) => boolean): void {
    for (const [key, { source }] of this.held) if (!stays(source)) this.held.delete(key)
  }

  private open(from: string, cas: readonly X509Certificate[], warn: Warn, used: Set<CrlSource>): CrlSource {
    const key = JSON.stringify([from, digestOf(cas)])
    const known = this.held.get(key)?.source
    if (known !== undefined) {
      if (!used.has(known)) known.check(Date.now())
      return known
    }
    const before = this.listsOf(from, cas)
    const source = /^https?:\/\//.test(from)
      ? new CrlUrl(from, cas, before, warn)
      : new CrlFile(from, cas, before, warn)
    this.held.set(key, { from, source })
    return source
  }

  /** If CAs were added or removed, the lists that the others have signed are kept. */
  private listsOf(from: string, cas: readonly X509Certificate[]): Crl[] {
    const signers = new Set(cas.map(keyDigest))
    const known = [...this.held.values()].filter(each => each.from === from).map(({ source }) => source)
    // That of the current snapshot; a failed attempt may have others.
    const source = known.find(each => this.inForce.has(each)) ?? known.at(-1)
    return source?.lists.filter(list => signers.has(list.signer)) ?? []
  }
}

export type CrlAttempt = {
  readonly used: ReadonlySet<CrlSource>
  /** Throws UsageError if a file cannot be read or is not signed by one of the CAs. */
  open(from: string, cas: readonly X509Certificate[]): CrlSource
}

const digestOf = (cas: readonly X509Certificate[]): string =>
  createHash('sha256')
    .update(
      cas
        .map(ca => ca.fingerprint256)
        .sort()
        .join(),
    )
    .digest('base64')
