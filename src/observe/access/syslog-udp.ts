/**
 * Syslog over UDP (RFC 5426): a datagram for each message. What the system does not take at once is dropped and counted; what is
 * lost on the way nobody knows. Where a server answers that nobody listens, or its name is not found, it is tried again ever less
 * often.
 */
import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns'
import { isIP } from 'node:net'
import { LineClock } from '../../base/line-clock.ts'
import { retryMs, type SyslogReports, type SyslogTarget, syslogMessage } from './syslog-message.ts'
import { within } from './within.ts'

/** Messages that the system has not taken yet, and those that wait for the server's address */
const mostWaiting = 1_000
/** A datagram of IPv4 holds 65,507 bytes. */
const mostBytes = 60_000
/** An answer that nobody listens comes after a message was sent: without one for so long, somebody does. */
const provenMs = 2_000

export class SyslogUdp {
  /** Messages, since the start */
  dropped = 0
  private readonly target: SyslogTarget
  private readonly reports: SyslogReports
  private readonly messageOf: (line: string) => string
  private socket: Socket | null = null
  private connecting = false
  private early: string[] = []
  private sending = 0
  private failures = 0
  private failed = false
  private unreported = 0
  private retryAt = 0
  private openedAt = 0
  private closed = false
  private idle: (() => void) | null = null

  constructor(target: SyslogTarget, reports: SyslogReports) {
    this.target = target
    this.reports = reports
    this.messageOf = syslogMessage(target, new LineClock())
  }

  /** @param line with its end */
  write(line: string): void {
    const { socket } = this
    if (socket !== null && !this.closed) {
      this.send(socket, this.messageOf(line))
      return
    }
    if (this.closed || this.early.length >= mostWaiting || (!this.connecting && performance.now() < this.retryAt)) {
      this.drop(1)
      return
    }
    this.early.push(this.messageOf(line))
    if (!this.connecting) this.connect()
  }

  /** Looks the server's name up again. */
  reopen(): string | null {
    this.shut()
    this.retryAt = 0
    return null
  }

  async close(withinMs: number): Promise<void> {
    if (this.sending > 0 || this.early.length > 0)
      await within(withinMs, ended => {
        this.idle = ended
      })
    this.closed = true
    this.drop(this.early.length)
    this.early = []
    this.shut()
  }

  private connect(): void {
    const { host, port } = this.target
    this.connecting = true
    const found = (error: Error | null, address: string) => {
      if (error === null) this.open(address, port)
      else this.lost(null, `${host}: ${error.message}`)
    }
    if (isIP(host) === 0) lookup(host, (error, address) => found(error, address))
    else found(null, host)
  }

  private open(address: string, port: number): void {
    const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4')
    socket.unref()
    socket.on('error', error => this.lost(socket, `${address}:${port}: ${error.message}`))
    socket.connect(port, address, () => {
      this.connecting = false
      if (this.closed) {
        socket.close()
        return
      }
      this.socket = socket
      this.openedAt = performance.now()
      for (const message of this.early.splice(0)) this.send(socket, message)
    })
  }

  private send(socket: Socket, message: string): void {
    const bytes = Buffer.from(message)
    if (this.sending >= mostWaiting || bytes.length > mostBytes) {
      this.drop(1)
      return
    }
    this.sending++
    socket.send(bytes, error => {
      this.sending--
      if (error) {
        this.drop(1)
        if (this.socket === socket) this.lost(socket, error.message)
      } else if ((this.unreported > 0 || this.failed) && performance.now() - this.openedAt > provenMs)
        this.recovered()
      if (this.sending === 0) this.idle?.()
    })
  }

  private recovered(): void {
    const { unreported } = this
    this.unreported = 0
    this.failed = false
    this.failures = 0
    if (unreported > 0) this.reports.onRecovered(unreported)
  }

  private lost(socket: Socket | null, why: string): void {
    if (socket !== null && socket === this.socket) this.shut()
    // Of one that was closed before, or that never was connected.
    else if (socket !== null && this.connecting) socket.close()
    else if (socket !== null) return
    this.connecting = false
    this.drop(this.early.length)
    this.early = []
    if (this.closed) return
    this.retryAt = performance.now() + retryMs(this.failures++)
    if (!this.failed) this.reports.onFailed(why)
    this.failed = true
  }

  private shut(): void {
    this.socket?.close()
    this.socket = null
  }

  private drop(messages: number): void {
    this.dropped += messages
    this.unreported += messages
  }
}
