/**
 * What HTTP/2 gateways were broken with, frame by frame: each ends its own connection with the right code and a record
 * that names the rule, while backend, memory and everybody else's requests stay well.
 */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import {
  ACK,
  block,
  END_HEADERS,
  END_STREAM,
  frameBytes,
  get,
  h2Client,
  type Pairs,
  post,
  prefaceText,
  type RawH2,
  settingsBytes,
  type,
  uint32,
} from '../harness/h2.ts'
import { ok, type RecordingBackend, rawTcp, recordingBackend } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

const CALM = 11
const PROTOCOL = 1
const OPEN = END_HEADERS

let gateway: Started
let backend: RecordingBackend
const megabyte = 'x'.repeat(1_000_000)

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    const request = text.split('\r\n\r\n').at(-2) ?? ''
    if (request.includes(' /big')) client.send(ok(megabyte))
    else if (!request.includes(' /never')) client.send(ok('fine'))
  })
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
    ],
    sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }],
    timeouts: { idle: '1s', head: '1s' },
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

/** Connections to the backend that are open now. */
const atBackend = () => backend.connections.filter(each => !each.socket.destroyed).length

async function othersAreFine(): Promise<void> {
  const other = await h2Client(gateway.port)
  assert.deepEqual((await other.ask(get())).body, 'fine')
  other.destroy()
}

async function endsWith(
  client: RawH2,
  code: number,
  rule: RegExp,
  expected = code === CALM ? 'HTTP2_ABUSE' : 'HTTP2_VIOLATION',
): Promise<void> {
  const port = client.socket.localPort
  const record = gateway.logged(each => each['message'] === 'connection ended' && each['clientPort'] === port)
  assert.equal(await client.closed(), code)
  const { error, why } = await record
  assert.match(String(why), rule)
  assert.equal(error, expected)
  await othersAreFine()
}

/** Sends `count` of them in writes of many, until the connection is closed. */
async function flood(client: RawH2, count: number, make: (index: number) => Buffer | string): Promise<void> {
  client.socket.on('error', () => {})
  for (let index = 0; index < count && client.closedWith === null && client.goaway === null; index += 100) {
    const parts = Array.from({ length: 100 }, (_, at) => Buffer.from(make(index + at) as string, 'latin1'))
    if (!client.socket.write(Buffer.concat(parts))) await new Promise(resolve => setImmediate(resolve))
  }
}

describe('resets', () => {
  it('rapid reset: HEADERS and RST_STREAM at once (CVE-2023-44487)', async () => {
    const client = await h2Client(gateway.port)
    const before = backend.connections.length
    const ended = endsWith(client, CALM, /stream resets/)
    await flood(client, 10_000, index => {
      const stream = 2 * index + 1
      const head = frameBytes(type.headers, END_HEADERS | END_STREAM, stream, block(get('/never')))
      return Buffer.concat([head, frameBytes(type.rst, 0, stream, uint32(8))])
    })
    await ended
    assert.ok(backend.connections.length - before <= 320, `${backend.connections.length - before} connections made`)
  })

  it('honest cancels survive: each is paid for by requests that end well', async () => {
    const client = await h2Client(gateway.port)
    for (let count = 0; count < 300; count++) {
      const stream = client.request(get('/never'))
      client.frame(type.rst, 0, stream, uint32(8))
      for (let good = 0; good < 3; good++) assert.equal((await client.ask(get())).status, 200)
    }
    assert.equal(client.goaway, null)
    client.destroy()
  })

  /** Frames that make the server reset a stream while its backend works on (CVE-2025-8671). */
  const made: Record<string, (stream: number) => Buffer> = {
    'WINDOW_UPDATE by 0': stream => frameBytes(type.window, 0, stream, uint32(0)),
    'a window over the largest': stream => frameBytes(type.window, 0, stream, uint32(0x7fff_ffff)),
    'DATA behind END_STREAM': stream => frameBytes(type.data, 0, stream, 'x'),
    'HEADERS behind END_STREAM': stream => frameBytes(type.headers, END_HEADERS, stream, block([['x-a', 'b']])),
    'PRIORITY of another size': stream => frameBytes(type.priority, 0, stream, 'abcd'),
    'a stream that depends on itself': stream =>
      frameBytes(type.priority, 0, stream, Buffer.concat([uint32(stream), Buffer.of(1)])),
  }
  for (const [name, make] of Object.entries(made)) {
    it(`made by us: ${name}`, async () => {
      const client = await h2Client(gateway.port)
      const before = backend.connections.length
      const ended = endsWith(client, CALM, /stream resets/)
      await flood(client, 10_000, index => {
        const stream = 2 * index + 1
        return Buffer.concat([
          frameBytes(type.headers, END_HEADERS | END_STREAM, stream, block(get('/never'))),
          make(stream),
        ])
      })
      await ended
      assert.ok(
        backend.connections.length - before <= 320,
        `${backend.connections.length - before} connections made`,
      )
    })
  }

  it('leave nothing behind at the backend', async () => {
    await eventually(
      () => `at most 20 connections at the backend, not ${atBackend()}`,
      () => atBackend() <= 20,
    )
  })
})

describe('header blocks', () => {
  it('CONTINUATION without end, by count', async () => {
    const client = await h2Client(gateway.port)
    client.headers(1, get(), END_STREAM)
    for (let count = 0; count < 9; count++) client.frame(type.continuation, 0, 1, block([['x-a', 'b']]))
    await endsWith(client, CALM, /more than 8 CONTINUATION/)
  })

  it('CONTINUATION without end, empty ones', async () => {
    const client = await h2Client(gateway.port)
    client.headers(1, get(), END_STREAM)
    for (let count = 0; count < 9; count++) client.frame(type.continuation, 0, 1)
    await endsWith(client, CALM, /more than 8 CONTINUATION/)
  })

  it('CONTINUATION without end, by bytes', async () => {
    const client = await h2Client(gateway.port)
    client.headers(1, get(), END_STREAM)
    const full = block([['x-a', 'b'.repeat(16_000)]])
    for (let count = 0; count < 9; count++) client.frame(type.continuation, 0, 1, full)
    await endsWith(client, CALM, /more than 8 CONTINUATION/)
  })

  it('eight of them are a head like any other', async () => {
    const client = await h2Client(gateway.port)
    const whole = block(get('/eight'))
    client.frame(type.headers, END_STREAM, 1, whole.subarray(0, 3))
    for (let at = 0; at < 7; at++) client.frame(type.continuation, 0, 1, whole.subarray(3 + at, 4 + at))
    client.frame(type.continuation, END_HEADERS, 1, whole.subarray(10))
    assert.equal((await client.answer(1)).status, 200)
    client.destroy()
  })

  it('a block that does not end in time', async () => {
    const client = await h2Client(gateway.port)
    client.headers(1, get(), END_STREAM)
    await endsWith(client, PROTOCOL, /timeouts\.head/, 'REQUEST_TIMEOUT')
  })

  it('a head that comes a byte at a time', async () => {
    const client = await h2Client(gateway.port)
    const ended = endsWith(client, PROTOCOL, /timeouts\.head/, 'REQUEST_TIMEOUT')
    const bytes = frameBytes(type.headers, END_HEADERS | END_STREAM, 1, block(get()))
    for (let at = 0; at < bytes.length - 1; at++) client.send(bytes.subarray(at, at + 1))
    await ended
  })

  it('a bomb of one indexed field, a hundred thousand times (CVE-2026-47774)', async () => {
    const client = await h2Client(gateway.port)
    const before = process.memoryUsage().rss
    const name = block([['x-a', 'y'.repeat(3000)]])
    name[0] = 0x40
    for (let stream = 1; stream < 41; stream += 2) {
      const head = Buffer.concat([block(get()), name])
      client.frame(type.headers, END_STREAM, stream, head)
      for (let count = 0; count < 5; count++) client.frame(type.continuation, 0, stream, Buffer.alloc(16_384, 0xbe))
      client.frame(type.continuation, END_HEADERS, stream, Buffer.alloc(1000, 0xbe))
      assert.equal((await client.answer(stream)).status, 431)
    }
    const grown = process.memoryUsage().rss - before
    assert.ok(grown < 200 * 1024 * 1024, `${grown} bytes more`)
    client.destroy()
    await othersAreFine()
  })

  it('too many fields, too large a list, too many crumbs: 431, and the connection goes on', async () => {
    const client = await h2Client(gateway.port)
    const fields = (count: number): Pairs =>
      Array.from({ length: count }, (_, index) => [`x-${index}`, 'a'] as const)
    assert.equal((await client.ask(get('/', fields(96)))).status, 200)
    assert.equal((await client.ask(get('/', fields(97)))).status, 431)
    assert.equal((await client.ask(get('/', [['x-a', 'a'.repeat(30_000)]]))).status, 200)
    assert.equal((await client.ask(get('/', [['x-a', 'a'.repeat(33_000)]]))).status, 431)
    const crumbs = (count: number): Pairs =>
      Array.from({ length: count }, (_, index) => ['cookie', `${index}=1`] as const)
    assert.equal((await client.ask(get('/', crumbs(256)))).status, 200)
    assert.equal((await client.ask(get('/', crumbs(257)))).status, 431)
    client.destroy()
  })
})

describe('floods', () => {
  const floods: Record<string, readonly [RegExp, () => Buffer]> = {
    PING: [/SETTINGS, PING/, () => frameBytes(type.ping, 0, 0, 'abcdefgh')],
    'PING acknowledgements': [/SETTINGS, PING/, () => frameBytes(type.ping, ACK, 0, 'abcdefgh')],
    SETTINGS: [/SETTINGS, PING/, () => frameBytes(type.settings, 0, 0, settingsBytes([[4, 65_535]]))],
    'empty SETTINGS': [/SETTINGS, PING/, () => frameBytes(type.settings, 0, 0)],
    PRIORITY: [/SETTINGS, PING/, () => frameBytes(type.priority, 0, 1, Buffer.from([0, 0, 0, 0, 1]))],
    'frames of an unknown type': [/SETTINGS, PING/, () => frameBytes(0x77, 0, 0)],
    WINDOW_UPDATE: [/WINDOW_UPDATE/, () => frameBytes(type.window, 0, 0, uint32(1))],
  }
  for (const [name, [rule, make]] of Object.entries(floods)) {
    it(`of ${name}`, async () => {
      const client = await h2Client(gateway.port)
      const ended = endsWith(client, CALM, rule)
      await flood(client, 100_000, make)
      await ended
    })
  }

  it('of empty DATA', async () => {
    const client = await h2Client(gateway.port)
    client.request(post('/never'), OPEN)
    const ended = endsWith(client, CALM, /empty DATA/)
    await flood(client, 100_000, () => frameBytes(type.data, 0, 1))
    await ended
  })

  it('of PING without a byte read: what waits for the client stays bounded', async () => {
    const client = await h2Client(gateway.port)
    client.socket.pause()
    const before = process.memoryUsage().rss
    await flood(client, 200_000, () => frameBytes(type.ping, 0, 0, 'abcdefgh'))
    await othersAreFine()
    assert.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024)
    client.destroy()
  })

  it('of requests without a byte read: answers wait at their backends', async () => {
    const client = await h2Client(gateway.port, { polite: false, settings: [[4, 0x7fff_ffff]] })
    client.frame(type.window, 0, 0, uint32(0x7fff_ffff - 65_535))
    client.socket.pause()
    const before = process.memoryUsage().rss
    for (let count = 0; count < 100; count++) client.request(get('/big'))
    await gateway.logged(each => each['error'] === 'CLIENT_STALLED' && each['path'] === '/big')
    const grown = process.memoryUsage().rss - before
    assert.ok(grown < 150 * 1024 * 1024, `${grown} bytes more`)
    client.destroy()
    await othersAreFine()
  })
})

describe('windows', () => {
  it('a window of 0 is no way to hold an answer: its stream is reset within timeouts.idle', async () => {
    const client = await h2Client(gateway.port, { polite: false, settings: [[4, 0]] })
    const stream = client.request(get('/big0'))
    assert.equal((await client.answer(stream)).reset, 8)
    const record = await gateway.logged(each => each['path'] === '/big0')
    assert.equal(record['error'], 'CLIENT_STALLED')
    client.destroy()
  })

  it('one stream that is not read does not stop the others', async () => {
    const client = await h2Client(gateway.port, { polite: false, settings: [[4, 100]] })
    client.request(get('/big'))
    for (let count = 0; count < 20; count++) assert.equal((await client.ask(get())).body, 'fine')
    client.destroy()
  })
})

describe('from HTTP/2 into HTTP/1', () => {
  const smuggled = 'GET /admin HTTP/1.1\r\nhost: internal\r\n\r\n'

  it('a content-length that DATA contradicts ends the backend connection, and the next request is intact', async () => {
    const client = await h2Client(gateway.port)
    const short = client.request(post('/short', [['content-length', `${smuggled.length + 10}`]]), OPEN)
    client.data(short, smuggled, END_STREAM)
    assert.equal((await client.answer(short)).reset, PROTOCOL)
    const long = client.request(post('/long', [['content-length', '3']]), OPEN)
    client.data(long, `abc${smuggled}`, END_STREAM)
    assert.equal((await client.answer(long)).reset, PROTOCOL)
    assert.equal((await client.ask(get('/next'))).body, 'fine')
    assert.ok(!backend.received().includes(`abc${smuggled}`))
    const used = backend.connections.filter(each => each.received().includes('/short'))
    for (const each of used) {
      await each.closed()
      assert.ok(!each.received().includes('/next'))
    }
    client.destroy()
  })

  it('no field, name or pseudo-header field can end a line', async () => {
    const evil: Pairs[] = [
      get('/', [['x-a', `a\r\n\r\n${smuggled}`]]),
      get('/', [[`x\r\n\r\n${smuggled}x`, 'a']]),
      get('/', [['x-a: b\r\nx-c', 'a']]),
      get('/', [['x-a', 'a\nx-smuggled: 1']]),
      get('/', [['x-a', 'a\0b']]),
      get('/', [['transfer-encoding', 'chunked']]),
      get('/', [['transfer_encoding:', 'chunked']]),
      get(`/ HTTP/1.1\r\nx-smuggled: 1\r\n\r\n${smuggled}`),
      get('/ /x'),
      [
        ...get().filter(([name]) => name !== ':method'),
        [':method', `GET / HTTP/1.1\r\n\r\n${smuggled}`],
      ].reverse() as Pairs,
      [...get().filter(([name]) => name !== ':authority'), [':authority', 'localhost\r\nx-smuggled: 1']],
      [...get().filter(([name]) => name !== ':authority'), [':authority', 'a@localhost']],
      [...get().filter(([name]) => name !== ':scheme'), [':scheme', 'https\r\nx-smuggled: 1']],
    ]
    const client = await h2Client(gateway.port)
    const before = backend.received().length
    for (const pairs of evil) {
      const { status, reset } = await client.ask(pairs)
      assert.ok(reset === PROTOCOL || status === 400, `${JSON.stringify(pairs)}: ${status} ${reset}`)
    }
    assert.equal(backend.received().length, before)
    client.destroy()
  })

  it('h2c by Upgrade is not spoken, so nothing can hide behind it', async () => {
    const client = await rawTcp(gateway.ports[1] as number)
    client.send(
      `GET /h2c HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    )
    const text = await client.until(received => received.includes('fine'))
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
    client.send(`${prefaceText}${smuggled}`)
    const { received } = await client.closed()
    assert.match(received.slice(text.length), /^HTTP\/1\.1 (400|505) /)
    const request = /GET \/h2c [\s\S]*?\r\n\r\n/.exec(backend.received())?.[0] ?? ''
    assert.ok(!/upgrade|http2-settings/i.test(request), request)
    assert.ok(!backend.received().includes('/admin'))
  })
})
