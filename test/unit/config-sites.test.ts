/** Sites: hosts in one form, one ending each, certificates where TLS ends and only there. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseHostName, siteHost } from '../../src/config/engine/forms.ts'
import { around, load, problemsOf } from './config-folder.ts'

const first = async (yaml: string) => (await problemsOf(yaml)).map(problem => problem.split('\n')[0])
const sites = (...lines: string[]) =>
  `listen: [{ port: 443 }]\nsites:\n${lines.map(line => `  - ${line}\n`).join('')}`

describe('hosts', () => {
  it('have one form: lower case, punycode, no final dot', async () => {
    const host = '[Shop.Example.COM., "*.Bücher.example", 192.0.2.1, "[2001:DB8:0::1]", "::1", a_b.test]'
    const { config } = await load(sites(`{ host: ${host}, certificate: local, to: http://b.test }`))
    assert.deepEqual(config.sites[0]!.hosts, [
      'shop.example.com',
      '*.xn--bcher-kva.example',
      '192.0.2.1',
      '[2001:db8::1]',
      '[::1]',
      'a_b.test',
    ])
    assert.equal(config.sites[0]!.name, 'shop.example.com')
  })
  it('that are not one are refused', () => {
    const wrong = [
      '',
      '*',
      '*.',
      '**.a.test',
      'a.*.test',
      'a*.test',
      '*.*.test',
      'a..b',
      '-a.test',
      'a-.test',
      'a b',
      'a/b',
      '.',
    ]
    wrong.push(
      'http://a.test',
      'a.test:443',
      '10.0.1',
      '1',
      `${'a'.repeat(64)}.test`,
      `${'a.'.repeat(127)}test`,
      'a%2eb',
      '\u0000',
    )
    for (const host of wrong) assert.ok('wrong' in siteHost(host), host)
    assert.equal(parseHostName('ｅxample.test'), 'example.test')
    assert.equal(parseHostName('a。b'), 'a.b')
    assert.equal(parseHostName('a／b'), null)
  })
  it('belong to one site, however they are written', async () => {
    assert.deepEqual(
      await first(
        sites(
          '{ host: [a.test, A.test], certificate: local, to: http://b.test }',
          '{ host: bücher.test, certificate: local, to: http://b.test }',
          '{ host: [c.test, XN--bcher-kva.test.], certificate: local, to: http://b.test }',
        ),
      ),
      [
        'sallyport.yaml:3:22: a.test already belongs to this site',
        'sallyport.yaml:5:22: xn--bcher-kva.test already belongs to the site at sites[1] (line 4)',
      ],
    )
  })
  it('of at most one site are the default', async () => {
    assert.deepEqual(
      await first(
        sites(
          '{ host: a.test, default: true, certificate: local, to: http://b.test }',
          '{ host: b.test, default: true, certificate: local, to: http://b.test }',
        ),
      ),
      ['sallyport.yaml:4:30: two sites are the default'],
    )
  })
})

describe('a site', () => {
  it('ends in exactly one way', async () => {
    assert.deepEqual(
      await first(
        sites(
          '{ host: a.test, certificate: local }',
          '{ host: b.test, certificate: local, to: http://b.test, tcp: { to: b.test:1 } }',
          '{ host: c.test, certificate: local, routes: [{ match: { path: /a } }, { to: http://b.test, respond: {} }] }',
        ),
      ),
      [
        'sallyport.yaml:3:5: a site has one of to, routes, passthrough and tcp',
        'sallyport.yaml:4:60: a site has only one of to, routes, passthrough and tcp',
        'sallyport.yaml:5:50: a route has one of to, files, redirect and respond',
        'sallyport.yaml:5:96: a route has only one of to, files, redirect and respond',
      ],
    )
  })
  it('has a certificate where TLS ends, and none where it passes through', async () => {
    assert.deepEqual(
      await first(
        sites(
          '{ host: a.test, to: http://b.test }',
          '{ host: b.test, tcp: { to: b.test:1 } }',
          '{ host: c.test, certificate: local, policy: modern, passthrough: { to: b.test:1 } }',
          '{ host: d.test, certificate: acmee, to: http://b.test }',
          '{ host: e.test, certificate: [], to: http://b.test }',
          '{ host: f.test, certificate: { chain: . }, to: http://b.test }',
        ),
      ),
      [
        'sallyport.yaml:3:5: certificate is missing',
        'sallyport.yaml:4:5: certificate is missing',
        'sallyport.yaml:5:21: a passthrough site is never decrypted and has no certificate',
        'sallyport.yaml:5:41: a passthrough site has no TLS policy',
        'sallyport.yaml:6:34: certificate takes acme, local or vault, not "acmee"',
        'sallyport.yaml:7:34: certificate is empty',
        'sallyport.yaml:8:34: key is missing',
        'sallyport.yaml:8:43: . is a folder',
      ],
    )
  })
  it('may have none behind cleartext listeners, which tcp and passthrough cannot be', async () => {
    const { config, warnings } = await load(
      'listen: [{ port: 80, address: 127.0.0.1, cleartext: serve }]\nsites: [{ host: a.test, to: http://b.test }, { host: b.test, passthrough: { to: b.test:1 } }]',
    )
    assert.equal(config.sites[0]!.certificate, null)
    assert.deepEqual(
      warnings.map(warning => warning.message),
      ['this site is never reached: passthrough needs TLS, and no listener ends TLS for it'],
    )
  })
  it('of layer 4 is told that fingerprints are not forwarded there', async () => {
    const { warnings } = await load(
      sites('{ host: a.test, passthrough: { to: b.test:1 }, ja4: { forward: true, block: [t13d1516h2_*] } }'),
    )
    assert.deepEqual(
      warnings.map(({ path, message }) => [path, message]),
      [
        [
          'sites[0].ja4.forward',
          'ja4.forward is for requests, and a passthrough site serves no HTTP: it has no effect',
        ],
      ],
    )
  })
  it('that asks for client certificates and does not say whose is refused, never served without', async () => {
    for (const clients of ['{ verify: require }', 'off', '{}', '']) {
      const found = await first(
        sites(`{ host: a.test, certificate: local, clients: ${clients}, to: http://b.test }`),
      )
      assert.match(found[0] ?? '', /: (ca is missing|clients (takes a map|has no value))/, clients)
    }
  })
})

describe('listeners', () => {
  const site = 'sites: [{ host: a.test, certificate: local, to: http://b.test }]'
  it('do not take the same address and port', async () => {
    const yaml = `listen:\n  - { port: 443 }\n  - { port: 443, address: 127.0.0.1 }\n  - { port: 0 }\n  - { port: 0 }\n  - { port: 8443, address: 127.0.0.1 }\n  - { port: 8443, address: 127.0.0.2 }\n  - { port: 8443, address: 0.0.0.0 }\n${site}`
    assert.deepEqual(await problemsOf(yaml), [
      'sallyport.yaml:3:5: another listener already has [::]:443\nthe first is on line 2; "::" takes IPv4 too',
      'sallyport.yaml:8:5: another listener already has 127.0.0.1:8443\nthe first is on line 6',
    ])
  })
  it('have an IP address, a port, and ranges of trusted peers', async () => {
    const yaml = `listen:\n  - { port: 1, address: localhost }\n  - { address: "::1" }\n  - { port: "443" }\n  - { port: 2, proxyProtocol: { from: [10.0.0.0/33, a.test, 10.0.0.1/8/8] } }\n  - { port: 3, proxyProtocol: {} }\n${site}`
    assert.deepEqual(await first(yaml), [
      'sallyport.yaml:2:25: localhost is not an IP address',
      'sallyport.yaml:3:5: port is missing',
      'sallyport.yaml:4:13: port takes a whole number, not "443"',
      'sallyport.yaml:5:40: 10.0.0.0/33: the prefix of an IPv4 range is 0 to 32 bits',
      'sallyport.yaml:5:53: a.test is not an address or a range',
      'sallyport.yaml:5:61: 10.0.0.1/8/8 is not an address or a range',
      'sallyport.yaml:6:31: from is missing',
    ])
    const { config } = await load(
      `listen: [{ port: 1, proxyProtocol: { from: [192.0.2.1, "2001:db8::/32"] } }]\n${site}`,
    )
    assert.deepEqual(config.listen[0]!.proxyProtocol, { from: ['192.0.2.1/32', '2001:db8::/32'] })
  })
  it('that serve without TLS to others are noted', async () => {
    const { warnings } = await load(`listen: [{ port: 80, cleartext: serve }, { port: 443 }]\n${site}`)
    assert.deepEqual(
      warnings.map(warning => [warning.severity, warning.path]),
      [['note', 'listen[0].cleartext']],
    )
  })
})

describe('clients by their certificates', () => {
  for (const where of [
    'clients: { ca: ca.pem, allow: [MATCH] }\nto: http://b.test',
    'clients: { ca: ca.pem }\nroutes: [{ match: { client: [MATCH] }, to: http://b.test }]',
  ])
    for (const wrong of [
      '{ san: "*.internal" }',
      '{ san: "a*.internal" }',
      '{ dn: "CN=*.internal,O=Shop" }',
      '{ dn: "*,O=Shop" }',
      '{ spiffe: "spiffe://*.example.org/x" }',
      '{ spiffe: "spiffe://example.org/*/web" }',
    ])
      it(`says that a * is a wildcard only at the end: ${wrong}`, async () => {
        const found = await problemsOf(around(where.replace('MATCH', wrong)), {}, { 'ca.pem': 'x' })
        assert.equal(found.length, 1)
        assert.match(
          found[0] as string,
          /\nas in.*; a \* is a wildcard only at the end|\na \* is a wildcard only at the end/,
        )
      })

  it('holds names of clients as certificates are read: DNS names in lower case', async () => {
    const text = around(
      'clients: { ca: ca.pem, allow: [{ san: "Pay.Internal" }, { san: "spiffe://a.test/Web*" }] }\nto: http://b.test',
    )
    const { config } = await load(text, {}, { 'ca.pem': 'x' })
    assert.deepEqual(
      config.sites[0]?.clients?.allow.map(({ san }) => san),
      ['pay.internal', 'spiffe://a.test/Web*'],
    )
  })
})
