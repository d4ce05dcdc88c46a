/**
 * Syslog over TCP, with messages framed by their length (RFC 6587 section 3.4.1, octet counting). Nothing waits for the server:
 * messages are held up to a bound while it is away or slow, and dropped and counted beyond it. A connection that is lost is opened
 * again, ever less often. What the kernel had taken of a connection that breaks is lost, as TCP does not tell.
 */
import { connect, type Socket } from 'node:net'
import { LineClock } from '../../base/line-clock.ts'
import { retryMs, type SyslogReports, type SyslogTarget, syslogMessage } from './syslog-message.ts'
import { within } from './within.ts'

const fullLength = 64 * 1024
const gatherMs = 50
/** Characters that are held at most */
const mostHeld = 4 * 1024 * 1024
const connectMs = 10_000
/** A server that takes nothing for this long is left. */
const stalledMs = 30_000

export class SyslogTcp {
  /** Messages, since the start */
  dropped = 0
  private readonly target: SyslogTarget
  private readonly reports: SyslogReports
  private readonly messageOf: (line: string) => string
  private held = ''
  private heldMessages = 0
  private socket: Socket | null = null
  private connected = false
  /** Messages that the socket has not written yet; nothing more is given to it meanwhile */
  private writing = 0
  private failures = 0
  private failed = false
  private unreported = 0
  private timer: NodeJS.Timeout | null = null
  private closed = false
  private idle: (() => void) | null = null

  constructor(target: SyslogTarget, reports: SyslogReports) {
    this.target = target
    this.reports = reports
    this.messageOf = syslogMessage(target, new LineClock())
  }

  /** @param line with its end */
  write(line: string): void {
    if (this.closed || this.held.length > mostHeld) {
      this.drop(1)
      return
    }
    const message = this.messageOf(line)
    this.held += `${Buffer.byteLength(message)} ${message}`
    this.heldMessages++
    if (this.connected && this.held.length >= fullLength) this.flush()
    else this.later(gatherMs)
  }

  /** A server that has moved is found at the next connection. */
  reopen(): string | null {
    return null
  }

  async close(withinMs: number): Promise<void> {
    this.flush()
    if (this.heldMessages > 0 || this.writing > 0)
      await within(withinMs, ended => {
        this.idle = ended
      })
    this.closed = true
    if (this.timer !== null) clearTimeout(this.timer)
    this.drop(this.heldMessages + this.writing)
    this.heldMessages = 0
    this.socket?.destroySoon()
    this.socket?.unref()
  }

  private later(ms: number): void {
    this.timer ??= setTimeout(() => {
      this.timer = null
      this.flush()
    }, ms).unref()
  }

  private flush(): void {
    if (this.heldMessages === 0 || this.writing > 0 || this.closed) return
    const { socket } = this
    if (socket === null) {
      if (this.timer === null) this.connect()
      return
    }
    if (!this.connected) return
    const bytes = Buffer.from(this.held)
    this.writing = this.heldMessages
    this.held = ''
    this.heldMessages = 0
    socket.write(bytes, error => {
      if (!error && this.socket === socket) this.written()
    })
  }

  private written(): void {
    this.writing = 0
    this.failures = 0
    this.failed = false
    const { unreported } = this
    this.unreported = 0
    if (unreported > 0) this.reports.onRecovered(unreported)
    if (this.heldMessages > 0) this.flush()
    else this.idle?.()
  }

  private connect(): void {
    const { host, port } = this.target
    const socket = connect({ host, port, keepAlive: true })
    this.socket = socket
    let why = `${host}:${port} closed the connection`
    socket.setTimeout(connectMs, () => {
      if (this.connected && this.writing === 0) return
      why = this.connected ? `${host}:${port} takes nothing` : `no connection to ${host}:${port}`
      socket.destroy()
    })
    socket.on('connect', () => {
      this.connected = true
      socket.setTimeout(stalledMs)
      this.flush()
    })
    socket.on('error', error => {
      why = `${host}:${port}: ${error.message}`
    })
    // A server has nothing to say; it is read so that its end is seen.
    socket.resume()
    socket.on('close', () => this.lost(why))
    socket.unref()
  }

  private lost(why: string): void {
    this.socket = null
    this.connected = false
    this.drop(this.writing)
    this.writing = 0
    if (this.closed) return
    if (!this.failed && this.heldMessages + this.unreported > 0) {
      this.failed = true
      this.reports.onFailed(why)
    }
    // Also one that accepts and closes again is not asked all the time.
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.later(retryMs(this.failures++))
  }

  private drop(messages: number): void {
    this.dropped += messages
    this.unreported += messages
  }
}
