/**
 * Watches certificates in files for as long as a snapshot uses them; it outlives reloads. One timer checks
 * all of them in turn; handshakes never do.
 *
 * Cost: a check is two stats (1-2 us each on a local disk). Up to 100 pairs are checked four times a second, up
 * to 1,000 once a second, with 0.5% of a core; more than that in slices, so that a change among 10,000 is seen within ten
 * seconds. fs.watch would be faster for few files, but reports nothing on network file systems and behind symbolic links, so it is not used.
 */
import type { BundleFiles, BundleOptions } from '../../certs/files/bundle.ts'
import { knownRoots } from '../../certs/files/roots.ts'
import { type CasLook, WatchedCas } from '../../certs/files/watched-cas.ts'
import { WatchedFolder } from '../../certs/files/watched-folder.ts'
import { type Look, WatchedPair } from '../../certs/files/watched-pair.ts'
import type { LeafSummary } from '../../certs/x509/leaf.ts'

export type CertificateChange =
  | (Exclude<Look, { kind: 'same' }> & {
      readonly source: string
      /** The current certificate, or null */
      readonly leaf: LeafSummary | null
    })
  | {
      readonly kind: 'added' | 'removed' | 'stays'
      readonly source: string
      readonly leaf: LeafSummary | null
    }
  | { readonly kind: 'problem'; readonly why: string }
  | { readonly kind: 'cas'; readonly source: string; readonly look: CasChange }

export type CasChange = Exclude<CasLook, { kind: 'same' }>

export type Watched = WatchedPair | WatchedFolder | WatchedCas

/** To whom the certificate is presented: to clients, or to backends that ask for one. */
type Purpose = 'server' | 'client'

const tickMs = 250
/** A pass over all files begins at least this long after the previous one; with few files, at every tick. */
const passMs = 1_000
const few = 100
const looksPerTick = 250
/** Parsing a new certificate takes 0.1 ms: a thousand that change at once must not delay handshakes. */
const tickBudgetMs = 8

export class CertificateWatch {
  /** Incremented by every change after which a snapshot may have to choose again */
  generation = 0
  /** Incremented by every change that TLS toward backends may depend on: client certificates, and CAs */
  backendGeneration = 0
  onChange: (change: CertificateChange) => void = () => {}
  /** The CAs of a file have changed; not called for a file that is being opened at that moment */
  onCas: () => void = () => {}
  private readonly options: Readonly<Record<Purpose, BundleOptions>>
  /** By the chain file: a key made of both names would cost more than it is worth */
  private readonly pairs = new Map<string, WatchedPair[]>()
  private readonly folders = new Map<string, WatchedFolder>()
  private readonly casFiles = new Map<string, WatchedCas>()
  private readonly queue: Watched[] = []
  private readonly ownerOf = new WeakMap<WatchedPair, WatchedFolder>()
  private passAt = Number.NEGATIVE_INFINITY
  private passSize = 0
  private timer: NodeJS.Timeout | null = null
  private readonly purposes = new WeakMap<WatchedPair, Purpose>()

  constructor() {
    const isRoot = knownRoots()
    this.options = { server: { isRoot }, client: { isRoot, purpose: 'client' } }
  }

  /**
   * The pair in these files; the one that an earlier snapshot used, if there is one. With `strict` it is checked now, and
   * throws UsageError if something is wrong with it. A new pair is opened, which throws UsageError too.
   */
  pair(files: BundleFiles, strict: boolean, purpose: Purpose = 'server'): WatchedPair {
    const known = this.pairs.get(files.chainFile)
    let pair = known?.find(
      each => each.files.keyFile === files.keyFile && (this.purposes.get(each) ?? 'server') === purpose,
    )
    if (pair === undefined) {
      pair = WatchedPair.open(files, this.options[purpose])
      // Nothing is recorded for the ten thousand pairs of sites.
      if (purpose === 'client') this.purposes.set(pair, purpose)
      if (known === undefined) this.pairs.set(files.chainFile, [pair])
      else known.push(pair)
      this.begin()
    } else if (strict) this.report(pair, pair.refresh())
    return pair
  }

  /** Throws UsageError if a new folder cannot be read. */
  folder(name: string): WatchedFolder {
    let folder = this.folders.get(name)
    if (folder === undefined) {
      folder = new WatchedFolder(name, this.options.server)
      this.folders.set(name, folder)
      this.begin()
    } else this.lookIn(folder)
    return folder
  }

  /** The current CAs in this file. Throws UsageError if they cannot be used. */
  cas(file: string): WatchedCas {
    let cas = this.casFiles.get(file)
    if (cas === undefined) {
      cas = new WatchedCas(file)
      this.casFiles.set(file, cas)
      this.begin()
    } else this.reportCas(cas, cas.refresh())
    return cas
  }

  /** Drops what no snapshot uses any more. */
  keepOnly(used: ReadonlySet<Watched>): void {
    for (const [file, pairs] of this.pairs) {
      const kept = pairs.filter(pair => used.has(pair))
      if (kept.length === 0) this.pairs.delete(file)
      else if (kept.length < pairs.length) this.pairs.set(file, kept)
    }
    for (const [key, folder] of this.folders) if (!used.has(folder)) this.folders.delete(key)
    for (const [key, cas] of this.casFiles) if (!used.has(cas)) this.casFiles.delete(key)
    this.queue.length = 0
    if (this.pairs.size + this.folders.size + this.casFiles.size === 0) this.close()
  }

  close(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
  }

  private begin(): void {
    this.timer ??= setInterval(() => this.tick(performance.now()), tickMs).unref()
  }

  /** One slice. @param now performance.now() */
  private tick(now: number): void {
    if (this.queue.length === 0) {
      if (this.passSize > few && now - this.passAt < passMs - tickMs / 2) return
      this.passAt = now
      this.fill()
    }
    for (let count = 0; count < looksPerTick; count++) {
      const next = this.queue.pop()
      if (next === undefined) return
      if (next instanceof WatchedFolder) this.lookIn(next)
      else if (next instanceof WatchedCas) {
        if (this.reportCas(next, next.look())) this.onCas()
      } else this.report(next, next.look())
      if (performance.now() - now > tickBudgetMs) return
    }
  }

  /** Folders come first, so that files that were removed from them are not checked. */
  private fill(): void {
    for (const pairs of this.pairs.values()) this.queue.push(...pairs)
    for (const folder of this.folders.values()) {
      for (const { pair, gone } of folder.members.values()) {
        if (gone) continue
        this.ownerOf.set(pair, folder)
        this.queue.push(pair)
      }
    }
    for (const folder of this.folders.values()) this.queue.push(folder)
    this.queue.push(...this.casFiles.values())
    this.passSize = this.queue.length
  }

  private lookIn(folder: WatchedFolder): void {
    const changes = folder.look()
    if (changes.length > 0) this.generation++
    for (const change of changes) this.onChange(change)
  }

  /** @returns whether they have changed */
  private reportCas(cas: WatchedCas, look: CasLook): boolean {
    const isReplaced = look.kind === 'replaced'
    if (isReplaced) this.backendGeneration++
    if (look.kind !== 'same') this.onChange({ kind: 'cas', source: cas.file, look })
    return isReplaced
  }

  private report(pair: WatchedPair, look: Look): void {
    if (look.kind === 'same') return
    if (look.kind === 'replaced') {
      this.generation++
      if (this.purposes.get(pair) === 'client') this.backendGeneration++
      this.ownerOf.get(pair)?.touch(pair)
    }
    this.onChange({ ...look, source: pair.files.chainFile, leaf: pair.leaf() })
  }
}
