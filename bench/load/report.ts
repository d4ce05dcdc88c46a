/** Everything a run leaves behind: JSON to draw it again, the tables, the chart, the page in docs/. */
import { readFileSync, writeFileSync } from 'node:fs'
import { cases } from './cases.ts'
import { type Machine, machineLines } from './machine.ts'
import type { Absence } from './rounds.ts'
import { noisyShare, type PeerName, type Sample } from './setup.ts'
import { type CaseSummary, summarize } from './summary.ts'
import { chart } from './svg.ts'
import { asMarkdown, asText, details, goals, overview, peerTitles, titleOf } from './table.ts'

export type Results = {
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
  readonly peers: readonly PeerName[]
  readonly caseIds: readonly string[]
  readonly samples: readonly Sample[]
  readonly absences: readonly Absence[]
}

export function readResults(file: string): Results {
  return JSON.parse(readFileSync(file, 'utf8'))
}

export function writeResults(file: string, results: Results): void {
  writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`)
}

function summaries({ caseIds, samples, peers }: Results): CaseSummary[] {
  return cases.filter(({ id }) => caseIds.includes(id)).flatMap(one => summarize(one, samples, peers))
}

/** Why figures are missing, which measurements were thrown away, and where the machine was too noisy to tell */
function notes({ absences, samples }: Results, all: readonly CaseSummary[]): string[] {
  const undecided = all.filter(({ judged }) => judged.some(({ verdict }) => verdict === 'too noisy')).map(titleOf)
  const invalid = samples.filter(({ problems }) => problems.length > 0)
  const noisy = samples.filter(({ foreignShare }) => (foreignShare ?? 0) > noisyShare).length
  const reasons = new Map<string, string[]>()
  for (const { caseId, peer, reason } of absences) {
    const said = `without ${peerTitles[peer]}: ${reason.split('\n')[0]}`
    reasons.set(said, [...(reasons.get(said) ?? []), caseId])
  }
  return [
    ...[...reasons].map(([said, caseIds]) => `${said} (${caseIds.join(', ')})`),
    ...(undecided.length > 0
      ? [`the machine was too noisy to tell whether the goal holds, run these again: ${undecided.join('; ')}`]
      : []),
    ...(noisy > 0
      ? [`noise: other processes used over 5% of the proxy's core in ${noisy} of ${samples.length} measurements`]
      : []),
    ...invalid.map(({ caseId, peer, round, problems }) => {
      return `INVALID, not in any median: ${caseId}, ${peerTitles[peer]}, round ${round + 1}: ${problems.join('; ')}`
    }),
  ]
}

function howMeasured({ machine, rounds, seconds }: Results): string {
  return `${machineLines(machine).join('; ')}. Medians of ${rounds} rounds of ${seconds} s. A ratio is the median of the rounds' own ratios; in brackets are the least and the greatest of them.`
}

export function resultText(results: Results, form: 'text' | 'markdown'): string {
  const render = form === 'markdown' ? asMarkdown : asText
  const all = summaries(results)
  const bullet = form === 'markdown' ? '- ' : ''
  const remarks = notes(results, all).map(note => `${bullet}${note}`)
  const blocks = [
    howMeasured(results),
    render(goals(all)),
    render(overview(all, results.peers)),
    render(details(all)),
    remarks.join('\n'),
  ]
  return `${blocks.filter(block => block !== '').join('\n\n')}\n`
}

export function writeChart(file: string, results: Results): void {
  writeFileSync(file, chart(summaries(results), machineLines(results.machine)))
}

/** Replaces what stands between two comments of a page of docs/: `<!-- NAME -->` and `<!-- /NAME -->`. */
export function replaceInDocs(file: string, name: string, text: string): void {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const page = readFileSync(file, 'utf8')
  const [from, to] = [page.indexOf(open), page.indexOf(close)]
  if (from < 0 || to < from) throw new Error(`${file} has no ${open} ... ${close}`)
  writeFileSync(file, `${page.slice(0, from + open.length)}\n\n${text}\n${page.slice(to)}`)
}

export const writeDocs = (file: string, results: Results): void =>
  replaceInDocs(file, 'table', resultText(results, 'markdown'))
