/**
 * One HTTP/2 stream, the same in both roles (RFC 9113 section 5): its state, its windows, and the body that waits for
 * one. What is received goes to its user at once; a user that cannot take more pauses the stream, whose window is then
 * not opened again, so that the peer stops after at most one window.
 */
import type { ProxyError } from '../../base/errors.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { Fields } from '../../wire/fields.ts'
import { initialWindow } from '../../wire/h2-frames.ts'

/** Whoever a stream is for. */
export interface StreamUser {
  streamData(bytes: Buffer, from: number, to: number): void
  streamEnd(trailers: Fields | null): void
  /** The peer, or the end of the connection, has cut it off. Nothing can be sent on it any more. */
  streamReset(error: ProxyError): void
  /** All that was written has left, after a write that answered `false` */
  streamDrained(): void
  /** Both directions have ended, in order */
  streamClosed(): void
  /** About once a second, of a client's stream: the time to look at what no exchange watches over */
  streamTick(now: number): void
}

/** Whose doing it is that we reset a stream: what the peer makes us do is counted (guard.ts). */
export type Blame = 'peer' | 'nobody'

/** What a stream asks of its connection. */
export interface StreamOwner {
  /** Sends what windows and link allow. @returns where it stopped */
  sendData(stream: Stream, bytes: Uint8Array, from: number, to: number): number
  sendEnd(stream: Stream, trailers: Fields | null): void
  sendReset(stream: Stream, code: number, blame: Blame): void
  /** Resets it at the end of the turn, if the peer has not ended it by then */
  sendEarlyReset(stream: Stream, code: number): void
  credit(stream: Stream, bytes: number): void
  /** The stream has more than its windows or the link take */
  wait(stream: Stream): void
  /** Another number whenever the peer has taken something of any stream */
  readonly movement: number
  readonly share: Share
}

export class Stream {
  readonly id: number
  user: StreamUser
  sendWindow: number
  receiveWindow = initialWindow
  /** What `receiveWindow` is opened to; it grows for a user that keeps up */
  windowSize = initialWindow
  remoteEnded = false
  localEnded = false
  /** Closed: no frame goes out any more */
  closed = false
  urgency = 3
  /** Whether its DATA takes turns with that of others; what has said no priority does */
  incremental = true
  /** In the list of those that wait for the connection */
  queued = false
  paused = false
  /** Bytes that the user has taken, and for which the window was not opened yet */
  taken = 0
  /** What waited when the stream came to an end */
  lostBytes = 0
  /** Code of the reset that follows the end of what we send, or -1 */
  codeOnceSent = -1
  /** The peer's fault has been counted: neither is its reset, nor its end a good one */
  faulted = false
  /** Its answer came from a connection that carries others: a reset behind that has cost nothing */
  harmless = false
  private readonly owner: StreamOwner
  private pending: HeldBytes | null = null
  private early: HeldBytes | null = null
  private ending = false
  private trailers: Fields | null = null
  private sent = 0
  private sentThen = 0
  private movementThen = -1

  constructor(owner: StreamOwner, id: number, user: StreamUser, sendWindow: number) {
    this.owner = owner
    this.id = id
    this.user = user
    this.sendWindow = sendWindow
  }

  /** Bytes of DATA that wait */
  get pendingBytes(): number {
    return this.pending?.length ?? 0
  }

  /** Keeps what was received before anybody reads it: for a tunnel that is not open yet. The window bounds it. */
  keepEarly(bytes: Buffer, from: number, to: number): void {
    this.early ??= new HeldBytes(this.owner.share)
    this.early.add(bytes, from, to)
  }

  /** What `keepEarly` was given, or null. */
  takeEarly(): Buffer | null {
    const { early } = this
    this.early = null
    return early === null ? null : early.take()
  }

  get waiting(): boolean {
    return this.pending !== null
  }

  /** Sends DATA; the bytes must not be changed afterwards. `false`: wait for `streamDrained`. */
  write(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.closed || this.localEnded || from === to) return true
    let at = from
    if (this.pending === null) {
      at = this.owner.sendData(this, bytes, from, to)
      this.sent += at - from
      if (at === to) return true
      this.pending = new HeldBytes(this.owner.share)
    }
    this.pending.add(bytes, at, to)
    this.owner.wait(this)
    return false
  }

  end(trailers: Fields | null): void {
    if (this.closed || this.localEnded || this.ending) return
    if (this.pending === null) this.owner.sendEnd(this, trailers)
    else {
      this.ending = true
      this.trailers = trailers
    }
  }

  reset(code: number, blame: Blame): void {
    if (!this.closed) this.owner.sendReset(this, code, blame)
  }

  /**
   * Ours has been said, or waits to be sent; the rest of what the peer has to say is of no use. The reset follows the
   * last of ours.
   */
  resetOnceSent(code: number): void {
    if (this.closed || this.remoteEnded) return
    this.codeOnceSent = code
    if (this.localEnded) this.owner.sendEarlyReset(this, code)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (this.taken > 0) this.owner.credit(this, 0)
  }

  /** Sends of what waits, up to `most` bytes. @returns true when nothing is left */
  sendPending(most: number): boolean {
    const { pending } = this
    if (pending === null) return true
    let left = most
    while (pending.length > 0 && left > 0) {
      const { bytes, from } = pending
      const to = Math.min(pending.to, from + left)
      const at = this.owner.sendData(this, bytes, from, to)
      this.sent += at - from
      left -= at - from
      if (at > from) pending.drop(at - from)
      if (at < to) return false
    }
    if (pending.length > 0) return false
    this.pending = null
    if (this.ending) this.owner.sendEnd(this, this.trailers)
    else this.user.streamDrained()
    return true
  }

  /** Forgets what waits, when the stream has come to an end. */
  clear(): void {
    this.closed = true
    this.lostBytes += this.pendingBytes
    this.pending?.clear()
    this.pending = null
    this.early?.clear()
    this.early = null
  }

  /**
   * Whether the peer can be said to read, since this was asked last. A stream that could send, and waits behind others or
   * for the connection, goes by what the connection does: only a closed window of its own is the stream's own fault.
   */
  peerReads(): boolean {
    const { movement } = this.owner
    const moved = this.sent !== this.sentThen || (this.sendWindow > 0 && movement !== this.movementThen)
    this.sentThen = this.sent
    this.movementThen = movement
    return moved
  }
}
