/**
 * What a configuration is read from besides its own file: the files of `${file:...}`. Each is read once, and all are recorded, so
 * that another process is given the same contents, whatever the files hold by then.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

/** Contents by absolute path. Survives JSON. */
export type FilesRecord = Readonly<Record<string, string>>

type ReadText = { readonly text: string } | { readonly wrong: string; readonly missing: boolean }

/** More than any password, key or token; a file that is larger is not what was meant. */
const maxValueBytes = 64 * 1024

export class FilesRead {
  private readonly given: FilesRecord | null
  private readonly read: Record<string, string> = Object.create(null)

  /** `given`: what another process has read; the disk is not looked at. */
  constructor(given: FilesRecord | null = null) {
    this.given = given
  }

  get record(): FilesRecord {
    return this.given ?? this.read
  }

  /** The value in a file, without the newline at its end. */
  value(file: string): ReadText {
    const known = this.record[file]
    if (known !== undefined) return { text: known }
    if (this.given !== null) return { wrong: 'does not exist', missing: true }
    const read = readValueFile(file)
    if ('text' in read) this.read[file] = read.text
    return read
  }
}

function readValueFile(file: string): ReadText {
  let opened: number | null = null
  try {
    // Not blocking: opening a FIFO would wait for whoever writes to it.
    opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const found = fstatSync(opened)
    if (found.isDirectory()) return { wrong: 'is a folder', missing: false }
    if (!found.isFile()) return { wrong: 'is not a regular file', missing: false }
    const bytes = Buffer.alloc(maxValueBytes + 1)
    let length = 0
    for (let more = -1; more !== 0 && length < bytes.length; length += more)
      more = readSync(opened, bytes, length, bytes.length - length, null)
    if (length > maxValueBytes) return { wrong: `is larger than ${maxValueBytes / 1024} kB`, missing: false }
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length))
    return { text: text.replace(/\r?\n$/, '') }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return { wrong: 'does not exist', missing: true }
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA' || error instanceof TypeError)
      return { wrong: 'is not UTF-8 text', missing: false }
    return { wrong: `cannot be read (${code ?? 'unknown reason'})`, missing: false }
  } finally {
    if (opened !== null) closeSync(opened)
  }
}
