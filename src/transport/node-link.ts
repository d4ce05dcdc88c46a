/**
 * A link over one of Node's sockets. Node's streams are given a few writes at most; what has to wait behind those is
 * kept here, since Node keeps each write as it came, with some 300 bytes for it. This object keeps the handler too, and
 * the order in which a connection ends. When TLS is put on it, `socket` is replaced and the link stays the same object.
 */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ProxyError } from '../base/errors.ts'
import { HeldBytes } from '../base/held-bytes.ts'
import { type Ending, type MemoryBudget, Share } from '../base/memory-budget.ts'
import type { Link, LinkHandler, PeerCertificate, TlsFacts } from '../model/link.ts'
import { certificateChain } from './certificate-chain.ts'
import { lostError } from './socket-errors.ts'
import type { FaultSink } from './transport.ts'

/** A TLSSocket knows the socket it wraps. */
export type WithParent = Socket & { _parent?: Socket | null }

/** As `net.Socket` stops a handle itself; `resume()` starts it again (26.10). */
type WithHandle = Socket & { _handle?: { reading: boolean; readStop(): number } | null }

/** Writes that Node may have under way: each may be a view of a buffer of 64 kB. */
const writesAtMost = 16

export class NodeLink implements Link, Ending {
  handler: LinkHandler
  socket: Socket
  secured = false
  /** Once asked for: they do not change after the handshake */
  private facts: TlsFacts | null = null
  closed = false
  /** A handshake is under way: whatever ends it, its server reports it, with the reason */
  securing = false
  /** `pause()` is to stop the very next read: of a plain connection that we opened */
  stopsAtOnce = false
  readonly remoteAddress: string
  readonly remotePort: number
  readonly share: Share
  private readonly fault: FaultSink
  private readonly queue: HeldBytes
  /** Writes handed to Node since it had none under way */
  private handed = 0
  private error: ProxyError | null = null
  private peerEnded = false
  /** A write has failed: the peer has reset the connection */
  private cutOff = false
  /** Called once, before anything but text is written: requests without a body do without it */
  beforeBody: (() => void) | null = null
  /** Nothing is written any more */
  private ended = false
  private endSent = false
  private readonly onWritten = () => this.guard('drain', () => this.closed || this.onDrained(false))
  /** Set by `close()`: destroy as soon as what is queued has left */
  private closing = false
  /** What the stream still held after the last write, or as the link was destroyed */
  private unsent = 0

  constructor(
    handler: LinkHandler,
    socket: Socket,
    remoteAddress: string,
    remotePort: number,
    fault: FaultSink,
    budget: MemoryBudget,
  ) {
    this.handler = handler
    this.socket = socket
    this.remoteAddress = remoteAddress
    this.remotePort = remotePort
    this.fault = fault
    this.share = new Share(budget, this)
    this.queue = new HeldBytes(this.share)
  }

  get localAddress(): string {
    return this.socket.localAddress ?? ''
  }

  get localPort(): number {
    return this.socket.localPort ?? 0
  }

  get needsDrain(): boolean {
    return this.queue.length > 0 || this.socket.writableNeedDrain
  }

  get queuedBytes(): number {
    return this.queue.length + this.socket.writableLength
  }

  get peerCertificate(): PeerCertificate | null {
    if (!this.secured) return null
    const socket = this.socket as TLSSocket
    const chain = certificateChain(socket.getPeerCertificate(true))
    if (chain.length === 0) return null
    return { chain, problem: socket.authorized ? null : String(socket.authorizationError ?? 'not verified') }
  }

  get tls(): TlsFacts | null {
    if (this.facts !== null || !this.secured) return this.facts
    const socket = this.socket as TLSSocket
    const cipher = socket.getCipher()
    this.facts = {
      version: socket.getProtocol() ?? '',
      cipher: cipher?.standardName ?? cipher?.name ?? '',
      alpn: socket.alpnProtocol || null,
      resumed: socket.isSessionReused(),
    }
    return this.facts
  }

  get lostBytes(): number {
    return this.socket.writableFinished ? 0 : this.unsent
  }

  /** Attaches the stream's events to this link; `socket` is the one that carries the data. */
  attach(socket: Socket): void {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.guard('data', () => this.closed || this.handler.onData(chunk)))
    socket.on('drain', () => this.guard('drain', () => this.closed || this.onDrained(true)))
    socket.on('end', () => this.guard('end', () => this.onPeerEnd()))
    socket.on('error', error => {
      this.onError(lostError(error))
      // Behind a handshake Node tells of a broken record and leaves the connection open (26.10). The alert for the peer may
      // still wait behind a write of this turn.
      if (this.secured) setImmediate(() => socket.destroy())
    })
    socket.on('close', () => {
      // The inner socket of a TLS pair closes too; only the one in use counts.
      if (this.socket === socket && !this.securing) this.guard('close', () => this.onClosed())
    })
  }

  onError(error: ProxyError): void {
    this.error ??= error
  }

  /** Of a connection that we opened: what its peer has sent before is read to the end, which is then no good one. */
  onFailedWrite(error: Error): void {
    this.onError(lostError(error))
    this.cutOff = true
    if (this.peerEnded) this.socket.destroy()
  }

  write(bytes: Uint8Array, from = 0, to = bytes.length): boolean {
    if (from === to) return true
    if (this.beforeBody !== null) this.bodyBegins()
    if (this.ended || !this.mustWait)
      return this.send(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to))
    this.queue.add(bytes, from, to)
    return false
  }

  writeBorrowed(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.beforeBody !== null) this.bodyBegins()
    if (this.ended || !this.mustWait) return this.send(Buffer.from(bytes.subarray(from, to)))
    this.queue.copy(bytes, from, to)
    return false
  }

  writeText(text: string): boolean {
    if (this.ended || !this.mustWait) return this.send(text)
    this.queue.copy(Buffer.from(text, 'latin1'))
    return false
  }

  writeApart(bytes: Uint8Array): void {
    // What waits together leaves as one write, and thus as one record: the callback comes when nothing waits.
    if (this.queuedBytes === 0) this.write(bytes)
    else if (!this.closed && !this.ended) this.socket.write('', () => this.write(bytes))
  }

  cork(): void {
    this.socket.cork()
  }

  uncork(): void {
    this.socket.uncork()
  }

  pause(): void {
    this.socket.pause()
    // Only a stream with something buffered stops its handle; before that it would read once more, up to 64 kB.
    const handle = this.stopsAtOnce ? (this.socket as WithHandle)._handle : null
    if (!handle?.reading) return
    handle.reading = false
    handle.readStop()
  }

  resume(): void {
    this.socket.resume()
  }

  end(): void {
    if (this.ended || this.closed) return
    this.ended = true
    if (this.queue.length === 0) this.finish()
  }

  close(): void {
    this.closing = true
    if (this.endSent) this.socket.destroySoon()
    else this.end()
  }

  overBudget(error: ProxyError): void {
    this.error ??= error
    this.destroy()
  }

  destroy(): void {
    if (this.closed) return
    this.unsent = this.socket.writableLength
    try {
      this.reset()
    } catch (error) {
      // Whoever waits for this link must hear of its end whatever Node thinks of resetting it.
      this.fault('reset', error)
      this.socket.destroy()
    }
    this.onClosed()
  }

  /** A reset says "cut off", where FIN or close_notify would say "complete". */
  private reset(): void {
    const { socket } = this
    // Only the inner socket of a TLS pair can be reset.
    const inner = (socket as WithParent)._parent ?? null
    if ((inner ?? socket).connecting) {
      socket.destroy()
      inner?.destroy()
      return
    }
    if (inner === null) {
      // While Node tells the peer of the end, a reset would leave the descriptor open for ever (26.10); all has been sent then.
      if (this.ended && socket.writableLength === 0 && !socket.writableFinished) socket.destroy()
      else socket.resetAndDestroy()
      return
    }
    // With a write or an end under way Node would wait for it forever as the process exits (26.10), so then a bare FIN must
    // do: it has no close_notify, and the message's own framing shows that it was cut. The outer one is destroyed only
    // when the inner has closed: with bytes of the peer unread, Node crashes where both go at once (26.10).
    if (this.ended || socket.writableLength > 0) socket.destroy()
    else inner.once('close', () => socket.destroy()).resetAndDestroy()
  }

  private bodyBegins(): void {
    const { beforeBody } = this
    this.beforeBody = null
    beforeBody?.()
  }

  private send(bytes: Uint8Array | string): boolean {
    if (this.closed || this.ended) {
      this.unsent += bytes.length
      return true
    }
    // 'drain' is emitted only where too many bytes waited; where too many writes do, the last of them tells.
    const told = ++this.handed === writesAtMost ? this.onWritten : undefined
    const ok = this.socket.write(bytes, 'latin1', told)
    this.unsent = this.socket.writableLength
    return ok
  }

  private get mustWait(): boolean {
    const { socket } = this
    if (this.closed) return false
    if (this.queue.length > 0 || socket.writableNeedDrain) return true
    if (socket.writableLength === 0) this.handed = 0
    return this.handed >= writesAtMost
  }

  /** Node has sent what it was given. `told`: whoever wrote it was told to wait */
  private onDrained(told: boolean): void {
    const { queue, socket } = this
    if (socket.destroyed) return
    const waited = told || queue.length > 0
    this.handed = 0
    while (queue.length > 0) {
      if (socket.writableNeedDrain) return
      const { bytes, from, to } = queue
      socket.write(bytes.subarray(from, to))
      queue.drop(to - from)
    }
    this.unsent = socket.writableLength
    if (socket.writableNeedDrain) return
    if (this.ended && !this.endSent) this.finish()
    if (waited && !this.closed) this.handler.onDrain()
  }

  private finish(): void {
    this.endSent = true
    this.socket.end()
    if (this.peerEnded || this.closing) this.socket.destroySoon()
  }

  private onPeerEnd(): void {
    if (this.peerEnded || this.closed) return
    this.peerEnded = true
    if (this.cutOff) {
      this.socket.destroy()
      return
    }
    this.handler.onEnd()
    if (this.endSent && !this.closed) this.socket.destroySoon()
  }

  private onClosed(): void {
    if (this.closed) return
    this.closed = true
    this.unsent += this.queue.length
    this.queue.clear()
    this.handler.onClose(this.error)
    this.share.close()
  }

  private guard(where: string, act: () => unknown): void {
    try {
      act()
    } catch (error) {
      this.fault(where, error)
      this.destroy()
    }
  }
}
