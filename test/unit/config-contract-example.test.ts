/** The configuration of the contract, word for word: accepted, but for exactly what this version cannot do yet. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { problemsOf, withFolder } from './config-folder.ts'

const later = {
  clients: `    clients: { ca: partners.pem, verify: require, crl: partners.crl,     # mutual TLS: off | optional | require
               forward: [client-cert, xfcc, x-client-cert, x-client-dn] }\n`,
  health: ', health: { path: /health }',
}

const example = `listen:
  - port: 443                          # address: "::" by default, which takes IPv4 too
    proxyProtocol: { from: [10.0.0.0/8] }   # PROXY v1/v2 accepted (and then required) from these peers only
  - port: 80
    cleartext: redirect                # ACME http-01 answers, then 308 to https; or "serve"

sites:
  - host: shop.example.com             # edge: TLS in, HTTP out
    certificate: { chain: shop.pem, key: shop.key }
    routes:
      - match: { path: /api/* , method: [GET, POST] }
        to: [http://10.0.0.5:3000, http://10.0.0.6:3000]
      - to: http://10.0.0.7:8080

  - host: [pay.example.com, pay.example.org]     # bridge: TLS in, inspected, TLS out
    certificate: acme
    policy: modern
${later.clients}    to:
      endpoints: [https://10.0.1.5:8443]
      tls: { ca: internal.pem, serverName: pay.internal, certificate: { chain: gw.pem, key: gw.key } }

  - host: "*.bank.example.com"         # passthrough: routed by SNI, never decrypted
    passthrough: { to: [10.0.2.9:443], proxyProtocol: v2 }

  - host: db.example.com               # unwrap: TLS in, raw TCP out
    certificate: local                 # from the built-in local CA
    tcp: { to: [10.0.3.4:5432] }

log: { access: true, format: json }

state: /var/lib/sallyport              # local CA, ACME account and certificates; default $STATE_DIRECTORY, else .sallyport beside the file

acme:
  email: ops@example.com
  directory: https://acme.example/dir  # default: Let's Encrypt
  ca: acme-api-ca.pem                  # extra trust for a private directory's own TLS
  challenges: [tls-alpn-01, http-01]   # answered on the listeners above; or [dns-01] with \`dns: {...}\`

upstreams:                             # named, shared by routes as \`to: orders\`
  orders: { endpoints: [http://10.0.4.1:80, http://10.0.4.2:80], balance: least-requests${later.health} }
`

const files = Object.fromEntries(
  [
    'shop.pem',
    'shop.key',
    'internal.pem',
    'gw.pem',
    'gw.key',
    'partners.pem',
    'partners.crl',
    'acme-api-ca.pem',
  ].map(name => [name, 'x']),
)

describe("the contract's example", () => {
  it('is refused for exactly what is not supported yet, and says what to do', async () => {
    const found = await problemsOf(example, {}, files)
    assert.deepEqual(
      found.map(problem => problem.split('\n')[0]),
      [
        'sallyport.yaml:42:91: not supported yet: active health checks',
        'sallyport.yaml:42:11: warning: the upstream orders is not used',
      ],
    )
    for (const problem of found) assert.ok(problem.includes('\n'), `no hint: ${problem}`)
  })

  it('without that is what it says', async () => {
    const yaml = example.replace(later.health, '')
    await withFolder({ 'sallyport.yaml': yaml, ...files }, async cwd => {
      const { config, warnings } = await loadConfig({ cwd })
      assert.deepEqual(
        warnings.map(warning => warning.message),
        ['the upstream orders is not used'],
      )
      assert.equal(config.file, path.join(cwd, 'sallyport.yaml'))
      assert.equal(config.state, '/var/lib/sallyport')
      assert.deepEqual(config.listen, [
        {
          name: null,
          address: '::',
          port: 443,
          unix: false,
          mode: 0o660,
          backlog: null,
          keepAliveMs: 0,
          public: null,
          proxyProtocol: { from: ['10.0.0.0/8'] },
          trust: null,
          fields: null,
          cleartext: null,
          startTls: null,
        },
        {
          name: null,
          address: '::',
          port: 80,
          unix: false,
          mode: 0o660,
          backlog: null,
          keepAliveMs: 0,
          public: null,
          proxyProtocol: null,
          trust: null,
          fields: null,
          cleartext: 'redirect',
          startTls: null,
        },
      ])
      const [shop, pay, bank, db] = config.sites
      assert.deepEqual(shop!.certificate, {
        kind: 'files',
        pairs: [{ chainFile: path.join(cwd, 'shop.pem'), keyFile: path.join(cwd, 'shop.key') }],
      })
      assert.ok(shop!.action.kind === 'http')
      assert.deepEqual(
        shop!.action.routes.map(route => [route.name, route.at, route.match.paths, route.match.methods]),
        [
          ['shop.example.com/api/*', 'sites[0].routes[0]', ['/api/*'], ['GET', 'POST']],
          ['shop.example.com/*', 'sites[0].routes[1]', [], []],
        ],
      )
      assert.deepEqual(pay!.clients, {
        mode: 'require',
        ca: [path.join(cwd, 'partners.pem')],
        crl: [path.join(cwd, 'partners.crl')],
        forward: ['client-cert', 'xfcc', 'x-client-cert', 'x-client-dn'],
        allow: [],
        weak: 'refuse',
      })
      assert.deepEqual([pay!.hosts, pay!.policy], [['pay.example.com', 'pay.example.org'], 'modern'])
      assert.ok(pay!.action.kind === 'http' && pay!.action.routes[0]!.action.kind === 'upstream')
      assert.deepEqual(pay!.action.routes[0]!.action.upstream, {
        name: 'sites[1].to',
        scheme: 'https',
        endpoints: [{ host: '10.0.1.5', port: 8443 }],
        balance: 'round-robin',
        hash: null,
        outlier: null,
        tls: {
          caFile: path.join(cwd, 'internal.pem'),
          serverName: 'pay.internal',
          spiffe: [],
          certificate: { chainFile: path.join(cwd, 'gw.pem'), keyFile: path.join(cwd, 'gw.key') },
          verify: true,
          weak: 'refuse',
          commonName: 'refuse',
        },
        pool: { idle: 2048 },
        host: 'preserve',
        lenient: [],
        http: 'auto',
        proxyProtocol: null,
      })
      assert.deepEqual(pay!.certificate, { kind: 'acme' })
      assert.deepEqual(config.acme, {
        issuers: [
          {
            directory: 'https://acme.example/dir',
            email: 'ops@example.com',
            caFile: path.join(cwd, 'acme-api-ca.pem'),
            externalAccount: null,
            profile: null,
            preferredChain: null,
            staging: null,
          },
        ],
        challenges: ['tls-alpn-01', 'http-01'],
        dns: null,
        keys: ['ecdsa'],
        renewBeforeMs: null,
        onDemand: null,
      })
      assert.ok(bank!.action.kind === 'passthrough' && bank!.certificate === null)
      assert.deepEqual(
        [bank!.action.upstream.endpoints, bank!.action.upstream.proxyProtocol],
        [[{ host: '10.0.2.9', port: 443 }], 'v2'],
      )
      assert.ok(db!.action.kind === 'tcp' && db!.certificate?.kind === 'local')
      assert.deepEqual(
        config.upstreams.map(upstream => upstream.name),
        [
          'orders',
          'sites[0].routes[0].to',
          'sites[0].routes[1].to',
          'sites[1].to',
          'sites[2].passthrough.to',
          'sites[3].tcp.to',
        ],
      )
    })
  })
})
