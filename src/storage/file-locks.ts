/**
 * Locks in a folder, without flock (neither runtime has it): `~locks/NAME~/` holds one small file per generation of the
 * lock, named by its number, which is the fence. The file with the highest number is the lock; it says who holds it,
 * or that it is free.
 *
 * A contender takes the lock by one link(2) of the next number: exactly one of any number of contenders succeeds. No file is
 * renamed or removed to take over a lock, so a contender can never take away a lock that another one has just
 * acquired. Invariant: the highest number is never removed. A contender that slept between listing and linking may create a
 * number that was passed long ago; it lists again afterwards, sees the higher number, and withdraws.
 * (A listing is one getdents call, which is atomic with respect to changes of the folder.)
 *
 * A lock ends when its holder releases it, when the holder's process is gone (process-identity.ts), or when the holder has sent no heartbeat
 * for `leaseMs`. Contenders watch the file's timestamp against their own monotonic clock; for holders on other machines the lock
 * also ends at once if the timestamp is twice as old by the clock of the file system itself.
 */
import { randomBytes } from 'node:crypto'
import { link, open, readdir, readFile, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { nowMs } from '../base/deadlines.ts'
import { type Lease, StorageError } from '../model/storage.ts'
import { codeOf, makeFolders, storageError, syncFolder, writeTemporary } from './file-write.ts'
import { formatIdentity, isDead, type ProcessIdentity, parseIdentity } from './process-identity.ts'

export type LockTimes = {
  /** A holder without a heartbeat for this long has lost the lock */
  readonly leaseMs: number
  readonly beatMs: number
}

/** One generation, as it was read. */
type Generation = {
  readonly fence: number
  readonly free: boolean
  /** Null if it cannot be read; then only its timestamp counts */
  readonly holder: ProcessIdentity | null
  readonly mtimeMs: number
}

type Seen = { readonly fence: number; readonly mtimeMs: number; readonly at: number }

const maxSeen = 10_000

export class FileLocks {
  readonly #root: string
  readonly #self: ProcessIdentity
  readonly #times: LockTimes
  readonly #held = new Set<FileLease>()
  /** Timestamps of other holders, and since when they have not changed */
  readonly #seen = new Map<string, Seen>()

  constructor(root: string, self: ProcessIdentity, times: LockTimes) {
    this.#root = root
    this.#self = self
    this.#times = times
  }

  /** @param name a checked key */
  async lock(name: string): Promise<Lease | null> {
    const folder = path.join(this.#root, '~locks', `${name}~`)
    try {
      return await this.#take(name, folder)
    } catch (error) {
      throw storageError(error, `taking the lock ${name}`)
    }
  }

  async #take(name: string, folder: string): Promise<Lease | null> {
    await makeFolders(this.#root, folder)
    const newest = await readNewest(folder)
    if (newest && !(await this.#isOver(folder, newest))) return null
    const fence = (newest?.fence ?? 0) + 1
    const content = `held ${formatIdentity(this.#self)} ${randomBytes(16).toString('hex')}\n`
    const file = path.join(folder, String(fence))
    const beatAt = nowMs()
    const temporary = await writeTemporary(this.#root, folder, Buffer.from(content), this.#self)
    try {
      await create(temporary, file, content)
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return null
      throw error
    } finally {
      await unlink(temporary).catch(() => {})
    }
    const numbers = await fencesIn(folder)
    if (numbers.some(number => number > fence)) {
      await unlink(file).catch(() => {})
      return null
    }
    for (const number of numbers)
      if (number < fence) await unlink(path.join(folder, String(number))).catch(() => {})
    await syncFolder(folder)
    this.#seen.delete(folder)
    const lease = new FileLease({ name, folder, fence, content, beatAt, times: this.#times, held: this.#held })
    this.#held.add(lease)
    return lease
  }

  async #isOver(folder: string, newest: Generation): Promise<boolean> {
    if (newest.free) return true
    const dead = newest.holder && isDead(newest.holder, this.#self)
    if (dead === true) return true
    const { fence, mtimeMs } = newest
    const seen = this.#seen.get(folder)
    if (seen?.fence === fence && seen.mtimeMs === mtimeMs) {
      if (nowMs() - seen.at >= this.#times.leaseMs) return true
    } else {
      if (this.#seen.size >= maxSeen) this.#seen.clear()
      this.#seen.set(folder, { fence, mtimeMs, at: nowMs() })
      // Its heartbeat was seen, whatever its clock says.
      if (seen?.fence === fence) return false
    }
    // A live process on this machine is judged only by missed heartbeats, because the clock may have jumped.
    if (dead === false) return false
    return (await this.#fileClock(folder)) - mtimeMs > 2 * this.#times.leaseMs
  }

  /** The time by the clock of the file system; on a network volume it may differ from ours. */
  async #fileClock(folder: string): Promise<number> {
    const probe = await writeTemporary(this.#root, folder, Buffer.from('clock\n'), this.#self)
    try {
      return (await stat(probe)).mtimeMs
    } finally {
      await unlink(probe).catch(() => {})
    }
  }

  /** Throws StorageError `lost` if the lock belongs to another holder. */
  async check(lease: Lease): Promise<void> {
    if (!(lease instanceof FileLease)) throw new RangeError('the lease is not one of this storage')
    await lease.check()
  }

  async close(): Promise<void> {
    for (const lease of [...this.#held]) await lease.release()
  }
}

type LeaseParts = {
  readonly name: string
  readonly folder: string
  readonly fence: number
  readonly content: string
  readonly beatAt: number
  readonly times: LockTimes
  readonly held: Set<FileLease>
}

class FileLease implements Lease {
  readonly fence: number
  readonly lost: AbortSignal
  readonly #parts: LeaseParts
  readonly #file: string
  readonly #abort = new AbortController()
  readonly #timer: NodeJS.Timeout
  #beatAt: number
  /** The heartbeat in progress */
  #beating: Promise<void> | null = null
  #released = false

  constructor(parts: LeaseParts) {
    this.#parts = parts
    this.fence = parts.fence
    this.lost = this.#abort.signal
    this.#file = path.join(parts.folder, String(parts.fence))
    this.#beatAt = parts.beatAt
    this.#timer = setInterval(() => this.#tick(), parts.times.beatMs).unref()
  }

  #tick(): void {
    if (this.#beating === null) {
      this.#beating = this.#beat().finally(() => {
        this.#beating = null
      })
      return
    }
    // The disk does not respond: others may have seen missed heartbeats by now.
    if (nowMs() - this.#beatAt >= this.#parts.times.leaseMs) this.#lose('the folder does not answer')
  }

  async #beat(): Promise<void> {
    const at = nowMs()
    try {
      if (!(await this.#isNewest())) return this.#lose('another process has taken it over')
      await overwrite(this.#file, this.#parts.content)
      this.#beatAt = at
    } catch (error) {
      if (nowMs() - this.#beatAt >= this.#parts.times.leaseMs) this.#lose(`it cannot be kept: ${codeOf(error)}`)
    }
  }

  async #isNewest(): Promise<boolean> {
    const { folder, fence, content } = this.#parts
    const numbers = await fencesIn(folder)
    if (numbers.some(number => number > fence)) return false
    // Someone may have removed the whole folder, and others may have started over.
    return (await readFile(this.#file, 'utf8').catch(() => '')) === content
  }

  async check(): Promise<void> {
    const { name } = this.#parts
    if (this.#released) throw new StorageError('lost', `the lock ${name} was given back before the write`)
    if (!this.lost.aborted && !(await this.#isNewest())) this.#lose('another process has taken it over')
    if (this.lost.aborted) throw this.lost.reason
  }

  #lose(why: string): void {
    clearInterval(this.#timer)
    this.#parts.held.delete(this)
    this.#abort.abort(new StorageError('lost', `the lock ${this.#parts.name} is lost: ${why}`))
  }

  async release(): Promise<void> {
    if (this.#released) return
    this.#released = true
    clearInterval(this.#timer)
    this.#parts.held.delete(this)
    await this.#beating
    // Four bytes, written in place, so that a full disk cannot prevent it. If it fails anyway, the missing heartbeats end the lock.
    if (await this.#isNewest().catch(() => false)) await overwrite(this.#file, 'free').catch(() => {})
  }
}

async function overwrite(file: string, text: string): Promise<void> {
  const handle = await open(file, 'r+')
  try {
    await handle.write(Buffer.from(text), 0, text.length, 0)
  } finally {
    await handle.close()
  }
}

/** Creates the file with its whole content, or fails with EEXIST. */
async function create(temporary: string, file: string, content: string): Promise<void> {
  try {
    await link(temporary, file)
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(codeOf(error))) throw error
    // The file system has no hard links. A process that is killed in between leaves an empty file, which expires like any other holder.
    const handle = await open(file, 'wx', 0o600)
    try {
      await handle.writeFile(content)
    } finally {
      await handle.close()
    }
  }
}

async function fencesIn(folder: string): Promise<number[]> {
  const names = await readdir(folder)
  return names.filter(name => /^[1-9][0-9]{0,14}$/.test(name)).map(Number)
}

async function readNewest(folder: string): Promise<Generation | null> {
  for (;;) {
    const numbers = await fencesIn(folder)
    if (numbers.length === 0) return null
    const fence = Math.max(...numbers)
    const file = path.join(folder, String(fence))
    try {
      const { mtimeMs } = await stat(file)
      const found = /^(held|free) (\S+) [0-9a-f]{32}\n$/.exec(await readFile(file, 'utf8'))
      return { fence, free: found?.[1] === 'free', holder: found ? parseIdentity(found[2]!) : null, mtimeMs }
    } catch (error) {
      // It was superseded and removed during the listing: there is a higher one.
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }
}
