/**
 * Locks in a folder, without flock (neither runtime has it): `~locks/NAME~/` holds one small file per generation of the
 * lock, named by its number, which is the fence. The file with the highest number is the lock; it says who holds it,
 * or that it is free.
 *
 * Taking it is one link(2) of the next number: of any number of contenders exactly one gets it, and no file is ever
 * renamed or removed to take a lock over, so there is no moment in which a contender could take away what another one
 * has just got. Invariant: the highest number is never removed. A contender that slept between looking and linking
 * may bring back a number that was passed long ago; it looks again afterwards, sees the higher one, and withdraws.
 * (One look is one getdents call, which the kernel does not mix with changes of the folder.)
 *
 * A holder is over when it says so, when its process is no more (process-identity.ts), or when it has not beaten its
 * heart for `leaseMs`: that is seen by watching the file's stamp from here, with our own clock that never jumps; or, for
 * holders on other machines, at once when the stamp is twice as old by the clock of the file system itself.
 */
import { randomBytes } from 'node:crypto'
import { link, open, readdir, readFile, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { nowMs } from '../base/deadlines.ts'
import { type Lease, StorageError } from '../model/storage.ts'
import { codeOf, makeFolders, storageError, syncFolder, writeTemporary } from './file-write.ts'
import { formatIdentity, isDead, type ProcessIdentity, parseIdentity } from './process-identity.ts'

export type LockTimes = {
  /** Without a heart-beat for this long, a holder has lost the lock */
  readonly leaseMs: number
  readonly beatMs: number
}

/** One generation as it was found. */
type Generation = {
  readonly fence: number
  readonly free: boolean
  /** Null: not readable; only its stamp counts */
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
  /** Stamps of other holders, and since when we have known them to stand still */
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
      // We have seen its heart beat, whatever its clock says.
      if (seen?.fence === fence) return false
    }
    // A process of ours that is alive is only judged by what we see it miss: the clock may have jumped.
    if (dead === false) return false
    return (await this.#fileClock(folder)) - mtimeMs > 2 * this.#times.leaseMs
  }

  /** The time as the file system stamps it; a network volume's may be another than ours. */
  async #fileClock(folder: string): Promise<number> {
    const probe = await writeTemporary(this.#root, folder, Buffer.from('clock\n'), this.#self)
    try {
      return (await stat(probe)).mtimeMs
    } finally {
      await unlink(probe).catch(() => {})
    }
  }

  /** Throws StorageError `lost` when the lease has gone to somebody else. */
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
  /** The beat under way */
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
    // A disk that does not answer: others may have seen us miss our beats by now.
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
    // Somebody may have removed the whole folder, and others begun anew.
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
    // In place, in four bytes: a full disk cannot stop it. Where it fails all the same, the missing heart-beat does it.
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

/** The file with all of its content, or EEXIST. */
async function create(temporary: string, file: string, content: string): Promise<void> {
  try {
    await link(temporary, file)
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(codeOf(error))) throw error
    // A file system without hard links. Killed in between, it leaves an empty file, which ends like any other holder.
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
      // Passed and removed while we looked: there is a higher one.
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }
}
