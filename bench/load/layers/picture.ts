/** The stacked picture of docs/where-the-time-goes.md: in each row a bar per proxy, on a scale of the row's own. */
import type { Case } from '../case.ts'
import { peerTitles, round } from '../table.ts'
import { type LayerResult, type Layers, layerNames, totalOf } from './split.ts'

const width = 860
const left = 130
const right = 96
const barHeight = 16
const barGap = 4
const groupGap = 18
const top = 96

const titles: Record<keyof Layers, string> = {
  kernel: 'kernel',
  tls: 'TLS',
  runtime: 'runtime',
  own: "the proxy's own",
}

const style = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #24292f }
  .title { font-size: 17px; font-weight: 600 } .case { font-weight: 600 }
  .quiet { fill: #57606a; font-size: 12px } .inside { font-size: 11px; fill: #ffffff }
  .kernel { fill: #57606a } .tls { fill: #8250df } .runtime { fill: #b35900 } .own { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 } .inside { fill: #ffffff }
    .kernel { fill: #57606a } .tls { fill: #8957e5 } .runtime { fill: #9e5a00 } .own { fill: #1f6feb }
  }`

const escapeXml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Narrower than this a number does not fit into its part. */
const leastForNumber = 34

function stack({ peer, layers }: LayerResult, scale: number, y: number): string {
  const middle = y + barHeight / 2 + 4
  const parts = [
    `<text class="${peer === 'sallyport' ? '' : 'quiet'}" x="${left - 10}" y="${middle}" text-anchor="end">${peerTitles[peer]}</text>`,
  ]
  let x = left
  for (const name of layerNames) {
    const length = layers[name] * scale
    parts.push(
      `<rect class="${name}" x="${x.toFixed(1)}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}"/>`,
    )
    if (length > leastForNumber)
      parts.push(
        `<text class="inside" x="${(x + length / 2).toFixed(1)}" y="${middle}" text-anchor="middle">${round(layers[name])}</text>`,
      )
    x += length
  }
  parts.push(`<text x="${(x + 8).toFixed(1)}" y="${middle}">${round(totalOf(layers))} µs</text>`)
  return parts.join('\n')
}

export function layersPicture(
  rows: readonly Case[],
  results: readonly LayerResult[],
  machine: readonly string[],
): string {
  const parts: string[] = []
  let y = top
  for (const { id, title } of rows) {
    const mine = results.filter(({ caseId }) => caseId === id)
    if (mine.length === 0) continue
    const scale = (width - left - right) / Math.max(...mine.map(({ layers }) => totalOf(layers)))
    parts.push(`<text class="case" x="24" y="${y + 12}">${escapeXml(title)}</text>`)
    y += 20
    for (const result of mine) {
      parts.push(stack(result, scale, y))
      y += barHeight + barGap
    }
    y += groupGap - barGap
  }
  const height = y + machine.length * 18
  const legend = layerNames.map((name, at) => {
    const x = 24 + at * 120
    return `<rect class="${name}" x="${x}" y="64" width="14" height="14"/><text class="quiet" x="${x + 20}" y="76">${titles[name]}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="CPU time per request by layer; the table in docs/where-the-time-goes.md has the same figures">
<style>${style}
</style>
<text class="title" x="24" y="34">Where the time goes</text>
<text class="quiet" x="24" y="53">CPU time per request, in µs, by layer. Every row has a scale of its own.</text>
${legend.join('\n')}
${parts.join('\n')}
${machine.map((line, at) => `<text class="quiet" x="24" y="${y + 8 + at * 18}">${escapeXml(line)}</text>`).join('\n')}
</svg>
`
}
