/** What a run with `--layers` leaves behind: JSON to draw it again, the table, the picture, the page in docs/. */
import { readFileSync, writeFileSync } from 'node:fs'
import { cases } from '../cases.ts'
import { type Machine, machineLines } from '../machine.ts'
import { replaceInDocs } from '../report.ts'
import { asMarkdown, asText, type Grid, peerTitles, round } from '../table.ts'
import { layersPicture } from './picture.ts'
import { type LayerResult, layerNames, totalOf } from './split.ts'

export type LayersRun = {
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
  readonly results: readonly LayerResult[]
}

export const readLayers = (file: string): LayersRun => JSON.parse(readFileSync(file, 'utf8'))

export function writeLayers(file: string, run: LayersRun): void {
  writeFileSync(file, `${JSON.stringify(run, null, 1)}\n`)
}

/** The machine, and the versions of what takes part */
function linesOf({ results, machine }: LayersRun): [string, string] {
  const shown = Object.entries(machine.versions).filter(([name]) => results.some(({ peer }) => peer === name))
  return machineLines({ ...machine, versions: Object.fromEntries(shown) })
}

export function writePicture(file: string, run: LayersRun): void {
  writeFileSync(file, layersPicture(cases, run.results, linesOf(run)))
}

export const writeLayersDocs = (file: string, run: LayersRun): void =>
  replaceInDocs(file, 'layers', layersText(run, 'markdown'))

function grid({ results }: LayersRun): Grid {
  const rows = cases.flatMap(({ id, title }) =>
    results
      .filter(({ caseId }) => caseId === id)
      .map(({ peer, layers }) => [
        title,
        peerTitles[peer],
        ...layerNames.map(name => round(layers[name])),
        round(totalOf(layers)),
      ]),
  )
  return { head: ['case', 'proxy', 'kernel', 'TLS', 'runtime', 'its own', 'all'], rows }
}

export function layersText(run: LayersRun, form: 'text' | 'markdown'): string {
  const render = form === 'markdown' ? asMarkdown : asText
  const { rounds, seconds, results } = run
  const noisy = results.filter(({ isNoisy }) => isNoisy).length
  const noise =
    noisy === 0
      ? ''
      : `\n\nNoise: other processes used over 5% of the proxy's core in ${noisy} of ${results.length} bars. Compare the layers within a row, not the totals.`
  return `${linesOf(run).join('; ')}. CPU us per request; ${rounds} x ${seconds} s.${noise}\n\n${render(grid(run))}\n`
}
