/** Backends that speak HTTP/2: how exchanges share connections, what is tried again, and what ends with an error. */
import assert from 'node:assert/strict'
import https from 'node:https'
import type net from 'node:net'
import { after, before, describe, it } from 'node:test'
import { acceptFor } from '../../src/proxy/seam/websocket.ts'
import { issueFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import {
  END_HEADERS,
  END_STREAM,
  get,
  type H2Backend,
  type H2BackendOptions,
  h2Backend,
  h2Client,
  type Pairs,
  post,
  type RawH2,
  respond,
  type,
  uint32,
} from '../harness/h2.ts'
import { ok, rawTls, recordingBackend } from '../harness/raw.ts'

const OPEN = END_HEADERS
const ca = testCa()
const own = issueFiles(ca, ['internal.test'])
const tlsOf = { ca: ca.file, serverName: 'internal.test' }

type Bed = {
  readonly backend: H2Backend
  readonly gateway: Started
  client(): Promise<RawH2>
  stop(): Promise<void>
}

async function bed(options: H2BackendOptions = {}, timeouts: Record<string, string> = {}): Promise<Bed> {
  const backend = await h2Backend(options)
  const gateway = await startGateway({
    sites: [{ host: 'localhost', certificate: 'local', to: [`h2c://127.0.0.1:${backend.port}`] }],
    timeouts: timeouts as never,
  })
  return {
    backend,
    gateway,
    client: () => h2Client(gateway.port),
    async stop() {
      await gateway.stop()
      await backend.close()
    },
  }
}

const answering: H2BackendOptions = { onRequest: request => respond(request, `fine ${request.field(':path')}`) }

describe('one connection', () => {
  it('carries many exchanges at once, also of several clients', async () => {
    const { backend, client, stop } = await bed()
    const clients = await Promise.all([client(), client()])
    const streams = clients.flatMap(each => [0, 1, 2].map(() => each.request(get())))
    const last = await backend.request(5)
    assert.equal(backend.connections.length, 1)
    assert.equal(last.index, 0)
    for (const request of backend.requests) respond(request, 'fine')
    for (const each of clients)
      for (const stream of new Set(streams)) assert.equal((await each.answer(stream)).body, 'fine')
    await stop()
  })

  it('up to what the backend allows; then there is another', async () => {
    const { backend, client, stop } = await bed({ settings: [[3, 2]] })
    const one = await client()
    // The first settles what is allowed.
    one.request(get('/first'))
    respond(await backend.request(0), 'fine')
    await one.answer(1)
    const streams = [1, 2, 3, 4, 5].map(count => one.request(get(`/${count}`)))
    await backend.request(5)
    assert.equal(backend.connections.length, 3)
    for (const request of backend.requests.slice(1)) respond(request, 'fine')
    for (const stream of streams) assert.equal((await one.answer(stream)).body, 'fine')
    await stop()
  })

  it('says what a request is: pseudo-header fields, and no field that belongs to a connection', async () => {
    const { backend, gateway, stop } = await bed(answering)
    const client = await rawTls(gateway.port)
    client.send(
      'GET /a?b HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, X-Gone\r\nX-Gone: 1\r\nX-Kept: Yes\r\nTE: trailers\r\nKeep-Alive: 1\r\n\r\n',
    )
    await client.until(text => text.endsWith('fine /a?b\r\n0\r\n\r\n'))
    const { fields } = await backend.request(0)
    assert.deepEqual(fields.slice(0, 5), [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/a?b'],
      [':authority', 'localhost'],
      ['x-kept', 'Yes'],
    ])
    const names = fields.map(([name]) => name)
    for (const name of ['connection', 'keep-alive', 'host', 'x-gone', 'transfer-encoding'])
      assert.ok(!names.includes(name), name)
    assert.equal(backend.requests[0]?.field('te'), 'trailers')
    assert.equal(backend.requests[0]?.field('x-forwarded-proto'), 'https')
    await stop()
  })

  it('is asked by PING whether it lives, and closed when it does not answer', async () => {
    const { backend, client, stop } = await bed({ ...answering, polite: false }, { poolIdle: '1s' })
    const one = await client()
    await one.ask(get())
    const connection = backend.connections[0] as RawH2
    await connection.until(() => connection.count(type.ping) > 0, 'a PING')
    await one.ask(get('/again'))
    await stop()
  })

  it('is closed after timeouts.poolIdle', async () => {
    const { backend, client, stop } = await bed(answering, { poolIdle: '300ms' })
    await (await client()).ask(get())
    assert.equal(await (backend.connections[0] as RawH2).closed(), 0)
    await stop()
  })
})

describe('what is tried again', () => {
  it('a refused stream, at another endpoint, with its body', async () => {
    const refusing = await h2Backend({
      onRequest: ({ connection, stream }) => connection.frame(type.rst, 0, stream, uint32(7)),
    })
    const good = await h2Backend(answering)
    const gateway = await startGateway({
      sites: [
        {
          host: 'localhost',
          certificate: 'local',
          to: [`h2c://127.0.0.1:${refusing.port}`, `h2c://127.0.0.1:${good.port}`],
        },
      ],
    })
    const client = await h2Client(gateway.port)
    for (let count = 0; count < 4; count++) {
      const stream = client.request(post(`/${count}`, [['content-length', '4']]), OPEN)
      client.data(stream, 'body', END_STREAM)
      assert.equal((await client.answer(stream)).body, `fine /${count}`)
    }
    assert.ok(refusing.requests.length > 0)
    for (const { connection, stream } of good.requests) {
      await connection.until(() => connection.message(stream).body === 'body', 'the body')
    }
    await gateway.stop()
    await refusing.close()
    await good.close()
  })

  it('a request with a body whose first endpoint refuses the connection', async () => {
    const good = await recordingBackend((client, text) => {
      if (text.endsWith('body')) client.send(ok('fine'))
    })
    const gateway = await startGateway({
      sites: [{ host: 'localhost', certificate: 'local', to: ['http://127.0.0.1:1', good.url] }],
    })
    for (let count = 0; count < 2; count++) {
      const client = await rawTls(gateway.port)
      client.send('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody')
      await client.until(text => text.endsWith('fine'))
      client.destroy()
    }
    await gateway.stop()
    await good.close()
  })

  it('streams that GOAWAY says were not taken up, on a new connection; the others end', async () => {
    const { backend, client, stop } = await bed()
    const one = await client()
    const first = one.request(post('/kept'))
    const second = one.request(post('/again'))
    const { connection } = await backend.request(1)
    connection.frame(type.goaway, 0, 0, Buffer.concat([uint32(1), uint32(0)]))
    const again = await backend.request(2)
    assert.equal(again.field(':path'), '/again')
    assert.notEqual(again.connection, connection)
    respond(again, 'new')
    respond(backend.requests[0] as (typeof backend.requests)[0], 'old')
    assert.equal((await one.answer(first)).body, 'old')
    assert.equal((await one.answer(second)).body, 'new')
    // The connection has no more to do.
    await connection.closed()
    await stop()
  })

  it('never a POST that may have been seen', async () => {
    const { backend, client, stop } = await bed({
      onRequest: ({ connection, stream }) => connection.frame(type.rst, 0, stream, uint32(2)),
    })
    assert.equal((await (await client()).ask(post())).status, 502)
    assert.equal(backend.requests.length, 1)
    await stop()
  })
})

describe('answers', () => {
  it('1xx, a head, a body and trailers', async () => {
    const { client, stop } = await bed({
      onRequest({ connection, stream }) {
        connection.headers(
          stream,
          [
            [':status', '103'],
            ['link', '</a>; rel=preload'],
          ],
          OPEN,
        )
        connection.headers(
          stream,
          [
            [':status', '200'],
            ['x-a', 'b'],
          ],
          OPEN,
        )
        connection.data(stream, 'body')
        connection.headers(stream, [['x-sum', '4']])
      },
    })
    const answer = await (await client()).ask(get())
    assert.deepEqual(answer.informational, [103])
    assert.equal(answer.body, 'body')
    assert.deepEqual(answer.trailers, [['x-sum', '4']])
    await stop()
  })

  const bad: Record<string, (connection: RawH2, stream: number) => void> = {
    'no :status': (connection, stream) => connection.headers(stream, [['x-a', 'b']]),
    'a status that is none': (connection, stream) => connection.headers(stream, [[':status', '2000']]),
    'a field in upper case': (connection, stream) =>
      connection.headers(stream, [
        [':status', '200'],
        ['X-A', 'b'],
      ]),
    'a field that belongs to a connection': (connection, stream) =>
      connection.headers(stream, [
        [':status', '200'],
        ['connection', 'close'],
      ]),
    'a line break in a value': (connection, stream) =>
      connection.headers(stream, [
        [':status', '200'],
        ['x-a', 'b\r\nset-cookie: c'],
      ]),
    'DATA before its head': (connection, stream) => connection.data(stream, 'x', END_STREAM),
    'a content-length, and no body': (connection, stream) =>
      connection.headers(stream, [
        [':status', '200'],
        ['content-length', '4'],
      ]),
    'too many fields': (connection, stream) =>
      connection.headers(stream, [[':status', '200'], ...Array.from({ length: 101 }, () => ['x-a', 'b'] as const)]),
    'a 1xx that ends its stream': (connection, stream) => connection.headers(stream, [[':status', '103']]),
    'a window by 0': (connection, stream) => connection.frame(type.window, 0, stream, uint32(0)),
    PUSH_PROMISE: connection =>
      connection.frame(type.push, END_HEADERS, 1, Buffer.concat([uint32(2), Buffer.of(0x82)])),
    'a frame over the limit': (connection, stream) => connection.data(stream, Buffer.alloc(20_000)),
    'HPACK that cannot be read': (connection, stream) =>
      connection.frame(type.headers, END_HEADERS, stream, Buffer.of(0xff)),
  }
  for (const [name, send] of Object.entries(bad)) {
    it(`with ${name}: 502`, async () => {
      const { client, gateway, stop } = await bed({
        onRequest: ({ connection, stream }) => send(connection, stream),
      })
      const { status, body } = await (await client()).ask(post())
      assert.equal(status, 502)
      assert.ok(!body.includes('127.0.0.1'))
      const record = await gateway.logged(each => each['message'] === 'request')
      assert.equal(record['error'], 'BAD_RESPONSE', String(record['why']))
      await stop()
    })
  }

  const cut: Record<string, (connection: RawH2, stream: number) => void> = {
    'more than its content-length': (connection, stream) => connection.data(stream, 'x'.repeat(11), END_STREAM),
    'less than its content-length': (connection, stream) => connection.data(stream, 'x', END_STREAM),
    RST_STREAM: (connection, stream) => connection.frame(type.rst, 0, stream, uint32(2)),
    'a connection that is cut': connection => connection.socket.destroy(),
  }
  for (const [name, send] of Object.entries(cut)) {
    it(`with a head, then ${name}: visibly cut, over both versions`, async () => {
      const { client, gateway, stop } = await bed({
        onRequest({ connection, stream }) {
          connection.headers(
            stream,
            [
              [':status', '200'],
              ['content-length', '10'],
            ],
            OPEN,
          )
          connection.data(stream, '')
          send(connection, stream)
        },
      })
      const over2 = await (await client()).ask(get())
      assert.equal(over2.status, 200)
      assert.notEqual(over2.reset, null)
      const over1 = await rawTls(gateway.port)
      over1.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      const { received } = await over1.closed()
      assert.ok(received.length - received.indexOf('\r\n\r\n') - 4 < 10, received)
      await stop()
    })
  }

  it('a stream whose client is gone is reset with CANCEL, and the connection stays', async () => {
    const { backend, client, stop } = await bed()
    const one = await client()
    const stream = one.request(get())
    const { connection, stream: at } = await backend.request(0)
    one.frame(type.rst, 0, stream, uint32(8))
    await connection.until(() => connection.message(at).reset === 8, 'RST_STREAM')
    one.request(get('/next'))
    assert.equal((await backend.request(1)).connection, connection)
    await stop()
  })
})

describe('flow control', () => {
  it('a slow reader of one stream holds one window at the backend, and nobody else', async () => {
    let sent = 0
    const backend = await h2Backend({
      polite: true,
      onRequest(request) {
        const { connection, stream } = request
        if (request.field(':path') !== '/endless') {
          respond(request, 'fine')
          return
        }
        connection.headers(stream, [[':status', '200']], OPEN)
        let window = 65_535
        const send = () => {
          while (window >= 16_384) {
            connection.data(stream, Buffer.alloc(16_384))
            window -= 16_384
            sent += 16_384
          }
        }
        connection.onFrame = frame => {
          if (frame.type === type.window && frame.stream === stream) window += frame.payload.readUInt32BE()
          send()
        }
        send()
      },
    })
    const gateway = await startGateway({
      sites: [{ host: 'localhost', certificate: 'local', to: [`h2c://127.0.0.1:${backend.port}`] }],
    })
    const slow = await h2Client(gateway.port, { polite: false, settings: [[4, 1000]] })
    slow.request(get('/endless'))
    await slow.until(() => slow.message(1).body.length === 1000, 'its window full')
    for (let count = 0; count < 10; count++) await slow.ping()
    assert.ok(sent < 300_000, `${sent} bytes taken for a client that reads 1000`)
    const other = await h2Client(gateway.port)
    other.destroy()
    slow.destroy()
    await gateway.stop()
    await backend.close()
  })

  it('an upload stops at the backend that does not take it', async () => {
    const { backend, client, stop } = await bed({ polite: false })
    const one = await client()
    const stream = one.request(post('/upload'), OPEN)
    const { connection, stream: at } = await backend.request(0)
    let allowed = 65_535
    one.onFrame = frame => {
      if (frame.type === type.window && frame.stream === stream) allowed += frame.payload.readUInt32BE()
    }
    let sent = 0
    for (let turn = 0; turn < 200; turn++) {
      while (allowed >= 1000) {
        one.data(stream, Buffer.alloc(1000))
        allowed -= 1000
        sent += 1000
      }
      await one.ping()
    }
    assert.ok(sent < 700_000, `${sent} bytes were allowed`)
    assert.equal(connection.message(at).body.length, 65_535)
    connection.frame(type.window, 0, at, uint32(10_000_000))
    connection.frame(type.window, 0, 0, uint32(10_000_000))
    one.data(stream, '', END_STREAM)
    await connection.until(() => connection.message(at).ended, 'the whole upload')
    assert.equal(connection.message(at).body.length, sent)
    await stop()
  })
})

describe('WebSocket', () => {
  const connect: Pairs = [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'https'],
    [':path', '/ws'],
    [':authority', 'localhost'],
    ['sec-websocket-version', '13'],
    ['sec-websocket-protocol', 'chat'],
  ]

  const echo: H2BackendOptions = {
    settings: [[8, 1]],
    onRequest(request) {
      const { connection, stream } = request
      connection.headers(
        stream,
        [
          [':status', '200'],
          ['sec-websocket-protocol', 'chat'],
        ],
        OPEN,
      )
      connection.onFrame = frame => {
        if (frame.type === type.data && frame.stream === stream)
          connection.data(stream, `<${frame.payload.toString('latin1')}>`, frame.flags & END_STREAM)
      }
    },
  }

  it('from HTTP/2 to HTTP/1.1', async () => {
    const backend = await recordingBackend((client, text) => {
      const end = text.indexOf('\r\n\r\n') + 4
      if (text.length > end) client.send(`<${text.slice(end)}>`)
      else {
        const key = /sec-websocket-key: (.*)\r\n/.exec(text)?.[1] ?? ''
        const accept = acceptFor(key)
        client.send(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`,
        )
      }
    })
    const gateway = await startGateway({ sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }] })
    const client = await h2Client(gateway.port)
    const stream = client.request(connect, OPEN)
    await client.until(() => client.message(stream).status > 0, 'a head')
    const { status, headers } = client.message(stream)
    assert.equal(status, 200)
    assert.deepEqual(
      headers.filter(([name]) => name.startsWith('sec-')),
      [['sec-websocket-protocol', 'chat']],
    )
    client.data(stream, 'hello')
    await client.until(() => client.message(stream).body === '<hello>', 'the echo')
    assert.match(backend.received(), /^GET \/ws HTTP\/1\.1\r\n[\s\S]*connection: upgrade\r\nupgrade: websocket\r\n/)
    client.data(stream, '', END_STREAM)
    await (backend.connections[0] as (typeof backend.connections)[0]).closed()
    await gateway.stop()
    await backend.close()
  })

  it('a backend with a wrong answer to the handshake is a 502', async () => {
    const backend = await recordingBackend(client =>
      client.send(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n',
      ),
    )
    const gateway = await startGateway({ sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }] })
    const client = await h2Client(gateway.port)
    assert.equal((await client.answer(client.request(connect, OPEN))).status, 502)
    await gateway.stop()
    await backend.close()
  })

  it('a backend that refuses it answers as it likes', async () => {
    const backend = await recordingBackend(client =>
      client.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'),
    )
    const gateway = await startGateway({ sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }] })
    const client = await h2Client(gateway.port)
    const answer = await client.answer(client.request(connect, OPEN))
    assert.deepEqual([answer.status, answer.body], [403, 'no'])
    await gateway.stop()
    await backend.close()
  })

  it('from HTTP/2 to HTTP/2, both directions ending by themselves', async () => {
    const { client, stop } = await bed(echo)
    const one = await client()
    const stream = one.request(connect, OPEN)
    await one.until(() => one.message(stream).status === 200, 'a head')
    one.data(stream, 'hello')
    await one.until(() => one.message(stream).body === '<hello>', 'the echo')
    one.data(stream, 'bye', END_STREAM)
    assert.equal((await one.answer(stream)).body, '<hello><bye>')
    await stop()
  })

  it('from HTTP/1.1 to HTTP/2, with the proof that such a client expects', async () => {
    const { backend, gateway, stop } = await bed(echo)
    const client = await rawTls(gateway.port)
    client.send(
      'GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    const head = await client.until(text => text.includes('\r\n\r\n'))
    assert.match(head, /^HTTP\/1\.1 101 /)
    assert.match(head, /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/)
    client.send('hello')
    await client.until(text => text.endsWith('<hello>'))
    const request = await backend.request(0)
    assert.equal(request.field(':protocol'), 'websocket')
    assert.equal(request.field('sec-websocket-key'), undefined)
    client.destroy()
    await stop()
  })

  it('to a backend that does not allow it over HTTP/2: 502 where nothing else may be spoken', async () => {
    const { client, stop } = await bed()
    const one = await client()
    assert.equal((await one.answer(one.request(connect, OPEN))).status, 502)
    await stop()
  })
})

describe('which version', () => {
  let tlsBackend: H2Backend
  let secure: https.Server
  let gateway: Started
  const tlsOptions = { cert: own.chainPem, key: own.keyPem }

  before(async () => {
    tlsBackend = await h2Backend({ ...answering, tls: tlsOptions })
    secure = https.createServer(tlsOptions, (request, response) => response.end(`http/${request.httpVersion}`))
    await new Promise<void>(resolve => secure.listen(0, '127.0.0.1', resolve))
    const to = (port: number, http?: 1 | 2) => ({
      endpoints: [`https://127.0.0.1:${port}`],
      tls: tlsOf,
      ...(http === undefined ? {} : { http }),
    })
    const { port } = secure.address() as net.AddressInfo
    gateway = await startGateway({
      sites: [
        { host: 'auto.test', certificate: 'local', to: to(tlsBackend.port) },
        { host: 'only2.test', certificate: 'local', to: to(tlsBackend.port, 2) },
        { host: 'auto1.test', certificate: 'local', to: to(port) },
        { host: 'only1.test', certificate: 'local', to: to(port, 1) },
        { host: 'wants2.test', certificate: 'local', to: to(port, 2) },
      ],
    })
  })

  after(async () => {
    await gateway.stop()
    await tlsBackend.close()
    secure.close()
  })

  const expected: Record<string, [number, string]> = {
    'auto.test': [200, 'fine /'],
    'only2.test': [200, 'fine /'],
    'auto1.test': [200, 'http/1.1'],
    'only1.test': [200, 'http/1.1'],
    'wants2.test': [502, ''],
  }
  for (const [host, [status, body]] of Object.entries(expected)) {
    it(`${host}: ${status} ${body}`, async () => {
      const client = await h2Client(gateway.port, { servername: host })
      const pairs = get().map(([name, value]): [string, string] => [name, name === ':authority' ? host : value])
      const answers = await Promise.all([client.ask(pairs), client.ask(pairs), client.ask(pairs)])
      for (const answer of answers) {
        assert.equal(answer.status, status)
        if (status === 200) assert.equal(answer.body, body)
      }
      client.destroy()
    })
  }
})

describe('priorities', () => {
  it('the most urgent first, and the others in turns, where not all can be sent at once', async () => {
    const letters = { '/a': 'u=5, i', '/b': 'u=5, i', '/c': 'u=1' }
    const { backend, gateway, stop } = await bed({
      onRequest: request => respond(request, (request.field(':path') ?? '').slice(1).repeat(60_000)),
    })
    const client = await h2Client(gateway.port, { polite: false, settings: [[4, 1_000_000]] })
    for (const [path, priority] of Object.entries(letters)) client.request(get(path, [['priority', priority]]))
    const sum = () => [1, 3, 5].reduce((all, stream) => all + client.message(stream).body.length, 0)
    await client.until(() => sum() === 65_535, 'the window of the connection used up')
    // Everything else waits at the gateway before the window is opened again.
    await (backend.connections[0] as RawH2).ping()
    await client.ping()
    const before = client.frames.length
    client.frame(type.window, 0, 0, uint32(1_000_000))
    await Promise.all([1, 3, 5].map(stream => client.answer(stream)))
    const order = client.frames.slice(before).filter(frame => frame.type === type.data && frame.payload.length > 0)
    const streams = order.map(frame => frame.stream)
    const urgent = streams.lastIndexOf(5)
    assert.ok(urgent >= 0 && !streams.slice(0, urgent).some(stream => stream !== 5), streams.join(' '))
    const rest = streams.slice(urgent + 1)
    assert.notEqual(
      rest.lastIndexOf(1) < rest.indexOf(3),
      rest.lastIndexOf(3) < rest.indexOf(1) || rest.length < 4,
      rest.join(' '),
    )
    await stop()
  })
})
