/**
 * The map as a picture: three columns, an arrow for each hop, its colour saying how safe it is. The ground is a rectangle: that
 * of CSS on the root is not drawn by every program that makes a bitmap of it.
 */
import type { Hop, Path } from './hops.ts'

const width = 1060
const rowHeight = 92
const top = 96
const boxes = { client: 28, gateway: 412, backend: 800 } as const
const boxWidth = 150
const backendWidth = 232
const boxHeight = 44
/** Where each entry of the key begins */
const keyAt = [0, 190, 370, 585, 805]

const escapeXml = (text: string): string => text.replace(/[&<>"]/g, char => `&#${char.charCodeAt(0)};`)

const short = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text)

/** Class of a hop, which the style sheet colours. */
function safety(hop: Hop): 'good' | 'asis' | 'weak' | 'local' | 'bad' {
  if (hop.encrypted === null) return 'asis'
  if (hop.encrypted) return hop.serverVerified ? 'good' : 'weak'
  return hop.onHost ? 'local' : 'bad'
}

const style = `
  svg { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif }
  text { fill: #1f2328 } .quiet { fill: #59636e } .title { font-weight: 650; font-size: 17px } .name { font-weight: 650 }
  .page { fill: #fff; stroke: none } .box { fill: #f6f8fa; stroke: #d1d9e0 } .gate { fill: #ddf4ff; stroke: #54aeff } .open { fill: #fff8c5; stroke: #d4a72c }
  .good { stroke: #1a7f37; fill: #1a7f37 } .asis { stroke: #0969da; fill: #0969da } .weak { stroke: #9a6700; fill: #9a6700 }
  .local { stroke: #59636e; fill: #59636e } .bad { stroke: #cf222e; fill: #cf222e }
  path { fill: none; stroke-width: 2 } path.local, path.bad { stroke-dasharray: 6 4 } text.good, text.asis, text.weak, text.local, text.bad { stroke: none }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #e6edf3 } .quiet { fill: #9198a1 } .box { fill: #151b23; stroke: #3d444d }
    .gate { fill: #121d2f; stroke: #388bfd } .open { fill: #272115; stroke: #9e6a03 }
    .good { stroke: #3fb950; fill: #3fb950 } .asis { stroke: #58a6ff; fill: #58a6ff } .weak { stroke: #d29922; fill: #d29922 } .local { stroke: #9198a1; fill: #9198a1 } .bad { stroke: #f85149; fill: #f85149 }
  }`

export function mapSvg(paths: readonly Path[]): string {
  const height = top + paths.length * rowHeight + 46
  const rows = paths.map((path, at) => row(path, top + at * rowHeight)).join('\n')
  const key = [
    ['good', 'encrypted, verified'],
    ['asis', 'not decrypted here'],
    ['weak', 'encrypted, not verified'],
    ['local', 'in the open, on this host'],
    ['bad', 'in the open'],
  ]
    .map(([name, text], at) => {
      const x = 28 + (keyAt[at] as number)
      const y = height - 22
      return `<path class="${name}" d="M${x} ${y - 4}h28"/><text class="quiet" x="${x + 36}" y="${y}">${text}</text>`
    })
    .join('\n')
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>Where traffic is plaintext</title>
<style>${style}
</style>
<rect class="page" width="${width}" height="${height}" fill="#fff"/>
<text class="title" x="28" y="38">Where is it plaintext?</text>
<text class="quiet" x="28" y="60">Every site and route, each hop from client to backend, and what the gateway itself talks to. A yellow gateway sees the content; a blue one does not.</text>
${rows}
${key}
</svg>
`
}

function row(path: Path, y: number): string {
  const into = path.hops.find(hop => hop.to === 'gateway')
  const out = path.hops.find(hop => hop.from === 'gateway')
  const middle = y + 20 + boxHeight / 2
  const reads = path.plaintext.length > 0 || (into === undefined && out !== undefined)
  const parts = [
    `<text class="name" x="28" y="${y + 8}">${escapeXml(short(path.site + path.route, 90))}</text>`,
    `<text class="quiet" x="${width - 28}" y="${y + 8}" text-anchor="end">${path.pattern}</text>`,
    box(reads ? 'open' : 'gate', boxes.gateway, y + 20, boxWidth, 'gateway'),
  ]
  if (into) {
    parts.push(box('', boxes.client, y + 20, boxWidth, into.from))
    parts.push(arrow(into, boxes.client + boxWidth, boxes.gateway, middle))
  }
  if (out) {
    parts.push(box('', boxes.backend, y + 20, backendWidth, out.to))
    parts.push(arrow(out, boxes.gateway + boxWidth, boxes.backend, middle))
  }
  return parts.join('\n')
}

function box(name: string, x: number, y: number, wide: number, text: string): string {
  const label = escapeXml(short(text, Math.floor(wide / 7.6)))
  return (
    `<rect class="${name === '' ? 'box' : `box ${name}`}" x="${x}" y="${y}" width="${wide}" height="${boxHeight}" rx="6"/>` +
    `<text x="${x + wide / 2}" y="${y + boxHeight / 2 + 5}" text-anchor="middle">${label}</text>`
  )
}

function arrow(hop: Hop, from: number, to: number, y: number): string {
  const name = safety(hop)
  const label = escapeXml(short(hop.how, Math.floor((to - from) / 7.2)))
  const line = `<path class="${name}" d="M${from + 4} ${y}H${to - 12}"/>`
  const tip = `<polygon class="${name}" points="${to - 12},${y - 5} ${to - 3},${y} ${to - 12},${y + 5}"/>`
  return `${line}${tip}<text class="${name}" x="${(from + to) / 2 - 4}" y="${y - 9}" text-anchor="middle">${label}</text>`
}
