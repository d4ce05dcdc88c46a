/** Chunked framing onto a link (RFC 9112 section 7.1), the same toward clients and backends. */
import type { Link } from '../../model/link.ts'
import type { Fields } from '../../wire/fields.ts'

/** One chunk. An empty one would end the body, so there must be at least a byte. */
export function writeChunk(link: Link, bytes: Uint8Array, from: number, to: number): boolean {
  link.writeText(`${(to - from).toString(16)}\r\n`)
  link.write(bytes, from, to)
  return link.writeText('\r\n')
}

export function endChunks(link: Link, trailers: Fields | null): void {
  link.writeText(trailers === null ? '0\r\n\r\n' : `0\r\n${trailers.text}\r\n`)
}
