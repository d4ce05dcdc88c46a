/**
 * Whoever reads the log stops reading: the gateway serves on, obeys signals, counts what it had to drop, and says so when
 * the reader is back. With a socket as standard output (as of systemd), which both runtimes' `spawn` makes, and with a pipe.
 */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { Output } from '../../src/base/output.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { freePort } from '../harness/ports.ts'
import { rawTcp } from '../harness/raw.ts'
import { main, readyOf } from '../harness/sallyport.ts'
import { eventually } from '../harness/until.ts'

async function run(
  stdout: 'pipe' | number,
  workers: number,
): Promise<{ child: ChildProcess; port: number; metrics: number; folder: string }> {
  const folder = temporaryFolder('sallyport-blocked-')
  const [port, metrics] = [await freePort(), await freePort()]
  const file = path.join(folder, 'sallyport.yaml')
  writeFileSync(
    file,
    JSON.stringify({
      listen: [{ port, address: '127.0.0.1', cleartext: 'serve' }],
      admin: { listen: { port: metrics } },
      state: folder,
      workers,
      sites: [{ host: 'localhost', routes: [{ respond: { body: 'here' } }] }],
    }),
  )
  const child = spawn(process.execPath, [main, 'run', '-c', file], { stdio: ['ignore', stdout, 'pipe'] })
  await readyOf(child)
  return { child, port, metrics, folder }
}

/** So many requests with long paths over one connection, all answered. */
async function ask(port: number, count: number): Promise<void> {
  const client = await rawTcp(port)
  const request = `GET /${'x'.repeat(4_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  for (let asked = 0; asked < count; asked += 50) {
    client.send(request.repeat(Math.min(50, count - asked)))
    await client.until(text => text.split('here').length > Math.min(asked + 50, count))
  }
  client.destroy()
}

async function droppedAt(port: number): Promise<number> {
  const client = await rawTcp(port)
  client.send('GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  const { received } = await client.closed()
  return [...received.matchAll(/^sallyport_log_records_dropped_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  )
}

const kill = async (child: ChildProcess) => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

describe('a gateway whose standard output nobody reads', () => {
  it('serves on, drops and counts records, and says so when the reader is back (a socket)', async () => {
    const { child, port, metrics } = await run('pipe', 1)
    try {
      child.stdout?.pause()
      // Beyond what the socket and the gateway keep.
      let asked = 0
      let dropped = 0
      for (; dropped === 0 && asked < 20_000; dropped = await droppedAt(metrics)) {
        await ask(port, 1_000)
        asked += 1_000
      }
      assert.ok(dropped > 0, `${asked} asked`)
      let out = ''
      child.stdout?.on('data', chunk => void (out += chunk))
      child.stdout?.resume()
      await eventually('the log says how many', () => out.includes('log records dropped'))
      const lines = out
        .slice(0, out.lastIndexOf('\n'))
        .split('\n')
        .map(line => JSON.parse(line) as Record<string, unknown>)
      const told = lines.filter(
        ({ message }) => message === 'log records dropped: the reader of the log was too slow',
      )
      assert.equal(
        told.reduce((sum, each) => sum + Number(each['dropped']), 0),
        dropped,
      )
      assert.equal(lines.filter(({ message }) => message === 'request').length + dropped, asked)
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      assert.deepEqual(await gone, [0, null])
    } finally {
      await kill(child)
    }
  })

  it('obeys SIGTERM, with two workers (a socket)', async () => {
    const { child, port } = await run('pipe', 2)
    try {
      child.stdout?.pause()
      for (let round = 0; round < 4; round++) await ask(port, 400)
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      assert.deepEqual(await gone, [0, null])
    } finally {
      await kill(child)
    }
  })

  it('serves on and obeys SIGTERM, with two workers (a pipe)', async () => {
    const fifo = path.join(temporaryFolder('sallyport-fifo-'), 'log')
    spawnSync('mkfifo', [fifo])
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    const writer = openSync(fifo, constants.O_WRONLY)
    const { child, port } = await run(writer, 2)
    try {
      for (let round = 0; round < 4; round++) await ask(port, 100)
      const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${writer}`, 'utf8'))?.[1] ?? ''
      assert.equal(Number.parseInt(flags, 8) & constants.O_NONBLOCK, 0, 'others who write to the pipe still wait')
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      assert.deepEqual(await gone, [0, null])
      closeSync(writer)
      let text = ''
      const chunk = Buffer.alloc(65_536)
      for (let count = -1; count !== 0; text += chunk.toString('latin1', 0, count)) count = readSync(reader, chunk)
      for (const line of text.split('\n').slice(0, -1)) JSON.parse(line)
    } finally {
      await kill(child)
      closeSync(reader)
    }
  })
})

describe('an output', () => {
  it('that cannot be written to drops what it is given, and does not report for ever', async () => {
    const script = `
      import { Output } from ${JSON.stringify(path.resolve(import.meta.dirname, '../../src/base/output.ts'))}
      const output = new Output(1)
      let reports = 0
      output.onRecovered = () => { reports++; output.write('again\\n') }
      for (let count = 0; count < 10; count++) output.write('a line\\n')
      await output.finish(100)
      process.stderr.write(JSON.stringify([output.dropped, reports]))`
    const file = path.join(temporaryFolder('sallyport-full-'), 'full.ts')
    writeFileSync(file, script)
    const full = openSync('/dev/full', 'w')
    const { stderr } = spawnSync(process.execPath, [file], { stdio: ['ignore', full, 'pipe'] })
    closeSync(full)
    assert.equal(stderr.toString().trim().split('\n').at(-1), '[10,0]')
  })

  it('to standard error is one of those', () => assert.equal(new Output(2).dropped, 0))
})
