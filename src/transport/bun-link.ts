/**
 * A link over one of Bun's own sockets. The socket keeps this object as its `data`; when TLS is put on it, `socket`
 * is replaced and the link stays the same object, so whoever holds it notices nothing.
 *
 * Invariants: bytes leave in the order they were written; what the kernel does not take is kept in `queue` and counted;
 * `onClose` is called once.
 */
import { copyRange } from '../base/bytes.ts'
import type { ProxyError } from '../base/errors.ts'
import { HeldBytes } from '../base/held-bytes.ts'
import { type Ending, type MemoryBudget, Share } from '../base/memory-budget.ts'
import type { BunSocket } from '../base/runtime.ts'
import type { Link, LinkHandler, PeerCertificate, TlsFacts } from '../model/link.ts'
import type { ClientTls } from '../model/tls-terms.ts'
import { certificateChain } from './certificate-chain.ts'
import { type ScratchPool, scratchBytes } from './scratch.ts'
import { resetError } from './socket-errors.ts'
import type { LinkCount } from './transport.ts'

export class BunLink implements Link, Ending {
  handler: LinkHandler
  socket: BunSocket | null
  /** Settles the handshake under way; null outside of one */
  handshake: ((error: ProxyError | null) => void) | null = null
  /** The terms of a TLS connection that we opened: they keep its latest session */
  clientTls: ClientTls | null = null
  /** A session that came before the peer was verified */
  heldSession: Buffer | null = null
  closed = false
  secured = false
  /** Once asked for: they do not change after the handshake */
  private facts: TlsFacts | null = null
  /** Why the peer's certificate does not verify */
  verifyProblem: string | null = null
  peerEnded = false
  /** By us: no end of the peer's is told of any more */
  private destroyed = false
  lostBytes = 0
  readonly remoteAddress: string
  readonly remotePort: number
  readonly share: Share
  private readonly pool: ScratchPool
  private readonly links: LinkCount
  private readonly queue: HeldBytes
  /** Why we have ended it ourselves, where there is something to say */
  private cause: ProxyError | null = null
  private scratch: Buffer | null = null
  private used = 0
  private paused = false
  private ending = false
  private endSent = false
  /** A write has failed */
  private cutOff = false

  constructor(
    handler: LinkHandler,
    socket: BunSocket | null,
    remoteAddress: string,
    remotePort: number,
    pool: ScratchPool,
    links: LinkCount,
    budget: MemoryBudget,
  ) {
    this.pool = pool
    this.links = links
    links.open++
    this.share = new Share(budget, this)
    this.queue = new HeldBytes(this.share)
    this.handler = handler
    this.socket = socket
    this.remoteAddress = remoteAddress
    this.remotePort = remotePort
  }

  get needsDrain(): boolean {
    return this.queue.length > 0
  }

  get queuedBytes(): number {
    return this.queue.length
  }

  get localAddress(): string {
    return this.socket?.localAddress ?? ''
  }

  get localPort(): number {
    return this.socket?.localPort ?? 0
  }

  get peerCertificate(): PeerCertificate | null {
    // The argument is the other way around than in node:tls: `false` is the one that gives the issuers (1.4.5).
    const chain = this.secured ? certificateChain(this.socket?.getPeerCertificate(false)) : []
    return chain.length === 0 ? null : { chain, problem: this.verifyProblem }
  }

  get tls(): TlsFacts | null {
    if (this.facts !== null || !this.secured || this.socket === null) return this.facts
    const cipher = this.socket.getCipher()
    this.facts = {
      version: this.socket.getTLSVersion(),
      cipher: cipher?.standardName ?? cipher?.name ?? '',
      alpn: this.socket.alpnProtocol || null,
      resumed: this.socket.isSessionReused(),
    }
    return this.facts
  }

  write(bytes: Uint8Array, from = 0, to = bytes.length): boolean {
    if (this.scratch !== null && this.gather(bytes, from, to)) return this.queue.length === 0
    return this.send(bytes, from, to, false)
  }

  writeBorrowed(bytes: Uint8Array, from: number, to: number): boolean {
    return this.send(bytes, from, to, true)
  }

  writeText(text: string): boolean {
    const length = text.length
    if (this.scratch !== null) {
      if (this.used + length > scratchBytes) this.flushScratch()
      if (length <= scratchBytes) {
        this.used += this.scratch.write(text, this.used, 'latin1')
        return this.queue.length === 0
      }
    }
    if (length > scratchBytes) return this.send(Buffer.from(text, 'latin1'), 0, length, false)
    const scratch = this.pool.borrow()
    const ok = this.send(scratch, 0, scratch.write(text, 0, 'latin1'), true)
    this.pool.giveBack(scratch)
    return ok
  }

  // Each write is a record, also of what has to wait.
  writeApart(bytes: Uint8Array): void {
    if (this.scratch !== null) this.flushScratch()
    this.send(bytes, 0, bytes.length, false)
  }

  cork(): void {
    if (this.scratch === null) {
      this.scratch = this.pool.borrow()
      this.used = 0
    }
  }

  uncork(): void {
    if (this.scratch === null) return
    this.flushScratch()
    this.pool.giveBack(this.scratch as Buffer)
    this.scratch = null
    if (this.ending) this.finish()
  }

  pause(): void {
    if (this.paused || this.closed) return
    this.paused = true
    this.socket?.pause()
  }

  resume(): void {
    if (!this.paused || this.closed) return
    this.paused = false
    this.socket?.resume()
  }

  end(): void {
    this.ending = true
    this.finish()
  }

  close(): void {
    this.peerEnded = true
    this.end()
  }

  destroy(): void {
    if (this.closed) return
    this.destroyed = true
    if (this.socket !== null) {
      this.socket.terminate()
      // Bun answers with a close event; where it does not (a socket that is still connecting), we do.
      if (!this.closed) this.onClosed(null)
    } else this.onClosed(null)
  }

  overBudget(error: ProxyError): void {
    this.cause = error
    this.destroy()
  }

  /** The socket can take more. */
  onDrained(): void {
    const { queue } = this
    if (queue.length === 0) return
    while (queue.length > 0) {
      const length = queue.to - queue.from
      const sent = this.rawWrite(queue.bytes, queue.from, length)
      if (sent > 0) queue.drop(sent)
      if (sent < length) return
    }
    if (this.ending) this.finish()
    if (!this.closed) this.handler.onDrain()
  }

  onPeerEnd(): void {
    if (this.peerEnded || this.closed) return
    this.peerEnded = true
    if (this.cutOff) {
      this.destroy()
      return
    }
    this.handler.onEnd()
    if (this.endSent && !this.closed) this.socket?.close()
  }

  onClosed(error: ProxyError | null): void {
    if (this.closed) return
    // Once we have ended our direction Bun tells of the peer's end by closing, without an `end` before it (1.4.5).
    if (error === null && this.endSent && !this.peerEnded && !this.destroyed && this.handshake === null) {
      this.peerEnded = true
      this.handler.onEnd()
      if (this.closed) return
    }
    this.closed = true
    this.links.open--
    this.lostBytes += this.queue.length
    this.queue.clear()
    if (this.scratch !== null) {
      this.lostBytes += this.used
      this.pool.giveBack(this.scratch)
      this.scratch = null
    }
    this.socket = null
    const handshake = this.handshake
    this.handshake = null
    if (handshake !== null)
      handshake(this.cause ?? error ?? resetError('the client closed the connection during the TLS handshake'))
    else this.handler.onClose(this.cause ?? error)
    this.share.close()
  }

  /** True if the chunk was copied behind what is corked; larger ones go out by themselves, after it. */
  private gather(bytes: Uint8Array, from: number, to: number): boolean {
    const length = to - from
    if (this.used + length > scratchBytes) this.flushScratch()
    if (length > scratchBytes) return false
    copyRange(bytes, from, to, this.scratch as Buffer, this.used)
    this.used += length
    return true
  }

  private flushScratch(): void {
    if (this.used === 0) return
    const length = this.used
    this.used = 0
    this.send(this.scratch as Buffer, 0, length, true)
  }

  /** `reused`: the bytes are copied if they have to wait. */
  private send(bytes: Uint8Array, from: number, to: number, reused: boolean): boolean {
    if (from === to) return true
    if (this.closed || this.endSent) {
      this.lostBytes += to - from
      return true
    }
    let at = from
    const { queue } = this
    if (queue.length === 0) {
      at += this.rawWrite(bytes, from, to - from)
      if (at === to) return true
    }
    if (reused) queue.copy(bytes, at, to)
    else queue.add(bytes, at, to)
    return false
  }

  private rawWrite(bytes: Uint8Array, from: number, length: number): number {
    if (this.socket === null) return 0
    const sent = this.socket.write(bytes, from, length)
    if (sent >= 0) return sent
    // The peer has reset the connection. What it sent before can still be read, and then Bun tells of an end as if it were a good one.
    this.cutOff = true
    this.lostBytes += length
    return length
  }

  private finish(): void {
    if (this.closed || this.queue.length > 0 || this.scratch !== null) return
    const socket = this.socket
    if (socket === null) {
      this.onClosed(null)
      return
    }
    if (!this.endSent) {
      this.endSent = true
      socket.shutdown()
    }
    if (this.peerEnded && !this.closed) socket.close()
  }
}
