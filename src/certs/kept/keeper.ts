/**
 * Keeps the certificates of many names current: loads them at start, works off what is due a few at a time, and picks
 * up what other processes have got. A name that is first seen in a handshake joins by `obtain`.
 *
 * Invariants: one timer, for what is due next; at most `concurrent` subjects at work, and never two steps of one at a
 * time; the handshake never waits here, `obtain` aside.
 */
import { messageOf } from '../../base/errors.ts'
import type { Bundle } from '../../model/certificate.ts'
import { certificatesPrefix, type ManagedKey, partOf } from './records.ts'
import { Subject, type SubjectOptions } from './subject.ts'

export type KeeperOptions = Omit<SubjectOptions, 'changed'> & {
  /** One certificate of each for every name */
  readonly keys: readonly ManagedKey[]
}

/** Orders under way in one process. */
const concurrent = 4
/** A timer further away than this would overflow; waking up early costs nothing. */
const longestMs = 3_600_000

export class Keeper {
  private readonly options: KeeperOptions
  private readonly subjects = new Map<string, readonly Subject[]>()
  private readonly byPart = new Map<string, Subject>()
  private readonly bundlesOf = new Map<string, readonly Bundle[]>()
  private readonly working = new Map<Subject, Promise<void>>()
  private readonly stopped = new AbortController()
  private listed: readonly string[] | null = null
  private timer: NodeJS.Timeout | null = null
  private begun = false
  private readonly unwatch: () => void

  constructor(options: KeeperOptions) {
    this.options = options
    this.unwatch = options.storage.watch(certificatesPrefix, key => void this.noticed(key))
  }

  /** From now on orders are made: the listeners that answer challenges are there. */
  begin(): void {
    this.begun = true
    this.schedule()
  }

  /** Sets which names are kept, and loads those that are new. Storage that fails is logged. */
  async keep(names: readonly string[]): Promise<void> {
    const wanted = new Set(names)
    for (const name of this.subjects.keys()) if (!wanted.has(name)) this.forget(name)
    const fresh = names.filter(name => !this.subjects.has(name))
    for (const name of fresh) this.add(name)
    // A few at a time: ten thousand reads at once would be ten thousand open files.
    let at = 0
    const loader = async () => {
      while (at < fresh.length) await this.load(fresh[at++] as string)
    }
    await Promise.all(Array.from({ length: 16 }, loader))
    this.schedule()
  }

  /** What serves `name` now; null where there is nothing yet. */
  bundles(name: string): readonly Bundle[] | null {
    return this.bundlesOf.get(name) ?? null
  }

  keeps(name: string): boolean {
    return this.subjects.has(name)
  }

  /** The same list until another name is kept, or one is let go. */
  names(): readonly string[] {
    this.listed ??= [...this.subjects.keys()]
    return this.listed
  }

  /** Why there is nothing, or nothing newer, for `name`; null when all is well. */
  problem(name: string): string | null {
    for (const { problem } of this.subjects.get(name) ?? []) if (problem !== null) return problem
    return null
  }

  /** Loads or orders the certificates of a name that was not known; asked once for each name at a time. Rejects with what went wrong. */
  async obtain(name: string): Promise<readonly Bundle[]> {
    const subjects = this.subjects.get(name) ?? this.add(name)
    await this.load(name)
    for (const subject of subjects) {
      // Another process may have the lock: then its result comes by the watch, or is found with the next look.
      while (subject.bundle === null && !this.stopped.signal.aborted) {
        if (!this.working.has(subject)) await this.work(subject)
        if (subject.bundle !== null || subject.problem !== null) break
        await new Promise(resolve =>
          setTimeout(resolve, Math.max(50, Math.min(1_000, subject.dueAt - this.options.now()))),
        )
        await this.load(name)
      }
      if (subject.bundle === null) throw new Error(subject.problem ?? 'the gateway ends')
    }
    this.schedule()
    return this.bundles(name) ?? []
  }

  /** Renews now, whatever the plan says. Rejects with what went wrong. */
  async renew(name: string): Promise<readonly Bundle[]> {
    const subjects = this.subjects.get(name)
    if (subjects === undefined) throw new Error(`${name} has no certificate that is kept here`)
    const before = this.bundles(name)
    for (const subject of subjects) {
      await this.working.get(subject)
      await this.work(subject, true)
      if (subject.problem !== null) throw new Error(subject.problem)
    }
    const after = this.bundles(name)
    if (after === null || after === before) throw new Error(`another process orders a certificate for ${name} now`)
    return after
  }

  /** Takes a name out; its certificate stays in storage. */
  forget(name: string): void {
    for (const { id } of this.subjects.get(name) ?? []) this.byPart.delete(partOf(id))
    this.subjects.delete(name)
    this.listed = null
    this.bundlesOf.delete(name)
  }

  /** Orders under way are left as they are, to be taken up again; resolves when nothing touches storage any more. */
  async stop(): Promise<void> {
    this.unwatch()
    this.stopped.abort()
    if (this.timer !== null) clearTimeout(this.timer)
    await Promise.all(this.working.values())
  }

  private add(name: string): readonly Subject[] {
    const { options } = this
    const subjects = options.keys.map(
      keyType =>
        new Subject(
          { name, keyType },
          {
            ...options,
            changed: () => {
              const own = this.subjects.get(name)
              if (own === undefined) return
              const bundles = own.map(subject => subject.bundle).filter(bundle => bundle !== null)
              this.bundlesOf.set(name, bundles)
            },
          },
        ),
    )
    this.subjects.set(name, subjects)
    this.listed = null
    for (const subject of subjects) this.byPart.set(partOf(subject.id), subject)
    return subjects
  }

  private async load(name: string): Promise<void> {
    for (const subject of this.subjects.get(name) ?? []) {
      try {
        await subject.load()
      } catch (error) {
        subject.problem = messageOf(error)
        this.options.log('error', 'a certificate cannot be loaded from storage', { name, why: messageOf(error) })
      }
    }
  }

  /** Works on what is due, and sets the timer for what comes next. */
  private schedule(): void {
    if (!this.begun || this.stopped.signal.aborted) return
    if (this.timer !== null) clearTimeout(this.timer)
    const now = this.options.now()
    let next = now + longestMs
    for (const subjects of this.subjects.values()) {
      for (const subject of subjects) {
        if (this.working.has(subject)) continue
        if (subject.dueAt > now) next = Math.min(next, subject.dueAt)
        // One of a name at a time: they share a lock.
        else if (this.working.size < concurrent && !subjects.some(each => this.working.has(each)))
          void this.work(subject).then(() => this.schedule())
      }
    }
    this.timer = setTimeout(() => this.schedule(), Math.max(10, next - now)).unref()
  }

  private async work(subject: Subject, forced = false): Promise<void> {
    const step = subject.step(this.stopped.signal, forced)
    this.working.set(subject, step)
    await step
    this.working.delete(subject)
  }

  private async noticed(key: string | null): Promise<void> {
    const one = key === null ? null : this.byPart.get(key.slice(certificatesPrefix.length))
    for (const subject of one === null ? [...this.byPart.values()] : one === undefined ? [] : [one]) {
      try {
        await subject.refresh()
      } catch (error) {
        const { name } = subject.id
        this.options.log('warn', 'a certificate cannot be picked up', { name, why: messageOf(error) })
      }
    }
    this.schedule()
  }
}
