/**
 * A reload while requests go on: how long until the new configuration answers, what CPU time that took, and the longest
 * that a request on an open connection had to wait meanwhile, which is the longest pause of the event loop that serves it.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import tls from 'node:tls'
import { messageOf } from '../../src/base/errors.ts'
import { treeCpuUs } from './cpu.ts'
import type { RunningPeer } from './peers.ts'
import { get } from './probe.ts'
import type { Reading } from './setup.ts'

const giveUpMs = 60_000
/** After the new configuration answers, what is left of the old one is put away. */
const afterMs = 1000
const pollMs = 5
const pingEveryMs = 2

/** One request after the other on a connection; a proxy that ends the connection for its reload gets the next one on a new one. */
class Pinger {
  longestMs = 0
  connections = 0
  private stopped = false
  private readonly port: number
  private readonly ca: Buffer
  private readonly path: string

  constructor(port: number, ca: string, path: string) {
    this.port = port
    this.ca = readFileSync(ca)
    this.path = path
  }

  async run(): Promise<void> {
    while (!this.stopped) await this.onConnection().catch(() => wait(pollMs))
  }

  stop(): void {
    this.stopped = true
  }

  private async onConnection(): Promise<void> {
    const socket = tls.connect({ port: this.port, host: '127.0.0.1', servername: 'localhost', ca: this.ca })
    const closed = new Promise<never>((_, reject) => {
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('closed')))
    })
    closed.catch(() => {})
    await Promise.race([closed, new Promise(resolve => socket.once('secureConnect', resolve))])
    this.connections++
    const request = `GET ${this.path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    try {
      while (!this.stopped) {
        const began = performance.now()
        socket.write(request)
        await Promise.race([closed, new Promise(resolve => socket.once('data', resolve))])
        this.longestMs = Math.max(this.longestMs, performance.now() - began)
        await wait(pingEveryMs)
      }
    } finally {
      socket.destroy()
    }
  }
}

export async function measureReload(peer: RunningPeer, ca: string, path: string, answer: string): Promise<Reading> {
  const pinger = new Pinger(peer.port, ca, path)
  const pinging = pinger.run()
  await wait(afterMs)
  const quietMs = pinger.longestMs
  const openedBefore = pinger.connections
  pinger.longestMs = 0
  const problems: string[] = []
  const cpuBefore = treeCpuUs(peer.pid)
  const began = performance.now()
  peer.reload(answer)
  const written = performance.now()
  for (;;) {
    // A connection that the old process took may be reset when it ends.
    const said = await get(peer.port, ca, path).then(({ body }) => body.toString(), messageOf)
    if (said === answer) break
    if (performance.now() - began > giveUpMs) {
      problems.push(`after ${giveUpMs} ms the new configuration does not answer: ${said.slice(0, 40)}`)
      break
    }
    await wait(pollMs)
  }
  const reloadMs = performance.now() - written
  await wait(afterMs)
  const reloadCpuMs = (treeCpuUs(peer.pid) - cpuBefore) / 1000
  pinger.stop()
  await pinging
  return {
    reloadMs,
    reloadCpuMs,
    pauseMs: pinger.longestMs,
    remark: `longest pause ${pinger.longestMs.toFixed(1)} ms (before it ${quietMs.toFixed(1)}), ${pinger.connections - openedBefore} connections ended by it`,
    problems,
  }
}
