/** The example of a gateway in somebody's own program does what it says, and its process ends by itself. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { it } from 'node:test'
import { temporaryFolder } from '../harness/certificates.ts'

it('examples/embedded serves, reloads, survives a mistake and drains', async () => {
  const script = path.resolve(import.meta.dirname, '../../examples/embedded/main.ts')
  const args = ['--conditions=sallyport-source', script, temporaryFolder('sallyport-embedded-')]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.on('data', chunk => (out += chunk))
  child.stderr.on('data', chunk => (err += chunk))
  const [code] = await once(child, 'close')
  assert.equal(code, 0, err)
  const lines = out.split('\n').filter(line => !line.startsWith('refused: ') && !line.startsWith('  '))
  assert.deepEqual(lines, [
    'configuration 1 is in force, with 1 sites',
    'the application, at /orders',
    'configuration 2 is in force, with 1 sites',
    'well',
    '1 problem, at sites[0].routes[0].to',
    'well',
    'stopped; 0 connections were cut',
    '',
  ])
  assert.match(out, /^refused: configuration: sites\[0\]\.routes\[0\]\.to: /m)
})
