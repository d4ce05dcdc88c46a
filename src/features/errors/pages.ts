/** Error pages, read from their files: small, whole, and of a type that browsers know. */
import path from 'node:path'
import { messageOf } from '../../base/errors.ts'
import { readBounded } from '../../base/read-bounded.ts'

/** In bytes */
export const pageAtMost = 65_536

export type Page = {
  readonly bytes: Buffer
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

/** @returns the page, or what is wrong with the file */
export function readPage(file: string): Page | string {
  const type = types[path.extname(file).toLowerCase()]
  if (type === undefined) return `${file}: the name of a page ends with .html, .txt, .json or .xml`
  try {
    return read(file, type)
  } catch (error) {
    return `${file}: cannot be read: ${messageOf(error)}`
  }
}

function read(file: string, type: string): Page | string {
  const bytes = readBounded(file, pageAtMost)
  if (bytes === 'too large') return `${file}: a page has at most ${pageAtMost / 1024} kB`
  if (typeof bytes === 'string') return `${file}: is not a regular file`
  // An error is never to be kept by a cache, nor read as another type.
  const lines = `content-type: ${type}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n`
  return { bytes: Buffer.from(bytes), lines }
}
