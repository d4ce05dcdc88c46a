/**
 * A promise of a filter outlives its exchange when the client leaves: nothing can stop what the filter does. Until it
 * settles, or until the time that it had is over, it counts like a stream that is open, and a connection that is gone counts
 * like one that is not. Without that a client could cancel its requests and ask again, and have any number of
 * filters at work.
 */
import type { Deadlines, Timed } from '../../base/deadlines.ts'
import type { Connection } from '../../model/connection.ts'

type Counted = Pick<Connection, 'leftBehind' | 'onNoneLeft'>

export class LeftBehind implements Timed {
  deadlineAt = Number.POSITIVE_INFINITY
  watchIndex = -1
  private readonly deadlines: Deadlines
  private readonly counted: Counted

  constructor(deadlines: Deadlines, counted: Counted) {
    this.deadlines = deadlines
    this.counted = counted
    counted.leftBehind++
    deadlines.watch(this)
  }

  onDeadline(): void {
    this.settled()
  }

  settled(): void {
    if (this.watchIndex < 0) return
    this.deadlines.unwatch(this)
    this.counted.leftBehind--
    if (this.counted.leftBehind === 0) this.counted.onNoneLeft?.()
  }
}

/** What the deadline of an exchange knows of the time that its filter still has. */
export interface LeavesBehind {
  leftBehind(counted: Counted): LeftBehind | null
}

/** The promises of one exchange's filters that have not settled: those of a phase, or of a piece of a body. */
export class FilterPromises {
  private pending = 0
  private left: LeftBehind | null = null
  private readonly counted: Counted
  private readonly deadline: LeavesBehind

  constructor(counted: Counted, deadline: LeavesBehind) {
    this.counted = counted
    this.deadline = deadline
  }

  begins(): void {
    this.pending++
  }

  settles(): void {
    this.pending--
    if (this.pending === 0) this.left?.settled()
  }

  /** The exchange is over. */
  over(): void {
    if (this.pending > 0) this.left = this.deadline.leftBehind(this.counted)
  }
}
