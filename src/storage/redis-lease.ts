/**
 * A lock in Redis that this process holds: a key with a random token that expires, renewed after each third of its lease. It is lost
 * if the token has changed, or if no renewal was confirmed for a whole lease, counted from when the
 * last confirmed one was sent: by then the server may have expired it.
 */
import { nowMs } from '../base/deadlines.ts'
import { type Lease, StorageError } from '../model/storage.ts'

type LeaseActs = {
  /** False if the token has changed. Throws if that cannot be known */
  renew(): Promise<boolean>
  release(): Promise<void>
}

export class RedisLease implements Lease {
  readonly fence: number
  readonly token: string
  readonly name: string
  readonly lost: AbortSignal
  readonly #abort = new AbortController()
  readonly #acts: LeaseActs
  readonly #leaseMs: number
  readonly #renewal: NodeJS.Timeout
  #end: NodeJS.Timeout
  #renewing = false
  #over = false

  constructor(name: string, token: string, fence: number, sentAt: number, leaseMs: number, acts: LeaseActs) {
    this.name = name
    this.token = token
    this.fence = fence
    this.lost = this.#abort.signal
    this.#acts = acts
    this.#leaseMs = leaseMs
    this.#renewal = setInterval(() => void this.#renew(), leaseMs / 3).unref()
    this.#end = this.#endAt(sentAt)
  }

  /** Throws StorageError `lost` if the lock is known to be lost; the server makes the final decision. */
  check(): void {
    if (this.lost.aborted) throw this.lost.reason
    if (this.#over) throw new StorageError('lost', `the lock ${this.name} was given back before the write`)
  }

  async release(): Promise<void> {
    if (this.#over) return
    this.#stop()
    // If the server cannot be reached, the lease expires by itself.
    await this.#acts.release().catch(() => {})
  }

  lose(why: string): void {
    if (this.#over) return
    this.#stop()
    this.#abort.abort(new StorageError('lost', `the lock ${this.name} is lost: ${why}`))
  }

  async #renew(): Promise<void> {
    if (this.#renewing) return
    this.#renewing = true
    const sentAt = nowMs()
    try {
      if (!(await this.#acts.renew())) this.lose('another node has it, or the server has forgotten it')
      else if (!this.#over) {
        clearTimeout(this.#end)
        this.#end = this.#endAt(sentAt)
      }
    } catch {
      // Tried again after the next third, until the lease ends.
    } finally {
      this.#renewing = false
    }
  }

  #endAt(sentAt: number): NodeJS.Timeout {
    const why = `not renewed for ${this.#leaseMs} ms`
    return setTimeout(() => this.lose(why), sentAt + this.#leaseMs - nowMs()).unref()
  }

  #stop(): void {
    this.#over = true
    clearInterval(this.#renewal)
    clearTimeout(this.#end)
  }
}
