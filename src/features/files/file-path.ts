/**
 * From the path of a request to the name of a file below a root. It is decoded once and as UTF-8, and what is not an ordinary
 * name is refused here, whatever normal form the path had before: other stages may have changed it since.
 *
 * Refused: an encoded slash, a backslash, control characters, what is not UTF-8, empty segments, and segments that begin with a
 * dot (which `.` and `..` do). `/.well-known/` is not hidden (RFC 8615), as long as it is the first segment.
 */

/** @returns the name, without its first slash: empty for the root, with a slash at its end for a folder. Null: it can name no file */
export function filePath(path: string): string | null {
  if (path.charCodeAt(0) !== slash) return null
  const plain = plainForm.test(path) ? path : decoded(path)
  if (plain === null) return null
  for (let from = 1; from < plain.length; ) {
    const next = plain.indexOf('/', from)
    const end = next < 0 ? plain.length : next
    if (end === from) return null
    if (plain.charCodeAt(from) === dot && !(from === 1 && plain.slice(from, end) === '.well-known')) return null
    from = end + 1
  }
  return plain.slice(1)
}

const slash = 0x2f
const dot = 0x2e
const backslash = 0x5c

const plainForm = /^[/\w.~!$&'()*+,;=:@-]+$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decoded(path: string): string | null {
  // Heads are latin1: a character is a byte.
  const bytes = Buffer.from(path, 'latin1')
  let length = 0
  for (let at = 0; at < path.length; at++) {
    let code = path.charCodeAt(at)
    if (code > 0xff) return null
    if (code === 0x25) {
      const hex = path.slice(at + 1, at + 3)
      if (!/^[\dA-Fa-f]{2}$/.test(hex)) return null
      code = Number.parseInt(hex, 16)
      if (code === slash) return null
      at += 2
    }
    if (code < 0x20 || code === 0x7f || code === backslash) return null
    bytes[length++] = code
  }
  try {
    return utf8.decode(bytes.subarray(0, length))
  } catch {
    return null
  }
}
