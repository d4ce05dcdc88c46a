/** From the `acme` section to a certificate: what a configuration says is what is put together. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { buildCsr } from '../../src/certs/x509/csr.ts'
import { acmeIssuers } from '../../src/gateway/certificates/acme-issuers.ts'
import { fakeAcme } from '../harness/fake-acme.ts'
import { load } from './config-folder.ts'

test('a CA that is down, its fall-back, and answers that are put up and taken away', async () => {
  const fake = await fakeAcme()
  const { config } = await load(`listen: [{ port: 443 }, { port: 80, cleartext: redirect }]
sites: [{ host: shop.example.com, certificate: acme, to: http://b.test }]
acme:
  email: ops@example.com
  directory: http://127.0.0.1:1/directory
  challenges: [http-01, tls-alpn-01]
  fallback: [{ directory: "${fake.url}" }]
`)
  const accounts = new Map<string, string>()
  const answers: string[] = []
  const said: string[] = []
  const { issuers, close } = acmeIssuers(config.acme!, {
    account: directory => ({
      load: async () => accounts.get(directory) ?? null,
      save: async text => void accounts.set(directory, text),
    }),
    answers: {
      put: async (kind, name, token, proof) =>
        void answers.push(`put ${kind} ${name} ${proof.startsWith(`${token}.`)}`),
      remove: async (kind, name) => void answers.push(`remove ${kind} ${name}`),
    },
    info: text => said.push(text),
    warn: text => assert.fail(text),
  })
  try {
    const names = config.sites[0]!.hosts
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const order = { names, csrDer: buildCsr(names, key), replaces: null, pending: null, progress: async () => {} }
    const { issuer } = await issuers.issueBy(order, new AbortController().signal)
    assert.equal(issuer.name, fake.url)
    assert.deepEqual(answers, ['put http-01 shop.example.com true', 'remove http-01 shop.example.com'])
    assert.deepEqual([...accounts.keys()], [fake.url])
    assert.match(said.join(), /127\.0\.0\.1:1\/directory: .*; trying http/)
    assert.deepEqual([...fake.accounts.values()][0]?.contact, ['mailto:ops@example.com'])
  } finally {
    close()
    await fake.close()
  }
})
