/** Workers write to one standard output: no line is torn, however much they log and however slowly it is read. */

import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { wholeLines } from '../../src/base/output.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { freePort } from '../harness/ports.ts'
import { main, readyOf } from '../harness/sallyport.ts'

test('lines of several workers are whole', {
  skip: spawnSync('h2load', ['--version']).error !== undefined && 'not installed: h2load',
}, async () => {
  const folder = temporaryFolder('sallyport-lines-')
  const file = path.join(folder, 'sallyport.yaml')
  const port = await freePort()
  const site = '{ host: localhost, certificate: local, routes: [{ respond: { body: hello } }] }'
  writeFileSync(
    file,
    `listen: [{ port: ${port}, address: 127.0.0.1 }]\nstate: ${folder}\nsites:\n  - ${site}\nlog: { access: true }\n`,
  )
  const child = spawn(process.execPath, [main, 'run', '-c', file, '--workers', '2'])
  const ended = new Promise(resolve => child.on('close', resolve))
  let out = ''
  child.stdout.on('data', chunk => void (out += chunk))
  try {
    await readyOf(child)
    const load = ['-n', '6000', '-c', '16', '-m', '50', `https://localhost:${port}/`]
    await promisify(execFile)('h2load', load)
  } finally {
    child.kill('SIGTERM')
    await ended
  }
  const lines = out.split('\n').slice(0, -1)
  assert.equal(lines.map(line => JSON.parse(line)).filter(line => line.message === 'request').length, 6_000)
})

test('as many whole lines as fit, or one that does not', () => {
  const taken = (text: string, most: number) => wholeLines(Buffer.from(text), most).toString()
  assert.equal(taken('ab\ncd\n', 6), 'ab\ncd\n')
  assert.equal(taken('ab\ncd\n', 5), 'ab\n')
  assert.equal(taken('ab\ncd\n', 3), 'ab\n')
  assert.equal(taken('abcd\nef\n', 3), 'abcd\n')
  assert.equal(taken('abcd', 3), 'abcd')
})
