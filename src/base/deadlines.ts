/**
 * Deadlines for many connections without a timer each: setting one is a number on an object, and a sweep every
 * `sweepMs` finds those that have passed. 10,000 idle connections cost about 50 us a sweep. A deadline fires up to
 * `sweepMs` late, never early.
 */

export interface Timed {
  /** Milliseconds on the clock of `nowMs`, or Infinity for none */
  deadlineAt: number
  /** Called when it has passed; sets a new deadline or ends the thing. May watch and unwatch others. */
  onDeadline(now: number): void
  /** Where it stands in the watch list; owned by Deadlines, -1 when not watched */
  watchIndex: number
}

const sweepMs = 100

/** Milliseconds that never go backwards, with an arbitrary start. */
export const nowMs = (): number => performance.now()

export class Deadlines {
  readonly #watched: Timed[] = []
  #timer: NodeJS.Timeout | null = null
  /** The time of the last sweep: good enough to set deadlines by, and free. Behind the clock by up to `sweepMs`. */
  now = nowMs()

  /** A deadline `ms` from now, never early; Infinity for 0, which means none. */
  after(ms: number): number {
    return ms === 0 ? Number.POSITIVE_INFINITY : this.now + ms + sweepMs
  }

  get size(): number {
    return this.#watched.length
  }

  watch(timed: Timed): void {
    if (timed.watchIndex >= 0) return
    timed.watchIndex = this.#watched.length
    this.#watched.push(timed)
    // The timer stands still while nothing is watched, and never keeps a process alive by itself.
    if (this.#timer === null) {
      this.now = nowMs()
      this.#timer = setInterval(() => this.sweep(nowMs()), sweepMs).unref()
    }
  }

  unwatch(timed: Timed): void {
    const at = timed.watchIndex
    if (at < 0) return
    timed.watchIndex = -1
    const last = this.#watched.pop() as Timed
    if (last !== timed) {
      this.#watched[at] = last
      last.watchIndex = at
    }
    if (this.#watched.length === 0 && this.#timer) {
      clearInterval(this.#timer)
      this.#timer = null
    }
  }

  /** Fires what has passed. From the end, so that an entry which unwatches itself moves only visited ones. */
  sweep(now: number): void {
    this.now = now
    for (let at = this.#watched.length - 1; at >= 0; at--) {
      const timed = this.#watched[at]
      if (timed !== undefined && timed.deadlineAt <= now) timed.onDeadline(now)
    }
  }
}
