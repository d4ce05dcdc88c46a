/** A gateway as a process of its own, `sallyport run`, with its log at hand: to be killed. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { temporaryFolder } from './certificates.ts'
import { main, readyOf } from './sallyport.ts'
import { noticed } from './until.ts'

type LogRecord = Record<string, unknown>

export type GatewayProcess = {
  readonly child: ChildProcess
  /** Its configuration */
  readonly file: string
  /** Resolves when it serves; rejects with what it said when it ends before */
  readonly ready: Promise<void>
  logs(): LogRecord[]
  /** Resolves with the first record, old or new, that `wanted` accepts; rejects when the process ends without one */
  logged(wanted: (record: LogRecord) => boolean): Promise<LogRecord>
  /** Everything that it has written, for messages of tests */
  said(): string
  kill(): Promise<void>
  stop(): Promise<void>
}

export type ProcessOptions = {
  readonly workers?: number
  /** No file may grow beyond so many blocks of 512 bytes: a disk that is full */
  readonly blocks?: number
  /** The configuration is a module with a filter, and not JSON */
  readonly code?: boolean
  /** No more descriptors may be open */
  readonly descriptors?: number
}

export const moduleOf = (json: string): string => `export default { ...${json}, filters: [function idle() {}] }`

/** Those of a test that failed in between do not outlive its process. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** `config` is written as JSON, which is YAML as well. */
export function spawnGateway(
  config: object,
  { workers = 1, code = false, blocks, descriptors }: ProcessOptions = {},
): GatewayProcess {
  const file = path.join(temporaryFolder('sallyport-run-'), code ? 'sallyport.config.ts' : 'sallyport.yaml')
  const text = JSON.stringify({ log: { access: false, level: 'debug' }, workers, ...config })
  writeFileSync(file, code ? moduleOf(text) : text)
  const words = [process.execPath, main, 'run', '-c', file]
  const limits = [
    ...(blocks === undefined ? [] : [`trap "" XFSZ; ulimit -f ${blocks}`]),
    ...(descriptors === undefined ? [] : [`ulimit -n ${descriptors}`]),
  ]
  const limited = ['sh', '-c', [...limits, 'exec "$@"'].join('; '), 'sh', ...words]
  const [command, ...args] = (limits.length === 0 ? words : limited) as [string, ...string[]]
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  let over = false
  const waiting = new Set<() => void>()
  const look = () => {
    for (const each of [...waiting]) each()
  }
  child.stderr.on('data', chunk => void (err += chunk))
  running.add(child)
  child.on('close', () => {
    running.delete(child)
    over = true
    look()
  })
  child.stdout.on('data', chunk => {
    out += chunk
    look()
  })
  const logs = () =>
    out
      .slice(0, out.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(line => line.startsWith('{'))
      .map(line => JSON.parse(line) as LogRecord)
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'close')
    child.kill(signal)
    await gone
  }
  return {
    child,
    file,
    ready: readyOf(child, () => out),
    logs,
    said: () => `${err}${out}`,
    logged: wanted =>
      noticed(
        () => `a record for ${wanted}: ${err}${out}`,
        waiting,
        () => {
          const found = logs().find(wanted)
          if (found === undefined && over) throw new Error(`it ended without that record: ${err}${out}`)
          return found
        },
      ),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}
