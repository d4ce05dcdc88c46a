/**
 * Something costly that strangers may ask for as often as they like: made once for all who ask at the same time, and
 * handed out again for ten times as long as it took, so that it never takes more than a tenth of this process.
 */

const share = 10
/** What took long because it waited for another process is not kept forever. */
const longestMs = 2_000

export class CoalescedCache<T> {
  readonly #make: () => Promise<T>
  #made: Promise<T> | null = null
  #until = 0

  constructor(make: () => Promise<T>) {
    this.#make = make
  }

  get(): Promise<T> {
    if (this.#made !== null && performance.now() < this.#until) return this.#made
    const startedAt = performance.now()
    this.#until = Number.POSITIVE_INFINITY
    const made = this.#make()
    this.#made = made
    const done = (failed: boolean) => {
      const now = performance.now()
      this.#until = failed ? 0 : now + Math.min(longestMs, (now - startedAt) * share)
    }
    made.then(
      () => done(false),
      () => done(true),
    )
    return made
  }
}
