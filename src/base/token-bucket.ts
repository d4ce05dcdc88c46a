/** So many at once, and so many a second from then on. Times are milliseconds on any one clock, which may be set back. */
export class TokenBucket {
  private tokens: number
  private at: number
  private readonly burst: number
  private readonly perSecond: number

  constructor(burst: number, perSecond: number, now: number) {
    this.burst = burst
    this.perSecond = perSecond
    this.tokens = burst
    this.at = now
  }

  /** How many there are now. */
  left(now: number): number {
    this.refill(now)
    return Math.floor(this.tokens)
  }

  /** @returns false when there are none left */
  take(now: number): boolean {
    this.refill(now)
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }

  /** Gives some back, for good conduct. */
  give(count: number): void {
    this.tokens = Math.min(this.burst, this.tokens + count)
  }

  private refill(now: number): void {
    // By so much no clock goes backwards but one that was set: then counting starts anew, and nothing is given for it.
    if (now < this.at - 10_000) this.at = now
    if (now > this.at) {
      this.tokens = Math.min(this.burst, this.tokens + ((now - this.at) * this.perSecond) / 1000)
      this.at = now
    }
  }
}
