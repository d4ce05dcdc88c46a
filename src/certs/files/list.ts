/** The table that `sallyport certs list` prints: pure functions from certificates to rows, and from rows to text. */
import { dayMs } from '../x509/expiry.ts'
import type { LeafSummary, Validity } from '../x509/leaf.ts'

/** A certificate and who shows it. */
export type ListedCertificate = {
  readonly source: string
  readonly sites: readonly string[]
  /** In force; null where nothing is. Read when asked for: 20 us where no handshake has needed it yet. */
  leaf(): LeafSummary | null
  /** A part of it, for a fifth of that, and kept */
  validity(): Validity | null
  /** What is wrong with what should be in force */
  readonly problem: string | null
  /** Another one is shown for all of its names, so that its end is nobody's concern */
  readonly superseded: boolean
  /** The name it is ordered for, where the gateway does that itself */
  readonly ordered?: string
}

type CertificateState =
  | 'serving'
  | 'expired'
  | 'not valid yet'
  | 'broken'
  | 'superseded'
  | 'missing'
  | 'not renewed'

export type CertificateRow = {
  readonly names: readonly string[]
  /** Of the certificate: what it is called where it has no names, as of a client */
  readonly subject: string | null
  /** By their first hosts, or `upstream NAME` where it is the gateway that shows it */
  readonly sites: readonly string[]
  readonly source: string
  /**
   * `broken`: what is in the source cannot be used; what else the row says is about the certificate in force, if any.
   * `missing`: ordered, and not there yet. `not renewed`: the last order has failed, and the one before it serves.
   */
  readonly state: CertificateState
  readonly problem: string | null
  /** The rest is null where there is no certificate */
  readonly keyType: string | null
  readonly issuer: string | null
  readonly serial: string | null
  readonly fingerprint256: string | null
  /** Milliseconds since 1970 */
  readonly notBefore: number | null
  readonly notAfter: number | null
  /** Whole days, rounded down: 0 on the last day, negative once expired */
  readonly daysLeft: number | null
}

export const daysLeft = (notAfter: number, now: number): number => Math.floor((notAfter - now) / dayMs)

/** Rows in the order in which the certificates end: what needs attention comes first. */
export function certificateRows(listed: readonly ListedCertificate[], now: number): CertificateRow[] {
  return listed
    .map(one => ({ ...one, leaf: one.leaf() }))
    .map(({ leaf, source, sites, problem, superseded, ordered }) => ({
      names: leaf?.names ?? (ordered === undefined ? [] : [ordered]),
      subject: leaf?.subject ?? null,
      sites,
      source,
      state: stateOf(leaf, problem, superseded, ordered !== undefined, now),
      problem,
      keyType: leaf?.keyType ?? null,
      issuer: leaf?.issuer ?? null,
      serial: leaf?.serial ?? null,
      fingerprint256: leaf?.fingerprint256 ?? null,
      notBefore: leaf?.notBefore ?? null,
      notAfter: leaf?.notAfter ?? null,
      daysLeft: leaf === null ? null : daysLeft(leaf.notAfter, now),
    }))
    .sort((a, b) => (a.notAfter ?? 0) - (b.notAfter ?? 0))
}

function stateOf(
  leaf: LeafSummary | null,
  problem: string | null,
  superseded: boolean,
  ordered: boolean,
  now: number,
): CertificateState {
  if (leaf === null) return ordered ? 'missing' : 'broken'
  if (superseded) return 'superseded'
  if (now > leaf.notAfter) return 'expired'
  if (problem !== null) return ordered ? 'not renewed' : 'broken'
  return now < leaf.notBefore ? 'not valid yet' : 'serving'
}

const titles = ['NAMES', 'SITE', 'SOURCE', 'KEY', 'ISSUER', 'NOT AFTER', 'DAYS LEFT', 'STATE']

/** Aligned columns with a line of titles, ending in a newline; of many names the first three. */
export function certificateTable(rows: readonly CertificateRow[]): string {
  if (rows.length === 0) return 'no certificates\n'
  const cells = rows.map(row => [
    row.names.length === 0 && row.subject ? row.subject : namesText(row.names),
    namesText(row.sites),
    row.source,
    row.keyType ?? '-',
    row.issuer ?? '-',
    row.notAfter === null ? '-' : new Date(row.notAfter).toISOString().slice(0, 16).replace('T', ' '),
    row.daysLeft === null ? '-' : row.daysLeft < 0 ? 'expired' : String(row.daysLeft),
    row.problem === null ? row.state : `${row.state}: ${row.problem}`,
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
