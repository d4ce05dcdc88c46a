/** Conditional requests for a file (RFC 9110 section 13), in the order of precedence of section 13.2.2. */
import { type Fields, trimBlanks } from '../../wire/fields.ts'
import { parseHttpDate } from '../../wire/http-date.ts'

/** What a file is known by. `modifiedMs`: whole seconds; null where it was changed too recently to be told from another change. */
type Validators = { readonly etag: string; readonly modifiedMs: number | null }

/** @returns the status to answer with, or null: as if there were no condition. For GET and HEAD */
export function conditionStatus(fields: Fields, { etag, modifiedMs }: Validators): 304 | 412 | null {
  const match = listed(fields, 'if-match')
  if (match !== null) {
    if (!names(match, etag, true)) return 412
  } else {
    const since = dateOf(fields, 'if-unmodified-since')
    if (since !== null && (modifiedMs === null || modifiedMs > since)) return 412
  }
  const noneMatch = listed(fields, 'if-none-match')
  if (noneMatch !== null) return names(noneMatch, etag, false) ? 304 : null
  const since = dateOf(fields, 'if-modified-since')
  return since !== null && modifiedMs !== null && modifiedMs <= since ? 304 : null
}

/**
 * Whether a Range counts (section 13.1.5): there is no If-Range, or what it names is the file as it is. Its date is a strong
 * validator here, since Last-Modified is sent only once the second that it names is over.
 */
export function rangeCounts(fields: Fields, { etag, modifiedMs }: Validators): boolean {
  const all = fields.getAll('if-range')
  if (all.length === 0) return true
  const [value = ''] = all
  if (all.length > 1) return false
  if (value.startsWith('"')) return value === etag
  const date = parseHttpDate(value)
  return date !== null && date === modifiedMs
}

const listed = (fields: Fields, name: string): string | null => {
  const all = fields.getAll(name)
  return all.length === 0 ? null : all.join(',')
}

function dateOf(fields: Fields, name: string): number | null {
  const all = fields.getAll(name)
  return all.length === 1 ? parseHttpDate(all[0] as string) : null
}

/** Whether a list of entity tags has this strong one. `strong`: a weak tag names nothing (section 8.8.3.2). */
function names(list: string, etag: string, strong: boolean): boolean {
  if (trimBlanks(list) === '*') return true
  // A tag may have commas in it, and no quotes: quotes come in pairs.
  for (let from = list.indexOf('"'); from >= 0; ) {
    const end = list.indexOf('"', from + 1)
    if (end < 0) return false
    const weak = list[from - 2] === 'W' && list[from - 1] === '/'
    if (end + 1 - from === etag.length && !(strong && weak) && list.startsWith(etag, from)) return true
    from = list.indexOf('"', end + 1)
  }
  return false
}
