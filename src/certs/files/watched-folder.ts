/**
 * A folder of certificates and the folders in it, one level deep, indexed by the names in the certificates. What is added,
 * changed or removed is found by the stamps of folders and files; a broken pair keeps its old one in force.
 *
 * Invariants: a certificate whose files are gone stays in force as long as nothing else has its names, behind everything
 * that is there: a slip of `rm` does not take a site down. A link to a folder that is looked at already counts once, so
 * that there are no circles. Files are parsed when a handshake needs them; the index reads the first certificate only.
 */
import { statSync } from 'node:fs'
import { UsageError } from '../../base/errors.ts'
import type { Bundle, KeyType } from '../../model/certificate.ts'
import type { LeafSummary } from '../x509/leaf.ts'
import type { BundleOptions } from './bundle.ts'
import { type FolderScan, type Searched, scanFolder } from './folder-scan.ts'
import { stampAndTime, stampOf } from './stamped.ts'
import { WatchedPair } from './watched-pair.ts'

const mostPairs = 25_000
const mostFolders = 20_000
/** Stamps of inner folders that one look compares */
const foldersPerLook = 500
/** A change right after a scan might not show in the stamp: within this time the folder is scanned again. */
const coarseMs = 2_000
/** Scanning takes up to this share of the time. */
const scanShare = 0.05
const longestPauseMs = 60_000

type FolderChange =
  | { readonly kind: 'added' | 'removed' | 'stays'; readonly source: string; readonly leaf: LeafSummary | null }
  | { readonly kind: 'problem'; readonly why: string }

/** `gone`: its files are not in the folder any more. */
type Member = { readonly pair: WatchedPair; gone: boolean; staysTold: boolean }

type Unit = { readonly stamp: number; readonly young: boolean; readonly keys: readonly string[] }

export class WatchedFolder {
  readonly folder: string
  private readonly options: BundleOptions
  readonly members = new Map<string, Member>()
  private readonly leaves = new WeakMap<WatchedPair, LeafSummary | null>()
  private readonly units = new Map<string, Unit>()
  private inner: readonly string[] = []
  private readonly searched: Searched = new Map()
  private index: ReadonlyMap<string, readonly Member[]> = new Map()
  private next = 0
  private scanAgainAt = 0
  private readonly told = new Set<string>()
  private dirty = true
  private unreadable = ''

  /** Scans at once. Throws UsageError where the folder cannot be read. */
  constructor(folder: string, options: BundleOptions = {}) {
    this.folder = folder
    this.options = options
    this.scanAll([])
    this.rebuild([])
  }

  /** Takes over what changed in the folders; their files are looked at by whoever looks at `members`. */
  look(now = Date.now()): FolderChange[] {
    const changes: FolderChange[] = []
    try {
      // A clock that was set back must not put it off for long.
      if (now >= this.scanAgainAt || this.scanAgainAt - now > longestPauseMs) this.scanChanged(changes, now)
      this.told.delete(this.unreadable)
      this.unreadable = ''
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      this.unreadable = error.message
      this.tell(error.message, changes)
    }
    if (this.dirty) this.rebuild(changes)
    return changes
  }

  /** A member's certificate has changed: its names may have, too. */
  touch(pair: WatchedPair): void {
    this.leaves.delete(pair)
    this.dirty = true
  }

  /** What is in force of a member; the index asks for it all the time. */
  leafOf(pair: WatchedPair): LeafSummary | null {
    let leaf = this.leaves.get(pair)
    if (leaf === undefined) {
      leaf = pair.leaf()
      this.leaves.set(pair, leaf)
    }
    return leaf
  }

  /** Whether something covers this name of a site, which may be a wildcard: then one for any name below it will do. */
  covers(host: string): boolean {
    if (this.index.has(host) || this.index.has(wildcardOf(host))) return true
    if (!host.startsWith('*.')) return false
    for (const name of this.index.keys()) if (wildcardOf(name) === host) return true
    return false
  }

  /**
   * The best for a name, one of each kind of key; none where nothing covers it. Before others: what is in the folder, what
   * is valid now, the exact name, and what ends last.
   */
  find(name: string, now = Date.now()): Bundle[] {
    const levels = [this.index.get(name), this.index.get(wildcardOf(name))]
    for (const good of [true, false]) {
      for (const level of levels) {
        const found = level === undefined ? [] : this.bestOf(level, good, now)
        if (found.length > 0) return found
      }
    }
    return []
  }

  /** Another member, which ends later and has the same kind of key, is found for each of its names. */
  superseded(member: Member): boolean {
    const leaf = this.leafOf(member.pair)
    if (leaf === null || leaf.names.length === 0) return false
    return leaf.names.every(name => {
      const first = this.index
        .get(name)
        ?.find(({ pair, gone }) => !gone && this.leafOf(pair)?.keyType === leaf.keyType)
      return first !== undefined && first !== member
    })
  }

  private endOf({ pair }: Member): number {
    return this.leafOf(pair)?.notAfter ?? 0
  }

  /** @param good only what is there and valid now */
  private bestOf(members: readonly Member[], good: boolean, now: number): Bundle[] {
    const best = new Map<KeyType, Bundle>()
    for (const { pair, gone } of members) {
      const leaf = this.leafOf(pair)
      if (leaf === null || best.has(leaf.keyType)) continue
      if (good && (gone || now > leaf.notAfter || now < leaf.notBefore)) continue
      try {
        const { bundle } = pair.load()
        best.set(bundle.keyType, bundle)
      } catch (error) {
        // Left out, and told with the next look.
        if (!(error instanceof UsageError)) throw error
      }
    }
    return [...best.values()]
  }

  private scanAll(changes: FolderChange[]): void {
    const top = this.scan(this.folder, changes)
    const seen = new Set([identityOf(this.folder)])
    const inner: string[] = []
    for (const folder of top.folders) {
      const identity = identityOf(folder)
      if (identity === null || seen.has(identity)) continue
      seen.add(identity)
      if (inner.length === mostFolders) {
        this.tell(`${this.folder}: has more than ${mostFolders} folders; the rest is not looked at`, changes)
        break
      }
      inner.push(folder)
    }
    this.inner = inner
    const known = new Set([this.folder, ...inner])
    for (const folder of this.units.keys()) if (!known.has(folder)) this.forget(folder)
    for (const folder of inner) if (!this.units.has(folder)) this.scanInner(folder, changes)
  }

  private scanChanged(changes: FolderChange[], now: number): void {
    const startedAt = performance.now()
    let scanned = false
    if (this.changed(this.folder)) {
      scanned = true
      this.scanAll(changes)
    }
    for (let count = Math.min(foldersPerLook, this.inner.length); count > 0; count--) {
      this.next = (this.next + 1) % this.inner.length
      const folder = this.inner[this.next] as string
      if (!this.changed(folder)) continue
      scanned = true
      this.scanInner(folder, changes)
    }
    if (scanned) this.scanAgainAt = now + (performance.now() - startedAt) / scanShare
  }

  private changed(folder: string): boolean {
    const unit = this.units.get(folder)
    return unit === undefined || unit.stamp !== stampOf(folder) || unit.young
  }

  private scanInner(folder: string, changes: FolderChange[]): void {
    try {
      this.scan(folder, changes)
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      this.tell(error.message, changes)
      this.units.set(folder, unitOf(stampAndTime(folder), []))
    }
  }

  private scan(folder: string, changes: FolderChange[]): FolderScan {
    // Before reading: what comes between is another stamp, and found at the next look.
    const found = stampAndTime(folder)
    const scan = scanFolder(folder, this.searched)
    for (const problem of scan.problems) this.tell(problem, changes)
    const keys: string[] = []
    for (const files of scan.pairs) {
      const key = `${files.chainFile}\n${files.keyFile}`
      const known = this.members.get(key)
      if (known === undefined) {
        if (this.members.size >= mostPairs) {
          this.tell(`${this.folder}: holds more than ${mostPairs} certificates; the rest is not used`, changes)
          break
        }
        const pair = WatchedPair.find(files, this.options)
        this.members.set(key, { pair, gone: false, staysTold: false })
        changes.push({ kind: 'added', source: files.chainFile, leaf: this.leafOf(pair) })
        this.dirty = true
      } else if (known.gone) {
        known.gone = known.staysTold = false
        this.dirty = true
      }
      keys.push(key)
    }
    const now = new Set(keys)
    for (const key of this.units.get(folder)?.keys ?? []) if (!now.has(key)) this.lose(key)
    this.units.set(folder, unitOf(found, keys))
    return scan
  }

  private forget(folder: string): void {
    for (const key of this.units.get(folder)?.keys ?? []) this.lose(key)
    this.units.delete(folder)
  }

  private lose(key: string): void {
    const member = this.members.get(key)
    if (member === undefined) return
    member.gone = true
    this.dirty = true
  }

  private tell(why: string, changes: FolderChange[]): void {
    if (this.told.has(why) || this.told.size > 1_000) return
    this.told.add(why)
    changes.push({ kind: 'problem', why })
  }

  private rebuild(changes: FolderChange[]): void {
    this.dirty = false
    const index = new Map<string, Member[]>()
    const add = (member: Member) => {
      for (const name of this.leafOf(member.pair)?.names ?? []) {
        const there = index.get(name)
        if (there === undefined) index.set(name, [member])
        else there.push(member)
      }
    }
    for (const member of this.members.values()) if (!member.gone) add(member)
    for (const [key, member] of this.members) {
      if (!member.gone) continue
      const leaf = this.leafOf(member.pair)
      const source = member.pair.files.chainFile
      const alone = (leaf?.names ?? []).filter(name => !index.has(name) && !index.has(wildcardOf(name)))
      if (leaf === null || alone.length === 0 || leaf.notAfter < Date.now()) {
        this.members.delete(key)
        changes.push({ kind: 'removed', source, leaf })
      } else {
        if (!member.staysTold) changes.push({ kind: 'stays', source, leaf })
        member.staysTold = true
      }
    }
    for (const member of this.members.values()) if (member.gone) add(member)
    for (const members of index.values())
      if (members.length > 1) members.sort((a, b) => this.endOf(b) - this.endOf(a))
    this.index = index
  }
}

/** `*.example.com` for `shop.example.com`, and for itself; empty where there is none. */
function wildcardOf(name: string): string {
  const dot = name.indexOf('.')
  return dot > 0 ? `*${name.slice(dot)}` : ''
}

function unitOf({ stamp, changedMs }: ReturnType<typeof stampAndTime>, keys: readonly string[]): Unit {
  return { stamp, young: Math.abs(Date.now() - changedMs) < coarseMs, keys }
}

/** Null where it is gone. */
function identityOf(folder: string): string | null {
  try {
    const { dev, ino } = statSync(folder)
    return `${dev} ${ino}`
  } catch {
    return null
  }
}
