/** The result as two tables, for a terminal or as Markdown. */
import { metricUnits } from './cases.ts'
import type { PeerName } from './setup.ts'
import type { Spread } from './statistics.ts'
import type { CaseSummary, Figures } from './summary.ts'

export type Grid = { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }

export const peerTitles: Record<PeerName, string> = {
  sallyport: 'Sallyport',
  plain: 'without stages',
  base: 'base',
  nginx: 'nginx',
  haproxy: 'HAProxy',
  caddy: 'Caddy',
}

/** Three significant digits or more */
export function round(value: number): string {
  if (value >= 100) return String(Math.round(value))
  return value.toFixed(value >= 10 ? 1 : 2)
}

function cell(figures: Figures | undefined): string {
  if (figures === undefined) return '-'
  const marks = figures.invalid > 0 ? ` (${figures.invalid} invalid)` : ''
  if (figures.overloaded > 0) return `overloaded${marks}`
  return `${figures.value === null ? '-' : round(figures.value.median)}${marks}`
}

function ratio(spread: Spread | null | undefined): string {
  return spread ? `${spread.median.toFixed(2)} (${spread.min.toFixed(2)}..${spread.max.toFixed(2)})` : '-'
}

const againstTitles = { nginx: 'nginx', better: 'better of nginx, HAProxy', plain: 'itself without them' }

/** One row per case: each proxy's figure, and Sallyport's against the bar. */
export function overview(summaries: readonly CaseSummary[], peers: readonly PeerName[]): Grid {
  const withBase = peers.includes('base')
  const head = [
    'case',
    'unit',
    ...peers.map(peer => peerTitles[peer]),
    'Sallyport / theirs',
    ...(withBase ? ['Sallyport / base'] : []),
    'against',
    'bar',
    'aim',
    'verdict',
  ]
  const rows = summaries.map(({ of, figures, verdict }) => [
    of.title,
    of.metric === 'cpuUs' && of.load === 'handshakes' ? 'CPU us/connection' : perWhat[of.metric],
    ...peers.map(peer => cell(figures.find(one => one.peer === peer))),
    ratio(figures.find(one => one.peer === 'sallyport')?.ofReference),
    ...(withBase ? [ratio(figures.find(one => one.peer === 'sallyport')?.ofBase)] : []),
    againstTitles[of.against ?? 'nginx'],
    of.bar.toFixed(2),
    of.aim?.toFixed(2) ?? '-',
    verdict,
  ])
  return { head, rows }
}

const perWhat = { cpuUs: `${metricUnits.cpuUs}/request`, idleKb: 'kB/connection', p99Us: 'us' }

/** One row per case and proxy. */
export function details(summaries: readonly CaseSummary[]): Grid {
  const median = (spread: Spread | null) => (spread === null ? '-' : round(spread.median))
  const rows = summaries.flatMap(({ of, figures }) =>
    figures
      .filter(one => one.value !== null || one.invalid > 0 || one.overloaded > 0)
      .map(one => [
        of.id,
        peerTitles[one.peer],
        cell(one),
        ratio(one.ofReference),
        median(one.perSecond),
        median(one.p50Us),
        median(one.p99Us),
      ]),
  )
  return { head: ['case', 'proxy', 'figure', 'of theirs (min..max)', 'requests/s', 'p50 us', 'p99 us'], rows }
}

export function asText({ head, rows }: Grid): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map(row => row[column].length)))
  const numeric = head.map(
    (_, column) => rows.length > 0 && rows.every(row => /^(-|overl|[\d.])/.test(row[column])),
  )
  const line = (row: readonly string[]) =>
    row
      .map((text, at) => (numeric[at] ? text.padStart(widths[at]) : text.padEnd(widths[at])))
      .join('  ')
      .trimEnd()
  return [line(head), widths.map(width => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n')
}

export function asMarkdown({ head, rows }: Grid): string {
  const line = (row: readonly string[]) => `| ${row.map(text => text.replaceAll('|', '\\|')).join(' | ')} |`
  const align = head.map((_, at) =>
    at > 0 && rows.every(row => /^(-|overl|[\d.])/.test(row[at])) ? '---:' : '---',
  )
  return [line(head), line(align), ...rows.map(line)].join('\n')
}
