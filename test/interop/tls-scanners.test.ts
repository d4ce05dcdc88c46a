/** What TLS scanners find behind each policy: exactly the versions, ciphers and groups of its table, and no weakness. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type Policy, policies } from '../../src/model/policies.ts'
import { offerOf } from '../../src/tls/offer.ts'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { isLong } from '../harness/scale.ts'

const run = promisify(execFile)
const missing = ['sslscan', 'testssl'].filter(command => spawnSync(command, ['--version']).error !== undefined)
const skip = missing.length > 0 ? `not installed: ${missing.join(', ')}` : false

const ca = testCa()
/** Those that this runtime can keep */
const offered: Policy[] = []
const refused: string[] = []
for (const policy of Object.values(policies)) {
  try {
    offered.push(offerOf(policy).policy)
  } catch {
    refused.push(policy.name)
  }
}
const hostOf = (policy: Policy) => `${policy.name.toLowerCase()}.test`
let gateway: Started

before(async () => {
  const names = offered.map(hostOf)
  const ecdsa = issueFiles(ca, names)
  const rsa = issueFiles(ca, names, { rsa: true })
  const pair = ({ chainFile, keyFile }: typeof rsa) => ({ chain: chainFile, key: keyFile })
  gateway = await startGateway({
    sites: offered.map(policy => ({
      host: hostOf(policy),
      certificate: [pair(ecdsa), pair(rsa)],
      policy: policy.name,
      to: 'http://127.0.0.1:1',
    })),
  })
})

after(() => gateway.stop())

/** sslscan's names for groups that it knows. */
const scanned: Readonly<Record<string, string>> = {
  X25519: 'x25519',
  'P-256': 'secp256r1 (NIST P-256)',
  'P-384': 'secp384r1 (NIST P-384)',
  'P-521': 'secp521r1 (NIST P-521)',
}
const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

describe('sslscan', { skip }, () => {
  for (const policy of offered) {
    it(`finds what ${policy.name} says`, async () => {
      const target = `127.0.0.1:${gateway.port}`
      const { stdout } = await run('sslscan', ['--no-colour', `--sni-name=${hostOf(policy)}`, target])
      const enabled = (name: string) => new RegExp(`^${name.replace('.', '\\.')} +enabled$`, 'm').test(stdout)
      const [from, to] = [policy.minVersion, policy.maxVersion].map(version => versions.indexOf(version))
      for (const [at, version] of versions.entries()) {
        const name = version === 'TLSv1' ? 'TLSv1.0' : version
        assert.equal(enabled(name), at >= (from as number) && at <= (to as number), `${version}\n${stdout}`)
      }
      assert.ok(!enabled('SSLv2') && !enabled('SSLv3'))
      const accepted = (version: string) =>
        [
          ...stdout.matchAll(
            new RegExp(`^(?:Preferred|Accepted) +${version.replace('.', '\\.')}  +\\d+ bits  (\\S+)`, 'gm'),
          ),
        ]
          .map(found => found[1] as string)
          .toSorted()
      assert.deepEqual(accepted('TLSv1.3'), policy.maxVersion === 'TLSv1.3' ? policy.suites.toSorted() : [])
      assert.deepEqual(accepted('TLSv1.2'), policy.minVersion === 'TLSv1.3' ? [] : policy.ciphers.toSorted())
      const groups = [...stdout.matchAll(/^TLSv1\.3 {2}\d+ bits {2}(\S.*\S)\s*$/gm)].map(found => found[1])
      if (policy.maxVersion === 'TLSv1.3') {
        const known = policy.groups.map(group => scanned[group]).filter(name => name !== undefined)
        const found = groups.filter(name => !name?.startsWith('TLS_'))
        assert.deepEqual(found.toSorted(), known.toSorted(), stdout)
      }
      assert.ok(!/^TLSv.* vulnerable/m.test(stdout.replaceAll('not vulnerable', '')), stdout)
    })
  }
})

// It forks thousands of processes, for a minute and more.
describe('testssl', { skip }, () => {
  for (const name of isLong ? ['modern', 'intermediate'] : []) {
    it(`finds no weakness in ${name}`, { timeout: 900_000 }, async () => {
      const file = path.join(temporaryFolder(), 'found.json')
      const options = ['--quiet', '--color', '0', '--warnings', 'off', '--jsonfile', file, '--ip', '127.0.0.1']
      await run('testssl', [...options, '-p', '-s', '-P', '-U', `${name}.test:${gateway.port}`], {
        maxBuffer: 1 << 24,
      }).catch(() => {})
      type Finding = { id: string; severity: string; finding: string }
      const findings = JSON.parse(readFileSync(file, 'utf8')) as Finding[]
      assert.ok(findings.length > 20, `${findings.length} findings`)
      const bad = findings.filter(({ severity }) =>
        ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'].includes(severity),
      )
      assert.deepEqual(bad, [])
    })
  }
})

describe('policies that this runtime cannot keep', () => {
  for (const name of refused) {
    it(`${name}: the gateway does not start, and says why`, async () => {
      await assert.rejects(
        startGateway({ sites: [{ host: 'a.test', certificate: 'local', policy: name, to: 'http://127.0.0.1:1' }] }),
        /cannot be kept on /,
      )
    })
  }
})
