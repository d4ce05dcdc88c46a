/**
 * Deadlines for many connections without a timer each: setting one is a number on an object, and a sweep every
 * `sweepMs` finds those that have passed. 10,000 idle connections cost about 50 us a sweep. A deadline fires up to
 * twice `sweepMs` late and never early, unless it was set while the process was held up: then it is counted from before that.
 */

export interface Timed {
  /** Milliseconds on the clock of `nowMs`, or Infinity for none */
  deadlineAt: number
  /**
   * Called when it has passed; sets a new deadline or ends the thing. May watch and unwatch others.
   * @param passed deadlines up to here count as passed: earlier than `now` where the process was held up
   */
  onDeadline(now: number, passed: number): void
  /** Where it stands in the watch list; owned by Deadlines, -1 when not watched */
  watchIndex: number
}

const sweepMs = 100

/** A handler that threw is called again after this long: whatever it holds still has to end. */
const afterThrowMs = 1_000

/**
 * Where the clock starts: as if the process had been running for 400 days. A 0 or any other constant that is compared with
 * the time is then wrong in the first second of every test, not only in a process that is older than a timeout.
 */
const startsAtMs = 400 * 86_400_000

/** Milliseconds that never go backwards, with an arbitrary start. */
export const nowMs = (): number => startsAtMs + performance.now()

type Fault = (where: string, error: unknown) => void

/** Where nobody listens a fault is uncaught, but the sweep goes on. */
const uncaught: Fault = (_where, error) =>
  queueMicrotask(() => {
    throw error
  })

export class Deadlines {
  readonly #watched: Timed[] = []
  readonly #fault: Fault
  readonly #clock: () => number
  #timer: NodeJS.Timeout | null = null
  #now: number

  /**
   * @param clock milliseconds that never go backwards; tests bring their own
   * @param fault is told when a handler throws; the others are called nevertheless
   */
  constructor(clock: () => number = nowMs, fault: Fault = uncaught) {
    this.#clock = clock
    this.#fault = fault
    this.#now = clock()
  }

  /**
   * The time of the last sweep: good enough to set deadlines by, and free. Behind the clock by up to `sweepMs`, or by as
   * much as the process was held up since. Where nothing is watched there may be no sweeps, so the clock is read.
   */
  get now(): number {
    if (this.#watched.length === 0) this.#now = this.#clock()
    return this.#now
  }

  /** A deadline `ms` from now; Infinity for 0, which means none. */
  after(ms: number): number {
    return ms === 0 ? Number.POSITIVE_INFINITY : this.now + ms + sweepMs
  }

  /** The same from another moment on. */
  from(at: number, ms: number): number {
    return ms === 0 ? Number.POSITIVE_INFINITY : at + ms + sweepMs
  }

  get size(): number {
    return this.#watched.length
  }

  watch(timed: Timed): void {
    if (timed.watchIndex >= 0) return
    if (this.#watched.length === 0) this.#now = this.#clock()
    timed.watchIndex = this.#watched.length
    this.#watched.push(timed)
    // It never keeps a process alive by itself.
    this.#timer ??= setInterval(() => this.sweep(this.#clock()), sweepMs).unref()
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
  }

  /** Fires what has passed. From the end, so that an entry which unwatches itself moves only visited ones. */
  sweep(now: number): void {
    // Not when the last one goes: where connections come one by one, each would start a timer and stop it.
    if (this.#watched.length === 0) this.#stop()
    // A sweep is late when the process was held up. What peers have sent meanwhile waits in the kernel and is read before
    // the next sweep: nobody is ended by this one for what the process itself has lost.
    const passed = now - Math.max(0, now - this.#now - 2 * sweepMs)
    this.#now = now
    for (let at = this.#watched.length - 1; at >= 0; at--) {
      const timed = this.#watched[at]
      if (timed === undefined || timed.deadlineAt > passed) continue
      try {
        timed.onDeadline(now, passed)
      } catch (error) {
        timed.deadlineAt = now + afterThrowMs
        this.#fault('deadline', error)
      }
    }
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }
}
