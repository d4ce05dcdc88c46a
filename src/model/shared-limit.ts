/**
 * A limit that several processes keep together. Each holds a share of its units and counts within that by itself; it takes more
 * before it needs them, and gives back what it does not. The one who hands them out never grants more than the limit in all, so that
 * the limit is never exceeded; and it asks the others for what they do not use before it refuses, so that nobody is refused while
 * units are unused.
 */

/** Who hands out the units: the supervisor of several workers, or a store that several machines share. */
export interface ShareSource {
  /**
   * Asks for up to `wanted` units of what `key` limits to `limit` in all. @returns how many were granted: 0 where all are in use.
   * Rejects where nobody can be asked.
   */
  take(key: string, wanted: number, limit: number): Promise<number>
  /** Gives units back. */
  give(key: string, units: number): void
  /** From now on `unused` is asked for units that this process can do without: it gives up those that it says. */
  recalls(key: string, unused: () => number): void
}

/** No more than this is asked for ahead of need. */
const mostAhead = 256
/** So many shares are what all processes hold unused at most, of a limit. */
const sharesOfLimit = 32
/** After an answer of 0 the next question waits so long: a flood over the limit must not become one of messages. */
const refusedMs = 100
/** A source that takes longer than this, as one that was stopped: the process counts by itself until it answers. */
const longestAnswerMs = 1_000

export class SharedLimit {
  private readonly key: string
  private readonly source: ShareSource | null
  private readonly now: () => number
  private readonly answerMs: number
  private held = 0
  private limit = 0
  private taking: Promise<boolean> | null = null
  private refusedAt = Number.NEGATIVE_INFINITY
  private waiting = 0
  /** In use here */
  used = 0

  /** @param source null: this process is the only one. @param now milliseconds */
  constructor(key: string, source: ShareSource | null, now: () => number, answerMs = longestAnswerMs) {
    this.answerMs = answerMs
    this.key = key
    this.source = source
    this.now = now
    source?.recalls(key, () => this.giveUp(0))
  }

  /**
   * Takes a unit for whoever calls, who gives it back with `leave` if there was one. @returns whether there was; a promise where the
   * others have to be asked
   */
  enter(limit: number): boolean | Promise<boolean> {
    this.limit = limit
    if (this.used >= limit) return false
    const { source } = this
    if (source === null || this.used < this.held) {
      this.used++
      if (source !== null && this.held - this.used < this.ahead / 2 && !this.wasRefused) void this.take(source)
      return true
    }
    if (this.wasRefused) return false
    return this.wait(source)
  }

  leave(): void {
    this.used--
    const spare = this.giveUp(this.ahead * 2)
    if (spare > 0) this.source?.give(this.key, spare)
  }

  private get wasRefused(): boolean {
    return this.now() - this.refusedAt < refusedMs
  }

  /** What is held for the next ones. */
  private get ahead(): number {
    return Math.max(1, Math.min(mostAhead, Math.floor(this.limit / sharesOfLimit)))
  }

  /** Several may wait for the same answer: whoever finds nothing left of it asks again. */
  private async wait(source: ShareSource): Promise<boolean> {
    this.waiting++
    try {
      while (await this.take(source)) {
        if (this.used >= this.held) continue
        this.used++
        return true
      }
      return false
    } finally {
      this.waiting--
    }
  }

  /** @returns whether anything was granted; one question at a time */
  private take(source: ShareSource): Promise<boolean> {
    this.taking ??= this.ask(source).finally(() => {
      this.taking = null
    })
    return this.taking
  }

  private async ask(source: ShareSource): Promise<boolean> {
    const { key, limit } = this
    let timer: NodeJS.Timeout | undefined
    let isLate = false
    const late = new Promise<number>(resolve => {
      timer = setTimeout(() => {
        isLate = true
        resolve(this.alone)
      }, this.answerMs)
      timer.unref()
    })
    const asked = source.take(key, Math.max(this.ahead, this.waiting), limit).then(
      units => {
        if (isLate) source.give(key, units)
        return units
      },
      () => this.alone,
    )
    const granted = await Promise.race([asked, late])
    clearTimeout(timer)
    if (granted === 0) this.refusedAt = this.now()
    this.held += granted
    return granted > 0
  }

  /** What this process lets in without having been granted it, since nobody answers: one for each that waits. */
  private get alone(): number {
    return Math.max(1, this.waiting)
  }

  /** @returns how many of the units that are not in use are held no more: of more than `most` all but half of those */
  private giveUp(most: number): number {
    const spare = this.held - this.used
    if (spare <= most) return 0
    const given = spare - Math.floor(most / 2)
    this.held -= given
    return given
  }
}
