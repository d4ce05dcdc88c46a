/** Pages of the operator's own, for errors and maintenance: small files, read whole, of a type that browsers know. */
import { statSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../base/errors.ts'
import { readBounded } from '../base/read-bounded.ts'

/** In bytes */
export const pageAtMost = 65_536

export type Page = {
  readonly bytes: Buffer
  /** Its media type */
  readonly type: string
  /** Its field lines, each with its CRLF */
  readonly lines: string
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.htm': 'text/html; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.json': 'application/json',
  '.xml': 'application/xml',
}

const typeOf = (file: string): string | undefined => types[path.extname(file).toLowerCase()]

const tooLarge = (file: string): string => `${file}: a page has at most ${pageAtMost / 1024} kB`
const irregular = (file: string): string => `${file}: is not a regular file`
const nameless = (file: string): string => `${file}: the name of a page ends with .html, .txt, .json or .xml`

/** What is wrong with a page, as far as can be told without reading it; null: nothing. */
export function pageProblem(file: string): string | null {
  if (typeOf(file) === undefined) return nameless(file)
  const found = statSync(file, { throwIfNoEntry: false })
  // Whether it has to be there is said elsewhere.
  if (found === undefined) return null
  if (!found.isFile()) return irregular(file)
  return found.size > pageAtMost ? tooLarge(file) : null
}

/** @returns the page, or what is wrong with the file */
export function readPage(file: string): Page | string {
  const type = typeOf(file)
  if (type === undefined) return nameless(file)
  try {
    const bytes = readBounded(file, pageAtMost)
    if (bytes === 'too large') return tooLarge(file)
    if (typeof bytes === 'string') return irregular(file)
    // An error is never to be kept by a cache, nor read as another type.
    const lines = `content-type: ${type}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n`
    return { bytes: Buffer.from(bytes), type, lines }
  } catch (error) {
    return `${file}: cannot be read: ${messageOf(error)}`
  }
}
