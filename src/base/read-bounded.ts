/** Reads a file that somebody has named: no more of it than is asked for, and never waiting for another process. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

/** Throws the system's error. @returns the bytes, or what else it is: a folder, no regular file, or larger than `atMost` bytes */
export function readBounded(file: string, atMost: number): Buffer | 'folder' | 'irregular' | 'too large' {
  // Not blocking: opening a FIFO would wait for whoever writes to it.
  const opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const found = fstatSync(opened)
    if (found.isDirectory()) return 'folder'
    if (!found.isFile()) return 'irregular'
    const bytes = Buffer.alloc(atMost + 1)
    let length = 0
    for (let more = -1; more !== 0 && length < bytes.length; length += more)
      more = readSync(opened, bytes, length, bytes.length - length, null)
    return length > atMost ? 'too large' : bytes.subarray(0, length)
  } finally {
    closeSync(opened)
  }
}
