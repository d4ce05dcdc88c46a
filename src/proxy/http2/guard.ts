/**
 * What an HTTP/2 peer may do that costs it less than it costs us, each with a bound on bursts and rate. Honest use wins
 * back what it spends: a stream that ends well pays for cancelled ones and for the frames that came with it, DATA in
 * either direction pays for the frames that steer it. docs/http2.md has the table; `http2-honest-peers.test.ts` and
 * `http2-attacks.test.ts` hold both sides of it.
 * Rapid reset (CVE-2023-44487), MadeYouReset (CVE-2025-8671), and the floods of CVE-2019-9511 to 9518.
 */
import { TokenBucket } from '../../base/token-bucket.ts'

/** Pages that are left while they load cancel a hundred streams at once. */
const resets = { burst: 200, perSecond: 20, perCompletedStream: 0.5 }
/**
 * Complete answers to requests that were not: an upload that is refused is honest, and costs a connection to a backend
 * that speaks HTTP/1.1. What is over this counts as a reset.
 */
const earlyAnswers = { burst: 100, perSecond: 20, perCompletedStream: 0.5 }
/**
 * An endpoint that measures bandwidth sends a PING for about every flight of DATA that it receives (grpc-go), and
 * a browser a PRIORITY_UPDATE or a PING for a request.
 */
const control = { burst: 1000, perSecond: 100, perData: 1, perDataSent: 1, perCompletedStream: 3 }
/**
 * An honest receiver sends one or two for each DATA frame it gets, or one for its stream and one for the connection whenever
 * its program has read 4 kB (Go's net/http, both roles), and some clients one for each request. What DATA has earned does
 * not expire: a program that pauses, and then reads all that has come, sends thousands at once.
 */
const windowUpdates = { burst: 1000, perSecond: 100, perDataSent: 4, perKilobyteSent: 1, perCompletedStream: 2 }
const emptyFrames = { burst: 100, perSecond: 10, perCompletedStream: 1 }

export class Guard {
  private readonly resets: TokenBucket
  private readonly early: TokenBucket
  private readonly control: TokenBucket
  private readonly updates: TokenBucket
  private readonly empty: TokenBucket
  /** WINDOW_UPDATE frames that DATA has earned and that have not come */
  private earned = 0

  constructor(now: number) {
    this.resets = new TokenBucket(resets.burst, resets.perSecond, now)
    this.early = new TokenBucket(earlyAnswers.burst, earlyAnswers.perSecond, now)
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

  /** A stream whose answer was complete before its request is reset with NO_ERROR. */
  earlyAnswer(now: number): string | null {
    return this.early.take(now) ? null : this.reset(now)
  }

  /** A stream ended in order, in both directions. */
  completed(): void {
    this.resets.give(resets.perCompletedStream)
    this.early.give(earlyAnswers.perCompletedStream)
    this.control.give(control.perCompletedStream)
    this.updates.give(windowUpdates.perCompletedStream)
    this.empty.give(emptyFrames.perCompletedStream)
  }

  /** SETTINGS, PING, PRIORITY and frames of unknown types */
  controlFrame(now: number): string | null {
    return this.control.take(now)
      ? null
      : `SETTINGS, PING, PRIORITY and unknown frames: over ${control.burst} at once or ${control.perSecond} a second`
  }

  windowUpdate(now: number): string | null {
    if (this.earned >= 1) {
      this.earned--
      return null
    }
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

  dataSent(bytes: number): void {
    this.control.give(control.perDataSent)
    this.earned += windowUpdates.perDataSent + (bytes / 1024) * windowUpdates.perKilobyteSent
  }
}
