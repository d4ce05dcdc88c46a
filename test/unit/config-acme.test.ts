/** The `acme` section: what it may say, what it means when little is said, and every mistake with its place. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AcmeConfig } from '../../src/config/config.ts'
import { load, problemsOf } from './config-folder.ts'

const listeners = 'listen: [{ port: 443 }, { port: 80, cleartext: redirect }]\n'
const site = (host: string, rest = '') =>
  `sites: [{ host: ${host}, certificate: acme, to: http://b.test ${rest}}]\n`
const files = { 'ca.pem': 'x', 'dns.sh': 'x' }

const read = async (acme: string, host = 'a.example.com', listen = listeners) => {
  const { config, warnings } = await load(`${listen}${site(host)}${acme}`, {}, files)
  return { acme: config.acme as AcmeConfig, warnings: warnings.map(one => one.message) }
}
const wrong = async (acme: string, host = 'a.example.com', listen = listeners) =>
  (await problemsOf(`${listen}${site(host)}${acme}`, {}, files)).map(problem =>
    (problem.split('\n')[0] as string).replace(/^sallyport\.yaml:/, ''),
  )

describe('acme', () => {
  it('is not called idle because the site that asks for it has a mistake', async () => {
    assert.deepEqual(await wrong('acme: { email: ops@example.com }', '"a b"'), [
      (await wrong('', '"a b"'))[0] as string,
    ])
  })

  it("means Let's Encrypt, its staging, and both challenges, when nothing is written", async () => {
    const { acme, warnings } = await read('')
    assert.deepEqual(acme, {
      issuers: [
        {
          directory: 'https://acme-v02.api.letsencrypt.org/directory',
          email: null,
          caFile: null,
          externalAccount: null,
          profile: null,
          preferredChain: null,
          staging: 'https://acme-staging-v02.api.letsencrypt.org/directory',
        },
      ],
      challenges: ['tls-alpn-01', 'http-01'],
      dns: null,
      keys: ['ecdsa'],
      renewBeforeMs: null,
      onDemand: null,
    })
    assert.deepEqual(warnings, ['no e-mail address for the ACME account'])
  })

  it('is nothing where no site asks, and says so where it is written', async () => {
    const text = 'listen: [{ port: 443 }]\nsites: [{ host: a.test, certificate: local, to: http://b.test }]\n'
    assert.equal((await load(text)).config.acme, null)
    const { config, warnings } = await load(`${text}acme: { email: a@b.example }\n`)
    assert.equal(config.acme?.issuers[0]?.email, 'a@b.example')
    assert.match(warnings[0]?.message ?? '', /no site has certificate: acme/)
  })

  it('takes everything there is', async () => {
    const { acme, warnings } = await read(
      `acme:
  email: ops@example.com
  directory: https://acme.example/dir
  ca: ca.pem
  challenges: [http-01, dns-01]
  dns:
    provider: rfc2136
    server: "[2001:db8::1]:5353"
    zone: example.com
    tsig: { name: Key.Example., algorithm: hmac-sha512, secret: "c2VjcmV0c2VjcmV0" }
    resolvers: ["192.0.2.53", "192.0.2.54:5353"]
    propagation: { timeout: 5m, wait: 10s }
  profile: shortlived
  keys: [ecdsa, rsa]
  externalAccount: { keyId: kid-1, key: "AAAA+/==" }
  fallback:
    - { directory: https://other.example/dir, ca: ca.pem }
    - { directory: http://127.0.0.1:14000/dir, email: other@example.com, profile: default }
  staging: https://staging.example/dir
  preferredChain: Some Root
  renewBefore: 90d
  onDemand: { ask: "http://127.0.0.1:5555/ask", allow: "*.Shop.example", perMinute: 2, burst: 3, maxPending: 4 }
`,
      '[a.example.com, "*.example.com"]',
    )
    assert.deepEqual(warnings, [])
    assert.deepEqual(acme.dns, {
      provider: {
        kind: 'rfc2136',
        timeoutMs: 60_000,
        server: { host: '2001:db8::1', port: 5353 },
        zone: 'example.com',
        tsig: { name: 'key.example', algorithm: 'hmac-sha512', secret: 'c2VjcmV0c2VjcmV0' },
      },
      resolvers: [
        { host: '192.0.2.53', port: 53 },
        { host: '192.0.2.54', port: 5353 },
      ],
      propagation: { timeoutMs: 300_000, waitMs: 10_000 },
    })
    assert.deepEqual(
      acme.issuers.map(one => [one.directory, one.email, one.profile, one.staging, one.preferredChain]),
      [
        ['https://acme.example/dir', 'ops@example.com', 'shortlived', 'https://staging.example/dir', 'Some Root'],
        ['https://other.example/dir', 'ops@example.com', null, null, null],
        ['http://127.0.0.1:14000/dir', 'other@example.com', 'default', null, null],
      ],
    )
    assert.deepEqual(acme.issuers[0]?.externalAccount, { keyId: 'kid-1', key: 'AAAA-_' })
    assert.deepEqual([acme.keys, acme.renewBeforeMs], [['ecdsa', 'rsa'], 90 * 86_400_000])
    assert.deepEqual(acme.onDemand, {
      ask: 'http://127.0.0.1:5555/ask',
      allow: ['*.shop.example'],
      perMinute: 2,
      burst: 3,
      maxPending: 4,
    })
  })

  it('has dns-01 as its challenge where dns is given, and each provider its own keys', async () => {
    const dns = async (text: string) =>
      (await read(`acme: { email: a@b.example, dns: ${text} }\n`, '"*.example.com"')).acme
    assert.deepEqual((await dns('{ provider: program, program: dns.sh }')).challenges, ['dns-01'])
    const hook = await dns(
      '{ provider: webhook, url: "https://h.example/x?k=1", token: t, ca: ca.pem, timeout: 5s }',
    )
    assert.deepEqual(
      { ...hook.dns?.provider, caFile: '' },
      {
        kind: 'webhook',
        timeoutMs: 5_000,
        url: 'https://h.example/x?k=1',
        token: 't',
        secret: null,
        caFile: '',
      },
    )
    const own = await dns(
      '{ provider: acme-dns, url: "https://d.example", username: u, password: p, subdomain: s }',
    )
    assert.equal(own.dns?.provider.kind, 'acme-dns')
    assert.deepEqual(
      await wrong('acme: { email: a@b.example, dns: { provider: acme-dns, url: "ftp://x", token: t } }\n'),
      [
        '3:34: the provider acme-dns needs username',
        '3:34: the provider acme-dns needs password',
        '3:34: the provider acme-dns needs subdomain',
        '3:61: this is not an http or https URL',
        '3:72: token is for webhook, and the provider is acme-dns',
      ],
    )
  })

  it('names mistakes where they are, and repeats no secret', async () => {
    const secret = 'hunter two'
    const found = await wrong(`acme:
  email: nobody
  directory: http://acme.example/dir
  challenges: [dns-01, dns-01]
  profile: "a b"
  externalAccount: { keyId: k, key: "${secret}" }
  fallback: [{ directory: not-a-url }]
  keys: [ecdsa, ecdsa]
  renewBefore: 400d
  onDemand: {}
`)
    assert.ok(!found.join().includes(secret))
    assert.deepEqual(found, [
      '4:10: "nobody" is not one e-mail address',
      '5:14: http://acme.example/dir: an ACME directory is reached over https',
      '6:15: a challenge is listed twice',
      '6:15: dns-01 needs dns',
      '7:12: "a b" is not a profile\'s name',
      '8:37: the key is not base64url, as the CA gave it',
      '9:27: not-a-url is not the URL of an ACME directory',
      '10:9: a key type is listed twice',
      '11:16: renewBefore is 1ms to 365d, not 400d',
      '12:13: onDemand needs ask, allow, or both',
    ])
  })

  it('asks for what its challenges need', async () => {
    const only = 'listen: [{ port: 443 }]\n'
    assert.deepEqual((await read('', 'a.example.com', only)).acme.challenges, ['tls-alpn-01'])
    assert.deepEqual(await wrong('acme: { email: a@b.example, challenges: [http-01] }\n', 'a.example.com', only), [
      '3:41: http-01 needs a cleartext listener',
    ])
    assert.deepEqual(await wrong('', '"*.example.com"'), [
      '2:17: *.example.com: a wildcard certificate needs the dns-01 challenge',
      '2:34: warning: no e-mail address for the ACME account',
    ])
    // On demand, the names under it have certificates of their own.
    const { acme } = await read(
      'acme: { email: a@b.example, onDemand: { allow: "*.example.com" } }\n',
      '"*.example.com"',
    )
    assert.deepEqual(acme.challenges, ['tls-alpn-01', 'http-01'])
    const ports = 'listen: [{ port: 8443 }, { port: 8080, cleartext: redirect }]\n'
    const { warnings } = await read(
      'acme: { email: a@b.example, challenges: [tls-alpn-01, http-01] }\n',
      'a.example.com',
      ports,
    )
    assert.equal(warnings.length, 2)
    assert.match(warnings.join(), /comes to port 443.*comes to port 80/)
    // Of the usual ones, one that the CA can reach is enough.
    const some = (listen: string) => read('acme: { email: a@b.example }\n', 'a.example.com', listen)
    assert.deepEqual((await some('listen: [{ port: 443 }, { port: 8080, cleartext: redirect }]\n')).warnings, [])
    assert.equal((await some(ports)).warnings.length, 2)
  })

  it('refuses names with an underscore at a public CA, and leaves a private one and the local CA alone', async () => {
    const said = /: no public CA issues a certificate for a name with an underscore/
    for (const host of ['_x.example.com', 'a_b.example.com']) assert.match((await wrong('', host)).join(), said)
    const privately = 'acme: { email: a@b.example, directory: https://ca.internal/dir }\n'
    assert.deepEqual(await wrong(privately, 'a_b.example.com'), [])
  })

  it("warns of names that Let's Encrypt will not have, and leaves a private CA alone", async () => {
    const hosts = '[localhost, db.internal, 192.0.2.7]'
    const { warnings } = await read('acme: { email: a@b.example }\n', hosts)
    assert.deepEqual(warnings, [
      'localhost: no public CA issues for this name',
      'db.internal: no public CA issues for this name',
      "192.0.2.7: Let's Encrypt issues for public IP addresses only, and with profile: shortlived",
    ])
    assert.deepEqual(
      (await read('acme: { email: a@b.example, directory: https://ca.internal/dir }\n', hosts)).warnings,
      [],
    )
  })
})
