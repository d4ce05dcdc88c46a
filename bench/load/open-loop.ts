/**
 * An open-loop load: request i is due at start + i / rate, whatever the answers do, and its latency counts from that
 * moment. So a stall delays everything that was due meanwhile and is seen in full (no coordinated omission), and the
 * wait for a free connection counts too.
 *
 * Between looks at its sockets it naps instead of spinning: it shares its core with the backend. Its own lateness is
 * reported (`lagP99Us`: from due to the turn that noticed it), as is its use of the core (`cpuShare`).
 */
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import { treeCpuUs } from './cpu.ts'
import { quantile } from './statistics.ts'

export type OpenLoopOptions = {
  readonly port: number
  readonly ca: string
  readonly path: string
  /** Of one response's body */
  readonly bytes: number
  /** Requests a second */
  readonly rate: number
  readonly connections: number
  readonly warmUpMs: number
  readonly seconds: number
  /** The proxy's, whose CPU time is read here: only the client knows when its handshakes are over */
  readonly pid: number
}

export type OpenLoopReport = {
  /** Measured requests, without the warm-up's */
  readonly requests: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  /** From due to the first byte of the response, median */
  readonly firstByteUs: number
  /** Of the proxy, per request, without the handshakes */
  readonly cpuUs: number
  readonly lagP99Us: number
  readonly cpuShare: number
  /** The proxy fell `overloadSeconds` of requests behind, and the run was ended there: the latencies say nothing */
  readonly overloaded: boolean
  readonly errors: readonly string[]
}

const napMs = 0.05
const napCell = new Int32Array(new SharedArrayBuffer(4))
/** No pause of a proxy that keeps the rate is as long. */
const overloadSeconds = 0.3
/** After the last request was due, answers are waited for this long. */
const graceMs = 5000

type Connection = {
  readonly socket: tls.TLSSocket
  /** Number of the request under way */
  index: number
  /** Bytes of the body still to come; -1 while the head is not complete */
  left: number
  head: string
}

export class OpenLoop {
  private readonly options: OpenLoopOptions
  private readonly request: Buffer
  private readonly connections: Connection[] = []
  private readonly idle: Connection[] = []
  private readonly errors: string[] = []
  /** By request number less `measuredFrom`, in ms */
  private readonly latencies: Float64Array
  private readonly lags: Float64Array
  private readonly firstBytes: Float64Array
  private readonly total: number
  private readonly measuredFrom: number
  private readonly msPerRequest: number
  /** Length of a whole response, once one was read in full */
  private wholeBytes = -1
  private done = 0
  private due = 0
  private sent = 0
  private startedMs = 0
  private finished = false
  private overloaded = false
  private proxyCpuUs = 0
  private cpuAtStart = process.cpuUsage()
  private cpuFromMs = 0

  constructor(options: OpenLoopOptions) {
    this.options = options
    this.request = Buffer.from(`GET ${options.path} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 'latin1')
    this.measuredFrom = Math.floor((options.warmUpMs / 1000) * options.rate)
    this.total = this.measuredFrom + Math.max(1, Math.floor(options.seconds * options.rate))
    this.msPerRequest = 1000 / options.rate
    this.latencies = new Float64Array(this.total - this.measuredFrom).fill(Number.POSITIVE_INFINITY)
    this.lags = new Float64Array(this.total - this.measuredFrom)
    this.firstBytes = new Float64Array(this.total - this.measuredFrom)
  }

  async run(): Promise<OpenLoopReport> {
    const ca = readFileSync(this.options.ca)
    const opened = await Promise.all(Array.from({ length: this.options.connections }, () => this.connect(ca)))
    this.connections.push(...opened)
    this.idle.push(...opened)
    this.proxyCpuUs = treeCpuUs(this.options.pid)
    this.startedMs = performance.now()
    return new Promise(resolve => {
      const turn = () => {
        if (this.turn()) setImmediate(turn)
        else resolve(this.finish())
      }
      turn()
    })
  }

  private connect(ca: Buffer): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const { port } = this.options
      const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca, ecdhCurve: 'X25519' })
      const connection: Connection = { socket, index: -1, left: -1, head: '' }
      socket.setNoDelay(true)
      socket.once('secureConnect', () => resolve(connection))
      socket.on('error', error => {
        this.fail(error.message)
        reject(error)
      })
      socket.on('close', () => this.fail('a connection was closed'))
      socket.on('data', (chunk: Buffer) => this.onData(connection, chunk))
    })
  }

  private fail(message: string): void {
    if (!this.finished && this.errors.length < 5) this.errors.push(message)
  }

  /** How long ago the connection's request was due, in ms */
  private sinceDue({ index }: Connection): number {
    return performance.now() - this.startedMs - index * this.msPerRequest
  }

  private onData(connection: Connection, chunk: Buffer): void {
    const at = connection.index - this.measuredFrom
    if (at >= 0 && connection.left < 0 && connection.head === '') this.firstBytes[at] = this.sinceDue(connection)
    // The common case, without making a string: a whole `HTTP/1.1 2xx` as long as the first one.
    if (connection.left < 0 && chunk.length === this.wholeBytes && connection.head === '' && chunk[9] === 0x32) {
      this.onResponse(connection)
      return
    }
    let body = chunk.length
    if (connection.left < 0) {
      connection.head += chunk.toString('latin1')
      const end = connection.head.indexOf('\r\n\r\n')
      if (end < 0) return
      if (!connection.head.startsWith('HTTP/1.1 200 ')) this.fail(`answered ${connection.head.slice(0, 40)}`)
      body = connection.head.length - end - 4
      connection.left = this.options.bytes
      this.wholeBytes = end + 4 + this.options.bytes
      connection.head = ''
    }
    connection.left -= body
    if (connection.left > 0) return
    if (connection.left < 0) this.fail('more bytes than the response should have')
    connection.left = -1
    this.onResponse(connection)
  }

  private onResponse(connection: Connection): void {
    const at = connection.index - this.measuredFrom
    if (at >= 0) this.latencies[at] = this.sinceDue(connection)
    this.done++
    this.send(connection)
  }

  /** Gives a free connection the oldest request that is due, or puts it aside. */
  private send(connection: Connection): void {
    if (this.sent === this.due) {
      this.idle.push(connection)
      return
    }
    connection.index = this.sent++
    connection.socket.write(this.request)
  }

  /** false at the end */
  private turn(): boolean {
    const now = performance.now() - this.startedMs
    const nowDue = Math.min(this.total, Math.floor(now / this.msPerRequest) + 1)
    if (this.due <= this.measuredFrom && nowDue > this.measuredFrom) {
      this.cpuAtStart = process.cpuUsage()
      this.cpuFromMs = now
    }
    for (; this.due < nowDue; this.due++) {
      if (this.due >= this.measuredFrom)
        this.lags[this.due - this.measuredFrom] = now - this.due * this.msPerRequest
    }
    while (this.idle.length > 0 && this.sent < this.due) this.send(this.idle.shift() as Connection)
    this.overloaded = this.due - this.sent > this.options.rate * overloadSeconds
    if (this.overloaded || this.errors.length > 0 || this.done === this.total) return false
    if (now > this.total * this.msPerRequest + graceMs) return false
    // Also with requests waiting: without a nap a backlog is served one socket a turn, at three times the cost, and stays.
    Atomics.wait(napCell, 0, 0, napMs)
    return true
  }

  private finish(): OpenLoopReport {
    const proxyCpuUs = treeCpuUs(this.options.pid) - this.proxyCpuUs
    const cpu = process.cpuUsage(this.cpuAtStart)
    const elapsedMs = performance.now() - this.startedMs - this.cpuFromMs
    if (this.done < this.total && !this.overloaded)
      this.fail(`${this.total - this.done} of ${this.total} requests were not answered`)
    this.finished = true
    for (const { socket } of this.connections) socket.destroy()
    const latencies = this.latencies.sort()
    const us = (values: Float64Array, share: number) => Math.round(quantile(values, share) * 1000)
    return {
      requests: latencies.length,
      p50Us: us(latencies, 0.5),
      p99Us: us(latencies, 0.99),
      p999Us: us(latencies, 0.999),
      maxUs: us(latencies, 1),
      firstByteUs: us(this.firstBytes.sort(), 0.5),
      cpuUs: this.done > 0 ? proxyCpuUs / this.done : 0,
      lagP99Us: us(this.lags.sort(), 0.99),
      cpuShare: (cpu.user + cpu.system) / 1000 / elapsedMs,
      overloaded: this.overloaded,
      errors: this.errors,
    }
  }
}
