/**
 * Runs gateways until a signal says otherwise: one in this process, or a worker process for each core with this one
 * as their supervisor. SIGTERM and SIGINT drain, a second one exits at once; SIGHUP reloads. A worker that dies is
 * replaced; the others do not notice.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeSync } from 'node:fs'
import os from 'node:os'
import { Admin } from '../admin/admin.ts'
import { openControl } from '../admin/control-server.ts'
import { noReloads, type Reloads } from '../admin/process-metrics.ts'
import { messageOf } from '../base/errors.ts'
import { collectGarbage } from '../base/runtime.ts'
import type { Config } from '../config/config.ts'
import { formatProblem, type Problem } from '../config/engine/problem.ts'
import { Gateway } from '../gateway/gateway.ts'
import { controlsOf } from './controls.ts'

export type Loaded = { readonly config: Config; readonly warnings: readonly Problem[] }

/** Set in the environment of worker processes: their number, from 1. */
export const workerVariable = 'SALLYPORT_WORKER'
const isWorker = process.env[workerVariable] !== undefined
/** Of several workers, this one speaks for all where once is enough: alerts, and warnings that certificates end. */
const isFirst = !isWorker || process.env[workerVariable] === '1'

/** A process of a running gateway, and what its signals and its control socket act on. */
type Serving = {
  readonly gateway: Gateway
  readonly admin: Admin
  readonly reloads: Reloads
  readonly load: () => Promise<Loaded>
}

type Reload = () => Promise<void>

/** Workers are restarted at once, unless they die within this time: then after it. */
const respawnMs = 1_000

/** @param load is asked again at each reload */
export async function serve(
  load: () => Promise<Loaded>,
  afterReady: (gateway: Gateway) => void,
  tlsKeyLog?: string,
): Promise<number> {
  const loaded = await load()
  if (!isWorker) warn(loaded)
  const workers = workersOf(loaded.config)
  return workers > 1 && !isWorker
    ? await supervise(workers, loaded)
    : await serveHere(load, loaded, afterReady, tlsKeyLog)
}

const workersOf = ({ workers }: Config): number => (workers === 'auto' ? os.availableParallelism() : workers)

function warn(loaded: Loaded): void {
  for (const problem of loaded.warnings) process.stderr.write(`${formatProblem(problem)}\n`)
}

async function serveHere(
  load: () => Promise<Loaded>,
  loaded: Loaded,
  afterReady: (gateway: Gateway) => void,
  tlsKeyLog: string | undefined,
): Promise<number> {
  const options = { reusePort: isWorker, out: writeOut, reportsCertificates: isFirst }
  const gateway = new Gateway(loaded.config, tlsKeyLog === undefined ? options : { ...options, tlsKeyLog })
  process.on('uncaughtException', error =>
    gateway.log.write('error', 'fault', { where: 'uncaught', stack: error.stack }),
  )
  process.on('unhandledRejection', error =>
    gateway.log.write('error', 'fault', {
      where: 'promise',
      stack: error instanceof Error ? error.stack : String(error),
    }),
  )
  const reloads = noReloads()
  const worker = isWorker ? Number(process.env[workerVariable]) : 1
  const admin = new Admin(gateway, { worker, workers: isWorker ? workersOf(loaded.config) : 1, reloads })
  // Before the listeners: probes are answered while a long start is under way.
  if (isFirst) await admin.open(loaded.config.admin)
  // Of parsing first, so that what stays goes where it lay: 20 MB less with 10,000 sites.
  collectGarbage()
  await gateway.start()
  collectGarbage()
  const serving = { gateway, admin, reloads, load }
  const again = inTurn(() => reload(serving))
  process.on('SIGHUP', () => void again().catch(() => {}))
  const ended = untilStopped(gateway)
  await openControls(serving, again)
  if (isWorker) process.send?.('ready')
  else process.stderr.write('sallyport ready\n')
  afterReady(gateway)
  return await ended
}

/**
 * Synchronously, so that the last lines are not lost when the process ends; a full pipe is waited for. Workers share
 * their output: theirs leaves in whole lines of at most PIPE_BUF, which a pipe takes at once or not at all (pipe(7)).
 */
function writeOut(text: string): void {
  let bytes = Buffer.from(text)
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(1, isWorker ? wholeLines(bytes, pipeBytes) : bytes))
    } catch (error) {
      const { code } = error as { code?: string }
      // Nobody reads the log any more: serving goes on.
      if (code !== 'EAGAIN') return
    }
  }
}

/** PIPE_BUF of Linux; POSIX has 512 as the least, which no line of ours fits in. */
const pipeBytes = 4096

/** As many whole lines from the front as fit, or the first one, which is longer. */
export function wholeLines(bytes: Buffer, most: number): Buffer {
  if (bytes.length <= most) return bytes
  const fitting = bytes.lastIndexOf(10, most - 1)
  const end = fitting >= 0 ? fitting : bytes.indexOf(10)
  return end < 0 ? bytes : bytes.subarray(0, end + 1)
}

/** A gateway that cannot be asked still serves. */
async function openControls({ gateway, admin }: Serving, again: Reload): Promise<void> {
  // Workers are ended by their supervisor, which would start another in place of one that ends by itself.
  const drain = () => void process.kill(isWorker ? process.ppid : process.pid, 'SIGTERM')
  try {
    await openControl(gateway.config.state, {
      ...controlsOf(gateway, again, drain),
      metrics: () => admin.process(),
    })
  } catch (error) {
    gateway.log.write('warn', 'no control socket: status, reload, drain and handshakes cannot ask this process', {
      why: messageOf(error),
    })
  }
}

/** Two at once would fight for the addresses that they both bind. */
function inTurn(work: Reload): Reload {
  let last = Promise.resolve()
  return () => {
    const next = last.then(work)
    last = next.catch(() => {})
    return next
  }
}

/** Throws what was wrong, having logged it. */
async function reload({ gateway, admin, reloads, load }: Serving): Promise<void> {
  try {
    const loaded = await load()
    if (!isWorker) warn(loaded)
    const prepared = isFirst ? await admin.prepare(loaded.config.admin) : null
    try {
      await gateway.reload(loaded.config)
    } catch (error) {
      await prepared?.discard()
      throw error
    }
    prepared?.commit()
    reloads.done++
    reloads.lastFailed = false
    gateway.log.write('info', 'reloaded', { sites: loaded.config.sites.length })
  } catch (error) {
    reloads.failed++
    reloads.lastFailed = true
    gateway.log.write('error', 'reload failed; the configuration in force stays', { why: messageOf(error) })
    throw error
  }
}

function untilStopped(gateway: Gateway): Promise<number> {
  return new Promise(resolve => {
    let stopping = false
    const stop = () => {
      if (stopping) process.exit(1)
      stopping = true
      gateway.log.write('info', 'draining', { connections: gateway.connections })
      gateway.drain().then(cut => {
        gateway.log.write('info', 'stopped', { cut })
        gateway.log.flush()
        resolve(0)
        // Timers of pooled connections or of a filter must not hold up the exit.
        setImmediate(() => process.exit(0))
      })
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })
}

/** @returns when every worker has ended */
function supervise(count: number, loaded: Loaded): Promise<number> {
  if (loaded.config.listen.some(listen => listen.port === 0)) {
    process.stderr.write('sallyport: with several workers every listener needs a port of its own, not 0\n')
    return Promise.resolve(2)
  }
  return new Promise(resolve => {
    const children = new Set<ChildProcess>()
    let ready = 0
    let announced = false
    let stopping = false
    let failed = 0
    const start = (number: number) => {
      const startedAt = performance.now()
      const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        env: { ...process.env, [workerVariable]: String(number) },
      })
      children.add(child)
      child.on('message', () => {
        ready++
        if (ready < count || announced) return
        announced = true
        process.stderr.write('sallyport ready\n')
      })
      child.on('exit', code => {
        children.delete(child)
        if (!stopping && !announced) {
          // It never came up: the reason is on standard error, and another would say the same.
          stopping = true
          failed = code ?? 1
          for (const other of children) other.kill('SIGTERM')
        } else if (!stopping) {
          process.stderr.write(`sallyport: a worker ended (${code ?? 'by a signal'}); starting another\n`)
          const young = performance.now() - startedAt < respawnMs
          setTimeout(() => stopping || start(number), young ? respawnMs : 0)
        }
        if (stopping && children.size === 0) {
          resolve(failed)
          setImmediate(() => process.exit(failed))
        }
      })
    }
    for (let number = 1; number <= count; number++) start(number)
    const stop = (signal: NodeJS.Signals) => {
      for (const child of children) child.kill(stopping ? 'SIGKILL' : signal)
      stopping = true
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
    process.on('SIGHUP', () => {
      for (const child of children) child.kill('SIGHUP')
    })
  })
}
