/** Signals that reach `bin/sallyport` before it has loaded anything: they are held back like those that come while it starts. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { it } from 'node:test'
import { temporaryFolder } from '../harness/certificates.ts'
import { node } from '../harness/node-process.ts'

const launcher = path.resolve(import.meta.dirname, '../../bin/sallyport')

/** The process sends itself a signal when its first own module is loaded. */
const preload = (signal: string) => `
delete process.env.NODE_OPTIONS
const fs = require('node:fs')
const { existsSync } = fs
fs.existsSync = name => {
  fs.existsSync = existsSync
  require('node:module').syncBuiltinESMExports()
  process.kill(process.pid, '${signal}')
  return existsSync(name)
}
require('node:module').syncBuiltinESMExports()
`

async function ended(signal: string, ...words: string[]): Promise<unknown> {
  const folder = temporaryFolder('sallyport-launcher-')
  const first = path.join(folder, 'first.cjs')
  writeFileSync(first, preload(signal))
  const child = spawn('node', [launcher, ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: `--require ${first}`, STATE_DIRECTORY: folder },
  })
  let err = ''
  child.stderr.on('data', chunk => {
    err += chunk
    if (err.includes('sallyport ready')) child.kill('SIGTERM')
  })
  const [code, by] = await once(child, 'close')
  return { code, by, ready: err.includes('sallyport ready') }
}

const proxy = ['proxy', '--from', 'https://127.0.0.1:0', '--to', 'http://127.0.0.1:1']

it('SIGTERM ends a gateway that has not started yet, without an error', async () => {
  assert.deepEqual(await ended('SIGTERM', ...proxy), { code: 0, by: null, ready: false })
})

it('SIGHUP waits until the gateway serves', async () => {
  assert.deepEqual(await ended('SIGHUP', ...proxy), { code: 0, by: null, ready: true })
})

// Node would open its inspector, and whoever may connect to it runs code in the gateway.
it('SIGUSR1 opens no inspector, on either runtime', async () => {
  for (const runtime of ['bun', 'node']) {
    const folder = temporaryFolder('sallyport-launcher-')
    const child = spawn(node, [launcher, ...proxy, '--runtime', runtime], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, STATE_DIRECTORY: folder },
    })
    let said = ''
    child.stdout.on('data', chunk => void (said += chunk))
    child.stderr.on('data', chunk => {
      said += chunk
      if (!said.includes('sallyport ready')) return
      child.kill('SIGUSR1')
      child.kill('SIGTERM')
    })
    const [code, by] = await once(child, 'close')
    assert.deepEqual({ code, by }, { code: 0, by: null }, said)
    assert.doesNotMatch(said, /[Dd]ebugger|[Ii]nspector|ws:/)
  }
})
