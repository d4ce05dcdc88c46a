/** A stream as a link: WebSocket and whatever else runs through extended CONNECT (RFC 8441), in either role. */
import type { ProxyError } from '../../base/errors.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { Link, LinkHandler } from '../../model/link.ts'
import type { Fields } from '../../wire/fields.ts'
import { h2Error } from '../../wire/h2-frames.ts'
import type { Stream, StreamUser } from './stream.ts'

const nobody: LinkHandler = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} }

export class StreamLink implements Link, StreamUser {
  handler: LinkHandler = nobody
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  readonly share: Share
  readonly tls = null
  readonly peerCertificate = null
  private readonly stream: Stream
  private readonly gone: () => void
  private over = false
  private closing = false

  /**
   * @param carrier the link of the connection that the stream belongs to
   * @param gone called once the stream is, before the handler is told
   */
  constructor(stream: Stream, carrier: Link, gone: () => void) {
    this.gone = gone
    this.stream = stream
    this.remoteAddress = carrier.remoteAddress
    this.remotePort = carrier.remotePort
    this.localAddress = carrier.localAddress
    this.localPort = carrier.localPort
    this.share = carrier.share
    stream.user = this
  }

  get queuedBytes(): number {
    return this.stream.pendingBytes
  }

  get lostBytes(): number {
    return this.stream.lostBytes
  }

  get needsDrain(): boolean {
    return this.stream.waiting
  }

  write(bytes: Uint8Array, from = 0, to = bytes.length): boolean {
    return this.stream.write(bytes, from, to)
  }

  writeBorrowed(bytes: Uint8Array, from: number, to: number): boolean {
    return this.stream.write(bytes.slice(from, to), 0, to - from)
  }

  writeText(text: string): boolean {
    return this.write(Buffer.from(text, 'latin1'))
  }

  writeApart(bytes: Uint8Array): void {
    this.write(bytes)
  }

  // What is written leaves at the end of the turn anyway.
  cork(): void {}
  uncork(): void {}

  pause(): void {
    this.stream.pause()
  }

  resume(): void {
    this.stream.resume()
  }

  end(): void {
    this.stream.end(null)
  }

  close(): void {
    this.closing = true
    this.stream.end(null)
    this.leave()
  }

  destroy(): void {
    this.stream.reset(h2Error.cancel, 'nobody')
    this.closed(null)
  }

  streamData(bytes: Buffer, from: number, to: number): void {
    this.handler.onData(bytes.subarray(from, to))
  }

  streamEnd(_trailers: Fields | null): void {
    this.handler.onEnd()
  }

  streamReset(error: ProxyError): void {
    this.closed(error)
  }

  streamDrained(): void {
    this.handler.onDrain()
  }

  streamClosed(): void {
    this.closed(null)
  }

  streamTick(): void {
    if (this.closing) this.leave()
  }

  /** The peer is not waited for once all of ours has left. */
  private leave(): void {
    if (this.stream.localEnded && !this.stream.closed) this.stream.reset(h2Error.none, 'nobody')
    if (this.stream.closed) this.closed(null)
  }

  private closed(error: ProxyError | null): void {
    if (this.over) return
    this.over = true
    this.gone()
    this.handler.onClose(error)
  }
}
