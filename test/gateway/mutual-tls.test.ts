/** Client certificates: who gets in, on new and resumed sessions and on open connections, and what backends are told. */

import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, renameSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import { ask, versions } from '../harness/ask.ts'
import { crlFile, type IssuedFiles, issueClientFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { get, h2Client } from '../harness/h2.ts'
import { listServer } from '../harness/list-server.ts'
import { ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

const ca = testCa('Partners')
const other = testCa('Others')
const spiffe = 'spiffe://example.org/ns/shop/sa/web'
const alice = issueClientFiles(ca, 'alice', { uris: [spiffe] })
const bob = issueClientFiles(ca, 'bob')
const carol = issueClientFiles(ca, 'carol')
const mallory = issueClientFiles(other, 'mallory')
const ended = issueClientFiles(ca, 'ended', { expired: true })
const early = issueClientFiles(ca, 'early', { future: true })
const serverOnly = issueClientFiles(ca, 'server', { use: ['serverAuth'] })
const crl = crlFile(ca, [carol.chainPem])
const openCrl = crlFile(ca, [])
const endedCrl = crlFile(ca, [], { ended: true })
const clientCrlOfOther = crlFile(other, [])
const fingerprintOf = (pem: string) => createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')

let gateway: Started
let backend: RecordingBackend

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n')) client.send(ok('fine'))
  })
  const to = [backend.url]
  const site = (host: string, clients: object, more: object = { to }) => ({
    host,
    certificate: 'local' as const,
    clients: { ca: ca.file, ...clients },
    ...more,
  })
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
    ],
    sites: [
      { host: 'open.test', certificate: 'local', to },
      site('require.test', { forward: ['client-cert', 'xfcc', 'x-client-cert', 'x-client-dn'] }),
      site('same.test', { forward: ['x-client-dn'] }),
      site(
        'optional.test',
        { verify: 'optional' },
        {
          routes: [
            { match: { path: '/admin/*' }, to, clients: 'require' },
            {
              match: { path: '/who', client: [{ spiffe: 'spiffe://example.org/ns/shop/*' }] },
              respond: { body: 'shop' },
            },
            { match: { path: '/who', client: [{ dn: 'CN=bob,O=Sallyport tests' }] }, respond: { body: 'bob' } },
            { match: { path: '/who' }, respond: { body: 'somebody' } },
            { to },
          ],
        },
      ),
      site('off.test', { verify: 'off' }),
      site('crl.test', { crl }),
      site('reloaded.test', { crl: openCrl }),
      site('ended-crl.test', { crl: endedCrl }),
      site('allow.test', { allow: [{ spiffe }, { issuer: fingerprintOf(ca.certificatePem), dn: 'CN=bob*' }] }),
      site('tcp.test', {}, { tcp: { to: [`127.0.0.1:${backend.port}`], proxyProtocol: 'v2' } }),
    ] as never,
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const shown = (files: IssuedFiles | null) => (files === null ? {} : { cert: files.chainPem, key: files.keyPem })

/** The status of a request with this certificate, or 0 where the connection was refused. */
async function status(
  host: string,
  files: IssuedFiles | null,
  path = '/',
  options: tls.ConnectionOptions = {},
): Promise<number> {
  try {
    const client = await rawTls(gateway.port, { servername: host, ...shown(files), ...options })
    client.send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    const text = await client.until(received => received.includes('\r\n\r\n'))
    client.destroy()
    return Number(text.slice(9, 12))
  } catch {
    return 0
  }
}

describe('who gets in', () => {
  const cases: [string, IssuedFiles | null, number][] = [
    ['require.test', alice, 200],
    ['require.test', null, 0],
    ['require.test', mallory, 0],
    ['require.test', ended, 0],
    ['require.test', early, 0],
    ['optional.test', alice, 200],
    ['optional.test', null, 200],
    ['optional.test', mallory, 0],
    ['optional.test', ended, 0],
    ['off.test', null, 200],
    ['off.test', mallory, 200],
    ['open.test', alice, 200],
    ['crl.test', alice, 200],
    ['crl.test', carol, 0],
    ['ended-crl.test', alice, 0],
    ['allow.test', alice, 200],
    ['allow.test', bob, 200],
    ['allow.test', carol, 0],
  ]
  const names = new Map([
    [alice, 'alice'],
    [bob, 'bob'],
    [carol, 'carol'],
    [mallory, 'one of another CA'],
    [ended, 'one that has ended'],
    [early, 'one that is not valid yet'],
  ])
  for (const [host, files, expected] of cases) {
    const who = files === null ? 'nobody' : names.get(files)
    it(`${host}: ${who}: ${expected === 0 ? 'refused' : expected}`, async () => {
      assert.equal(await status(host, files), expected)
      if (expected !== 0) return
      const record = await gateway.logged(each => each['sni'] === host && each['message'] === 'handshake failed')
      assert.equal(record['error'], 'CLIENT_CERTIFICATE')
    })
  }

  it('a certificate for servers only is refused', async () => {
    assert.equal(await status('require.test', serverOnly), 0)
  })

  it('TLS 1.2 as well', async () => {
    const options = { maxVersion: 'TLSv1.2' } as const
    assert.equal(await status('require.test', alice, '/', options), 200)
    assert.equal(await status('require.test', null, '/', options), 0)
    assert.equal(await status('require.test', mallory, '/', options), 0)
  })

  it('raw TCP: the backend is told in the PROXY header', async () => {
    assert.equal(await status('tcp.test', mallory), 0)
    const client = await rawTls(gateway.port, {
      servername: 'tcp.test',
      ALPNProtocols: undefined,
      ...shown(alice),
    } as tls.ConnectionOptions)
    client.send('GET /tcp HTTP/1.1\r\n\r\n')
    await client.until(text => text.endsWith('fine'))
    assert.match(backend.received(), /\x22\0\x05alice/)
    client.destroy()
  })
})

describe('by route', () => {
  for (const version of versions) {
    it(`require, on top of optional at the handshake (${version})`, async () => {
      const request = { host: 'optional.test', path: '/admin/x' }
      assert.equal((await ask(version, gateway.port, request)).status, 403)
      assert.equal((await ask(version, gateway.port, { ...request, tls: shown(alice) })).status, 200)
    })

    it(`matches by certificate (${version})`, async () => {
      const who = async (files: IssuedFiles | null) =>
        (await ask(version, gateway.port, { host: 'optional.test', path: '/who', tls: shown(files) })).body
      assert.deepEqual([await who(alice), await who(bob), await who(null)], ['shop', 'bob', 'somebody'])
    })

    it(`a site with other terms is a 421 on this connection, with the same terms it is not (${version})`, async () => {
      const from = (serverName: string, host: string, files: IssuedFiles | null) =>
        ask(version, gateway.port, { serverName, host, tls: shown(files) }).then(answer => answer.status)
      assert.equal(await from('open.test', 'require.test', alice), 421)
      const { why } = await gateway.logged(
        each => each['error'] === 'MISDIRECTED' && each['host'] === 'require.test',
      )
      assert.equal(
        why,
        'require.test is under other TLS terms than open.test, for which the connection was opened ' +
          '(client certificates require and not client certificates off): the client must open a connection of its own for it',
      )
      assert.equal(await from('crl.test', 'require.test', alice), 421)
      await gateway.logged(each => /\(other CAs, revocation lists or allow lists/.test(String(each['why'])))
      assert.equal(await from('optional.test', 'require.test', alice), 421)
      assert.equal(await from('require.test', 'open.test', alice), 421)
      assert.equal(await from('require.test', 'same.test', alice), 200)
      assert.equal(await from('require.test', 'REQUIRE.test.', alice), 200)
    })

    it(`never in cleartext (${version})`, async () => {
      const plain = (host: string, path = '/') =>
        ask(version, gateway.ports[1] as number, { host, path, plain: true }).then(answer => answer.status)
      assert.equal(await plain('require.test'), 403)
      assert.equal(await plain('optional.test', '/admin/x'), 403)
      assert.equal(await plain('optional.test'), 200)
    })
  }
})

describe('what the backend is told', () => {
  for (const version of versions) {
    it(`in every form, and never what the client says itself (${version})`, async () => {
      const spoofed = [
        'client-cert',
        'client-cert-chain',
        'x-forwarded-client-cert',
        'x-client-cert',
        'x-client-dn',
      ]
      const fields = spoofed.map((name): [string, string] => [name, 'spoofed'])
      await ask(version, gateway.port, { host: 'require.test', path: '/told', fields, tls: shown(alice) })
      const text = backend.received()
      const head = text.slice(text.lastIndexOf('GET /told'))
      assert.ok(!head.includes('spoofed'))
      const leaf = new X509Certificate(alice.chainPem)
      const field = (name: string) => new RegExp(`^${name}: (.*)\r$`, 'm').exec(head)?.[1] ?? ''
      assert.equal(field('client-cert'), `:${leaf.raw.toString('base64')}:`)
      assert.equal(field('x-client-dn'), 'CN=alice,O=Sallyport tests')
      assert.ok(new X509Certificate(decodeURIComponent(field('x-client-cert'))).raw.equals(leaf.raw))
      const hash = fingerprintOf(alice.chainPem)
      assert.ok(field('x-forwarded-client-cert').startsWith(`Hash=${hash};Cert="-----BEGIN%20CERTIFICATE`))
      assert.ok(field('x-forwarded-client-cert').endsWith(`;Subject="CN=alice,O=Sallyport tests";URI=${spiffe}`))
      assert.equal(head.match(/^client-cert: /gm)?.length, 1)
    })
  }

  it('whatever is in a name stays in it: in lists, matches and fields', async () => {
    const asked = async (commonName: string, organization?: string) => {
      const files = issueClientFiles(ca, '', { subject: { commonName, organization } })
      const path = `/named/${encodeURIComponent(commonName)}`
      const who = await ask('HTTP/1.1', gateway.port, { host: 'optional.test', path: '/who', tls: shown(files) })
      await ask('HTTP/1.1', gateway.port, { host: 'require.test', path, tls: shown(files) })
      const text = backend.received()
      const head = text.slice(text.lastIndexOf(`GET ${path} `))
      return [who.body, /^x-client-dn: (.*)\r$/m.exec(head)?.[1], /;Subject="(.*)"\r$/m.exec(head)?.[1]]
    }
    const posing = 'CN=bob\\,O=Sallyport tests'
    assert.deepEqual(await asked('bob', 'Sallyport tests'), [
      'bob',
      'CN=bob,O=Sallyport tests',
      'CN=bob,O=Sallyport tests',
    ])
    assert.deepEqual(await asked('bob,O=Sallyport tests'), ['somebody', posing, posing.replace('\\', '\\\\')])
    assert.deepEqual((await asked('x', 'Sallyport tests, CN=bob'))[0], 'somebody')
    const astral = await asked('🦊 "fox"')
    const fox = encodeURIComponent('🦊')
    assert.deepEqual(astral.slice(1), [`CN=${fox} \\"fox\\"`, `CN=${fox} \\\\\\"fox\\\\\\"`])
  })

  it('the log names the client', async () => {
    await ask('HTTP/1.1', gateway.port, { host: 'require.test', path: '/logged', tls: shown(alice) })
    const record = await gateway.logged(each => each['path'] === '/logged')
    assert.equal((record['tls'] as Record<string, unknown>)['client'], 'CN=alice,O=Sallyport tests')
  })
})

describe('sessions', () => {
  async function session(host: string, files: IssuedFiles, maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<Buffer> {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: gateway.port,
      servername: host,
      rejectUnauthorized: false,
      maxVersion,
      ALPNProtocols: ['http/1.1'],
      ...shown(files),
    })
    const got = once(socket, 'session') as Promise<[Buffer]>
    await once(socket, 'secureConnect')
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    const [ticket] = await got
    socket.destroy()
    return ticket
  }

  async function resume(
    host: string,
    ticket: Buffer,
    files: IssuedFiles | null,
    maxVersion: 'TLSv1.2' | 'TLSv1.3',
  ): Promise<[number, boolean]> {
    try {
      const client = await rawTls(gateway.port, { servername: host, session: ticket, maxVersion, ...shown(files) })
      const resumed = (client.socket as tls.TLSSocket).isSessionReused()
      client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      const text = await client.until(received => received.includes('\r\n\r\n'))
      client.destroy()
      return [Number(text.slice(9, 12)), resumed]
    } catch {
      return [0, false]
    }
  }

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`resume under the terms they were made with, and keep the identity (${version})`, async () => {
      const ticket = await session('require.test', alice, version)
      const [code, resumed] = await resume('require.test', ticket, null, version)
      assert.equal(code, 200)
      assert.ok(resumed)
    })

    it(`never take a client into a site with other terms (${version})`, async () => {
      for (const made of ['open.test', 'optional.test', 'off.test']) {
        const ticket = await session(made, alice, version)
        assert.deepEqual(await resume('require.test', ticket, null, version), [0, false], made)
      }
    })
  }

  it('a certificate that was revoked meanwhile is refused: on new, resumed and open connections, over both versions', async () => {
    const host = 'reloaded.test'
    const ticket = await session(host, bob, 'TLSv1.3')
    const open1 = await rawTls(gateway.port, { servername: host, ...shown(bob) })
    const open2 = await h2Client(gateway.port, { servername: host, ...shown(bob) })
    const head = get().map(([name, value]): [string, string] => [name, name === ':authority' ? host : value])
    assert.equal((await open2.ask(head)).status, 200)
    assert.equal((await resume(host, ticket, null, 'TLSv1.3'))[0], 200)
    const fresh = crlFile(ca, [bob.chainPem])
    renameSync(fresh, openCrl)
    // It counts within a second.
    await eventually('the new list counts', async () => (await open2.ask(head)).status !== 200)
    assert.equal((await open2.ask(head)).status, 403)
    open1.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    await open1.until(text => text.startsWith('HTTP/1.1 403 '))
    assert.equal((await resume(host, ticket, null, 'TLSv1.3'))[0], 0)
    assert.equal(await status(host, bob), 0)
    assert.equal(await status(host, alice), 200)
    open1.destroy()
    open2.destroy()
  })
})

describe('a list from a URL', () => {
  it('is fetched, refuses everybody before, and is asked for again when it could not be had', async () => {
    const web = await listServer(null)
    const { url: crl } = web
    const start = () =>
      startGateway({
        sites: [
          {
            host: 'url.test',
            certificate: 'local',
            clients: { ca: ca.file, crl },
            routes: [{ respond: { body: 'ok' } }],
          },
        ],
      })
    const code = async (own: Started, files: IssuedFiles): Promise<number> => {
      const answer = await ask('HTTP/1.1', own.port, { host: 'url.test', tls: shown(files) }).catch(() => null)
      return answer?.status ?? 0
    }
    const without = await start()
    await without.logged(each => String(each['message']).includes('cannot be fetched: the server answered 503'))
    assert.equal(await code(without, alice), 0)
    await without.stop()
    web.serve(readFileSync(crlFile(ca, [carol.chainPem])))
    const own = await start()
    await eventually('the list has been fetched', async () => (await code(own, alice)) === 200)
    assert.equal(await code(own, carol), 0)
    assert.ok(web.asked >= 2)
    await own.stop()
    await web.close()
  })
})

describe('a configuration', () => {
  const start = (clients: object, more: object = { to: 'http://127.0.0.1:1' }) =>
    startGateway({ sites: [{ host: 'a.test', certificate: 'local', clients, ...more }] as never })

  it('whose CRL nobody in clients.ca has signed is refused', async () => {
    await assert.rejects(start({ ca: ca.file, crl: clientCrlOfOther }), /was not signed by any of the CAs/)
  })

  it('whose routes ask for certificates that the site does not is refused', async () => {
    const route = { match: { path: '/a' }, to: 'http://127.0.0.1:1', clients: 'require' }
    await assert.rejects(
      startGateway({ sites: [{ host: 'a.test', certificate: 'local', routes: [route] }] as never }),
      /asks for client certificates, and the site does not/,
    )
  })

  it('with clients on a passthrough site is refused', async () => {
    await assert.rejects(
      startGateway({
        sites: [{ host: 'a.test', clients: { ca: ca.file }, passthrough: { to: '127.0.0.1:1' } }] as never,
      }),
      /sees no client certificate/,
    )
  })

  it('whose CA file holds no certificate is refused', async () => {
    await assert.rejects(start({ ca: alice.keyFile }), /no certificate/)
  })
})
