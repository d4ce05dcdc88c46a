/** `access`: clients are let in by address; lists of all levels hold, and no inner one lets in whom an outer one keeps out. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n')) client.send(ok('here'))
  })
  const to = [backend.url]
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1', trust: { from: '127.0.0.1', fields: 'x-real-ip' } },
      { port: 0, address: '::' },
    ],
    defaults: { access: { deny: ['192.0.2.66', '2001:db8:bad::/48'] } },
    sites: [
      {
        host: 'open.test',
        certificate: 'local',
        routes: [{ to }],
      },
      {
        host: 'lists.test',
        certificate: 'local',
        access: { allow: ['192.0.2.0/24', '2001:db8::/32', '127.0.0.1'], deny: '192.0.2.7' },
        routes: [
          { match: { path: '/narrow' }, access: { allow: '192.0.2.16/28' }, to },
          { match: { path: '/wide' }, access: { allow: ['192.0.2.7', '192.0.2.66', '198.51.100.1'] }, to },
          { match: { path: '/moved' }, redirect: { to: '/' } },
          { match: { path: '/here/*' }, to },
        ],
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

for (const version of versions) {
  describe(`access (${version})`, () => {
    const status = async (client: string, path: string, host = 'lists.test') =>
      (await ask(version, gateway.port, { host, path, fields: [['x-real-ip', client]] })).status

    it('lets in who is allowed and not denied', async () => {
      for (const client of ['192.0.2.1', '192.0.2.255', '2001:db8::1'])
        assert.equal(await status(client, '/here/a'), 200, client)
      for (const client of ['192.0.2.7', '198.51.100.1', '2001:db9::1', '::1'])
        assert.equal(await status(client, '/here/a'), 403, client)
      // The same address in another form is the same client.
      assert.equal(await status('2001:0DB8:0::1', '/here/a'), 200)
    })

    it('holds on all levels', async () => {
      assert.equal(await status('192.0.2.17', '/narrow'), 200)
      assert.equal(await status('192.0.2.1', '/narrow'), 403)
      assert.equal(await status('192.0.2.66', '/here/a'), 403)
      assert.equal(await status('2001:db8:bad::1', '/here/a'), 403)
      // A route that allows them lets in neither whom its site denies, nor whom it does not allow, nor whom `defaults` denies.
      for (const client of ['192.0.2.7', '198.51.100.1', '192.0.2.66'])
        assert.equal(await status(client, '/wide'), 403, client)
    })

    it('also decides about redirects, and about paths that have no route', async () => {
      assert.deepEqual([await status('192.0.2.1', '/moved'), await status('198.51.100.1', '/moved')], [308, 403])
      assert.deepEqual([await status('192.0.2.1', '/none'), await status('198.51.100.1', '/none')], [404, 403])
    })

    it('answers before the body is read, and the log says why', async () => {
      const before = backend.connections.length
      const { status: refused } = await ask(version, gateway.port, {
        host: 'lists.test',
        method: 'POST',
        path: '/here/body',
        fields: [['x-real-ip', '198.51.100.1']],
        body: ['a', 'b'],
        unfinished: true,
      })
      assert.equal(refused, 403)
      assert.equal(backend.connections.length, before)
      const record = await gateway.logged(({ path }) => path === '/here/body')
      assert.equal(record['error'], 'ACCESS_DENIED')
      assert.equal(record['why'], 'the client 198.51.100.1 is not allowed by access')
    })
  })
}

it('a client over IPv4 of a listener on :: matches ranges of IPv4', async () => {
  const client = await rawTls(gateway.ports[1] as number, { servername: 'lists.test', ALPNProtocols: ['http/1.1'] })
  client.send('GET /here/a HTTP/1.1\r\nHost: lists.test\r\n\r\n')
  assert.match(await client.until(text => text.endsWith('here')), /^HTTP\/1\.1 200 /)
  client.destroy()
})

it('is refused where it cannot hold', async () => {
  const listen = [{ port: 8443 }]
  const load = (site: object) =>
    loadConfig({ value: { listen, sites: [{ host: 'a.test', certificate: 'local', ...site }] } })
  const to = 'http://127.0.0.1:1'
  await assert.rejects(load({ to, access: {} }), /access has allow, deny, or both/)
  await assert.rejects(load({ to, access: { allow: [] } }), /allow/)
  await assert.rejects(load({ to, access: { allow: ['10.0.0.0/33'] } }), /0 to 32 bits/)
  await assert.rejects(
    load({ tcp: { to: ['10.0.0.1:1'] }, access: { allow: ['10.0.0.0/8'] } }),
    /access is for requests, and a tcp site serves no HTTP/,
  )
  const { warnings } = await loadConfig({
    value: {
      listen: [{ port: 8443 }],
      defaults: { access: { allow: ['10.0.0.0/8'] } },
      sites: [
        { host: 'a.test', certificate: 'local', to },
        { host: 'b.test', passthrough: { to: ['10.0.0.1:443'] } },
      ],
    },
  })
  assert.deepEqual(
    warnings.map(({ path, message }) => [path, message]),
    [
      [
        'sites[1]',
        'access of the defaults does not hold for this passthrough site: it is for requests, and no HTTP is served here',
      ],
    ],
  )
})
