/**
 * Keeps the certificates of many names current: loads them at start, works off what is due a few at a time, and picks
 * up what other processes have got. A name that is first seen in a handshake joins by `obtain`.
 *
 * Invariants: one timer, for what is due next; at most `concurrent` certificates at work, and never two steps of one at a
 * time; the handshake never waits here, `obtain` aside.
 */
import { messageOf } from '../../base/errors.ts'
import type { Bundle } from '../../model/certificate.ts'
import { ManagedCertificate, type ManagedCertificateOptions } from './managed-certificate.ts'
import { certificatesPrefix, type ManagedKey, partOf } from './records.ts'

export type KeeperOptions = Omit<ManagedCertificateOptions, 'changed'> & {
  /** One certificate of each for every name */
  readonly keys: readonly ManagedKey[]
}

/** Orders under way in one process. */
const concurrent = 4
/** A timer further away than this would overflow; waking up early costs nothing. */
const longestMs = 3_600_000

export class Renewer {
  private readonly options: KeeperOptions
  private readonly certificates = new Map<string, readonly ManagedCertificate[]>()
  private readonly byPart = new Map<string, ManagedCertificate>()
  private readonly bundlesOf = new Map<string, readonly Bundle[]>()
  private readonly working = new Map<ManagedCertificate, Promise<void>>()
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
    for (const name of this.certificates.keys()) if (!wanted.has(name)) this.forget(name)
    const fresh = names.filter(name => !this.certificates.has(name))
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
    return this.certificates.has(name)
  }

  /** The same list until another name is kept, or one is let go. */
  names(): readonly string[] {
    this.listed ??= [...this.certificates.keys()]
    return this.listed
  }

  /** Why there is nothing, or nothing newer, for `name`; null when all is well. */
  problem(name: string): string | null {
    for (const { problem } of this.certificates.get(name) ?? []) if (problem !== null) return problem
    return null
  }

  /** Loads or orders the certificates of a name that was not known; asked once for each name at a time. Rejects with what went wrong. */
  async obtain(name: string): Promise<readonly Bundle[]> {
    const certificates = this.certificates.get(name) ?? this.add(name)
    await this.load(name)
    for (const certificate of certificates) {
      // Another process may have the lock: then its result comes by the watch, or is found with the next look.
      while (certificate.bundle === null && !this.stopped.signal.aborted) {
        if (!this.working.has(certificate)) await this.work(certificate)
        if (certificate.bundle !== null || certificate.problem !== null) break
        await new Promise(resolve =>
          setTimeout(resolve, Math.max(50, Math.min(1_000, certificate.dueAt - this.options.now()))),
        )
        await this.load(name)
      }
      if (certificate.bundle === null) throw new Error(certificate.problem ?? 'the gateway ends')
    }
    this.schedule()
    return this.bundles(name) ?? []
  }

  /** Renews now, whatever the plan says. Rejects with what went wrong. */
  async renew(name: string): Promise<readonly Bundle[]> {
    const certificates = this.certificates.get(name)
    if (certificates === undefined) throw new Error(`${name} has no certificate that is kept here`)
    const before = this.bundles(name)
    for (const certificate of certificates) {
      await this.working.get(certificate)
      await this.work(certificate, true)
      if (certificate.problem !== null) throw new Error(certificate.problem)
    }
    const after = this.bundles(name)
    if (after === null || after === before) throw new Error(`another process orders a certificate for ${name} now`)
    return after
  }

  /** Takes a name out; its certificate stays in storage. */
  forget(name: string): void {
    for (const { id } of this.certificates.get(name) ?? []) this.byPart.delete(partOf(id))
    this.certificates.delete(name)
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

  private add(name: string): readonly ManagedCertificate[] {
    const { options } = this
    const certificates = options.keys.map(
      keyType =>
        new ManagedCertificate(
          { name, keyType },
          {
            ...options,
            changed: () => {
              const own = this.certificates.get(name)
              if (own === undefined) return
              const bundles = own.map(certificate => certificate.bundle).filter(bundle => bundle !== null)
              this.bundlesOf.set(name, bundles)
            },
          },
        ),
    )
    this.certificates.set(name, certificates)
    this.listed = null
    for (const certificate of certificates) this.byPart.set(partOf(certificate.id), certificate)
    return certificates
  }

  private async load(name: string): Promise<void> {
    for (const certificate of this.certificates.get(name) ?? []) {
      try {
        await certificate.load()
      } catch (error) {
        certificate.problem = messageOf(error)
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
    for (const certificates of this.certificates.values()) {
      for (const certificate of certificates) {
        if (this.working.has(certificate)) continue
        if (certificate.dueAt > now) next = Math.min(next, certificate.dueAt)
        // One of a name at a time: they share a lock.
        else if (this.working.size < concurrent && !certificates.some(each => this.working.has(each)))
          void this.work(certificate).then(() => this.schedule())
      }
    }
    this.timer = setTimeout(() => this.schedule(), Math.max(10, next - now)).unref()
  }

  private async work(certificate: ManagedCertificate, forced = false): Promise<void> {
    const step = certificate.step(this.stopped.signal, forced)
    this.working.set(certificate, step)
    await step
    this.working.delete(certificate)
  }

  private async noticed(key: string | null): Promise<void> {
    const one = key === null ? null : this.byPart.get(key.slice(certificatesPrefix.length))
    for (const certificate of one === null ? [...this.byPart.values()] : one === undefined ? [] : [one]) {
      try {
        await certificate.refresh()
      } catch (error) {
        const { name } = certificate.id
        this.options.log('warn', 'a certificate cannot be picked up', { name, why: messageOf(error) })
      }
    }
    this.schedule()
  }
}
