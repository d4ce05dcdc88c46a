/** What an HTTP/2 connection is for: requests of a client, or ours to a backend. */
import type { ProxyError } from '../../base/errors.ts'
import type { HpackSink } from '../../wire/hpack-decoder.ts'
import type { Stream } from './stream.ts'

export interface SessionRole {
  readonly isServer: boolean
  /** A sink for the block that begins on a stream: null for one that is not open */
  block(stream: Stream | null): HpackSink
  /** A new stream of the peer's. Only asked of a server. */
  opened(id: number, sink: HpackSink, ended: boolean): void
  /** A further block on an open stream: a response head, or trailers. */
  received(stream: Stream, sink: HpackSink, ended: boolean): void
  /** Everything that was read in one go has been dealt with. */
  readDone(): void
  streamGone(): void
  /** A stream was reset, by us or by the peer. */
  streamCut(): void
  settingsChanged(): void
  /** GOAWAY of the peer: streams above `last` were not acted on. */
  goingAway(last: number, code: number): void
  pong(): void
  priority(id: number, text: string): void
  /** The connection was ended by us, for a fault of the peer. */
  violated(error: ProxyError): void
  /** Bytes of the peer that came behind the end of the connection, and are not read. */
  leftBehind(bytes: number): void
  /** The link is gone. Called once. */
  gone(error: ProxyError | null): void
}
