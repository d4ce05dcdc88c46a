/**
 * Where a message ends, and what a target may be, in both roles: lengths that DATA contradicts, the frame that ends a
 * stream, targets that are no path, and answers that would open a tunnel.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import {
  END_HEADERS,
  END_STREAM,
  get,
  type H2Backend,
  type H2Request,
  h2Backend,
  h2Client,
  type Pairs,
  post,
  type RawH2,
  respond,
  type,
} from '../harness/h2.ts'
import { type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

const OPEN = END_HEADERS
const PROTOCOL = 1

let gateway: Started
let backend: H2Backend
let plain: RecordingBackend
let client: RawH2
/** How the HTTP/2 backend answers */
let answer: (request: H2Request) => void = () => {}

before(async () => {
  backend = await h2Backend({ settings: [[8, 1]], onRequest: request => answer(request) })
  plain = await recordingBackend((connection, text) => {
    const request = text.split('\r\n\r\n').at(-2) ?? ''
    const status = /^GET \/plain\/(\d+)/.exec(request)?.[1] ?? '200'
    if (text.endsWith('\r\n\r\n')) connection.send(`HTTP/1.1 ${status} X\r\ncontent-length: 2\r\n\r\nok`)
  })
  gateway = await startGateway({
    sites: localhostWith(
      { match: { path: '/plain/*' }, to: [plain.url] },
      { match: { path: '/own' }, respond: { status: 200, body: 'own' } },
      { to: [`h2c://127.0.0.1:${backend.port}`] },
    ),
    timeouts: { head: '1s' },
  })
  client = await h2Client(gateway.port)
})

after(async () => {
  client.destroy()
  await gateway.stop()
  await backend.close()
  await plain.close()
})

beforeEach(() => {
  answer = request => respond(request, 'fine')
})

const none: Pairs = [['content-length', '0']]
const connect = (path: string): Pairs => [
  [':method', 'CONNECT'],
  [':protocol', 'websocket'],
  ...get(path).slice(1),
  ['sec-websocket-version', '13'],
]
/** Frames of a request as the backend got them: type, and whether it ended the stream */
const framesOf = ({ connection, stream }: H2Request) =>
  connection.frames
    .filter(frame => frame.stream === stream && (frame.type === type.data || frame.type === type.headers))
    .map(
      ({ type: kind, flags, payload }) =>
        `${kind}:${kind === type.data ? payload.length : ''}:${flags & END_STREAM}`,
    )

describe('a content-length of 0', () => {
  for (const path of ['/', '/plain/'] as const) {
    it(`with DATA behind it is reset, and no backend is asked: ${path}`, async () => {
      const before = backend.requests.length + plain.received().length
      const stream = client.request(post(path, none), OPEN)
      client.data(stream, 'x', END_STREAM)
      assert.equal((await client.answer(stream)).reset, PROTOCOL)
      await client.ping()
      assert.equal(backend.requests.length + plain.received().length, before)
    })

    it(`with an empty DATA frame is a request without content: ${path}`, async () => {
      const stream = client.request(post(path, none), OPEN)
      client.data(stream, '', END_STREAM)
      assert.equal((await client.answer(stream)).status, 200)
    })
  }

  it('reaches backends of both versions as it is', async () => {
    const request = backend.requests.at(-1) as H2Request
    assert.equal(request.field('content-length'), '0')
    assert.deepEqual(framesOf(request), ['1::0', '0:0:1'])
    assert.match(plain.received(), /^POST \/plain\/ [\s\S]*content-length: 0\r\n/)
    assert.ok(!plain.received().includes('transfer-encoding'))
  })

  it('and no end of the stream is a 408 within timeouts.head', async () => {
    const stream = client.request(post('/', none), OPEN)
    assert.equal((await client.answer(stream)).status, 408)
  })

  it('in an answer with DATA behind it is a 502', async () => {
    answer = ({ connection, stream }) => {
      connection.headers(stream, [[':status', '200'], ...none], OPEN)
      connection.data(stream, 'x', END_STREAM)
    }
    assert.equal((await client.ask(get('/'))).status, 502)
  })

  it('in an answer whose stream ends in an empty DATA frame, or with trailers, is an answer without content', async () => {
    const ends: ((request: H2Request) => void)[] = [
      ({ connection, stream }) => connection.data(stream, '', END_STREAM),
      ({ connection, stream }) => connection.headers(stream, [['x-sum', '0']], END_HEADERS | END_STREAM),
    ]
    for (const end of ends) {
      answer = request => {
        request.connection.headers(request.stream, [[':status', '200'], ...none], OPEN)
        end(request)
      }
      const { status, body, ended } = await client.ask(get('/'))
      assert.deepEqual([status, body, ended], [200, '', true])
    }
  })
})

describe('an answer whose content-length its DATA contradicts', () => {
  const wrong: Record<string, (request: H2Request) => void> = {
    'more, in one frame': ({ connection, stream }) => connection.data(stream, 'xxxx', END_STREAM),
    less: ({ connection, stream }) => connection.data(stream, 'xx', END_STREAM),
    'less, and trailers': ({ connection, stream }) => {
      connection.data(stream, 'xx')
      connection.headers(stream, [['x-sum', '0']], END_HEADERS | END_STREAM)
    },
    none: ({ connection, stream }) => connection.data(stream, '', END_STREAM),
  }
  for (const [name, send] of Object.entries(wrong)) {
    it(`${name}: does not look complete`, async () => {
      answer = request => {
        request.connection.headers(
          request.stream,
          [
            [':status', '200'],
            ['content-length', '3'],
          ],
          OPEN,
        )
        send(request)
      }
      const { reset, ended } = await client.ask(get('/'))
      assert.ok(reset !== null && !ended, `${reset} ${ended}`)
    })
  }
})

describe('END_STREAM toward a backend', () => {
  const grpc: Pairs = [
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ]
  it('stays in HEADERS where it was there', async () => {
    await client.ask(post('/', grpc))
    assert.deepEqual(framesOf(backend.requests.at(-1) as H2Request), ['1::1'])
  })

  for (const fields of [grpc, [] as Pairs]) {
    it(`stays in an empty DATA frame, sent at once: ${fields.length} fields`, async () => {
      const stream = client.request(post('/', fields), OPEN)
      client.data(stream, '', END_STREAM)
      await client.answer(stream)
      const request = backend.requests.at(-1) as H2Request
      await request.connection.until(() => framesOf(request).length > 1)
      assert.deepEqual(framesOf(request), ['1::0', '0:0:1'])
    })
  }

  it('of a request of HTTP/1.1 with an empty chunked body is a frame of its own too', async () => {
    const old = await rawTls(gateway.port)
    old.send('POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
    await old.until(text => text.includes('fine'))
    assert.deepEqual(framesOf(backend.requests.at(-1) as H2Request), ['1::0', '0:0:1'])
    old.socket.destroy()
  })
})

describe('a target', () => {
  const refused: Record<string, Pairs> = {
    absolute: get('https://other.example/x'),
    'absolute, of http': get('http://localhost/'),
    'without a slash': get('x'),
    'an authority': get('localhost:443'),
    'a query alone': get('?x'),
    '* with GET': get('*'),
    '* with extended CONNECT': connect('*'),
    'absolute with extended CONNECT': connect('https://localhost/'),
    'absolute with OPTIONS': [[':method', 'OPTIONS'], ...get('https://localhost/').slice(1)],
    '*x with OPTIONS': [[':method', 'OPTIONS'], ...get('*x').slice(1)],
  }
  for (const [name, pairs] of Object.entries(refused)) {
    it(`${name} is a 400, and reaches no backend`, async () => {
      const before = backend.requests.length
      const stream = client.request(pairs, pairs[0]?.[1] === 'CONNECT' ? OPEN : END_HEADERS | END_STREAM)
      assert.equal((await client.answer(stream)).status, 400)
      assert.equal(backend.requests.length, before)
    })
  }

  it('* with OPTIONS is let through', async () => {
    assert.equal((await client.ask([[':method', 'OPTIONS'], ...get('*').slice(1)])).status, 200)
  })
})

describe('an extended CONNECT', () => {
  for (const status of [200, 201, 204, 206]) {
    it(`is a 502 where a backend of HTTP/1.1 answers ${status} instead of 101`, async () => {
      const stream = client.request(connect(`/plain/${status}`), OPEN)
      assert.equal((await client.answer(stream)).status, 502)
      const record = await gateway.logged(each => each['path'] === `/plain/${status}`)
      assert.equal(record['error'], 'BAD_RESPONSE')
    })
  }

  it('gets a refusal as it is', async () => {
    assert.equal((await client.answer(client.request(connect('/plain/403'), OPEN))).status, 403)
  })

  it('is not answered with a 200 of our own', async () => {
    assert.equal((await client.answer(client.request(connect('/own'), OPEN))).status, 501)
  })
})
