/** `errors`: the operator's pages in place of the gateway's, and on request in place of backends' own errors. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { ask, versions } from '../harness/ask.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RawClient, type RecordingBackend, rawTcp, rawTls, recordingBackend } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'
import { problemsOf } from '../unit/config-folder.ts'

const folder = temporaryFolder('sallyport-pages-')
const file = (name: string, text: string): string => {
  writeFileSync(path.join(folder, name), text)
  return path.join(folder, name)
}
const sorry = file('sorry.html', '<h1>sorry, ünavailable</h1>')
const oops = file('oops.txt', 'oops')
const json = file('error.json', '{"error":true}')

let gateway: Started
let backend: RecordingBackend
let dead: string

/** What the backend answers, by path */
const answers: Record<string, (client: RawClient, head: boolean) => void> = {
  '/fine': client => client.send(ok('fine')),
  '/404': (client, head) =>
    client.send(
      `HTTP/1.1 404 Not Found\r\nContent-Type: image/png\r\nETag: "x"\r\nSet-Cookie: a=b\r\nContent-Length: 5\r\n\r\n${head ? '' : 'theirs'.slice(0, 5)}`,
    ),
  '/chunked': client => client.send('HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
  '/cut': client => {
    client.send('HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nhello')
    client.destroy()
  },
  '/endless': client => {
    client.socket.on('error', () => {})
    client.send('HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n')
    const more = () => {
      while (!client.socket.destroyed && client.socket.write(`4000\r\n${'x'.repeat(0x4000)}\r\n`));
    }
    client.socket.on('drain', more)
    more()
  },
}

before(async () => {
  const spare = net.createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => spare.once('listening', resolve))
  dead = `http://127.0.0.1:${(spare.address() as net.AddressInfo).port}`
  await new Promise(resolve => spare.close(resolve))
  backend = await recordingBackend((client, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    const [method, target] = (text.trimEnd().split('\r\n\r\n').at(-1) as string).split(' ')
    answers[target as string]?.(client, method === 'HEAD')
  })
  const to = [backend.url]
  const on = 'all' as const
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
    ],
    defaults: { errors: { '4xx': { file: oops } } },
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        errors: { 502: { file: sorry }, 413: { file: oops } },
        headers: { response: { set: { 'x-outside': '{response.status}' } } },
        routes: [
          { match: { path: '/dead' }, to: [dead] },
          { match: { path: '/small' }, limits: { body: '2b' }, to },
          { match: { path: '/dead-json' }, errors: { '5xx': { file: json }, 503: { file: oops } }, to: [dead] },
          { match: { path: '/reply' }, respond: { status: 502, body: 'of the route' } },
          { match: { path: '/404' }, errors: { 404: { file: sorry } }, to },
          { to },
        ],
      },
      {
        host: 'own.test',
        certificate: 'local',
        errors: { 502: { file: sorry } },
        routes: [{ match: { path: '/x' }, to }],
      },
      {
        host: 'all.test',
        certificate: 'local',
        compress: { min: '0b' },
        errors: { on, 404: { file: sorry }, '5xx': { file: oops } },
        routes: [{ match: { path: '/reply' }, respond: { status: 404, body: 'of the route' } }, { to }],
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const html = 'text/html; charset=utf-8'
const size = (page: string) => `${Buffer.byteLength(page)}`
const sorryText = '<h1>sorry, ünavailable</h1>'
const utf8 = (text: string) => Buffer.from(text, 'latin1').toString('utf8')

for (const version of versions) {
  describe(version, () => {
    const get = (path: string, more: object = {}) => ask(version, gateway.port, { path, ...more })

    it('an error of the gateway has the page of its status, with the status and fields of the error', async () => {
      const answer = await get('/dead')
      assert.deepEqual([answer.status, answer.whole], [502, true])
      assert.equal(utf8(answer.body), sorryText)
      assert.equal(answer.field('content-type'), html)
      assert.equal(answer.field('content-length'), size(sorryText))
      assert.equal(answer.field('cache-control'), 'no-store')
      assert.equal(answer.field('x-content-type-options'), 'nosniff')
      assert.equal(answer.field('x-outside'), '502')
      const record = await gateway.logged(({ path, status }) => path === '/dead' && status === 502)
      assert.equal(record['error'], 'CONNECT_REFUSED')
    })

    it('HEAD has its length and no body', async () => {
      const answer = await get('/dead', { method: 'HEAD' })
      assert.deepEqual([answer.status, answer.body], [502, ''])
      assert.equal(answer.field('content-length'), size(sorryText))
    })

    it('the nearest level decides, and a status before its class', async () => {
      const answer = await get('/dead-json')
      assert.deepEqual([answer.body, answer.field('content-type')], ['{"error":true}', 'application/json'])
      // The site has none for a 404, and what is under defaults does not hold there.
      const unrouted = await get('/', { host: 'own.test' })
      assert.deepEqual([unrouted.status, unrouted.body.includes('404 Not Found')], [404, true])
    })

    it('a refused body has its page', async () => {
      const answer = await get('/small', { method: 'POST', body: 'long' })
      assert.deepEqual([answer.status, answer.body], [413, 'oops'])
    })

    it('what fails before there is a site has the pages of defaults', async () => {
      const answer = await get('/', { host: 'nowhere.test', serverName: 'localhost' })
      assert.deepEqual([answer.status >= 400, answer.body], [true, 'oops'])
    })

    it('replies of routes and backends stay as they are', async () => {
      assert.equal((await get('/reply')).body, 'of the route')
      const answer = await get('/404')
      assert.deepEqual([answer.status, answer.body, answer.field('etag')], [404, 'their', '"x"'])
      assert.equal((await get('/reply', { host: 'all.test' })).body, 'of the route')
      assert.equal((await get('/fine', { host: 'all.test' })).body, 'fine')
    })

    it("on: all replaces a backend's error and what its fields say of the body", async () => {
      const answer = await get('/404', { host: 'all.test' })
      assert.equal(utf8(answer.body), sorryText)
      assert.equal(answer.field('content-length'), size(sorryText))
      const names = answer.fields.map(([name]) => name)
      assert.ok(!names.includes('etag') && names.filter(name => name === 'content-type').length === 1)
      assert.deepEqual([answer.field('set-cookie'), answer.field('content-type')], ['a=b', html])
      const head = await get('/404', { host: 'all.test', method: 'HEAD' })
      assert.deepEqual([head.status, head.body, head.field('content-length')], [404, '', size(sorryText)])
    })

    for (const path of ['/chunked', '/cut', '/endless'])
      it(`on: all gives a whole page whatever the body is: ${path}`, async () => {
        const answer = await get(path, { host: 'all.test' })
        assert.deepEqual([answer.status, answer.body, answer.whole], [503, 'oops', true])
        assert.equal(answer.field('content-length'), '4')
        assert.equal(answer.field('transfer-encoding'), null)
      })

    it('is compressed like any other response', async () => {
      const answer = await get('/404', { host: 'all.test', fields: [['accept-encoding', 'gzip']] })
      assert.deepEqual([answer.status, answer.field('content-encoding')], [404, 'gzip'])
      assert.notEqual(answer.field('content-length'), size(sorryText))
    })
  })
}

it('gRPC calls get their status and no page', async () => {
  const fields = [
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ] as const
  const answer = await ask('HTTP/2', gateway.port, { path: '/dead', method: 'POST', fields, body: '' })
  assert.deepEqual([answer.status, answer.field('grpc-status'), answer.body], [200, '14', ''])
})

it('a connection goes on after a page, and so does the one to the backend', async () => {
  const client = await rawTls(gateway.port, { servername: 'all.test' })
  const before = backend.connections.length
  for (const expected of ['oops', 'oops', 'oops']) {
    const at = client.received().length
    client.send('GET /chunked HTTP/1.1\r\nHost: all.test\r\n\r\n')
    await client.until(text => text.slice(at).endsWith(expected))
  }
  assert.ok(backend.connections.length - before <= 1)
  client.destroy()
})

it('what is no request has the pages of defaults', async () => {
  const client = await rawTcp(gateway.ports[1] as number)
  client.send('GET /\x01 HTTP/1.1\r\n\r\n')
  const { received } = await client.closed()
  assert.match(received, /^HTTP\/1\.1 400 .*\r\n(.+\r\n)*content-length: 4\r\n(.+\r\n)*\r\noops$/)
})

it('pages that change are read again, and a reload fails where one cannot be used', async () => {
  const page = file('changing.html', 'before')
  const sites = [
    { host: 'localhost', certificate: 'local', to: [dead], errors: { '5xx': { file: page } } },
  ] as const
  const listen = [{ port: 0, address: '127.0.0.1' }]
  const state = temporaryFolder('sallyport-state-')
  const started = await startGateway({ listen, sites, state })
  const body = async () => (await ask('HTTP/1.1', started.port, {})).body
  const reload = async () => started.gateway.apply((await loadConfig({ value: { listen, sites, state } })).config)
  assert.equal(await body(), 'before')
  file('changing.html', 'at once')
  await reload()
  assert.equal(await body(), 'at once')
  file('changing.html', 'after')
  await eventually('the page is replaced', async () => (await body()) === 'after')
  file('changing.html', 'x'.repeat(65_537))
  await assert.rejects(reload(), /at most 64 kB/)
  assert.equal(await body(), 'after')
  await started.stop()
})

it('check says what is wrong with a page', async () => {
  const of = async (pages: string, name = 'a.html', text = 'x') =>
    (
      await problemsOf(
        `listen: [{ port: 443 }]\nsites: [{ host: a.test, certificate: local, to: "http://b.test", errors: ${pages} }]`,
        {},
        { [name]: text },
      )
    ).join()
  assert.equal(await of('{ 404: { file: a.html }, 5XX: { file: a.html }, on: all }'), '')
  assert.match(await of('{ 200: { file: a.html } }'), /200 is not the status of an error/)
  assert.match(await of('{ 6xx: { file: a.html } }'), /6xx is not the status of an error/)
  assert.match(await of('{ 404: { file: b.html } }'), /b\.html/)
  assert.match(await of('{ 404: { file: a.png } }', 'a.png'), /a\.png: the name of a page ends with/)
  assert.match(await of('{ 404: { file: a.html } }', 'a.html', 'x'.repeat(65_537)), /a page has at most 64 kB/)
  assert.match(await of('{ 404: a.html }'), /404 takes a page/)
  assert.match(await of('{ on: all }'), /errors has no page/)
  assert.match(await of('{ 404: { file: a.html }, on: never }'), /on takes gateway or all/)
  mkdirSync(path.join(folder, 'dir.html'), { recursive: true })
  assert.match(await of(`{ 404: { file: ${path.join(folder, 'dir.html')} } }`), /dir\.html/)
})
