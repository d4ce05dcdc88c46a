/**
 * Caddy's ACME server, another implementation of RFC 8555 with a CA of its own, and a gateway that orders from it: every
 * challenge, renewal, revocation. Caddy 2.6 looks at ports 80 and 443 and asks the system's resolver, so all of it runs
 * in a network and mount namespace (acme-caddy-inside.ts), and nothing of this machine is disturbed.
 */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { before, describe, test } from 'node:test'
import { temporaryFolder } from '../harness/certificates.ts'

const commands = { caddy: ['version'], '/usr/sbin/knotd': ['--version'], '/usr/sbin/ip': ['-V'] }
const missing = Object.entries(commands)
  .filter(([command, words]) => spawnSync(command, words).error !== undefined)
  .map(([command]) => command)
const mayUnshare = spawnSync('unshare', ['-n', '-m', 'true']).status === 0

const parts = [
  'http-01',
  'tls-alpn-01',
  'dns-01, for a wildcard',
  'renewal',
  'revocation',
  'no renewal information, no profiles, and an answer that is not there',
]

describe("Caddy's ACME server", {
  skip:
    missing.length > 0
      ? `not installed: ${missing.join(', ')}`
      : !mayUnshare && 'a namespace of its own is for root only',
}, () => {
  const results = new Map<string, string | null>()
  let output = ''

  before(async () => {
    const resolver = path.join(temporaryFolder(), 'resolv.conf')
    writeFileSync(resolver, 'nameserver 127.0.0.1\n')
    const script = '/usr/sbin/ip link set lo up && mount --bind "$1" /etc/resolv.conf && exec "$2" "$3"'
    const inside = path.join(import.meta.dirname, 'acme-caddy-inside.ts')
    const words = ['-n', '-m', 'sh', '-c', script, 'sh', resolver, process.execPath, inside]
    output = await new Promise<string>(resolve => {
      execFile('unshare', words, { timeout: 300_000 }, (error, out, err) => resolve(`${out}${err}${error ?? ''}`))
    })
    for (const line of output.split('\n')) {
      if (!line.startsWith('{"name"')) continue
      const { name, wrong } = JSON.parse(line)
      results.set(name, wrong)
    }
  })

  for (const name of parts) {
    test(name, () => {
      assert.ok(results.has(name), output)
      assert.equal(results.get(name), null)
    })
  }

  test('and there are no other parts', () => assert.deepEqual([...results.keys()], parts))
})
