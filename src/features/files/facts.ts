/** What an answer says of a file: its validators, its type, and the field lines with them. */
import type { FileFacts, FileStamp } from '../../model/small-file.ts'
import type { Coding } from '../compress/codings.ts'
import { mediaType } from './media-types.ts'

/**
 * The tag is strong: it has the time of the last change to the microsecond, the size, and the coding, of which each has bytes of
 * its own. @param name without the ending of the coding
 */
export function factsOf(stamp: FileStamp, name: string, coding: Coding | null, now = Date.now()): FileFacts {
  const micros = Math.max(0, Math.floor(stamp.modifiedMs * 1000))
  const etag = `"${micros.toString(36)}-${stamp.size.toString(36)}${coding === null ? '' : `-${coding}`}"`
  const second = Math.floor(stamp.modifiedMs / 1000) * 1000
  // While its second is not over, the date could mean another change as well; and it must not lie ahead (section 8.8.2).
  const modifiedMs = second >= 0 && second + 1000 <= now ? second : null
  const type = mediaType(name)
  const unchangedLines = `etag: ${etag}\r\n`
  const modified = modifiedMs === null ? '' : `last-modified: ${new Date(modifiedMs).toUTCString()}\r\n`
  const encoding = coding === null ? '' : `content-encoding: ${coding}\r\n`
  const lines = `content-type: ${type}\r\n${encoding}${modified}accept-ranges: bytes\r\n${unchangedLines}`
  return { stamp, etag, modifiedMs, type, lines, unchangedLines }
}

export const isSame = (a: FileStamp, b: FileStamp): boolean =>
  a.size === b.size && a.modifiedMs === b.modifiedMs && a.inode === b.inode
