/** Each limit at its edge and one past it, and each deadline with what it answers. Pages say nothing of the inside. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, rawTcp, rawTls, recordingBackend } from '../harness/raw.ts'
import { until } from '../harness/until.ts'

let gateway: Started
let backend: RecordingBackend
let silent: RecordingBackend

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.includes('\r\n\r\n')) client.send(ok('fine'))
  })
  silent = await recordingBackend()
  gateway = await startGateway({
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        routes: [
          { match: { path: '/slow/*' }, to: [silent.url], timeouts: { response: '200ms' } },
          { match: { path: '/total/*' }, to: [silent.url], timeouts: { total: '200ms' } },
          {
            match: { path: '/filtered/*' },
            to: [backend.url],
            timeouts: { total: '200ms', filter: '10m' },
            filters: [{ name: 'endless', request: () => new Promise<null>(() => {}) }],
          },
          { match: { path: '/dead/*' }, to: ['http://127.0.0.1:1'] },
          { match: { path: '/either/*' }, to: ['http://127.0.0.1:1', backend.url] },
          { to: [backend.url], limits: { body: 1000 } },
        ],
      },
    ],
    limits: { head: 2000, headers: 20, uri: 500 },
    timeouts: { handshake: '2s', head: '1s', bodyIdle: '1s', keepAlive: '1s' },
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
  await silent.close()
})

async function status(request: string): Promise<number> {
  const client = await rawTls(gateway.port)
  client.send(request)
  const text = await client.until(received => received.includes('\r\n\r\n'))
  client.destroy()
  return Number(text.slice(9, 12))
}

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`
const fields = (count: number) => Array.from({ length: count }, (_, index) => `X-${index}: a\r\n`).join('')

describe('limits', () => {
  it('of the head, in bytes and fields: 431', async () => {
    assert.equal(await status(get('/', fields(19))), 200)
    assert.equal(await status(get('/', fields(20))), 431)
    assert.equal(await status(get('/', `X-A: ${'a'.repeat(2000)}\r\n`)), 431)
    // An endless head is refused before it ends.
    const client = await rawTls(gateway.port)
    client.send(`GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ${'a'.repeat(3000)}`)
    assert.match((await client.closed()).received, /^HTTP\/1\.1 431 /)
  })

  it('of connections per client: one past it is closed', async () => {
    const own = await startGateway({
      sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }],
      limits: { connectionsPerClient: 30 },
    })
    const open = await Promise.all(Array.from({ length: 30 }, () => rawTls(own.port)))
    await assert.rejects(rawTls(own.port))
    const record = await own.logged(each => each['error'] === 'TOO_MANY_CONNECTIONS')
    assert.match(String(record['why']), /connectionsPerClient \(30\)/)
    for (const client of open) client.destroy()
    await own.stop()
  })
})

describe('deadlines', () => {
  it('of the first bytes and the handshake: closed, with a record', async () => {
    const client = await rawTcp(gateway.port)
    client.send(Buffer.from([0x16, 0x03]))
    await client.closed()
    await gateway.logged(each => each['error'] === 'HANDSHAKE_TIMEOUT')
  })

  it('of the first client after a silence: it has its whole time', async () => {
    const quiet = await startGateway({
      sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }],
      timeouts: { handshake: '300ms' },
    })
    ;(await rawTls(quiet.port)).destroy()
    await until(() => quiet.gateway.connections === 0)
    const silentSince = performance.now()
    await until(() => performance.now() > silentSince + 600)
    const connectedAt = performance.now()
    const client = await rawTcp(quiet.port)
    client.send(Buffer.from([0x16, 0x03]))
    await client.closed()
    const lasted = performance.now() - connectedAt
    await quiet.stop()
    assert.ok(lasted >= 300, `ended after ${lasted} ms`)
  })

  it('of a head: 408', async () => {
    const client = await rawTls(gateway.port)
    client.send('GET / HTTP/1.1\r\nHost: local')
    assert.match((await client.closed()).received, /^HTTP\/1\.1 408 /)
  })

  it('of an idle connection: closed without a word', async () => {
    const client = await rawTls(gateway.port)
    client.send(get('/'))
    await client.until(text => text.endsWith('fine'))
    const { received, ended } = await client.closed()
    assert.ok(received.endsWith('fine'))
    assert.ok(ended)
  })
})

describe('the total time', () => {
  for (const path of ['/total/x', '/filtered/x'])
    it(`of ${path}: 504, whoever is waited for`, async () => {
      assert.equal(await status(get(path)), 504)
      const record = await gateway.logged(each => each['path'] === path)
      assert.equal(record['error'], 'TOTAL_TIMEOUT')
    })
})

describe('error pages', () => {
  it('are HTML or JSON by Accept, with the id of the log and nothing of the inside', async () => {
    const client = await rawTls(gateway.port)
    client.send(get('/dead/page', 'Accept: application/json\r\n'))
    const json = await client.until(text => text.endsWith('}\n'))
    const body = JSON.parse(json.slice(json.indexOf('\r\n\r\n'))) as Record<string, unknown>
    const record = await gateway.logged(each => each['path'] === '/dead/page')
    assert.equal(body['id'], record['id'])
    assert.equal(body['status'], 502)
    assert.ok(!json.includes('127.0.0.1'))
    client.send(get('/dead/page', 'Accept: text/html\r\n'))
    const html = await client.until(text => text.endsWith('</html>\n'))
    assert.match(html, /content-type: text\/html/)
    assert.match(String(record['why']), /127\.0\.0\.1:1/)
    client.destroy()
  })
})
