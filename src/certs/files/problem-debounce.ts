/**
 * A problem with files that somebody replaces: told once, and only when it lasts, since to replace two files takes a
 * moment.
 */

/** A problem is told when it has been the same for this long. */
export const sureAfterMs = 1_000
/** One that keeps changing is told at last after this long. */
const mostSilentMs = 5_000

export class ProblemDebounce {
  /** What the last look found wrong; null: nothing */
  why: string | null = null
  /** What was told of it, once that was sure */
  told: string | null = null
  private whySince = 0
  private brokenSince = 0

  /** @returns whether it is to be told now */
  broken(why: string, now: number): boolean {
    if (why !== this.why) {
      if (this.why === null || this.why === this.told) this.brokenSince = now
      this.whySince = now
    }
    this.why = why
    if (why === this.told) return false
    if (now - this.whySince < sureAfterMs && now - this.brokenSince < mostSilentMs) return false
    this.told = why
    return true
  }

  /** @returns whether that is to be told, because the problem was */
  mended(): boolean {
    const wasTold = this.told !== null
    this.why = this.told = null
    return wasTold
  }
}
