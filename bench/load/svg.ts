/**
 * The chart for the README, one line per row. The rows differ by a factor of a thousand and in their units, so all are
 * drawn as ratios to whom the row is held against, on one scale; the numbers at the right are the measured values.
 */
import type { PeerName } from './setup.ts'
import type { CaseSummary, Judged } from './summary.ts'
import { against, round, titleOf, unitOf } from './table.ts'

const width = 940
const left = 350
/** Room for the numbers behind the longest bar */
const right = 236
const lineHeight = 26
const barHeight = 14
const top = 118
/** Bars longer than this ratio are cut, with a mark. */
const longest = 2

const style = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #24292f }
  .title { font-size: 17px; font-weight: 600 }
  .quiet { fill: #57606a; font-size: 12px }
  .mark { stroke: #8c959f; stroke-dasharray: 3 3 }
  .cut { fill: none; stroke: #ffffff; stroke-width: 2.5 }
  .range { stroke: #24292f; stroke-width: 1.2 }
  .goal { stroke: #bc4c00; stroke-width: 2.5 }
  .other { fill: #6e7781 } .bare { fill: #ffffff; stroke: #24292f; stroke-width: 1.4 }
  .sallyport, .two { fill: #54aeff } .node { fill: #8ddb8c }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 } .mark { stroke: #6e7681 } .cut { stroke: #0d1117 }
    .range { stroke: #e6edf3 } .goal { stroke: #f0883e }
    .other { fill: #9198a1 } .bare { fill: #0d1117; stroke: #e6edf3 }
    .sallyport, .two { fill: #1f6feb } .node { fill: #347d39 }
  }`

const scale = (width - left - right) / longest
const xOf = (ratio: number) => (left + Math.min(ratio, longest) * scale).toFixed(1)

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** A line of the chart: whose figure, and whom it is held against */
type Line = { readonly summary: CaseSummary; readonly judged: Judged }

/** A subject is drawn against the first that it is held against: the runtime's limit is a mark on that line. */
function linesOf(summaries: readonly CaseSummary[]): Line[] {
  return summaries.flatMap(summary => {
    const subjects = new Set(summary.judged.map(({ subject }) => subject))
    return [...subjects].flatMap(subject => {
      const judged = summary.judged.find(one => one.subject === subject && one.ratio !== null)
      return judged === undefined ? [] : [{ summary, judged }]
    })
  })
}

const diamond = (kind: string, x: string, y: number, size: number) =>
  `<path class="${kind}" d="M${x} ${y - size}l${size} ${size}l-${size} ${size}l-${size} -${size}z"/>`

function marks({ summary, judged }: Line, middle: number): string[] {
  const ratioOf = (peer: PeerName) => summary.figures.find(one => one.peer === peer)?.ofReference?.median
  const others = (['nginx', 'haproxy', 'caddy'] as const)
    .map(ratioOf)
    .filter(ratio => ratio !== undefined && ratio <= longest)
    .map(ratio => `<circle class="other" cx="${xOf(ratio ?? 0)}" cy="${middle}" r="2.8"/>`)
  const limit = ratioOf(judged.subject === 'node' ? 'bare-node' : 'bare')
  const bare = limit === undefined || limit > longest ? [] : [diamond('bare', xOf(limit), middle, 4.5)]
  const goal = judged.most === null ? [] : [`<path class="goal" d="M${xOf(judged.most)} ${middle - 10}v20"/>`]
  return [...others, ...bare, ...goal]
}

function drawLine(line: Line, y: number): string {
  const { summary, judged } = line
  const { median, min, max } = judged.ratio ?? { median: 0, min: 0, max: 0 }
  const middle = y + barHeight / 2
  const own = summary.figures.find(one => one.peer === judged.subject)?.value?.median
  const suffix = judged.subject === 'node' ? ', on Node' : ''
  const unit = unitOf(summary)
    .replace('CPU ', '')
    .replaceAll('us', 'µs')
    .replace(/^(\S+?)\/.*/, '$1')
  const parts = [
    `<text x="${left - 12}" y="${middle + 4}" text-anchor="end">${escapeXml(titleOf(summary) + suffix)}</text>`,
    `<rect class="${judged.subject}" x="${left}" y="${y}" width="${(Math.min(median, longest) * scale).toFixed(1)}" height="${barHeight}" rx="2"/>`,
    `<path class="range" d="M${xOf(min)} ${middle}H${xOf(max)}"/>`,
    ...marks(line, middle),
    `<text x="${width - right + 14}" y="${middle + 4}">${median.toFixed(2)}x <tspan class="quiet">${own === undefined ? '-' : round(own)} ${unit}, ${escapeXml(against(judged))}</tspan></text>`,
  ]
  if (median > longest) {
    const at = left + longest * scale - 26
    const slash = (x: number) => `<path class="cut" d="M${x} ${y + barHeight + 1}l7 -${barHeight + 2}"/>`
    parts.push(slash(at), slash(at + 6))
  }
  return parts.join('\n')
}

/** Beside each mark what it means */
function legend(y: number): string {
  const entries: [width: number, mark: (x: number) => string, text: string][] = [
    [62, x => `<rect class="sallyport" x="${x}" y="${y - 7}" width="22" height="12" rx="2"/>`, 'Sallyport'],
    [118, x => `<rect class="node" x="${x}" y="${y - 7}" width="22" height="12" rx="2"/>`, 'Sallyport on Node'],
    [142, x => `<path class="range" d="M${x} ${y - 1}h22"/>`, 'least to greatest round'],
    [36, x => `<path class="goal" d="M${x + 18} ${y - 9}v16"/>`, 'goal'],
    [142, x => `<circle class="other" cx="${x + 17}" cy="${y - 1}" r="2.8"/>`, 'nginx, HAProxy, Caddy'],
    [0, x => diamond('bare', String(x + 16), y - 1, 4.5), 'bare runtime, the limit'],
  ]
  let x = 24
  return entries
    .map(([space, mark, text]) => {
      const at = x
      x += space + 30
      return `${mark(at)}<text class="quiet" x="${at + 28}" y="${y + 3}">${text}</text>`
    })
    .join('\n')
}

export function chart(summaries: readonly CaseSummary[], machine: readonly string[]): string {
  const lines = linesOf(summaries)
  const bottom = top + lines.length * lineHeight
  const height = bottom + 14 + machine.length * 18
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(spoken(lines))}">
<style>${style}
</style>
<text class="title" x="24" y="34">What it costs, beside the best of nginx, HAProxy and Caddy</text>
<text class="quiet" x="24" y="54">CPU time of all the proxy's processes on one core unless the row says otherwise. Ratios of paired rounds; shorter is better.</text>
${legend(76)}
<line class="mark" x1="${xOf(1)}" y1="${top - 14}" x2="${xOf(1)}" y2="${bottom - 6}"/>
<text class="quiet" x="${xOf(1)}" y="${top - 18}" text-anchor="middle">the best of the others = 1</text>
${lines.map((line, at) => drawLine(line, top + at * lineHeight)).join('\n')}
${machine.map((text, at) => `<text class="quiet" x="24" y="${bottom + 16 + at * 18}">${escapeXml(text)}</text>`).join('\n')}
</svg>
`
}

function spoken(lines: readonly Line[]): string {
  const rows = lines.map(({ summary, judged }) => {
    const suffix = judged.subject === 'node' ? ' on Node' : ''
    return `${titleOf(summary)}${suffix} ${judged.ratio?.median.toFixed(2)}`
  })
  return `Sallyport's cost over the best of the others: ${rows.join('; ')}`
}
