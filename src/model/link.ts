/**
 * A link is one end of a byte stream: TCP, or TLS over it. It is the seam between the data plane and the runtime's
 * sockets. Handlers are attached once and find their state on one object; no event is emitted through a list.
 */
import type { ProxyError } from '../base/errors.ts'
import type { Share } from '../base/memory-budget.ts'

export interface LinkHandler {
  /** A connection that we opened is ready: for TLS the peer is verified. Never called on an accepted link. */
  onOpen(): void
  /** Bytes from the peer. May still come shortly after `pause()`: what was read already is delivered. */
  onData(chunk: Buffer): void
  /** All that was queued has left, after a write that answered `false`. */
  onDrain(): void
  /** The peer has ended its direction (FIN, or close_notify on TLS). Ours stays open. */
  onEnd(): void
  /** The link is gone, both ways. Called exactly once, also after our own `destroy()`; null: no fault was seen. */
  onClose(error: ProxyError | null): void
}

export interface Link {
  handler: LinkHandler
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  /** Bytes accepted by `write` that the kernel has not taken yet */
  readonly queuedBytes: number
  /** Of a link that is gone: bytes accepted by `write` that never reached the kernel, at least */
  readonly lostBytes: number
  /** Of the memory of all connections: whatever keeps bytes for this one counts them here */
  readonly share: Share
  /** `onDrain` will come: whoever writes should wait for it */
  readonly needsDrain: boolean
  /** What the peer has shown of itself in the handshake; null where it showed nothing */
  readonly peerCertificate: PeerCertificate | null
  /** What the TLS handshake settled; null on a plain link */
  readonly tls: TlsFacts | null
  /**
   * Writes `bytes[from, to)`, all of it when left out. They must not be changed afterwards. A range and not a view:
   * making one costs more than copying a small body. `false`: it is queued; wait for `onDrain` before writing more.
   */
  write(bytes: Uint8Array, from?: number, to?: number): boolean
  /** The same for bytes in a buffer that is used again as soon as this returns. Not to be called while corked. */
  writeBorrowed(bytes: Uint8Array, from: number, to: number): boolean
  /** The same for latin1 text: heads and chunk sizes. */
  writeText(text: string): boolean
  /** The same behind all that waits, in a TLS record of its own, which the peer may read by itself. */
  writeApart(bytes: Uint8Array): void
  /** Gathers the writes until `uncork` into as few TLS records and system calls as possible. Does not nest. */
  cork(): void
  uncork(): void
  pause(): void
  resume(): void
  /** Ends our direction after what is queued. The peer may go on sending. */
  end(): void
  /** Closes both directions after what is queued. */
  close(): void
  /** Closes at once with a reset: what is queued is lost, and the peer sees that it was cut off. */
  destroy(): void
}

/** Certificates as the peer sent them, DER, the leaf first. On a resumed session it may be the leaf alone. */
export type PeerCertificate = {
  readonly chain: readonly Buffer[]
  /** Why it does not verify, in the TLS library's words; null where it does */
  readonly problem: string | null
}

/** What a TLS handshake settled. */
export type TlsFacts = {
  readonly version: string
  readonly cipher: string
  readonly alpn: string | null
  readonly resumed: boolean
}
