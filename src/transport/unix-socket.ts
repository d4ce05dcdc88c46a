/** Unix sockets to listen at: the file that a process has left behind is removed, and one that is in use is not. */
import { lstatSync, rmSync } from 'node:fs'
import net from 'node:net'
import { UsageError } from '../base/errors.ts'

/** Throws UsageError where something else is there, or somebody listens. */
export async function freeSocketPath(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  const why = `cannot listen on unix:${path}`
  if (!found.isSocket())
    throw new UsageError(`${why}: a file is there that is not a socket; remove it, or choose another path`)
  const code = await connectsTo(path)
  if (code === null) throw new UsageError(`${why} (EADDRINUSE): another program has it`)
  if (code !== 'ECONNREFUSED' && code !== 'ENOENT')
    throw new UsageError(`${why}: the socket that is there cannot be tried (${code})`)
  rmSync(path, { force: true })
}

/** @returns null where somebody accepts, or the code of the error */
function connectsTo(path: string): Promise<string | null> {
  return new Promise(resolve => {
    const socket = net.connect({ path })
    socket.on('connect', () => {
      socket.destroy()
      resolve(null)
    })
    socket.on('error', (error: Error & { code?: string }) => resolve(error.code ?? error.message))
  })
}

/** Calls `bind`, which creates a socket file before it returns, so that nobody else could ever have opened it. */
export function withMode<T>(mode: number, bind: () => T): T {
  const before = process.umask(0o777 & ~mode)
  try {
    return bind()
  } finally {
    process.umask(before)
  }
}
