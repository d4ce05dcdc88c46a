/**
 * Handshakes with one request each, all resumed or all full, for LineClient; runs on Node, whose TLS says for every
 * connection whether its session was resumed. That is counted, and the caller throws away a run in which it was not so.
 */
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import { serveJobs } from './line-client.ts'

export type SessionJob = {
  readonly port: number
  readonly ca: string
  readonly path: string
  readonly bytes: number
  readonly connections: number
  readonly seconds: number
  readonly resume: boolean
  readonly tls12: boolean
}

export type SessionReport = {
  readonly requests: number
  readonly resumed: number
  readonly seconds: number
  /** As the last connection said it */
  readonly protocol: string
  readonly errors: readonly string[]
}

class Lane {
  resumed = 0
  requests = 0
  protocol = ''
  private readonly job: SessionJob
  private readonly context: tls.SecureContext
  private readonly request: Buffer
  private session: Buffer | undefined

  constructor(job: SessionJob, context: tls.SecureContext) {
    this.job = job
    this.context = context
    this.request = Buffer.from(`GET ${job.path} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 'latin1')
  }

  /** One connection, one request. The newest ticket is used for the next one, as a browser does it. */
  once(): Promise<void> {
    return new Promise((resolve, reject) => {
      const { port, resume, bytes } = this.job
      const socket = tls.connect({
        port,
        host: '127.0.0.1',
        servername: 'localhost',
        secureContext: this.context,
        session: resume ? this.session : undefined,
      })
      let head = ''
      socket.setNoDelay(true)
      socket.on('session', session => {
        this.session = session
      })
      socket.on('secureConnect', () => {
        this.protocol = socket.getProtocol() ?? ''
        if (socket.isSessionReused()) this.resumed++
        socket.write(this.request)
      })
      socket.on('data', (chunk: Buffer) => {
        head += chunk.toString('latin1')
        const end = head.indexOf('\r\n\r\n')
        if (end < 0 || head.length < end + 4 + bytes) return
        if (!head.startsWith('HTTP/1.1 200 ')) return reject(new Error(`answered ${head.slice(0, 40)}`))
        this.requests++
        socket.end()
        resolve()
      })
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('closed before the answer')))
    })
  }
}

async function runSessions(job: SessionJob): Promise<SessionReport> {
  const version = job.tls12 ? 'TLSv1.2' : 'TLSv1.3'
  const context = tls.createSecureContext({
    ca: readFileSync(job.ca),
    minVersion: version,
    maxVersion: version,
    // In TLS 1.2 the list also says which curves a certificate may have.
    ecdhCurve: job.tls12 ? 'X25519:P-256' : 'X25519',
    ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256',
  })
  const lanes = Array.from({ length: job.connections }, () => new Lane(job, context))
  const errors: string[] = []
  const began = performance.now()
  await Promise.all(
    lanes.map(async lane => {
      while (performance.now() - began < job.seconds * 1000 && errors.length === 0) {
        await lane.once().catch((error: Error) => errors.push(error.message))
      }
    }),
  )
  const sum = (read: (lane: Lane) => number) => lanes.reduce((total, lane) => total + read(lane), 0)
  return {
    requests: sum(lane => lane.requests),
    resumed: sum(lane => lane.resumed),
    seconds: (performance.now() - began) / 1000,
    protocol: lanes[0].protocol,
    errors,
  }
}

await serveJobs(runSessions)
