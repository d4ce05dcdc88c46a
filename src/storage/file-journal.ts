/**
 * Change notifications for keys in a folder. Every put and delete appends its key to `~changes` once the change
 * is visible; a watcher stats that one file every second, however many keys there are, and reads the new lines.
 * (fs.watch does not report changes that another machine makes on a network volume, and differs by platform.)
 *
 * A process that is killed between the change and its line leaves no line, and neither does a person who copies a file there: so
 * the files under a watched prefix are compared with their last known state every minute. A change may be reported twice, but never not at all.
 */

import { statSync } from 'node:fs'
import { open, readdir, rename, stat } from 'node:fs/promises'
import path from 'node:path'
import { isKey } from './keys.ts'

export type JournalTimes = { readonly pollMs: number; readonly compareMs: number }

type Watcher = {
  readonly prefix: string
  readonly changed: (key: string | null) => void
  /** By key; null until the first look */
  stamps: Map<string, string> | null
}

/** Then a new file is started; far more than is written between two checks. */
const rotateBytes = 256 * 1024

export class FileJournal {
  readonly #root: string
  readonly #file: string
  readonly #times: JournalTimes
  readonly #watchers = new Set<Watcher>()
  #timer: NodeJS.Timeout | null = null
  #comparison: NodeJS.Timeout | null = null
  #polling: Promise<void> | null = null
  #comparing: Promise<void> | null = null
  /** The file that was read last, and how far; 0 if none was */
  #inode = 0
  #offset = 0
  /** An incomplete line */
  #rest = ''
  /** Of the previous file; 0 if there is none */
  #oldInode = 0

  constructor(root: string, times: JournalTimes) {
    this.#root = root
    this.#file = path.join(root, '~changes')
    this.#times = times
  }

  /** Never throws: the change has been made, and if no line could be written, the comparison finds it. */
  async append(key: string): Promise<void> {
    try {
      // Opened by name each time, so that after a rotation the line goes to the new file. A line that still lands in the old
      // file is not lost: watchers reread everything on a rotation, and the change was made before it.
      const handle = await open(this.#file, 'a', 0o600)
      let size: number
      try {
        await handle.write(`${key}\n`)
        size = (await handle.stat()).size
      } finally {
        await handle.close()
      }
      if (size > rotateBytes) await rename(this.#file, `${this.#file}.old`)
    } catch {}
  }

  watch(prefix: string, changed: (key: string | null) => void): () => void {
    const watcher: Watcher = { prefix, changed, stamps: null }
    if (this.#watchers.size === 0) this.#start()
    this.#watchers.add(watcher)
    void this.#compare()
    return () => {
      if (this.#watchers.delete(watcher) && this.#watchers.size === 0) this.#stop()
    }
  }

  #start(): void {
    // At once, so that no change from now on is missed.
    const found = statSync(this.#file, { throwIfNoEntry: false })
    this.#inode = found?.ino ?? 0
    this.#offset = found?.size ?? 0
    this.#rest = ''
    this.#oldInode = statSync(`${this.#file}.old`, { throwIfNoEntry: false })?.ino ?? 0
    const poll = () => {
      this.#polling ??= this.#poll().finally(() => {
        this.#polling = null
      })
    }
    this.#timer = setInterval(poll, this.#times.pollMs).unref()
    this.#comparison = setInterval(() => void this.#compare(), this.#times.compareMs).unref()
  }

  #stop(): void {
    if (this.#timer) clearInterval(this.#timer)
    if (this.#comparison) clearInterval(this.#comparison)
    this.#timer = null
    this.#comparison = null
  }

  async #poll(): Promise<void> {
    let text: string | null
    try {
      text = await this.#read()
    } catch {
      // The disk does not respond: the next check or the comparison finds it.
      return
    }
    if (text === null) return this.#tell(null)
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    const keys = new Set(lines)
    // On a network volume, lines of two machines can run into each other.
    if (this.#rest.length > 2_000 || [...keys].some(line => !isKey(line))) {
      this.#rest = ''
      return this.#tell(null)
    }
    for (const key of keys) this.#tell(key)
  }

  /** The new lines; null if it is a different file, or too much to read. */
  async #read(): Promise<string | null> {
    const stats = await stat(this.#file).catch(error => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    })
    if (stats === null) {
      // It was just rotated; its last lines may not have been read yet.
      const gone = this.#inode !== 0
      this.#inode = 0
      this.#offset = 0
      return (await this.#rotated()) || gone ? null : ''
    }
    // A file that was created after the last check may be gone again by now.
    if (this.#inode === 0 && (await this.#rotated())) {
      this.#inode = stats.ino
      this.#offset = stats.size
      this.#rest = ''
      return null
    }
    if (stats.ino === this.#inode && stats.size === this.#offset) return ''
    const first = this.#inode === 0
    const other = (stats.ino !== this.#inode && !first) || stats.size < this.#offset
    if (other || stats.size - this.#offset > rotateBytes) {
      this.#inode = stats.ino
      this.#offset = stats.size
      this.#rest = ''
      return null
    }
    const handle = await open(this.#file, 'r')
    try {
      const { ino } = await handle.stat()
      if (!first && ino !== this.#inode) return ''
      const buffer = Buffer.alloc(stats.size - this.#offset)
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.#offset)
      this.#inode = ino
      this.#offset += bytesRead
      return buffer.toString('latin1', 0, bytesRead)
    } finally {
      await handle.close()
    }
  }

  /** Whether the previous file is a different one than at the last check. */
  async #rotated(): Promise<boolean> {
    const ino = (await stat(`${this.#file}.old`).catch(() => null))?.ino ?? 0
    const rotated = ino !== this.#oldInode
    this.#oldInode = ino
    return rotated
  }

  #tell(key: string | null): void {
    for (const watcher of [...this.#watchers]) {
      if (key !== null && !key.startsWith(watcher.prefix)) continue
      if (key !== null) void this.#note(watcher, key)
      notify(watcher, key)
    }
  }

  /** Prevents the comparison from reporting again what the journal has reported. */
  async #note(watcher: Watcher, key: string): Promise<void> {
    const stamp = await stampOf(path.join(this.#root, key))
    if (stamp === null) watcher.stamps?.delete(key)
    else watcher.stamps?.set(key, stamp)
  }

  #compare(): Promise<void> {
    this.#comparing ??= this.#compareAll().finally(() => {
      this.#comparing = null
    })
    return this.#comparing
  }

  async #compareAll(): Promise<void> {
    for (const watcher of [...this.#watchers]) {
      const found = new Map<string, string>()
      try {
        await collect(this.#root, watcher.prefix, found)
      } catch {
        // A partial listing would report the rest as deleted.
        continue
      }
      const before = watcher.stamps
      watcher.stamps = found
      if (before === null || !this.#watchers.has(watcher)) continue
      for (const [key, stamp] of found) if (before.get(key) !== stamp) notify(watcher, key)
      for (const key of before.keys()) if (!found.has(key)) notify(watcher, key)
    }
  }

  async close(): Promise<void> {
    this.#watchers.clear()
    this.#stop()
    await this.#polling
    await this.#comparing
  }
}

/** A listener that throws must not stop the others. */
function notify(watcher: Watcher, key: string | null): void {
  queueMicrotask(() => watcher.changed(key))
}

async function stampOf(file: string): Promise<string | null> {
  const stats = await stat(file).catch(() => null)
  return stats?.isFile() ? `${stats.ino} ${stats.mtimeMs} ${stats.size}` : null
}

async function collect(root: string, prefix: string, found: Map<string, string>): Promise<void> {
  const entries = await readdir(path.join(root, prefix), { withFileTypes: true }).catch(error => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  })
  for (const entry of entries) {
    const key = `${prefix}${entry.name}`
    if (!isKey(key)) continue
    if (entry.isDirectory()) await collect(root, `${key}/`, found)
    else if (entry.isFile()) {
      const stamp = await stampOf(path.join(root, key))
      if (stamp !== null) found.set(key, stamp)
    }
  }
}
