/**
 * The channel between a supervisor and one worker: the messages, and how they are sent. Messages of one direction arrive
 * in order; a message to a worker that is still starting waits in its socket until the worker reads it. A channel that
 * closes means that the other process is gone.
 */
import type { ChildProcess } from 'node:child_process'
import type { ConfigSource } from '../config/load.ts'

export type ToWorker =
  /** The first message: the configuration to start with */
  | { readonly kind: 'start'; readonly source: ConfigSource }
  | { readonly kind: 'reload'; readonly id: number; readonly source: ConfigSource }
  /** A reload that failed before it came to this worker: to be logged and counted */
  | { readonly kind: 'rejected'; readonly why: string }
  | { readonly kind: 'drain' }
  /** Log files are to be opened again */
  | { readonly kind: 'reopen' }
  /** The answer to `ask` */
  | { readonly kind: 'answer'; readonly id: number; readonly error: string | null }
  /** The answer to `take`: units of a common limit (shares.ts) */
  | { readonly kind: 'granted'; readonly id: number; readonly units: number }
  /** Others need units: the worker gives up those that it does not use, and says how many in `recalled` */
  | { readonly kind: 'recall'; readonly id: number; readonly key: string }

export type ToSupervisor =
  /** The worker reads its messages */
  | { readonly kind: 'hello' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'reloaded'; readonly id: number; readonly error: string | null }
  /** From the worker's control socket: reload the whole gateway */
  | { readonly kind: 'ask'; readonly id: number }
  /** The same: drain the whole gateway */
  | { readonly kind: 'stop' }
  /** Units of what `key` limits to `limit` in all workers together */
  | {
      readonly kind: 'take'
      readonly id: number
      readonly key: string
      readonly wanted: number
      readonly limit: number
    }
  | { readonly kind: 'give'; readonly key: string; readonly units: number }
  | { readonly kind: 'recalled'; readonly id: number; readonly units: number }

/** Set in the environment of workers: their number, from 1. */
const workerVariable = 'SALLYPORT_WORKER'

export const workerEnvironment = (number: number): NodeJS.ProcessEnv => ({
  ...process.env,
  [workerVariable]: String(number),
})

/** The number of this worker, or null in any other process. */
export function workerNumber(): number | null {
  const text = process.env[workerVariable]
  return text !== undefined && process.send !== undefined ? Number(text) : null
}

/** A worker that is gone gets nothing: its exit is seen elsewhere. */
export function sendToWorker(child: ChildProcess, message: ToWorker): void {
  if (child.connected) child.send(message, () => {})
}

export function sendToSupervisor(message: ToSupervisor): void {
  // Bun's types have one signature and Node's another; an error means that the supervisor is gone, and `disconnect` says so.
  if (process.connected) (process.send as (message: unknown, after?: () => void) => void)(message, () => {})
}

/** @param gone is called once, also where the channel has been closed before */
export function onSupervisor(message: (message: ToWorker) => void, gone: () => void): void {
  process.on('message', received => message(received as ToWorker))
  process.on('disconnect', gone)
  if (!process.connected) gone()
}
