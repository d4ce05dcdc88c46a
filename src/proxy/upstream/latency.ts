/**
 * How long an endpoint takes at present, as a peak-sensitive moving average (Peak EWMA, as in Finagle and linkerd): a slow response
 * counts at once and is forgotten slowly, and so is what was measured at all, so that an endpoint that was slow is tried again. One
 * that answers nothing any more is as slow as it has kept somebody waiting.
 */

/** In this time what was measured has lost 63% of its weight. */
const decayMs = 10_000

export class Latency {
  private average = 0
  private measuredAt = 0
  /** Tries that have not been answered yet */
  private waiting = 0
  /** Since when nothing was answered, where something waits */
  private waitingSince = 0

  /** A try begins. `ended` is called for it, once. Times are on the clock of `nowMs`. */
  began(now: number): void {
    if (this.waiting++ === 0) this.waitingSince = now
  }

  /** The head of its response has come, or it has failed or was given up. @param began when it did */
  ended(began: number, now: number): void {
    this.waiting--
    this.waitingSince = now
    const { average } = this
    const took = now - began
    const kept = this.kept(now)
    this.average = took > average ? took : average * kept + took * (1 - kept)
    this.measuredAt = now
  }

  /** Milliseconds; 0 where nothing was ever measured, and nothing waits. */
  at(now: number): number {
    const measured = this.average === 0 ? 0 : this.average * this.kept(now)
    return this.waiting === 0 ? measured : Math.max(measured, now - this.waitingSince)
  }

  private kept(now: number): number {
    return Math.exp(-Math.max(0, now - this.measuredAt) / decayMs)
  }
}
