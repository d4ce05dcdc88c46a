/**
 * Text from somebody else for a terminal or a file that people read: what would move the cursor, end the line or turn
 * the direction of writing is shown as `\u{...}`.
 */

/** C0, DEL, C1, the marks and isolates that turn the direction, and the two separators that some take for a line's end */
const hidden = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

export const visible = (text: string): string =>
  text.replace(hidden, char => `\\u{${(char.codePointAt(0) as number).toString(16)}}`)

/** JSON text, of which the strings alone can have such characters; it stays the same JSON. */
export const visibleJson = (json: string): string =>
  json.replace(hidden, char =>
    char === '\n' ? char : `\\u${(char.codePointAt(0) as number).toString(16).padStart(4, '0')}`,
  )
