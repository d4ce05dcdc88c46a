/**
 * Text that came from somewhere else, for logs and terminals: what could move a cursor, forge a line or turn the order of
 * the words around is written as an escape, and what is too long is cut so that one sees it. The one place for both; every
 * output goes through here (docs/operations.md, test/unit/visible-text.test.ts).
 */

/** Controls (C0, DEL, C1), format characters (bidirectional marks among them), line separators and lone surrogates. */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
const unsafeInLines = /[^\n\P{Cc}]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
const plainAscii = /^[\x20-\x7e]*$/
/** Without what JSON escapes, too */
const plainInJson = /^[ !#-[\]-~]*$/
const plainLines = /^[\n\x20-\x7e]*$/

/** As JSON and JavaScript write it, so that it may stand in either as it is. */
function escaped(char: string): string {
  let text = ''
  for (let at = 0; at < char.length; at++) text += `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`
  return text
}

/** One line, whatever the text is. */
export const visible = (text: string): string => (plainAscii.test(text) ? text : text.replace(unsafe, escaped))

/** The same for text of several lines, and for JSON, which stays what it is. */
export const visibleLines = (text: string): string =>
  plainLines.test(text) ? text : text.replace(unsafeInLines, escaped)

/** Text as JSON, on one line like `visible`. */
export const jsonText = (text: string): string =>
  plainInJson.test(text) ? `"${text}"` : visible(JSON.stringify(text))

/** The same for any value. */
export const jsonOf = (value: unknown): string => visible(JSON.stringify(value))

export function cut(text: string, most: number): string {
  if (text.length <= most) return text
  // Not in the middle of a pair.
  const end = (text.charCodeAt(most - 1) & 0xfc00) === 0xd800 ? most - 1 : most
  return `${text.slice(0, end)}... (${text.length - end} more characters)`
}

/** The first of a list, and how many more there are. */
export function firstOf(list: readonly string[], most: number, mostCharacters: number): string[] {
  const first = list.slice(0, most).map(each => cut(each, mostCharacters))
  return list.length > most ? [...first, `... (${list.length - most} more)`] : first
}
