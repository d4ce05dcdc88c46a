/**
 * The Range of a request (RFC 9110 section 14). What is not worth answering in parts is answered whole, as the RFC allows: more
 * ranges than anybody needs, and ranges that overlap, by which a short request could ask for many times the file.
 */
import { trimBlanks } from '../../wire/fields.ts'

/** Bytes, `to` not included */
export type Range = { readonly from: number; readonly to: number }

const rangesAtMost = 16

/** @returns in the order of the request; `none`: answer with all of it; `unsatisfiable`: a 416 */
export function parseRanges(text: string, size: number): readonly Range[] | 'none' | 'unsatisfiable' {
  if (!/^bytes=/i.test(text)) return 'none'
  const ranges: Range[] = []
  let count = 0
  for (let from = 'bytes='.length; from <= text.length; ) {
    const comma = text.indexOf(',', from)
    const end = comma < 0 ? text.length : comma
    const spec = trimBlanks(text.slice(from, end))
    from = end + 1
    // Empty elements of a list do not count (section 5.6.1.2).
    if (spec === '') continue
    if (++count > rangesAtMost) return 'none'
    const range = parseRange(spec, size)
    if (range === null) return 'none'
    if (range !== 'outside') ranges.push(range)
  }
  if (count === 0) return 'none'
  if (ranges.length === 0) return 'unsatisfiable'
  return overlap(ranges) ? 'none' : ranges
}

/** Null where it is no range; `outside` where nothing of it is in the file. */
function parseRange(spec: string, size: number): Range | 'outside' | null {
  const found = /^(\d{0,19})-(\d{0,19})$/.exec(spec)
  if (found === null) return null
  const [, first = '', last = ''] = found
  if (first === '') {
    if (last === '') return null
    const length = Number(last)
    if (length === 0) return 'outside'
    // Of an empty file there is no last byte that could be named.
    return size === 0 ? null : { from: Math.max(0, size - length), to: size }
  }
  const from = Number(first)
  if (last !== '' && Number(last) < from) return null
  if (from >= size) return 'outside'
  return { from, to: last === '' ? size : Math.min(size, Number(last) + 1) }
}

function overlap(ranges: readonly Range[]): boolean {
  const sorted = ranges.toSorted((a, b) => a.from - b.from)
  return sorted.some((range, at) => at > 0 && range.from < (sorted[at - 1] as Range).to)
}
