/**
 * The storage in a folder: a value is a file with its key as the name, unencoded, so that people can look at it and copy it.
 * docs/storage.md describes the folder.
 *
 * Invariants: a file is only ever replaced as a whole (file-write.ts); nothing outside the folder is read or written,
 * whatever links are in it; names that are not keys are never listed. A value that expires has a first line with its
 * expiry.
 */
import { constants } from 'node:fs'
import { type FileHandle, link, open, readdir, realpath, rename, rmdir, unlink } from 'node:fs/promises'
import path from 'node:path'
import { type Lease, type Storage, StorageError } from '../model/storage.ts'
import { FileJournal, type JournalTimes } from './file-journal.ts'
import { FileLocks, type LockTimes } from './file-locks.ts'
import {
  codeOf,
  makeFolders,
  removeStale,
  replaceFile,
  storageError,
  syncFolder,
  temporaryName,
} from './file-write.ts'
import { asideName, checkKey, checkPrefix, checkTtl, checkValue, isKey, maxValueBytes } from './keys.ts'
import { type ProcessIdentity, thisProcess } from './process-identity.ts'

export type FileStorageOptions = Partial<LockTimes & JournalTimes>

const defaults: LockTimes & JournalTimes = { leaseMs: 30_000, beatMs: 5_000, pollMs: 1_000, compareMs: 60_000 }

/** The first line of a value that expires: its expiry in milliseconds since 1970, 0 for never. */
const mark = 'sallyport-ttl-1 '
const headBytes = mark.length + 17
/** An expired value that was never fetched is removed this long after its expiry, by the next listing. */
const graceMs = 3_600_000
const atOnce = 16

/** Creates the folder if it is missing, and removes what processes that died while writing have left. */
export async function openFileStorage(folder: string, options: FileStorageOptions = {}): Promise<Storage> {
  try {
    const absolute = path.resolve(folder)
    await makeFolders(path.parse(absolute).root, absolute)
    const root = await realpath(absolute)
    const self = thisProcess()
    await removeStale(root, self)
    return new FileStorage(absolute, root, self, { ...defaults, ...options, sweeps: true })
  } catch (error) {
    throw storageError(error, `opening the storage ${folder}`)
  }
}

/**
 * Read-only: no folder is created, no lock is taken, nothing is removed, and writes are refused. Throws StorageError.
 * A missing folder is an empty storage.
 */
export async function readFileStorage(folder: string): Promise<Storage> {
  const absolute = path.resolve(folder)
  const root = await realpath(absolute).catch(error => {
    if (codeOf(error) === 'ENOENT') return null
    throw storageError(error, `reading the storage ${folder}`)
  })
  const files =
    root === null ? null : new FileStorage(absolute, root, thisProcess(), { ...defaults, sweeps: false })
  const refuse = async (): Promise<never> => {
    throw new StorageError('refused', `files in ${absolute} are only read here`)
  }
  return {
    name: `files in ${absolute}`,
    get: async key => (await files?.get(key)) ?? null,
    list: async prefix => (await files?.list(prefix)) ?? [],
    put: refuse,
    delete: refuse,
    setAside: refuse,
    lock: refuse,
    watch: () => () => {},
    close: async () => await files?.close(),
  }
}

class FileStorage implements Storage {
  readonly name: string
  readonly #root: string
  readonly #self: ProcessIdentity
  readonly #locks: FileLocks
  readonly #journal: FileJournal
  /** Removes values that expired long ago */
  readonly #sweeps: boolean

  constructor(
    shown: string,
    root: string,
    self: ProcessIdentity,
    { sweeps, ...times }: LockTimes & JournalTimes & { readonly sweeps: boolean },
  ) {
    this.#sweeps = sweeps
    this.name = `files in ${shown}`
    this.#root = root
    this.#self = self
    this.#locks = new FileLocks(root, self, times)
    this.#journal = new FileJournal(root, times)
  }

  async get(key: string): Promise<Buffer | null> {
    checkKey(key)
    return this.#try(`reading ${key}`, async () => {
      const file = await this.#fileOf(key)
      const content = file && (await readWhole(file, key))
      if (!content) return null
      const end = endOf(content, key)
      if (end === null) return content
      return end.at !== 0 && end.at <= Date.now() ? null : content.subarray(headBytes)
    })
  }

  async put(key: string, value: Uint8Array, options: { ttlMs?: number; lease?: Lease } = {}): Promise<void> {
    checkKey(key)
    checkTtl(options.ttlMs)
    const bytes = checkValue(key, value)
    const { ttlMs, lease } = options
    const marked = ttlMs !== undefined || bytes.subarray(0, mark.length).equals(Buffer.from(mark))
    const until = ttlMs === undefined ? 0 : Date.now() + ttlMs
    const content = marked
      ? Buffer.concat([Buffer.from(`${mark}${String(until).padStart(16, '0')}\n`), bytes])
      : bytes
    await this.#try(`writing ${key}`, async () => {
      // Checked before any work is done, and again just before the rename. The remaining gap needs a process that is stopped
      // there for a whole lease, in a folder that it shares with other machines.
      if (lease) await this.#locks.check(lease)
      const file = path.join(this.#root, key)
      await this.#fileOf(key)
      await replaceFile(this.#root, file, content, this.#self, async () => {
        if (lease) await this.#locks.check(lease)
        await this.#fileOf(key)
      })
    })
    await this.#journal.append(key)
  }

  async delete(key: string): Promise<void> {
    checkKey(key)
    await this.#try(`deleting ${key}`, async () => {
      const file = await this.#fileOf(key)
      if (file) await this.#remove(file)
    })
    await this.#journal.append(key)
  }

  async list(prefix: string): Promise<readonly string[]> {
    checkPrefix(prefix)
    return this.#try(`listing ${prefix}`, async () => {
      const keys: string[] = []
      if (await this.#fileOf(`${prefix}x`)) await this.#collect(prefix, keys)
      const live: string[] = []
      let next = 0
      const look = async () => {
        while (next < keys.length) {
          const key = keys[next++]!
          if (await this.#isLive(key)) live.push(key)
        }
      }
      await Promise.all(Array.from({ length: atOnce }, look))
      return live.sort()
    })
  }

  async setAside(key: string): Promise<string> {
    checkKey(key)
    const aside = await this.#try(`setting ${key} aside`, async () => {
      const file = await this.#fileOf(key)
      if (file) {
        for (let attempt = 1; attempt < 1_000; attempt++) {
          const target = path.join(this.#root, asideName(key, new Date(), attempt))
          if (await reserve(target)) return await this.#moveAside(file, target, key)
        }
      }
      throw new StorageError('refused', `there is no ${key} to set aside`)
    })
    await this.#journal.append(key)
    return aside
  }

  lock(name: string): Promise<Lease | null> {
    checkKey(name)
    return this.#locks.lock(name)
  }

  watch(prefix: string, changed: (key: string | null) => void): () => void {
    checkPrefix(prefix)
    return this.#journal.watch(prefix, changed)
  }

  async close(): Promise<void> {
    await this.#locks.close()
    await this.#journal.close()
  }

  async #try<T>(doing: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      throw storageError(error, `${doing} in ${this.#root}`)
    }
  }

  /** Null if its folder is missing. A folder that is a symbolic link leads elsewhere, and is refused. */
  async #fileOf(key: string): Promise<string | null> {
    const file = path.join(this.#root, key)
    // If folders are missing, the last existing one decides where they would be created.
    for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
      const real = await realpath(folder).catch(error => {
        if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null
        throw error
      })
      if (real === null && folder.length > this.#root.length) continue
      if (real === null || real === folder) return real && folder === path.dirname(file) ? file : null
      throw new StorageError('refused', `${folder} is reached through a symbolic link; put the folder itself there`)
    }
  }

  async #remove(file: string): Promise<void> {
    try {
      await unlink(file)
    } catch (error) {
      // EISDIR, EPERM: a folder is not a value.
      if (['ENOENT', 'ENOTDIR', 'EISDIR', 'EPERM'].includes(codeOf(error)) && !(await isFile(file))) return
      throw error
    }
    let folder = path.dirname(file)
    await syncFolder(folder).catch(ignoreMissing)
    // Names come and go; empty folders would accumulate.
    for (; folder !== this.#root; folder = path.dirname(folder)) if (!(await rmdir(folder).then(yes, no))) break
  }

  async #collect(prefix: string, keys: string[]): Promise<void> {
    const entries = await readdir(path.join(this.#root, prefix), { withFileTypes: true }).catch(error => {
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return []
      throw error
    })
    for (const entry of entries) {
      const key = `${prefix}${entry.name}`
      if (!isKey(key)) continue
      if (entry.isDirectory()) await this.#collect(`${key}/`, keys)
      else if (entry.isFile()) keys.push(key)
    }
  }

  /** Whether it has not expired. A value that expired long ago is removed. */
  async #isLive(key: string): Promise<boolean> {
    const file = path.join(this.#root, key)
    const at = await endOfFile(file)
    if (at === null || at === 0 || at > Date.now()) return at !== null
    if (this.#sweeps && at + graceMs < Date.now()) await this.#sweep(file).catch(() => {})
    return false
  }

  /**
   * Removes an expired value. It is moved away first and checked again: a value that was written in the meantime is moved back,
   * unless there is an even newer one. (Challenge tokens expire and are never reused; this is for keys that are.)
   */
  async #sweep(file: string): Promise<void> {
    const taken = path.join(path.dirname(file), temporaryName(this.#self))
    await rename(file, taken)
    const at = await endOfFile(taken)
    if (at === null || at === 0 || at > Date.now()) await link(taken, file).catch(() => {})
    await this.#remove(taken)
  }

  async #moveAside(file: string, target: string, key: string): Promise<string> {
    try {
      await rename(file, target)
    } catch (error) {
      await unlink(target).catch(() => {})
      if (codeOf(error) === 'ENOENT') throw new StorageError('refused', `there is no ${key} to set aside`)
      throw error
    }
    await syncFolder(path.dirname(file))
    return target
  }
}

const yes = () => true
const no = () => false

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error
}

/** An empty file with an unused name, as the target of a rename. */
async function reserve(file: string): Promise<boolean> {
  try {
    await (await open(file, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** A symbolic link as the last part is refused, and a pipe does not block. */
async function openFile(file: string): Promise<FileHandle | null> {
  try {
    return await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null
    if (codeOf(error) === 'ELOOP' || codeOf(error) === 'EMLINK')
      throw new StorageError('refused', `${file} is a symbolic link; put the file itself there`, error)
    throw error
  }
}

async function isFile(file: string): Promise<boolean> {
  const handle = await openFile(file)
  if (handle === null) return false
  try {
    return (await handle.stat()).isFile()
  } finally {
    await handle.close()
  }
}

/** Null if there is no such file, or it is a folder. */
async function readWhole(file: string, key: string): Promise<Buffer | null> {
  const handle = await openFile(file)
  if (handle === null) return null
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) return null
    const most = maxValueBytes + headBytes
    const buffer = Buffer.alloc(Math.min(stats.size, most) + 1)
    let size = 0
    while (size < buffer.length) {
      const { bytesRead } = await handle.read(buffer, size, buffer.length - size, size)
      if (bytesRead === 0) return buffer.subarray(0, size)
      size += bytesRead
    }
    throw new StorageError('damaged', `${key} is larger than the ${maxValueBytes} bytes that a value may have`)
  } finally {
    await handle.close()
  }
}

/** Null for a value that does not expire. */
function endOf(content: Buffer, key: string): { at: number } | null {
  if (content.toString('latin1', 0, mark.length) !== mark) return null
  const text = content.toString('latin1', mark.length, headBytes)
  if (!/^[0-9]{16}\n$/.test(text)) throw new StorageError('damaged', `${key} is cut off in its first line`)
  return { at: Number(text) }
}

/** Its expiry, 0 for never; null if it is gone or cannot be read. */
async function endOfFile(file: string): Promise<number | null> {
  const handle = await openFile(file).catch(() => null)
  if (handle === null) return null
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, 0)
    try {
      return endOf(buffer.subarray(0, bytesRead), file)?.at ?? 0
    } catch {
      // Damaged, but it exists: reading it will report the damage.
      return 0
    }
  } finally {
    await handle.close()
  }
}
