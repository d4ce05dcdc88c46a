/** Listeners and sites that begin in cleartext: what is refused or warned of, and what `explain` and `map` say. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mapOf } from '../../src/cli/map/model.ts'
import type { ConfigInput } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'

const mail = {
  host: 'mail.test',
  certificate: 'local',
  tcp: { to: ['127.0.0.1:25'], startTls: 'smtp' },
} as const
const web = { host: 'web.test', certificate: 'local', to: 'http://127.0.0.1:1' } as const
const load = (value: object) => loadConfig({ value: value as ConfigInput })

describe('startTls', () => {
  it('of a listener excludes cleartext', () =>
    assert.rejects(
      load({ listen: [{ port: 25, startTls: 'smtp', cleartext: 'serve' }], sites: [mail] }),
      /startTls changes to TLS, and cleartext is HTTP without it/,
    ))

  it('of a listener needs a site of the same protocol', () =>
    assert.rejects(
      load({ listen: [{ port: 143, startTls: 'imap' }], sites: [mail] }),
      /no site has tcp: \{ startTls: imap \}/,
    ))

  it('is one of the protocols that are known', () =>
    assert.rejects(load({ listen: [{ port: 25, startTls: 'smpt' }], sites: [mail] }), /smpt.*smtp/s))

  it('makes a listener that serves no other site', async () => {
    const pass = { host: 'pass.test', passthrough: { to: ['127.0.0.1:443'] } }
    const { config, warnings } = await load({ listen: [{ port: 25, startTls: 'smtp' }], sites: [mail, pass] })
    assert.deepEqual(
      warnings.map(({ message }) => message),
      ['this site is never reached: passthrough needs TLS, and no listener ends TLS for it'],
    )
    assert.deepEqual(
      mapOf(config)
        .filter(({ site }) => site.endsWith('.test'))
        .map(({ site }) => site),
      ['mail.test'],
    )
  })

  it('asks for no certificate of a site that only cleartext listeners serve', async () => {
    const { certificate: _, ...plain } = web
    const listen = [
      { port: 80, address: '127.0.0.1', cleartext: 'serve' },
      { port: 25, startTls: 'smtp' },
    ]
    assert.equal((await load({ listen, sites: [mail, plain] })).config.sites.length, 2)
  })
})

describe('alpn of a tcp site', () => {
  it('takes names of protocols', async () => {
    const site = (alpn: unknown) => ({ ...mail, tcp: { to: ['127.0.0.1:5432'], alpn } })
    const { config } = await load({ listen: [{ port: 443 }], sites: [site('postgresql')] })
    assert.deepEqual(config.sites[0]?.action.kind === 'tcp' && config.sites[0].action.alpn, ['postgresql'])
    for (const [alpn, why] of [
      ['with space', /no protocol name/],
      ['acme-tls/1', /belongs to ACME challenges/],
      ['x'.repeat(256), /no protocol name/],
    ] as const)
      await assert.rejects(load({ listen: [{ port: 443 }], sites: [site([alpn])] }), why)
  })
})
