/**
 * Atomic and durable writes: a reader finds either the old content or the new, whenever the process or the machine stops. A
 * temporary file in the same folder, fsync, rename, fsync of the folder. Files are 0600, folders 0700.
 *
 * A temporary file is named `~WHERE.PID.START.RANDOM.part`: the name identifies the process, so that the next process that opens the
 * folder can remove the files of dead ones.
 */
import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { messageOf } from '../base/errors.ts'
import { StorageError } from '../model/storage.ts'
import { formatIdentity, isDead, type ProcessIdentity, parseIdentity } from './process-identity.ts'

export const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | null)?.code ?? ''

/** Converts an error of a file operation to a StorageError; one that is already a StorageError stays as it is. */
export function storageError(error: unknown, doing: string): Error {
  if (error instanceof StorageError || error instanceof RangeError) return error
  const text = `${doing}: ${messageOf(error)}`
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new StorageError('full', text, error)
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new StorageError(
        'refused',
        `${text} (the folder must belong to the user that the gateway runs as)`,
        error,
      )
    case 'ENOTDIR':
    case 'ELOOP':
    case 'ENOTEMPTY':
    case 'EISDIR':
    case 'EEXIST':
    case 'ENAMETOOLONG':
      return new StorageError('refused', text, error)
    default:
      // EIO, ESTALE, ETIMEDOUT, EMFILE: the content cannot be known now.
      return new StorageError('away', text, error)
  }
}

/** How often the folder may be removed during a write: it goes with the last value in it. */
const mostRemovals = 50

/** Creates the missing folders of `folder` below `root`, each durably. */
export async function makeFolders(root: string, folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const first = await mkdir(folder, { recursive: true, mode: 0o700 })
      if (first === undefined) return
      for (let made = folder; made.length > root.length && made.length >= first.length; made = path.dirname(made))
        await syncFolder(path.dirname(made))
      return
    } catch (error) {
      // ENOENT where the folder above went; ENOTDIR (from Node) or EEXIST (from Bun) where one went that had just been found to exist.
      if (!['ENOENT', 'ENOTDIR', 'EEXIST'].includes(codeOf(error)) || attempt === mostRemovals) throw error
    }
  }
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (error) {
    // Some network file systems have no fsync for folders, and nothing can replace it.
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOTSUP') throw error
  } finally {
    await handle.close()
  }
}

export function temporaryName(self: ProcessIdentity): string {
  return `~${formatIdentity(self)}.${randomBytes(8).toString('hex')}.part`
}

/** Writes a durable temporary file with this content, and creates its folder if it is missing. @returns its path */
export async function writeTemporary(
  root: string,
  folder: string,
  content: Uint8Array,
  self: ProcessIdentity,
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    await makeFolders(root, folder)
    const temporary = path.join(folder, temporaryName(self))
    let handle: FileHandle
    try {
      handle = await open(temporary, 'wx', 0o600)
    } catch (error) {
      // Another process removed the empty folder in between.
      if (codeOf(error) === 'ENOENT' && attempt < mostRemovals) continue
      throw error
    }
    try {
      try {
        await handle.writeFile(content)
        await handle.sync()
      } finally {
        await handle.close()
      }
      return temporary
    } catch (error) {
      await unlink(temporary).catch(() => {})
      throw error
    }
  }
}

/** @param ready checks at the last moment whether the write may still happen */
export async function replaceFile(
  root: string,
  file: string,
  content: Uint8Array,
  self: ProcessIdentity,
  ready: () => Promise<void>,
): Promise<void> {
  const folder = path.dirname(file)
  const temporary = await writeTemporary(root, folder, content, self)
  try {
    await ready()
    await rename(temporary, file)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
  await syncFolder(folder).catch(error => {
    // The value and its folder have been removed since: nothing can be lost.
    if (codeOf(error) !== 'ENOENT') throw error
  })
}

/** For a process that cannot be checked: on another machine, or from an earlier boot. */
const strangersMs = 3_600_000

/** Removes the temporary files of dead processes, at any depth. */
export async function removeStale(folder: string, self: ProcessIdentity): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    const full = path.join(folder, entry.name)
    if (entry.isDirectory()) await removeStale(full, self)
    else if (entry.isFile() && (await isStale(full, entry.name, self))) await unlink(full).catch(() => {})
  }
}

async function isStale(file: string, name: string, self: ProcessIdentity): Promise<boolean> {
  const found = /^~(.+)\.[0-9a-f]{16}\.part$/.exec(name)
  const owner = found ? parseIdentity(found[1]!) : null
  if (owner === null) return false
  const dead = isDead(owner, self)
  if (dead !== null) return dead
  const stats = await stat(file).catch(() => null)
  return stats !== null && Date.now() - stats.mtimeMs > strangersMs
}
