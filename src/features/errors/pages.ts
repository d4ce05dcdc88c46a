/** Error pages, read from their files: small, whole, and of a type that browsers know. */
import { closeSync, fstatSync, constants as open, openSync, readSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../../base/errors.ts'

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
  // A pipe without a writer would hold the process.
  const descriptor = openSync(file, open.O_RDONLY | open.O_NONBLOCK)
  try {
    if (!fstatSync(descriptor).isFile()) return `${file}: is not a regular file`
    const bytes = Buffer.alloc(pageAtMost + 1)
    let length = 0
    for (let more = -1; more !== 0 && length < bytes.length; length += more)
      more = readSync(descriptor, bytes, length, bytes.length - length, length)
    if (length > pageAtMost) return `${file}: a page has at most ${pageAtMost / 1024} kB`
    // An error is never to be kept by a cache, nor read as another type.
    const lines = `content-type: ${type}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n`
    return { bytes: Buffer.from(bytes.subarray(0, length)), lines }
  } finally {
    closeSync(descriptor)
  }
}
