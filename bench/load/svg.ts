/**
 * The chart for the README: CPU per request by case, one group of bars per case. The cases differ by a factor of fifty,
 * so bars are drawn as a share of those it is held against in the same case, on one scale for all; the numbers are the measured values.
 */
import type { PeerName } from './setup.ts'
import type { CaseSummary, Figures } from './summary.ts'
import { peerTitles, round } from './table.ts'

const width = 820
const left = 124
/** Room for the numbers behind the longest bar */
const right = 130
const barHeight = 15
const barGap = 4
const groupGap = 20
const top = 92
/** Bars longer than this share of nginx's are cut, with a mark. */
const longest = 2.5

const style = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #24292f }
  .title { font-size: 17px; font-weight: 600 }
  .case { font-weight: 600 }
  .quiet { fill: #57606a; font-size: 12px }
  .value { font-size: 12px }
  .mark { stroke: #8c959f; stroke-dasharray: 3 3 }
  .cut { fill: none; stroke: #ffffff; stroke-width: 2.5 }
  .sallyport { fill: #0969da } .nginx { fill: #8c959f } .haproxy { fill: #b4bcc5 } .caddy { fill: #d0d7de } .base { fill: #afb8c1 }
  .strong { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 } .mark { stroke: #6e7681 } .cut { stroke: #0d1117 }
    .sallyport { fill: #4493f8 } .nginx { fill: #7d8590 } .haproxy { fill: #59616b } .caddy { fill: #3d444d }
  }`

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function bar(figures: Figures, nginx: number, y: number): string {
  const value = figures.value?.median ?? 0
  // The bar shows the median of the paired ratios, the figure that is judged, not the ratio of the medians.
  const ratio = figures.ofReference?.median ?? value / nginx
  const scale = (width - left - right) / longest
  const length = Math.min(ratio, longest) * scale
  // A number must not stand on the line that marks nginx.
  const textX = left + (ratio > 0.55 ? Math.max(length, scale) : length) + 8
  const middle = y + barHeight / 2 + 4
  const isOurs = figures.peer === 'sallyport'
  const share = figures.peer === 'nginx' && ratio === 1 ? '' : ` <tspan class="quiet">${ratio.toFixed(2)}x</tspan>`
  const parts = [
    `<rect class="${figures.peer}" x="${left}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2"/>`,
    `<text class="value${isOurs ? ' strong' : ''}" x="${textX.toFixed(1)}" y="${middle}">${round(value)} µs${share}</text>`,
    `<text class="${isOurs ? 'strong' : 'quiet'}" x="${left - 10}" y="${middle}" text-anchor="end">${peerTitles[figures.peer]}</text>`,
  ]
  if (ratio > longest) {
    const at = left + length - 26
    const slash = (x: number) => `<path class="cut" d="M${x} ${y + barHeight + 1}l7 -${barHeight + 2}"/>`
    parts.push(slash(at), slash(at + 6))
  }
  return parts.join('\n')
}

export function chart(summaries: readonly CaseSummary[], machine: readonly string[]): string {
  const scale = (width - left - right) / longest
  const parts: string[] = []
  let y = top
  for (const { of, figures } of summaries) {
    const shown = figures.filter(one => one.value !== null)
    const nginx = shown.find(one => one.peer === 'nginx')?.value?.median
    if (of.metric !== 'cpuUs' || nginx === undefined) continue
    parts.push(`<text class="case" x="24" y="${y + 12}">${escapeXml(of.title)}</text>`)
    y += 20
    for (const one of shown) {
      parts.push(bar(one, nginx, y))
      y += barHeight + barGap
    }
    y += groupGap - barGap
  }
  const bottom = y - groupGap + 6
  const reference = 'the best of the others'
  const line = left + scale
  const height = bottom + 24 + machine.length * 18
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="CPU time per request of ${legend(summaries)}">
<style>${style}
</style>
<text class="title" x="24" y="34">CPU time per request</text>
<text class="quiet" x="24" y="55">User and system time of all the proxy's processes on one core, median of the rounds. Shorter is better.</text>
<line class="mark" x1="${line}" y1="${top - 12}" x2="${line}" y2="${bottom}"/>
<text class="quiet" x="${line}" y="${top - 16}" text-anchor="middle">${reference} = 1</text>
${parts.join('\n')}
${machine.map((line, at) => `<text class="quiet" x="24" y="${bottom + 24 + at * 18}">${escapeXml(line)}</text>`).join('\n')}
</svg>
`
}

function legend(summaries: readonly CaseSummary[]): string {
  const names = new Set<PeerName>(summaries.flatMap(({ figures }) => figures.map(one => one.peer)))
  return [...names].map(name => peerTitles[name]).join(', ')
}
