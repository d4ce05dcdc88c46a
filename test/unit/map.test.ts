/** The map of where traffic is plaintext: patterns, hops, what is missing, and what `--require` finds. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { demoConfig, exampleBackends } from '../../examples/demo/config.ts'
import type { Path } from '../../src/cli/map/hops.ts'
import { mapOf, shortfalls } from '../../src/cli/map/model.ts'
import { servicesOf } from '../../src/cli/map/services.ts'
import { mapSvg } from '../../src/cli/map/svg.ts'
import { mapText } from '../../src/cli/map/text.ts'
import { loadConfig } from '../../src/config/load.ts'
import { configShape } from '../../src/config/schema.ts'
import { withFolder } from './config-folder.ts'

const tls = 'tls: { ca: ca.pem, serverName: in.test, certificate: { chain: c.pem, key: k.pem } }'

async function pathsOf(sites: string, listen = '{ port: 443 }'): Promise<Path[]> {
  const files = {
    'sallyport.yaml': `listen: [${listen}]\nsites:\n${sites}`,
    'ca.pem': 'x',
    'c.pem': 'x',
    'k.pem': 'x',
  }
  return withFolder(files, async cwd => mapOf((await loadConfig({ cwd })).config))
}

const site = (rest: string) => `  - { host: a.test, certificate: local, ${rest} }`

describe('the map', () => {
  it('names the pattern of each mode', async () => {
    const paths = await pathsOf(
      [
        site('to: http://10.0.0.1:80'),
        '  - { host: b.test, certificate: local, to: https://10.0.0.1:443 }',
        '  - { host: c.test, passthrough: { to: 10.0.0.1:443 } }',
        '  - { host: d.test, certificate: local, tcp: { to: 10.0.0.1:5432 } }',
        '  - { host: e.test, certificate: local, routes: [{ respond: {} }] }',
      ].join('\n'),
    )
    assert.deepEqual(
      paths.map(path => [path.site, path.pattern, path.hops.length]),
      [
        ['a.test', 'edge', 2],
        ['b.test', 'bridge', 2],
        ['c.test', 'passthrough', 2],
        ['d.test', 'unwrap', 2],
        ['e.test', 'answered here', 1],
      ],
    )
    assert.deepEqual(paths[2]?.plaintext, [])
    assert.ok(paths.every(path => path.pattern === 'passthrough' || path.plaintext.includes('in the gateway')))
  })

  it('says what is missing, by name', async () => {
    const yaml = `${site('to: orders')}\nupstreams: { orders: { endpoints: http://10.0.0.1:80 } }`
    const [path] = await pathsOf(yaml)
    assert.ok(
      path?.missing.includes('to reach end-to-end: give upstream orders https:// endpoints and tls: { ca }'),
    )
    assert.ok(path?.missing.includes('for mutual TLS with clients: give a.test clients: { ca, verify: require }'))
    const [best] = await pathsOf(site(`clients: { ca: ca.pem }, to: { endpoints: https://10.0.0.1:443, ${tls} }`))
    assert.deepEqual(best?.missing, [])
  })

  it('says by what a backend is verified', async () => {
    const told = async (tls: string) => {
      const [path] = await pathsOf(site(`to: { endpoints: https://10.0.0.1:443, tls: { ca: ca.pem, ${tls} } }`))
      return path?.hops[1]?.verified.replace(/\S+\/ca\.pem/, 'ca.pem').split(';')[0]
    }
    assert.equal(await told('serverName: in.test'), 'verified as in.test by ca.pem')
    assert.equal(
      await told('spiffe: [spiffe://a.test/x, spiffe://a.test/y/*]'),
      'verified by SPIFFE id spiffe://a.test/x or spiffe://a.test/y/*, signed by ca.pem',
    )
    assert.equal(
      await told('serverName: in.test, spiffe: spiffe://a.test/x'),
      'verified by SPIFFE id spiffe://a.test/x and as in.test, signed by ca.pem',
    )
  })

  it('shows cleartext listeners, and as one hop what they refuse for sites that ask for a certificate', async () => {
    const listen = '{ port: 443 }, { port: 80, cleartext: serve }, { port: 81, cleartext: redirect }'
    const open = await pathsOf(site('to: http://127.0.0.1:1'), listen)
    assert.deepEqual(
      open.map(path => path.pattern),
      ['edge', 'cleartext', 'redirect'],
    )
    const guarded = await pathsOf(site('clients: { ca: ca.pem }, to: http://127.0.0.1:1'), listen)
    assert.deepEqual(
      guarded.map(path => path.pattern),
      ['edge', 'redirect', 'cleartext'],
    )
    assert.equal(guarded[2]?.site, 'refused')
  })

  const judged: Record<string, [string, boolean, boolean, boolean]> = {
    // end-to-end, no-plaintext-offhost, mtls
    'plain HTTP to another host': ['to: http://10.0.0.1:80', false, false, false],
    'plain HTTP on this host': ['to: http://127.0.0.1:80', false, true, false],
    'verified TLS': ['to: https://10.0.0.1:443', true, true, false],
    'TLS that is not verified': [
      'to: { endpoints: https://10.0.0.1:443, tls: { verify: false } }',
      false,
      true,
      false,
    ],
    'mutual TLS on both sides': [
      `clients: { ca: ca.pem }, to: { endpoints: https://10.0.0.1:443, ${tls} }`,
      true,
      true,
      true,
    ],
    'mutual TLS with clients that may have none': [
      `clients: { ca: ca.pem, verify: optional }, to: { endpoints: https://10.0.0.1:443, ${tls} }`,
      true,
      true,
      false,
    ],
  }
  for (const [name, [rest, ...expected]] of Object.entries(judged)) {
    it(`judges ${name}`, async () => {
      const paths = await pathsOf(site(rest))
      const found = (['end-to-end', 'no-plaintext-offhost', 'mtls'] as const).map(
        requirement => shortfalls(paths, requirement).length === 0,
      )
      assert.deepEqual(found, expected)
    })
  }

  it('draws passthrough as what the gateway cannot check', async () => {
    const paths = await pathsOf('  - { host: c.test, passthrough: { to: 10.0.0.1:443 } }')
    const states = paths[0]?.hops.map(hop => [hop.encrypted, hop.serverVerified])
    assert.deepEqual(states, [
      [null, null],
      [null, null],
    ])
    const text = mapText(paths)
    assert.match(text, /client ==as is=> gateway ==as is=> 10\.0\.0\.1:443/)
    assert.match(text, /0 encrypted, .* 2 not decrypted here; 0 in the open/)
    assert.equal(mapSvg(paths).match(/<path class="asis" d="M\d+ \d+H/g)?.length, 2)
    assert.deepEqual(shortfalls(paths, 'end-to-end'), [])
    assert.equal(shortfalls(paths, 'mtls').length, 2)
  })

  it('does not take a name that begins like a loopback address for this host', async () => {
    const paths = await pathsOf(site('to: http://127.example.com:80'))
    assert.equal(shortfalls(paths, 'no-plaintext-offhost').length, 1)
  })

  it('says where keys are', async () => {
    const keyOf = async (top: string, certificate: string) =>
      (await pathsOf(`  - { host: a.test, certificate: ${certificate}, to: https://10.0.0.1 }\n${top}`))[0]?.hops[0]
        ?.key
    const acme = 'acme: { directory: https://ca.test/d }'
    const redis = 'storage: { redis: rediss://redis.test }'
    const vault = 'vault: { address: https://v.test, role: r, auth: { token: t } }'
    assert.equal(await keyOf(acme, 'acme'), 'the gateway (in its state folder, for ACME)')
    assert.equal(await keyOf(`${acme}\n${redis}`, 'acme'), 'the gateway (in its storage, for ACME)')
    assert.equal(await keyOf(vault, 'vault'), 'the gateway (in its state folder, for Vault)')
    assert.equal(await keyOf('', 'local'), 'the gateway (issued by its local CA)')
  })

  /** Of the hops of the gateway itself: what is configured, and what falls short of each requirement. */
  const acme = (rest: string) => `acme: { email: a@b.test, directory: https://ca.test/d${rest} }`
  const services: Record<
    string,
    {
      top?: string
      listen?: string
      certificate?: string
      clients?: string
      short: readonly [RegExp | null, RegExp | null, RegExp | null]
    }
  > = {
    'a redirect listener': {
      listen: '{ port: 443 }, { port: 80, cleartext: redirect }',
      short: [
        /^redirect: client to gateway: HTTP in the open, port 80/,
        /port 80.*off this host/,
        /no verification/,
      ],
    },
    'a cleartext listener that refuses the only site': {
      listen: '{ port: 443 }, { port: 80, cleartext: serve }',
      short: [
        /^refused: client to gateway: HTTP in the open, port 80/,
        /port 80.*off this host/,
        /^refused: client to gateway: no verification/,
      ],
    },
    'unsealed Redis elsewhere': {
      top: 'storage: { redis: "redis://10.0.0.9" }',
      short: [
        /^storage: gateway to 10\.0\.0\.9:6379: Redis in the open/,
        /Redis in the open, off this host/,
        /Redis in the open/,
      ],
    },
    'unsealed Redis here': { top: 'storage: { redis: "redis://127.0.0.1" }', short: [null, null, null] },
    'sealed Redis elsewhere': {
      top: 'storage: { redis: "redis://10.0.0.9", seal: { passphrase: aaaaaaaaaaaaaaaaaaaa } }',
      short: [/no verification; values are sealed/, null, /no verification; values are sealed/],
    },
    'sealed Redis elsewhere, with a password': {
      top: 'storage: { redis: "redis://10.0.0.9", password: p, seal: { passphrase: aaaaaaaaaaaaaaaaaaaa } }',
      short: [/the password with it/, /the password with it, off this host/, /the password/],
    },
    'Redis over TLS': { top: 'storage: { redis: "rediss://10.0.0.9" }', short: [null, null, null] },
    'admin everywhere': {
      top: 'admin: { listen: { port: 9090, address: 0.0.0.0 } }',
      short: [/^admin: scrapers to gateway: HTTP in the open, port 9090/, /port 9090, off this host/, /port 9090/],
    },
    'admin everywhere, with a token': {
      top: 'admin: { listen: { port: 9090, address: "::" }, token: tttttttttttttttttttt }',
      short: [/the token with it/, /the token with it, off this host/, /the token with it/],
    },
    'admin here': { top: 'admin: { listen: { port: 9090, address: 127.0.0.1 } }', short: [null, null, null] },
    'a public CA': { certificate: 'acme', top: acme(''), short: [null, null, null] },
    'a question before a certificate on demand': {
      certificate: 'acme',
      top: acme(', onDemand: { ask: "http://10.0.0.9/may" }'),
      short: [/^acme\.onDemand\.ask: gateway to 10\.0\.0\.9:80/, /off this host/, /HTTP in the open/],
    },
    'DNS UPDATE': {
      certificate: 'acme',
      top: acme(
        ', challenges: [dns-01], dns: { provider: rfc2136, server: "10.0.0.9:53", tsig: { name: k, secret: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= } }',
      ),
      short: [
        /^acme\.dns: gateway to 10\.0\.0\.9:53: DNS UPDATE in the open, signed/,
        /off this host/,
        /DNS UPDATE/,
      ],
    },
    'a DNS webhook': {
      certificate: 'acme',
      top: acme(', challenges: [dns-01], dns: { provider: webhook, url: "http://10.0.0.9/dns" }'),
      short: [/^acme\.dns: gateway to 10\.0\.0\.9:80/, /off this host/, /HTTP in the open/],
    },
    'Vault over TLS': {
      certificate: 'vault',
      top: 'vault: { address: https://v.test, role: r, auth: { token: t } }',
      short: [null, null, null],
    },
    'alerts over HTTP': {
      top: 'alerts: { url: "http://10.0.0.9/hook", token: t }',
      short: [/^alerts: gateway to 10\.0\.0\.9:80: HTTP in the open/, /off this host/, /HTTP in the open/],
    },
    'alerts over TLS': { top: 'alerts: { url: "https://10.0.0.9/hook" }', short: [null, null, null] },
    'revocation lists over HTTP': {
      clients: ', crl: "http://10.0.0.9/ca.crl"',
      short: [/^clients\.crl: gateway to 10\.0\.0\.9:80/, /off this host/, /HTTP in the open/],
    },
    'http-01 challenges of the internal CA': {
      top: 'ca: { acme: { listen: { port: 9443, address: 0.0.0.0 }, host: ca.test, challenges: http-01 } }',
      short: [/^ca\.acme: gateway to port 80 of names that are ordered/, /off this host/, /HTTP in the open/],
    },
    'the ACME server of the internal CA': {
      top: 'ca: { acme: { listen: { port: 9443, address: 0.0.0.0 }, host: ca.test, challenges: tls-alpn-01 } }',
      short: [null, null, null],
    },
  }
  for (const [name, { top = '', listen, certificate = 'local', clients = '', short }] of Object.entries(services)) {
    it(`judges ${name}`, async () => {
      const to = `clients: { ca: ca.pem${clients} }, to: { endpoints: https://10.0.0.1:443, ${tls} }`
      const paths = await pathsOf(`  - { host: a.test, certificate: ${certificate}, ${to} }\n${top}`, listen)
      for (const [at, requirement] of (['end-to-end', 'no-plaintext-offhost', 'mtls'] as const).entries()) {
        const found = shortfalls(paths, requirement)
        const expected = short[at]
        if (expected === null || expected === undefined) assert.deepEqual(found, [], requirement)
        else {
          assert.equal(found.length, 1, `${requirement}: ${found.join('\n')}`)
          assert.match(found[0] as string, expected, requirement)
        }
      }
      const own = paths.filter(path => path.site !== 'a.test')
      assert.ok(own.length > 0)
      for (const each of own) assert.ok(mapText(paths).includes(`\n${each.site}   ${each.pattern.toUpperCase()}\n`))
    })
  }

  it('shows OCSP where responses are stapled', () => {
    const config = { sites: [{ staple: true, clients: null }], listen: [], storage: { redis: null } }
    const paths = servicesOf({ admin: null, acme: null, vault: null, alerts: null, ca: null, ...config } as never)
    assert.match(
      shortfalls(paths, 'no-plaintext-offhost').join(),
      /^ocsp: gateway to the OCSP responders .* off this host$/,
    )
  })

  it('knows of every part of the configuration whether it is a hop: else add it to services.ts', () => {
    const hops = ['listen', 'sites', 'upstreams', 'storage', 'acme', 'vault', 'alerts', 'admin', 'ca']
    const none = [
      'policy',
      'policies',
      'tickets',
      'log',
      'state',
      'limits',
      'timeouts',
      'filters',
      'workers',
      'defaults',
      'lists',
      'trust',
      'include',
      'snippets',
    ]
    assert.deepEqual(Object.keys(configShape.rows).sort(), [...hops, ...none].sort())
  })

  it('is in the README and in docs/map.svg as the demo has it: else run npm run docs, and copy the text', async () => {
    const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')
    const paths = await withFolder({ '.sallyport/local-ca/ca.pem': 'x' }, async cwd => {
      const state = path.join(cwd, '.sallyport')
      const value = demoConfig(8443, state, path.join(state, 'local-ca/ca.pem'), exampleBackends)
      const { config } = await loadConfig({ value, cwd })
      return mapOf({ ...config, file: path.join(cwd, 'sallyport.config.ts') })
    })
    assert.ok(read('README.md').includes(`\n\`\`\`\n${mapText(paths)}\`\`\`\n`), mapText(paths))
    assert.equal(read('docs/map.svg'), mapSvg(paths))
  })

  it('is drawn as text and as a picture, with nothing of the configuration as markup', async () => {
    const paths = await pathsOf(
      '  - { host: a.test, certificate: local, routes: [{ match: { path: "/<b>&" }, to: http://10.0.0.1:80 }] }',
    )
    assert.match(mapText(paths), /^a\.test\/<b>& {3}EDGE\n {2}client ==TLS==> gateway --PLAIN-> 10\.0\.0\.1:80\n/)
    const svg = mapSvg(paths)
    assert.ok(svg.includes('/&#60;b&#62;&#38;') && !svg.includes('<b>'))
    assert.equal(svg.match(/<path class="good"/g)?.length, 2)
    // Programs that make a bitmap of it draw no CSS background of the root.
    assert.match(svg, /<\/style>\n<rect class="page" width="1060" height="\d+" fill="#fff"\/>/)
    assert.doesNotMatch(svg, /svg \{ background/)
  })
})
