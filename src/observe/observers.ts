/**
 * Who listens to records, by kind. A list is replaced and never changed, so that an observer may come or go while one is
 * walked. What an observer throws stays here: it is reported once, with its name.
 */
import type { Observer, RecordKind, RecordOf } from '../model/records.ts'

type Registered = { readonly observer: Observer; readonly name: string; failed: boolean }
type Lists = { readonly [K in RecordKind]: readonly Registered[] }

const kinds: Readonly<Record<RecordKind, true>> = {
  request: true,
  refusedRequest: true,
  connection: true,
  handshake: true,
  failedHandshake: true,
  endedConnection: true,
  certificate: true,
  fault: true,
}

export class Observers {
  private all: readonly Registered[] = []
  private lists: Lists = listsOf([])
  private readonly report: (where: string, error: unknown) => void

  /** @param report is told of the first failure of each observer; it must not throw */
  constructor(report: (where: string, error: unknown) => void) {
    this.report = report
  }

  /** @returns what takes it away again */
  add(observer: Observer): () => void {
    const own: Registered = { observer, name: String(observer.name), failed: false }
    this.use([...this.all, own])
    return () => this.use(this.all.filter(each => each !== own))
  }

  /** Whether a record of this kind would be heard: nothing is built for it otherwise. */
  hear(kind: RecordKind): boolean {
    return this.lists[kind].length > 0
  }

  tell<K extends RecordKind>(kind: K, record: RecordOf<K>): void {
    for (const registered of this.lists[kind]) {
      try {
        const observer = registered.observer as { readonly [each in K]?: (record: RecordOf<K>) => unknown }
        // An observer may be an async function, whatever its type says: nobody else would handle its rejection.
        const answer = observer[kind]?.(record)
        if (answer instanceof Promise) answer.catch(error => this.hasFailed(registered, error))
      } catch (error) {
        this.hasFailed(registered, error)
      }
    }
  }

  private use(all: readonly Registered[]): void {
    this.all = all
    this.lists = listsOf(all)
  }

  private hasFailed(registered: Registered, error: unknown): void {
    if (registered.failed) return
    registered.failed = true
    this.report(`observer ${registered.name}`, error)
  }
}

function listsOf(all: readonly Registered[]): Lists {
  const lists = {} as Record<RecordKind, readonly Registered[]>
  for (const kind of Object.keys(kinds) as RecordKind[])
    lists[kind] = all.filter(({ observer }) => typeof observer[kind] === 'function')
  return lists
}
