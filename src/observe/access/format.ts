/**
 * Lines of the access log by a template, as `combined` and `common` are. A value comes from the network: it is cut at its bound,
 * and quotes, backslashes, control characters and everything beyond ASCII are written as nginx writes them, `\xHH` for each
 * byte. So no value ends a line or a quoted field, and none moves a cursor or turns text around.
 */
import { mostPathText, mostText } from '../../base/log-bounds.ts'
import { cut } from '../../base/visible.ts'
import type { RequestRecord } from '../../model/records.ts'
import type { LineTerms, Variable } from './values.ts'

export type LinePart = string | Variable

/** A template that was read. */
export type LineFormat = { readonly kind: 'json' } | { readonly kind: 'line'; readonly parts: readonly LinePart[] }

export const namedFormats: Readonly<Record<string, string>> = {
  common: '{client.address} - - [{time.local}] "{request.line}" {response.status} {response.bytes}',
  combined:
    '{client.address} - - [{time.local}] "{request.line}" {response.status} {response.bytes} "{request.referer}" "{request.userAgent}"',
}

const plain = /^[ !#-[\]-~]*$/
const toEscape = /["\\]|[^\x20-\x7e]/gu

/** A value as it stands in a line; `-` for none. */
export function lineText(value: string | null, most: number): string {
  if (value === null || value === '') return '-'
  const bounded = value.length > most ? cut(value, most) : value
  return plain.test(bounded) ? bounded : bounded.toWellFormed().replace(toEscape, escaped)
}

/** What came in a field is a byte for each character; only names from certificates can have others. */
function escaped(char: string): string {
  const bytes = Buffer.from(char, char <= '\u00ff' ? 'latin1' : 'utf8')
  let hex = ''
  for (const byte of bytes) hex += `\\x${byte.toString(16).padStart(2, '0').toUpperCase()}`
  return hex
}

/** @returns what writes one line, with its end */
export function compileLine(parts: readonly LinePart[], terms: LineTerms): (record: RequestRecord) => string {
  const steps = parts.map(part => (typeof part === 'string' ? () => part : stepOf(part, terms)))
  return record => {
    let line = ''
    for (const step of steps) line += step(record)
    return `${line}\n`
  }
}

function stepOf({ value, plain: isPlain, isPath }: Variable, terms: LineTerms): (record: RequestRecord) => string {
  if (isPlain) return record => value(record, terms) || '-'
  const most = isPath ? mostPathText : mostText
  return record => lineText(value(record, terms), most)
}
