/**
 * Runs a gateway until a signal says otherwise: in this process, or in a worker process for each core with this one as
 * their supervisor. SIGTERM and SIGINT drain, a second one exits at once; SIGHUP reloads.
 */
import { UsageError } from '../base/errors.ts'
import { Output } from '../base/output.ts'
import { formatProblem } from '../config/engine/problem.ts'
import { workerNumber } from './channel.ts'
import { inTurn } from './in-turn.ts'
import { type Loaded, type ServeOptions, workersOf } from './loaded.ts'
import { Serving } from './serving.ts'
import { Signals } from './signals.ts'
import { Supervisor } from './supervisor.ts'
import { work } from './worker.ts'

/** @returns the exit code */
export async function serve(options: ServeOptions): Promise<number> {
  const { load } = options
  const signals = options.signals ?? new Signals()
  const number = workerNumber()
  if (number !== null) return await work(number, signals, options)
  const errors = new Output(2)
  const say = (text: string) => errors.write(`${text}\n`)
  const loaded = await load(null)
  for (const problem of loaded.warnings) say(formatProblem(problem))
  const workers = workersOf(loaded.config)
  /** What the file says now. Throws UsageError where it cannot take the place of what is in force. */
  const again = async (): Promise<Loaded> => {
    const fresh = await load(null)
    for (const problem of fresh.warnings) say(formatProblem(problem))
    const wanted = workersOf(fresh.config)
    if (wanted === workers) return fresh
    throw new UsageError(
      `workers: a reload cannot change their number from ${workers} to ${wanted}; restart for that`,
    )
  }
  return workers > 1
    ? await new Supervisor(workers, loaded, errors, again).run(signals)
    : await serveAlone(loaded, say, again, signals, options)
}

async function serveAlone(
  loaded: Loaded,
  say: (text: string) => void,
  again: () => Promise<Loaded>,
  signals: Signals,
  { tlsKeyLog, afterReady }: ServeOptions,
): Promise<number> {
  const reload = inTurn(() => serving.reload(again))
  const drain = () => serving.drain()
  const serving: Serving = new Serving({ loaded, worker: 1, workers: 1, tlsKeyLog, shares: null, reload, drain })
  await serving.start()
  signals.use({
    reload: () => void reload().catch(() => {}),
    reopen: () => void serving.gateway.reopenLogs(),
    stop: () => serving.stop(),
    orphaned: () => serving.drain(),
  })
  say('sallyport ready')
  afterReady(serving.gateway)
  return await new Promise(() => {})
}
