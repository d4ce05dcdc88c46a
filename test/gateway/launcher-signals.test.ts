/** Signals that reach `bin/sallyport` before it has loaded anything: they are held back like those that come while it starts. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { it } from 'node:test'
import { temporaryFolder } from '../harness/certificates.ts'

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
