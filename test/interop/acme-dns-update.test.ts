/** TXT records by DNS UPDATE with TSIG, against Knot DNS; and a wildcard certificate from Pebble by that way. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ask, followAliases, textAt, zoneOf } from '../../src/acme/dns/client.ts'
import { type Rfc2136Options, rfc2136Provider } from '../../src/acme/dns/rfc2136.ts'
import { dnsSolver } from '../../src/acme/dns/solve-dns.ts'
import { httpClient } from '../../src/acme/http.ts'
import { acmeIssuer } from '../../src/acme/issue.ts'
import { buildCsr } from '../../src/certs/x509/csr.ts'
import { temporaryFolder, testCa } from '../harness/certificates.ts'
import { pebbleIsMissing, startPebble } from '../harness/pebble.ts'
import { freePort, listening } from '../harness/ports.ts'

const missing = ['/usr/sbin/knotd'].filter(command => spawnSync(command, ['--version']).error !== undefined)
const never = new AbortController().signal
const secrets = {
  'acme-update': ['hmac-sha256', Buffer.from('a secret of thirty-two bytes .. ').toString('base64')],
  'acme-update-512': [
    'hmac-sha512',
    Buffer.from('another secret, of more bytes than the other one has').toString('base64'),
  ],
  reader: ['hmac-sha256', Buffer.from('may not do anything at all, ever').toString('base64')],
} as const

describe('Knot DNS', { skip: missing.length > 0 ? `not installed: ${missing.join(', ')}` : false }, () => {
  let knot: ChildProcess
  let server: { host: string; port: number }

  before(async () => {
    const folder = temporaryFolder('sallyport-knot-')
    server = { host: '127.0.0.1', port: await freePort() }
    mkdirSync(path.join(folder, 'run'))
    const zone = (name: string, more: string) => `$ORIGIN ${name}.
$TTL 1
@ SOA ns1 admin 1 3600 600 86400 1
@ NS ns1
ns1 A 127.0.0.1
${more}`
    writeFileSync(
      path.join(folder, 'example.test.zone'),
      zone(
        'example.test',
        '_acme-challenge.away CNAME a.proofs.test.\n_acme-challenge.moved CNAME a.proofs\n_acme-challenge.circle CNAME circle\ncircle CNAME _acme-challenge.circle\n',
      ),
    )
    writeFileSync(path.join(folder, 'proofs.test.zone'), zone('proofs.test', ''))
    writeFileSync(
      path.join(folder, 'knot.conf'),
      `server:
    listen: 127.0.0.1@${server.port}
    rundir: ${folder}/run
database:
    storage: ${folder}/run
log:
  - target: stderr
    any: warning
key:
${Object.entries(secrets)
  .map(([id, [algorithm, secret]]) => `  - id: ${id}\n    algorithm: ${algorithm}\n    secret: ${secret}\n`)
  .join('')}acl:
  - id: update
    key: [acme-update, acme-update-512]
    action: update
template:
  - id: default
    storage: ${folder}
    file: "%s.zone"
    zonefile-sync: -1
    acl: update
zone:
  - domain: example.test
  - domain: proofs.test
`,
    )
    knot = spawn('/usr/sbin/knotd', ['-c', path.join(folder, 'knot.conf')], { stdio: 'ignore' })
    await listening(server.port)
  })

  after(() => {
    knot.kill()
  })

  const provider = (key: keyof typeof secrets | null, more: Partial<Rfc2136Options> = {}) =>
    rfc2136Provider({
      server,
      zone: null,
      tsig: key === null ? null : { name: key, algorithm: secrets[key][0], secret: secrets[key][1] },
      timeoutMs: 10_000,
      ...more,
    })
  const texts = async (name: string) => [...(await textAt(server, name, false, never))].sort()

  test('values are added and removed one by one, with either algorithm', async () => {
    for (const key of ['acme-update', 'acme-update-512'] as const) {
      const by = provider(key)
      await by.set('_acme-challenge.a.example.test', 'one', never)
      await by.set('_acme-challenge.a.example.test', 'two', never)
      assert.deepEqual(await texts('_acme-challenge.a.example.test'), ['one', 'two'])
      await by.unset('_acme-challenge.a.example.test', 'one', never)
      assert.deepEqual(await texts('_acme-challenge.a.example.test'), ['two'])
      await by.unset('_acme-challenge.a.example.test', 'two', never)
      assert.deepEqual(await texts('_acme-challenge.a.example.test'), [])
    }
  })

  test('the zone is found; one that is not there is said', async () => {
    const query = (name: string) => ask(server, name, 'SOA', false, never)
    assert.equal(await zoneOf(query, '_acme-challenge.deep.below.example.test'), 'example.test')
    await provider('acme-update', { zone: 'example.test' }).set('x.example.test', 'v', never)
    await assert.rejects(provider('acme-update').set('x.other.test', 'v', never), /REFUSED/)
    await assert.rejects(
      provider('acme-update', { zone: 'proofs.test' }).set('x.example.test', 'v', never),
      /x\.example\.test is not in the zone proofs\.test/,
    )
  })

  test('a wrong secret, an unknown key, a key without leave, and none', async () => {
    const secret = Buffer.from('wrong').toString('base64')
    const wrong = { tsig: { name: 'acme-update', algorithm: 'hmac-sha256', secret } } as const
    await assert.rejects(provider(null, wrong).set('x.example.test', 'v', never), /BADSIG/)
    const unknown = { tsig: { name: 'nobody', algorithm: 'hmac-sha256', secret } } as const
    await assert.rejects(provider(null, unknown).set('x.example.test', 'v', never), /BADKEY/)
    await assert.rejects(provider('reader').set('x.example.test', 'v', never), /BADKEY/)
    await assert.rejects(provider(null).set('x.example.test', 'v', never), /refuses to update example\.test/)
  })

  test('aliases are followed, and circles end', async () => {
    assert.equal(await followAliases([server], '_acme-challenge.away.example.test', never), 'a.proofs.test')
    assert.equal(
      await followAliases([server], '_acme-challenge.plain.example.test', never),
      '_acme-challenge.plain.example.test',
    )
    await assert.rejects(followAliases([server], '_acme-challenge.circle.example.test', never), /in a circle/)
  })

  test('a certificate from Pebble for a wildcard, its apex, and a name whose proof is elsewhere', {
    skip: pebbleIsMissing,
  }, async () => {
    const ca = testCa()
    const pebble = await startPebble({ ca, dns: `127.0.0.1:${server.port}`, ownAnswers: true })
    const http = httpClient({ ca: ca.certificatePem })
    try {
      let kept: string | null = null
      const solver = dnsSolver({
        provider: provider('acme-update'),
        resolvers: [server],
        propagation: { timeoutMs: 10_000, waitMs: 0 },
        everyMs: 20,
        warn: message => assert.fail(message),
      })
      const issuer = acmeIssuer({
        directory: pebble.directory,
        http,
        account: {
          store: { load: async () => kept, save: async text => void (kept = text) },
          email: null,
          externalAccount: null,
        },
        solvers: [solver],
        profile: null,
        preferredChain: null,
        deadlineMs: 30_000,
        pace: { firstMs: 20, mostMs: 1_000 },
      })
      const names = ['example.test', '*.example.test', 'moved.example.test']
      const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      const order = { names, csrDer: buildCsr(names, key), replaces: null, pending: null, progress: async () => {} }
      const leaf = new X509Certificate(await issuer.issue(order, never))
      for (const name of names) assert.ok(leaf.subjectAltName?.split(', ').includes(`DNS:${name}`))
      for (const name of ['_acme-challenge.example.test', 'a.proofs.example.test'])
        assert.deepEqual(await texts(name), [])
    } finally {
      http.close()
      pebble.stop()
    }
  })
})
