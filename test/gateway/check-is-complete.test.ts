/** What the configuration alone does not show, and `run` would refuse: `check` says it too, all at once, with its place. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { policies } from '../../src/model/policies.ts'
import { offerOf } from '../../src/tls/offer.ts'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { main } from '../harness/sallyport.ts'

const ca = testCa()

function cli(verb: string, text: string): { code: number | null; out: string; err: string } {
  const file = path.join(temporaryFolder(), 'sallyport.yaml')
  writeFileSync(file, text)
  const words = [main, verb, '-c', file]
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 300_000 })
  return { code: status, out: stdout, err: stderr.replaceAll(`${path.dirname(file)}/`, '') }
}

const keepsFips = (() => {
  try {
    offerOf(policies['fips'] as (typeof policies)[string])
    return true
  } catch {
    return false
  }
})()

describe('check', () => {
  const top = 'listen: [{ port: 443 }]\n'
  const fips = `${top}sites:\n  - { host: a.test, certificate: local, to: "http://127.0.0.1:1" }\n  - { host: b.test, certificate: local, policy: fips, to: "http://127.0.0.1:1" }\n`

  it('says where a policy is chosen that this runtime cannot keep, and nothing of one that it can', () => {
    if (keepsFips) return assert.deepEqual([cli('check', fips).code, cli('check', fips).err], [0, ''])
    const wanted =
      /^sallyport\.yaml:4:\d+: policy fips cannot be kept on \S+ \S+: .*; use --runtime node \(of b\.test\)$/m
    for (const verb of ['check', 'run']) {
      const { code, err } = cli(verb, fips)
      assert.equal(code, 2)
      assert.match(err, wanted)
    }
    const all = fips.replace(' policy: fips,', '').replace(top, `${top}policy: fips\n`)
    assert.match(cli('check', all).err, /^sallyport\.yaml:2:9: policy fips .* \(of a\.test, b\.test\)$/m)
  })

  it('says every file that cannot be used, with the place of its site', () => {
    const staple = issueFiles(ca, ['a.test'], { mustStaple: true, ocspUrl: 'http://127.0.0.1:1/' })
    const broken = path.join(temporaryFolder(), 'ca.pem')
    writeFileSync(broken, 'nothing')
    const site = (host: string, more: string) => `  - { host: ${host}, to: "http://127.0.0.1:1", ${more} }\n`
    const text =
      `${top}sites:\n` +
      site('a.test', `certificate: { chain: ${staple.chainFile}, key: ${staple.keyFile} }`) +
      site('b.test', `certificate: local, clients: { ca: ${broken} }`) +
      site('c.test', `certificate: local, clients: { ca: ${broken} }`)
    const { code, err } = cli('check', text)
    assert.equal(code, 2)
    assert.match(err, /^sallyport\.yaml:3:\d+: a\.test: .*must-staple/m)
    assert.match(err, /^sallyport\.yaml:4:\d+: b\.test: .*ca\.pem/m)
    assert.match(err, /^sallyport\.yaml:5:\d+: c\.test: .*ca\.pem/m)
  })
})
