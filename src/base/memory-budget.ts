/**
 * How much all connections of a process hold together, in one counter. Each connection has a share of it, to which
 * everything that keeps bytes for it adds. When the whole is over the limit, the connection with the greatest share is
 * ended, then the next, until it is not. docs/memory.md has every holder with its own limit.
 *
 * Invariants: `total` is the sum of the open shares; a share that was ended or closed counts nothing from then on, so a
 * holder that is released late cannot take from it twice.
 */

import { ProxyError } from './errors.ts'

/** What a share belongs to. */
export interface Ending {
  readonly remoteAddress: string
  /** The budget is spent, and nobody holds more than this. */
  overBudget(error: ProxyError): void
}

export class Share {
  /** Bytes of memory held, in what they really take */
  bytes = 0
  /** Where it stands among those that hold something; owned by the budget, -1 for one that holds nothing */
  index = -1
  closed = false
  readonly owner: Ending
  private readonly budget: MemoryBudget

  constructor(budget: MemoryBudget, owner: Ending) {
    this.budget = budget
    this.owner = owner
  }

  /** @param change negative when bytes were let go */
  add(change: number): void {
    if (!this.closed && change !== 0) this.budget.changed(this, change)
  }

  /** Its connection is gone. */
  close(): void {
    if (this.closed) return
    this.add(-this.bytes)
    this.closed = true
  }
}

export class MemoryBudget {
  total = 0
  /** Connections that were ended for it */
  ended = 0
  /** Bytes; what a reload sets counts from the next byte that is held */
  limit: number
  private readonly holding: Share[] = []
  private readonly told: (remoteAddress: string, error: ProxyError) => void
  private enforcing = false

  constructor(limit: number, told: (remoteAddress: string, error: ProxyError) => void) {
    this.limit = limit
    this.told = told
  }

  changed(share: Share, change: number): void {
    share.bytes += change
    this.total += change
    if (share.index < 0) {
      share.index = this.holding.length
      this.holding.push(share)
    } else if (share.bytes === 0) this.forget(share)
    if (change > 0 && this.total > this.limit && !this.enforcing) {
      this.enforcing = true
      // Whoever adds is in the middle of its work: connections are not ended under its feet.
      queueMicrotask(() => this.enforce())
    }
  }

  private forget(share: Share): void {
    const last = this.holding.pop() as Share
    if (last !== share) {
      this.holding[share.index] = last
      last.index = share.index
    }
    share.index = -1
  }

  private enforce(): void {
    this.enforcing = false
    while (this.total > this.limit && this.holding.length > 0) {
      let most = this.holding[0] as Share
      for (const share of this.holding) if (share.bytes > most.bytes) most = share
      const { owner } = most
      const all = `all connections hold ${this.total} bytes, over half of limits.memory (${this.limit})`
      const error = new ProxyError('MEMORY_BUDGET', `${all}; this one held the most: ${most.bytes}`)
      most.close()
      this.ended++
      this.told(owner.remoteAddress, error)
      owner.overBudget(error)
    }
  }
}
