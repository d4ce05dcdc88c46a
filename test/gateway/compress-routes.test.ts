/** Where `compress` stands and what it leaves alone: routes, sites and defaults, the gateway's own answers, upgrades, gRPC. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, END_STREAM, type H2Backend, h2Backend, h2Client, post } from '../harness/h2.ts'
import { ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

const page = 'a page of text, '.repeat(500)
const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
let backend: RecordingBackend
let grpc: H2Backend
let gateway: Started

before(async () => {
  backend = await recordingBackend((client, received) => {
    if (/\r\nUpgrade: websocket/i.test(received)) {
      if (received.endsWith('\r\n\r\n'))
        client.send(`HTTP/1.1 101 Switching Protocols\r\nContent-Type: text/plain\r\n${upgrade}\r\nearly `)
      else client.send(page)
    } else if (received.endsWith('\r\n\r\n')) client.send(ok(page, 'Content-Type: text/plain\r\n'))
  })
  grpc = await h2Backend({
    onRequest({ connection, stream }) {
      connection.headers(
        stream,
        [
          [':status', '200'],
          ['content-type', 'text/plain'],
        ],
        END_HEADERS,
      )
      connection.data(stream, page)
      connection.headers(stream, [['grpc-status', '0']], END_HEADERS | END_STREAM)
    },
  })
  const reply = { respond: { status: 200, body: page, headers: { 'content-type': 'text/html' } } }
  gateway = await startGateway({
    defaults: { compress: true },
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        compress: { types: ['text/plain', 'application/*'], min: 0 },
        routes: [
          { match: { path: '/off' }, compress: false, to: backend.url },
          { match: { path: '/own' }, compress: { types: 'text/html' }, ...reply },
          { match: { path: '/site' }, ...reply },
          {
            match: { path: '/filtered' },
            filters: [
              {
                name: 'a filter',
                response: x => void x.response?.headers.set('etag', '"own"'),
                responseBody: () => ({
                  chunk: bytes => Buffer.from(bytes).toString().toUpperCase(),
                  end: () => '!',
                }),
              },
            ],
            to: backend.url,
          },
          {
            match: { path: '/test.Service/*' },
            to: [`h2c://127.0.0.1:${grpc.port}`],
          },
          { to: backend.url },
        ],
      },
      { host: 'other.test', certificate: 'local', routes: [{ match: { path: '/here' }, to: backend.url }] },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
  await grpc.close()
})

describe('compress', () => {
  for (const version of versions) {
    const get = (path: string, host = 'localhost') =>
      ask(version, gateway.port, { path, host, fields: [['accept-encoding', 'gzip']] })
    const text = (body: string) => gunzipSync(Buffer.from(body, 'latin1')).toString('latin1')

    it(`stands on a route, a site and under defaults, and the nearest counts alone (${version})`, async () => {
      for (const [path, coding, host] of [
        ['/', 'gzip'],
        ['/off', null],
        ['/own', 'gzip'],
        ['/site', null],
        ['/here', 'gzip', 'other.test'],
      ] as const) {
        const answer = await get(path, host)
        assert.equal(answer.field('content-encoding'), coding, path)
        assert.equal(coding === null ? answer.body : text(answer.body), page, path)
      }
    })

    it(`is for the gateway's own answers too, and short ones stay as they are (${version})`, async () => {
      const none = await get('/none', 'other.test')
      assert.equal(none.status, 404)
      assert.equal(none.field('content-encoding'), null)
      assert.match(none.body, /404/)
    })

    it(`comes after the user's filters (${version})`, async () => {
      const answer = await get('/filtered')
      assert.equal(answer.field('etag'), 'W/"own"')
      assert.equal(text(answer.body), `${page.toUpperCase()}!`)
    })
  }

  it('leaves upgrades alone', async () => {
    const client = await rawTls(gateway.port)
    client.send(
      `GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n${upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    )
    await client.until(received => received.includes('\r\n\r\nearly '))
    assert.doesNotMatch(client.received(), /content-encoding|vary/i)
    client.send('hello')
    await client.until(received => received.endsWith(page))
    client.destroy()
  })

  it('leaves gRPC alone, whatever type the backend says', async () => {
    const client = await h2Client(gateway.port)
    const stream = client.request(
      post('/test.Service/Call', [
        ['content-type', 'application/grpc'],
        ['te', 'trailers'],
        ['accept-encoding', 'gzip'],
      ]),
    )
    const answer = await client.answer(stream)
    assert.equal(answer.body, page)
    assert.deepEqual(answer.trailers, [['grpc-status', '0']])
    assert.equal(
      answer.headers.some(([name]) => name === 'content-encoding' || name === 'vary'),
      false,
    )
    client.destroy()
  })
})
