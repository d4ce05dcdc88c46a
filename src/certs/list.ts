/** The table that `sallyport certs list` prints: pure functions from bundles to rows, and from rows to text. */
import type { Bundle } from '../model/certificate.ts'

export type CertificateRow = {
  readonly names: readonly string[]
  readonly source: string
  readonly keyType: string
  readonly issuer: string
  /** Milliseconds since 1970 */
  readonly notAfter: number
  /** Whole days, rounded down: 0 on the last day, negative once expired */
  readonly daysLeft: number
}

const dayMs = 86_400_000

/** Rows in the order in which the certificates end: what needs attention comes first. */
export function certificateRows(bundles: readonly Bundle[], now: number): CertificateRow[] {
  return bundles
    .map(({ names, source, keyType, issuer, notAfter }) => {
      return { names, source, keyType, issuer, notAfter, daysLeft: Math.floor((notAfter - now) / dayMs) }
    })
    .sort((a, b) => a.notAfter - b.notAfter)
}

const titles = ['NAMES', 'SOURCE', 'KEY', 'ISSUER', 'NOT AFTER', 'DAYS LEFT']

/** Aligned columns with a line of titles, ending in a newline; of many names the first three. */
export function certificateTable(rows: readonly CertificateRow[]): string {
  if (rows.length === 0) return 'no certificates\n'
  const cells = rows.map(row => [
    namesText(row.names),
    row.source,
    row.keyType,
    row.issuer,
    new Date(row.notAfter).toISOString().slice(0, 16).replace('T', ' '),
    row.daysLeft < 0 ? 'expired' : String(row.daysLeft),
  ])
  const widths = titles.map((title, column) => Math.max(title.length, ...cells.map(line => line[column].length)))
  const line = (parts: readonly string[]) =>
    parts
      .map((part, column) => part.padEnd(widths[column]))
      .join('  ')
      .trimEnd()
  return `${[titles, ...cells].map(line).join('\n')}\n`
}

function namesText(names: readonly string[]): string {
  if (names.length === 0) return '(none)'
  const more = names.length > 3 ? ` and ${names.length - 3} more` : ''
  return `${names.slice(0, 3).join(', ')}${more}`
}
