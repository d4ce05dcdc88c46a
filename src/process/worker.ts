/**
 * One of several processes that accept connections. What it serves comes from its supervisor and not from the file, so
 * that a worker that is started in place of another serves what the others serve. When its supervisor is gone, it drains:
 * nobody could reload or stop it any more, and the next start would share its ports.
 */
import { messageOf } from '../base/errors.ts'
import type { ConfigSource } from '../config/load.ts'
import { onSupervisor, sendToSupervisor, type ToWorker } from './channel.ts'
import { inTurn } from './in-turn.ts'
import { type ServeOptions, workersOf } from './loaded.ts'
import { Serving } from './serving.ts'
import { WorkerShares } from './shares.ts'
import type { Signals } from './signals.ts'

export async function work(number: number, signals: Signals, options: ServeOptions): Promise<number> {
  const asked = new Map<number, (error: string | null) => void>()
  const shares = new WorkerShares(sendToSupervisor)
  let ids = 0
  let serving: Serving | null = null
  let started: (source: ConfigSource) => void = () => {}
  const first = new Promise<ConfigSource>(resolve => {
    started = resolve
  })
  const drain = () => {
    if (serving === null) process.exit(0)
    serving.drain()
  }
  const reloadFrom = async (id: number, source: ConfigSource) => {
    const error = await serving?.reload(() => options.load(source)).then(() => null, messageOf)
    sendToSupervisor({ kind: 'reloaded', id, error: error ?? null })
  }
  let last = Promise.resolve()
  const take = (message: ToWorker) => {
    switch (message.kind) {
      case 'start':
        started(message.source)
        return
      case 'reload':
        last = last.then(() => reloadFrom(message.id, message.source))
        return
      case 'rejected':
        serving?.rejected(message.why)
        return
      case 'drain':
        drain()
        return
      case 'reopen':
        serving?.gateway.reopenLogs()
        return
      case 'answer':
        asked.get(message.id)?.(message.error)
        asked.delete(message.id)
        return
      case 'granted':
      case 'recall':
        shares.took(message)
    }
  }
  onSupervisor(take, () => {
    serving?.gateway.log.write('warn', 'the supervisor has ended: this worker drains and ends too')
    drain()
  })
  sendToSupervisor({ kind: 'hello' })

  const loaded = await options.load(await first)
  const reload = inTurn(
    () =>
      new Promise<void>((resolve, reject) => {
        if (!process.connected) throw new Error('the supervisor of this worker has ended, and it drains')
        const id = ++ids
        asked.set(id, error => (error === null ? resolve() : reject(new Error(error))))
        sendToSupervisor({ kind: 'ask', id })
      }),
  )
  const own = new Serving({
    loaded,
    worker: number,
    workers: workersOf(loaded.config),
    shares,
    tlsKeyLog: options.tlsKeyLog,
    reload,
    drain: () => sendToSupervisor({ kind: 'stop' }),
  })
  await own.start()
  serving = own
  signals.use({ reload: () => {}, reopen: () => {}, stop: () => own.stop(), orphaned: () => own.drain() })
  sendToSupervisor({ kind: 'ready' })
  if (number === 1) options.afterReady(own.gateway)
  return await new Promise(() => {})
}
