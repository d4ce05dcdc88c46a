/** A worker as its supervisor sees it. */
import type { ChildProcess } from 'node:child_process'
import type { ConfigSource } from '../config/load.ts'
import { sendToWorker } from './channel.ts'

export class Worker {
  readonly number: number
  readonly child: ChildProcess
  readonly startedAt = performance.now()
  /** It accepts connections, and takes reloads */
  ready = false
  /** What it was given and could put into force, last */
  source: ConfigSource | null = null
  /** It was its own failure that ended the last reload, and it has said so in its log */
  failedLast = false
  private readonly asked = new Map<number, (error: string | null) => void>()
  private ids = 0

  constructor(number: number, child: ChildProcess) {
    this.number = number
    this.child = child
  }

  /** Null when it is in force there, or the worker is gone: its successor gets what is in force by then. */
  async reload(source: ConfigSource): Promise<string | null> {
    const id = ++this.ids
    const before = this.source
    this.source = source
    const error = await new Promise<string | null>(resolve => {
      this.asked.set(id, resolve)
      sendToWorker(this.child, { kind: 'reload', id, source })
      if (!this.child.connected) this.gone()
    })
    if (error === null) return null
    this.source = before
    this.failedLast = true
    return error
  }

  answered(id: number, error: string | null): void {
    this.asked.get(id)?.(error)
    this.asked.delete(id)
  }

  gone(): void {
    for (const answer of this.asked.values()) answer(null)
    this.asked.clear()
  }
}
