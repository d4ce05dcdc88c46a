/** A real redis-server of a test's own, which can be killed, stopped and started again on the same port. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import type { RedisServer } from '../../src/storage/redis-link.ts'
import { freePort } from './ports.ts'
import { eventually } from './until.ts'

export const hasRedis = (() => {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

export type Redis = {
  readonly port: number
  readonly server: RedisServer
  start(...args: string[]): Promise<void>
  signal(signal: NodeJS.Signals): void
  kill(): Promise<void>
  /** Kills it, and removes its data */
  remove(): Promise<void>
  /** Runs one command over a connection of its own. @returns what came back, as it came */
  command(...args: string[]): Promise<string>
}

/** Appends each write to disk, so that it comes back with its data. `args` of redis-server beside that. */
export async function startRedis(...args: string[]): Promise<Redis> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-redis-'))
  const port = await freePort()
  let child: ChildProcess | null = null
  const kill = async () => {
    if (!child) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    child = null
    await gone
  }
  const start = async (...more: string[]) => {
    const own = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      folder,
      '--save',
      '',
      '--appendonly',
      'yes',
    ]
    const all = [...own, '--appendfsync', 'always', ...args, ...more]
    const started = spawn('redis-server', all, { stdio: ['ignore', 'pipe', 'inherit'] })
    child = started
    let said = ''
    started.stdout.on('data', chunk => void (said += chunk))
    const at = args.includes('--tls-port') ? Number(args[args.indexOf('--tls-port') + 1]) : port
    await eventually(
      () => `redis-server accepts connections: ${said}`,
      () => {
        if (started.exitCode !== null) throw new Error(`redis-server did not start: ${said}`)
        return accepts(at)
      },
    )
  }
  await start()
  return {
    port,
    server: { host: '127.0.0.1', port, database: 0, username: null, password: null, tls: null },
    start,
    signal: signal => child?.kill(signal),
    kill,
    async remove() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
    command: (...words) => ask(port, words),
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

async function ask(port: number, words: readonly string[]): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const parts = words.map(word => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
  socket.write(`*${words.length}\r\n${parts.join('')}`)
  const [reply] = await once(socket, 'data')
  socket.destroy()
  return String(reply)
}
