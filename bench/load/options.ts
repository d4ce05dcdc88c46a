/** The command line of the benchmark. */
import { parseArgs } from 'node:util'
import { UsageError } from '../../src/base/errors.ts'
import type { Case } from './case.ts'
import { cases } from './cases.ts'
import { type PeerName, peerNames } from './setup.ts'

export type Options = {
  readonly help: boolean
  readonly peers: readonly PeerName[]
  readonly cases: readonly Case[]
  readonly rounds: number
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly firstWarmUpSeconds: number
  readonly systemPeers: boolean
  /** Profile where the time goes instead of comparing */
  readonly layers: boolean
  readonly proxyCore: number
  readonly loadCore: number
  readonly markdown: boolean
  readonly json: string | null
  readonly svg: string | null
  readonly writeDocs: boolean
  /** Results of an earlier run to show again, without measuring */
  readonly from: string | null
  readonly sallyportCommand: readonly string[]
  /** Of the peer `base`; empty where there is none */
  readonly baseCommand: readonly string[]
  readonly runtime: 'bun' | 'node' | null
  /** Keep the temporary folder: configurations and logs of all proxies */
  readonly keep: boolean
}

export const usage = `npm run bench -- [OPTIONS]

  --goals                     the rows of the goals' table only, without Caddy, in about a quarter of an hour
  --layers                    profile the rows of docs/where-the-time-goes.md with perf, instead of comparing
  --peers LIST                of ${peerNames.join(',')} (default: all)
  --cases LIST                of ${cases.map(({ id }) => id).join(',')} (default: all)
  --rounds N                  default 5
  --seconds N                 of one measurement, default 5, with --goals 2
  --system-peers              the machine's own nginx, HAProxy and Caddy instead of those of a later Debian
  --cores PROXY,LOAD          default 0,1
  --runtime bun|node          for Sallyport
  --sallyport-command WORDS   default 'node bin/sallyport'
  --base WORDS                another Sallyport that takes part as 'base', '/elsewhere/bin/sallyport' say
  --markdown                  print the tables as Markdown
  --json FILE                 write the results
  --from FILE                 show results written by --json instead of measuring
  --svg FILE                  write the chart, or the picture of the layers
  --write-docs                put the tables into docs/benchmarks.md, or docs/where-the-time-goes.md
  --keep                      keep the temporary folder (configurations, logs)
`

function pick<T extends string>(list: string | undefined, all: readonly T[], flag: string): readonly T[] {
  if (list === undefined) return all
  const wanted = list.split(',').map(word => word.trim())
  const unknown = wanted.filter(word => !all.some(one => one === word))
  if (unknown.length > 0) throw new UsageError(`${flag}: no '${unknown[0]}' among ${all.join(', ')}`)
  return all.filter(one => wanted.includes(one))
}

function count(text: string | undefined, fallback: number, flag: string): number {
  const value = text === undefined ? fallback : Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new UsageError(`${flag} takes a whole number from 1, not '${text}'`)
  return value
}

const words = (text: string) => text.split(/\s+/).filter(word => word !== '')

export function parseOptions(argv: readonly string[]): Options {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean', default: false } as const
  const { values } = parseArgs({
    args: [...argv],
    options: {
      help: flag,
      goals: flag,
      layers: flag,
      'system-peers': flag,
      peers: text,
      cases: text,
      rounds: text,
      seconds: text,
      cores: text,
      runtime: text,
      'sallyport-command': text,
      base: text,
      markdown: flag,
      json: text,
      from: text,
      svg: text,
      'write-docs': flag,
      keep: flag,
    },
  })
  const [proxyCore, loadCore] = (values.cores ?? '0,1').split(',').map(Number)
  if (!Number.isInteger(proxyCore) || !Number.isInteger(loadCore) || proxyCore === loadCore) {
    throw new UsageError(`--cores takes two different cores, like 0,1, not '${values.cores}'`)
  }
  const { runtime } = values
  if (runtime !== undefined && runtime !== 'bun' && runtime !== 'node') {
    throw new UsageError(`--runtime takes bun or node, not '${runtime}'`)
  }
  const baseCommand = words(values.base ?? '')
  const { goals: isGoals, layers } = values
  const offered = cases.filter(
    ({ inGoals, inLayers }) => (!isGoals || inGoals === true) && (!layers || inLayers === true),
  )
  const ids = pick(values.cases, offered.map(({ id }) => id), '--cases') // biome-ignore format: short
  const peers = pick(values.peers, peerNames, '--peers')
    .filter(name => name !== 'base' || baseCommand.length > 0)
    // Never the best of the three here, and it would take a sixth of the time.
    .filter(name => name !== 'caddy' || !isGoals || values.peers !== undefined)
  return {
    help: values.help,
    peers,
    cases: cases.filter(({ id }) => ids.includes(id)),
    rounds: count(values.rounds, layers ? 2 : 5, '--rounds'),
    seconds: count(values.seconds, isGoals ? 2 : 5, '--seconds'),
    // The load of each measurement opens its own connections: what a warm-up warms after the first round is little.
    warmUpSeconds: isGoals ? 0 : 1,
    firstWarmUpSeconds: isGoals ? 2 : 3,
    layers,
    systemPeers: values['system-peers'],
    proxyCore,
    loadCore,
    markdown: values.markdown,
    json: values.json ?? null,
    svg: values.svg ?? null,
    writeDocs: values['write-docs'],
    from: values.from ?? null,
    sallyportCommand: words(values['sallyport-command'] ?? 'node bin/sallyport'),
    baseCommand,
    runtime: runtime ?? null,
    keep: values.keep,
  }
}
