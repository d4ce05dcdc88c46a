/**
 * `npm run bench`: Sallyport beside nginx, HAProxy and Caddy, one core for the proxy, one for load and backend. How it
 * measures and how to read it is in docs/benchmarks.md. A missed goal is no failure (exit 0); an invalid measurement is
 * (exit 1).
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf, UsageError } from '../../src/base/errors.ts'
import { profileRow } from './layers/measure.ts'
import {
  type LayersRun,
  layersText,
  readLayers,
  writeLayers,
  writeLayersDocs,
  writePicture,
} from './layers/report.ts'
import type { LayerResult } from './layers/split.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { prepare } from './prepare.ts'
import { killAll } from './processes.ts'
import { type Results, readResults, resultText, writeChart, writeDocs, writeResults } from './report.ts'
import { type Absence, runCase } from './rounds.ts'
import type { Sample } from './setup.ts'

const page = (name: string) => fileURLToPath(new URL(`../../docs/${name}`, import.meta.url))

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

async function measureAll(options: Options, folder: string): Promise<Results> {
  const { rounds, seconds, cases } = options
  const { bench, machine, peers } = await prepare(options, folder, say)
  const samples: Sample[] = []
  const absences: Absence[] = []
  for (const one of cases) {
    const outcome = await runCase(bench, one, peers)
    samples.push(...outcome.samples)
    absences.push(...outcome.absences)
  }
  return { machine, rounds, seconds, peers, caseIds: cases.map(({ id }) => id), samples, absences }
}

async function profileAll(options: Options, folder: string): Promise<LayersRun> {
  const { rounds, seconds, cases } = options
  const { bench, machine, peers } = await prepare(options, folder, say)
  const results: LayerResult[] = []
  for (const one of cases) results.push(...(await profileRow(bench, one, peers)))
  return { machine, rounds, seconds, results }
}

/** A folder for the run, which ends with the process as all its children do */
function temporaryFolder(keep: boolean): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-bench-'))
  // The workers of some proxies give up root, and must still read their certificates.
  chmodSync(folder, 0o755)
  process.once('exit', () => {
    killAll()
    if (keep) say(`kept ${folder}`)
    else rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

async function runLayers(options: Options): Promise<number> {
  const { from, keep, json, svg, markdown } = options
  const run = from === null ? await profileAll(options, temporaryFolder(keep)) : readLayers(from)
  if (json !== null) writeLayers(json, run)
  if (svg !== null) writePicture(svg, run)
  if (options.writeDocs) writeLayersDocs(page('where-the-time-goes.md'), run)
  process.stdout.write(layersText(run, markdown ? 'markdown' : 'text'))
  return 0
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv)
  const { help, layers, from, keep, json, svg, markdown } = options
  if (help) {
    process.stdout.write(usage)
    return 0
  }
  if (layers) return runLayers(options)
  const results = from === null ? await measureAll(options, temporaryFolder(keep)) : readResults(from)
  if (json !== null) writeResults(json, results)
  if (svg !== null) writeChart(svg, results)
  if (options.writeDocs) writeDocs(page('benchmarks.md'), results)
  process.stdout.write(resultText(results, markdown ? 'markdown' : 'text'))
  return results.samples.some(({ problems }) => problems.length > 0) ? 1 : 0
}

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => process.exit(status))
}
try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  process.stderr.write(`bench: ${error instanceof UsageError ? error.message : messageOf(error)}\n`)
  process.exit(error instanceof UsageError ? 2 : 1)
}
