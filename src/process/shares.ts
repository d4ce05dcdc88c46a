/** How shares of common limits (model/shared-limit.ts) go over the channel between a supervisor and its workers: both ends. */
import type { ShareSource } from '../model/shared-limit.ts'
import type { ToSupervisor, ToWorker } from './channel.ts'
import { ShareTable } from './share-table.ts'

type FromWorker = Extract<ToSupervisor, { kind: 'take' | 'give' | 'recalled' }>
type FromSupervisor = Extract<ToWorker, { kind: 'granted' | 'recall' }>

/** A worker's end. */
export class WorkerShares implements ShareSource {
  private readonly send: (message: FromWorker) => void
  private readonly asked = new Map<number, (units: number) => void>()
  private readonly unused = new Map<string, () => number>()
  private ids = 0

  constructor(send: (message: FromWorker) => void) {
    this.send = send
  }

  take(key: string, wanted: number, limit: number): Promise<number> {
    const id = ++this.ids
    return new Promise(resolve => {
      this.asked.set(id, resolve)
      this.send({ kind: 'take', id, key, wanted, limit })
    })
  }

  give(key: string, units: number): void {
    this.send({ kind: 'give', key, units })
  }

  recalls(key: string, unused: () => number): void {
    this.unused.set(key, unused)
  }

  took(message: FromSupervisor): void {
    if (message.kind === 'granted') {
      this.asked.get(message.id)?.(message.units)
      this.asked.delete(message.id)
    } else this.send({ kind: 'recalled', id: message.id, units: this.unused.get(message.key)?.() ?? 0 })
  }
}

/** A worker that takes longer, as one that was stopped, keeps what it has. */
const recallMs = 500

/** The supervisor's end. */
export class SupervisorShares<Worker> {
  private readonly send: (worker: Worker, message: FromSupervisor) => void
  private readonly table: ShareTable<Worker>
  private readonly recalled = new Map<
    number,
    { readonly worker: Worker; readonly settle: (units: number) => void }
  >()
  private readonly late = new Map<number, { readonly worker: Worker; readonly key: string }>()
  private ids = 0

  constructor(send: (worker: Worker, message: FromSupervisor) => void) {
    this.send = send
    this.table = new ShareTable((worker, key) => this.recall(worker, key))
  }

  took(worker: Worker, message: FromWorker): void {
    switch (message.kind) {
      case 'take': {
        const { id, key, wanted, limit } = message
        void this.table
          .take(worker, key, wanted, limit)
          .then(units => this.send(worker, { kind: 'granted', id, units }))
        return
      }
      case 'give':
        this.table.give(worker, message.key, message.units)
        return
      case 'recalled': {
        const late = this.late.get(message.id)
        if (late !== undefined) this.table.give(late.worker, late.key, message.units)
        this.late.delete(message.id)
        this.recalled.get(message.id)?.settle(message.units)
      }
    }
  }

  left(worker: Worker): void {
    this.table.left(worker)
    for (const each of [...this.recalled.values()]) if (each.worker === worker) each.settle(0)
    for (const [id, each] of this.late) if (each.worker === worker) this.late.delete(id)
  }

  private recall(worker: Worker, key: string): Promise<number> {
    const id = ++this.ids
    return new Promise(resolve => {
      const settle = (units: number) => {
        clearTimeout(timer)
        this.recalled.delete(id)
        resolve(units)
      }
      const timer = setTimeout(() => {
        this.late.set(id, { worker, key })
        settle(0)
      }, recallMs)
      timer.unref()
      this.recalled.set(id, { worker, settle })
      this.send(worker, { kind: 'recall', id, key })
    })
  }
}
