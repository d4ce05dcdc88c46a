/**
 * Where the control sockets of a gateway's processes are: beside its state, for its own user only. Where that path is too
 * long for a socket they are in the system's folder for temporary files, in which everybody may write: whoever made the
 * folder first owns it, and could put sockets of their own there. So both sides look at the folder before they use it: it
 * is a folder and no link, ours, and closed to others.
 */
import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, readdirSync, type Stats } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** A Unix socket's path has room for 107 bytes; the name in it takes up to 16. */
const longestFolder = 90

export function controlFolder(state: string): string {
  const folder = path.join(state, 'control')
  if (Buffer.byteLength(folder) <= longestFolder) return folder
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  return path.join(os.tmpdir(), `sallyport-${process.getuid?.() ?? 0}-${name}`)
}

/**
 * Makes the folder where it is not there yet. @returns why it must not be used and what to do, or null. Throws the system's
 * error where it cannot be made.
 */
export function makeControlFolder(state: string): string | null {
  const folder = controlFolder(state)
  const isOurPlace = path.dirname(folder) === state
  if (isOurPlace) mkdirSync(state, { recursive: true, mode: 0o700 })
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
  }
  const found = lstatSync(folder)
  // Where nobody else can put a folder, an open one of ours was only made by a careless copy.
  if (isOurPlace && found.isDirectory() && isOurs(found) && isOpen(found)) {
    chmodSync(folder, 0o700)
    return null
  }
  return wrongWith(folder, found)
}

/** Why the sockets in it must not be trusted and what to do, or null: also where there is none. */
export function controlFolderProblem(state: string): string | null {
  const folder = controlFolder(state)
  const found = lstatSync(folder, { throwIfNoEntry: false })
  return found === undefined ? null : wrongWith(folder, found)
}

const isOurs = ({ uid }: Stats): boolean => uid === (process.getuid?.() ?? uid)
const isOpen = ({ mode }: Stats): boolean => (mode & 0o077) !== 0

function wrongWith(folder: string, found: Stats): string | null {
  const wrong = !found.isDirectory()
    ? found.isSymbolicLink()
      ? 'is a symbolic link'
      : 'is no folder'
    : !isOurs(found)
      ? `belongs to the user with the id ${found.uid}, and this process runs as ${process.getuid?.()}`
      : isOpen(found)
        ? `is open to others (mode ${(found.mode & 0o777).toString(8)})`
        : null
  if (wrong === null) return null
  return `${folder}: the folder of the control sockets ${wrong}; remove it (the gateway creates it again), or set 'state' to another folder`
}

/** The sockets that are there, of processes that may be gone. */
export function controlSockets(state: string): string[] {
  const folder = controlFolder(state)
  try {
    return readdirSync(folder)
      .filter(name => /^\d+\.sock$/.test(name))
      .map(name => path.join(folder, name))
      .filter(file => isOurs(lstatSync(file)))
      .sort()
  } catch {
    return []
  }
}
