/** TLS policies: the tables are sound, and those of a file are built on others. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { allSuites, cipherIds, groupIds, policies, policyNames } from '../../src/model/policies.ts'
import { offerOf } from '../../src/tls/offer.ts'
import { problemsOf, withFolder } from './config-folder.ts'

describe('named policies', () => {
  it('are sound tables', () => {
    assert.ok(policyNames.length >= 10)
    for (const policy of Object.values(policies)) {
      assert.ok(
        policy.groups.every(group => Object.hasOwn(groupIds, group)),
        policy.name,
      )
      assert.equal(policy.suites.length > 0, policy.maxVersion === 'TLSv1.3', policy.name)
      assert.equal(policy.ciphers.length > 0, policy.minVersion !== 'TLSv1.3', policy.name)
      assert.ok(
        [...policy.ciphers, ...policy.suites].every(cipher => Object.hasOwn(cipherIds, cipher)),
        policy.name,
      )
      assert.equal(new Set(policy.ciphers).size, policy.ciphers.length, policy.name)
      assert.ok(
        policy.suites.every(suite => allSuites.includes(suite)),
        policy.name,
      )
    }
  })

  it('are those that the sources say', () => {
    assert.equal(policies['ELBSecurityPolicy-2016-08']?.ciphers.length, 18)
    assert.equal(policies['ELBSecurityPolicy-TLS-1-2-2017-01']?.ciphers.length, 12)
    assert.ok(policies['ELBSecurityPolicy-TLS-1-2-2017-01']?.ciphers.every(cipher => !/-SHA$/.test(cipher)))
    assert.deepEqual(policies['intermediate']?.ciphers.toSorted(), [
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      'ECDHE-ECDSA-CHACHA20-POLY1305',
      'ECDHE-RSA-AES128-GCM-SHA256',
      'ECDHE-RSA-AES256-GCM-SHA384',
      'ECDHE-RSA-CHACHA20-POLY1305',
    ])
  })

  it('are offered as they are where they can be: modern and intermediate everywhere', () => {
    for (const name of ['modern', 'intermediate']) {
      const policy = policies[name] as (typeof policies)[string]
      assert.deepEqual(offerOf(policy), { policy, warnings: [] })
    }
  })

  it('never become weaker than their name says', () => {
    const policy = { ...(policies['modern'] as (typeof policies)[string]), groups: ['NoSuchMLKEM', 'X25519'] }
    assert.throws(() => offerOf(policy), /no post-quantum group/)
    assert.throws(() => offerOf({ ...policy, groups: ['NoSuchGroup'] }), /it has none of NoSuchGroup/)
  })
})

describe('policies of a file', () => {
  const yaml = (top: string, policy = 'ours') =>
    `listen: [{ port: 443 }]\n${top}\nsites: [{ host: a.test, certificate: local, policy: ${policy}, to: http://b.test }]`

  it('change single fields of another', async () => {
    await withFolder(
      {
        'sallyport.yaml': yaml(
          'policies: { ours: { extends: intermediate, groups: [X25519], minVersion: TLSv1.3 } }',
        ),
      },
      async cwd => {
        const { config } = await loadConfig({ cwd })
        const ours = config.policies['ours']
        assert.deepEqual(ours?.groups, ['X25519'])
        assert.equal(ours?.minVersion, 'TLSv1.3')
        assert.deepEqual(ours?.ciphers, policies['intermediate']?.ciphers)
        assert.equal(config.sites[0]?.policy, 'ours')
      },
    )
  })

  it('are the default of sites that name none', async () => {
    const text =
      'listen: [{ port: 443 }]\npolicy: modern\nsites: [{ host: a.test, certificate: local, to: http://b.test }]'
    await withFolder({ 'sallyport.yaml': text }, async cwd => {
      assert.equal((await loadConfig({ cwd })).config.sites[0]?.policy, 'modern')
    })
  })

  const wrong: Record<string, [string, string?]> = {
    'there is no policy intermediat': ['policies: { ours: { extends: intermediat } }'],
    'there is no policy other': ['', 'other'],
    'modern is a named policy already': ['policies: { modern: { extends: intermediate } }', 'modern'],
    'TLSv1.3 is above TLSv1.2, the highest': [
      'policies: { ours: { extends: ELBSecurityPolicy-2016-08, minVersion: TLSv1.3 } }',
    ],
    'ELBSecurityPolicy-2016-08 has no suites for TLS 1.3': [
      'policies: { ours: { extends: ELBSecurityPolicy-2016-08, maxVersion: TLSv1.3 } }',
    ],
    'sallyport.yaml:2:38: ours starts at TLS 1.3, and ciphers are for TLS 1.2 and older': [
      'policies: { ours: { extends: modern, ciphers: [ECDHE-RSA-AES128-GCM-SHA256] } }',
    ],
    'ours has no ciphers for TLS 1.2': ['policies: { ours: { extends: modern, minVersion: TLSv1.2 } }'],
  }
  for (const [message, [top, policy]] of Object.entries(wrong)) {
    it(`are refused: ${message}`, async () => {
      const found = await problemsOf(yaml(top, policy))
      assert.ok(
        found.some(problem => problem.includes(message)),
        found.join('\n'),
      )
    })
  }
})
