/**
 * What a configuration is read from besides its own file: the files of `${file:...}` and of `include`. All are recorded, so that
 * another process is given the same contents, whatever the files hold by then.
 */
import { readFileSync } from 'node:fs'
import { readBounded } from '../../base/read-bounded.ts'

/** Survives JSON. */
export type FilesRecord = {
  /** Of `${file:...}`, by absolute path */
  readonly values: Readonly<Record<string, string>>
  /** Of included files, by absolute path */
  readonly texts: Readonly<Record<string, string>>
  /** What `include` has found, by absolute pattern */
  readonly matches: Readonly<Record<string, readonly string[]>>
}

type ReadText = { readonly text: string } | { readonly wrong: string; readonly missing: boolean }

/** More than any password, key or token; a file that is larger is not what was meant. */
const maxValueBytes = 64 * 1024

export class FilesRead {
  private readonly given: FilesRecord | null
  private readonly read = {
    values: Object.create(null) as Record<string, string>,
    texts: Object.create(null) as Record<string, string>,
    matches: Object.create(null) as Record<string, readonly string[]>,
  }

  /** `given`: what another process has read; the disk is not looked at. */
  constructor(given: FilesRecord | null = null) {
    this.given = given
  }

  get record(): FilesRecord {
    return this.given ?? this.read
  }

  /** The value in a file, without the newline at its end. */
  value(file: string): ReadText {
    return this.once('values', file, readValueFile)
  }

  /** A file of a configuration. */
  text(file: string): ReadText {
    return this.once('texts', file, readTextFile)
  }

  /** The files that a pattern stands for. */
  matches(pattern: string, find: () => readonly string[]): readonly string[] {
    if (this.given !== null) return this.given.matches[pattern] ?? []
    const found = find()
    this.read.matches[pattern] = found
    return found
  }

  private once(of: 'values' | 'texts', file: string, read: (file: string) => ReadText): ReadText {
    const known = this.record[of][file]
    if (known !== undefined) return { text: known }
    if (this.given !== null) return { wrong: 'does not exist', missing: true }
    const found = read(file)
    if ('text' in found) this.read[of][file] = found.text
    return found
  }
}

function readTextFile(file: string): ReadText {
  try {
    return { text: readFileSync(file, 'utf8') }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return { wrong: `cannot be read (${code ?? 'unknown reason'})`, missing: code === 'ENOENT' }
  }
}

function readValueFile(file: string): ReadText {
  try {
    const bytes = readBounded(file, maxValueBytes)
    if (bytes === 'folder') return { wrong: 'is a folder', missing: false }
    if (bytes === 'irregular') return { wrong: 'is not a regular file', missing: false }
    if (bytes === 'too large') return { wrong: `is larger than ${maxValueBytes / 1024} kB`, missing: false }
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return { text: text.replace(/\r?\n$/, '') }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return { wrong: 'does not exist', missing: true }
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA' || error instanceof TypeError)
      return { wrong: 'is not UTF-8 text', missing: false }
    return { wrong: `cannot be read (${code ?? 'unknown reason'})`, missing: false }
  }
}
