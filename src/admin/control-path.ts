/** Where the control sockets of a gateway's processes are: beside its state, for its own user only. */
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
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

/** The sockets that are there, of processes that may be gone. */
export function controlSockets(state: string): string[] {
  const folder = controlFolder(state)
  try {
    return readdirSync(folder)
      .filter(name => /^\d+\.sock$/.test(name))
      .map(name => path.join(folder, name))
      .sort()
  } catch {
    return []
  }
}
