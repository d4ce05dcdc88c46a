/**
 * What an HTTP/2 peer may do that costs it less than it costs us, each with a bound on bursts and rate. Honest use wins
 * back what it spends: a stream that ends well pays for cancelled ones, DATA pays for the frames that steer it.
 * Rapid reset (CVE-2023-44487), MadeYouReset (CVE-2025-8671), and the floods of CVE-2019-9511 to 9518.
 */
import { TokenBucket } from '../../base/token-bucket.ts'

/** Pages that are left while they load cancel a hundred streams at once. */
const resets = { burst: 200, perSecond: 20, perCompletedStream: 0.5 }
const control = { burst: 1000, perSecond: 100, perData: 1 }
/** An honest receiver sends one or two for each DATA frame it gets. */
const windowUpdates = { burst: 1000, perSecond: 100, perDataSent: 4 }
const emptyFrames = { burst: 100, perSecond: 10 }

export class Guard {
  private readonly resets: TokenBucket
  private readonly control: TokenBucket
  private readonly updates: TokenBucket
  private readonly empty: TokenBucket

  constructor(now: number) {
    this.resets = new TokenBucket(resets.burst, resets.perSecond, now)
    this.control = new TokenBucket(control.burst, control.perSecond, now)
    this.updates = new TokenBucket(windowUpdates.burst, windowUpdates.perSecond, now)
    this.empty = new TokenBucket(emptyFrames.burst, emptyFrames.perSecond, now)
  }

  /** A stream was reset, by the peer or by us because of the peer. @returns the rule that is broken, or null */
  reset(now: number): string | null {
    return this.resets.take(now)
      ? null
      : `stream resets: over ${resets.burst} at once or ${resets.perSecond} a second`
  }

  completed(): void {
    this.resets.give(resets.perCompletedStream)
  }

  /** SETTINGS, PING, PRIORITY and frames of unknown types */
  controlFrame(now: number): string | null {
    return this.control.take(now)
      ? null
      : `SETTINGS, PING, PRIORITY and unknown frames: over ${control.burst} at once or ${control.perSecond} a second`
  }

  windowUpdate(now: number): string | null {
    return this.updates.take(now)
      ? null
      : `WINDOW_UPDATE frames: over ${windowUpdates.burst} at once or ${windowUpdates.perSecond} a second, and little DATA for them`
  }

  /** DATA without content that does not end its stream */
  emptyData(now: number): string | null {
    return this.empty.take(now)
      ? null
      : `empty DATA frames: over ${emptyFrames.burst} at once or ${emptyFrames.perSecond} a second`
  }

  data(): void {
    this.control.give(control.perData)
  }

  dataSent(): void {
    this.updates.give(windowUpdates.perDataSent)
  }
}
