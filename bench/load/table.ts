/** The result as tables, for a terminal or as Markdown. */
import { metricUnits, type Reference } from './case.ts'
import type { Metric, PeerName } from './setup.ts'
import type { Spread } from './statistics.ts'
import type { CaseSummary, Figures, Judged } from './summary.ts'

export type Grid = { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }

export const peerTitles: Record<PeerName, string> = {
  sallyport: 'Sallyport',
  node: 'on Node',
  plain: 'without stages',
  two: 'two workers',
  base: 'base',
  bare: 'bare runtime',
  'bare-node': 'bare Node',
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

const metricTitles: Partial<Record<Metric, string>> = {
  firstByteUs: 'time to first byte',
  p99Us: 'p99',
  residentMb: 'memory',
  reloadCpuMs: 'CPU time',
  pauseMs: 'longest pause',
}

/** A row for another metric than the case's own says which. */
export const titleOf = ({ of, metric }: CaseSummary): string =>
  metric === of.metric ? of.title : `${of.title}: ${metricTitles[metric] ?? metric}`

export function unitOf({ of, metric }: CaseSummary): string {
  if (metric === 'idleKb') return 'kB/connection'
  if (metric !== 'cpuUs') return metricUnits[metric]
  const isHandshake = of.load === 'handshakes' || of.load === 'sessions'
  return `CPU us/${isHandshake ? 'connection' : of.load === 'websocket' ? 'message' : 'request'}`
}

/** One row per case and metric: each proxy's figure. */
export function overview(summaries: readonly CaseSummary[], peers: readonly PeerName[]): Grid {
  const shown = peers.filter(peer =>
    summaries.some(({ figures }) => figures.some(one => one.peer === peer && cell(one) !== '-')),
  )
  const rows = summaries.map(summary => [
    titleOf(summary),
    unitOf(summary),
    ...shown.map(peer => cell(summary.figures.find(one => one.peer === peer))),
  ])
  return { head: ['case', 'unit', ...shown.map(peer => peerTitles[peer])], rows }
}

const referenceTitles: Record<Reference, string> = {
  best: 'best of them',
  nginx: 'nginx',
  bare: 'bare runtime',
  plain: 'without stages',
  base: 'base',
  one: 'one worker',
  full: 'its own full ones',
}

/** Whose figure a ratio is to, and that figure */
export function against({ of, theirs }: Judged): string {
  if (theirs === null) return referenceTitles[of]
  const name = of === 'best' || of === 'bare' ? peerTitles[theirs.peer] : referenceTitles[of]
  return `${name} ${round(theirs.value)}`
}

/** One row per ratio: Sallyport's figure, whose it is held against, the ratio of paired rounds, and the goal beside it. */
export function goals(summaries: readonly CaseSummary[]): Grid {
  const rows = summaries.flatMap(summary =>
    summary.judged
      .filter(one => one.ratio !== null || one.most !== null)
      .map(one => {
        const own = summary.figures.find(({ peer }) => peer === one.subject)
        return [
          titleOf(summary),
          unitOf(summary),
          peerTitles[one.subject],
          cell(own),
          against(one),
          ratio(one.ratio),
          one.most?.toFixed(2) ?? '-',
          one.verdict,
        ]
      }),
  )
  return { head: ['case', 'unit', 'who', 'figure', 'against', 'ratio (min..max)', 'goal', 'verdict'], rows }
}

/** One row per case, metric and proxy. */
export function details(summaries: readonly CaseSummary[]): Grid {
  const median = (spread: Spread | null) => (spread === null ? '-' : round(spread.median))
  const rows = summaries.flatMap(({ of, metric, figures }) =>
    figures
      .filter(one => one.value !== null || one.invalid > 0 || one.overloaded > 0)
      .map(one => [
        metric === of.metric ? of.id : `${of.id} ${metric}`,
        peerTitles[one.peer],
        cell(one),
        one.value === null ? '-' : `${round(one.value.min)}..${round(one.value.max)}`,
        ratio(one.ofReference),
        median(one.perSecond),
        median(one.p50Us),
        median(one.p99Us),
      ]),
  )
  const head = ['case', 'proxy', 'figure', 'min..max', 'of theirs (min..max)', 'requests/s', 'p50 us', 'p99 us']
  return { head, rows }
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
