/**
 * HTTP/2 as a client may not speak it (RFC 9113, RFC 7541): the cases of the h2spec suite, section by section, and what
 * the gateway must answer. A connection error is a GOAWAY with the code and the end of the connection; a stream error
 * is RST_STREAM, and the connection goes on.
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
  PADDED,
  type Pairs,
  PRIORITY,
  post,
  prefaceText,
  RawH2,
  settingsBytes,
  type,
  uint32,
} from '../harness/h2.ts'
import { ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

const code = {
  PROTOCOL: 1,
  FLOW_CONTROL: 3,
  STREAM_CLOSED: 5,
  FRAME_SIZE: 6,
  REFUSED: 7,
  COMPRESSION: 9,
  CALM: 11,
} as const

let gateway: Started
let backend: RecordingBackend

before(async () => {
  backend = await recordingBackend((client, text) => {
    const request = text.split('\r\n\r\n').at(-2) ?? ''
    if (text.endsWith('\r\n\r\n') && !request.includes('GET /never')) client.send(ok('fine'))
  })
  gateway = await startGateway({
    sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }],
    limits: { streams: 10 },
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const OPEN = END_HEADERS
const stillFine = async (client: RawH2) => {
  await client.ping()
  assert.equal(client.goaway, null)
  client.destroy()
}

type Case = { readonly name: string; readonly send: (client: RawH2) => void | Promise<void> }

/** Each ends the connection with that code, and a record that says why. */
const connectionErrors: Record<string, readonly [number, Case['send']]> = {
  '4.1: a frame longer than the largest (DATA)': [
    code.FRAME_SIZE,
    client => {
      client.request(post(), OPEN)
      client.data(1, Buffer.alloc(16_385))
    },
  ],
  '4.2: HEADERS longer than the largest frame': [
    code.FRAME_SIZE,
    client => client.frame(type.headers, END_HEADERS | END_STREAM, 1, Buffer.alloc(16_385)),
  ],
  '4.3: a header block that cannot be decoded': [
    code.COMPRESSION,
    client => client.frame(type.headers, END_HEADERS | END_STREAM, 1, Buffer.from([0x40])),
  ],
  '4.3: PRIORITY between HEADERS and CONTINUATION': [
    code.PROTOCOL,
    client => {
      client.headers(1, get(), END_STREAM)
      client.frame(type.priority, 0, 1, Buffer.alloc(5))
    },
  ],
  '4.3: HEADERS of another stream between HEADERS and CONTINUATION': [
    code.PROTOCOL,
    client => {
      client.headers(1, get(), END_STREAM)
      client.headers(3, get())
    },
  ],
  '5.1: DATA on an idle stream': [code.PROTOCOL, client => client.data(1, 'x', END_STREAM)],
  '5.1: RST_STREAM on an idle stream': [code.PROTOCOL, client => client.frame(type.rst, 0, 1, uint32(8))],
  '5.1: WINDOW_UPDATE on an idle stream': [code.PROTOCOL, client => client.frame(type.window, 0, 1, uint32(100))],
  '5.1: CONTINUATION on an idle stream': [
    code.PROTOCOL,
    client => client.frame(type.continuation, END_HEADERS, 1, block(get())),
  ],
  '5.1: DATA on a stream that both have ended': [
    code.STREAM_CLOSED,
    async client => {
      await client.ask(get())
      client.data(1, 'x', END_STREAM)
    },
  ],
  '5.1: HEADERS on a stream that both have ended': [
    code.STREAM_CLOSED,
    async client => {
      await client.ask(get())
      client.headers(1, get())
    },
  ],
  '5.1: CONTINUATION on a stream that both have ended': [
    code.PROTOCOL,
    async client => {
      await client.ask(get())
      client.frame(type.continuation, END_HEADERS, 1, block(get()))
    },
  ],
  '5.1.1: an even number': [code.PROTOCOL, client => client.headers(2, get())],
  '5.1.1: a number below the last': [
    code.PROTOCOL,
    async client => {
      client.headers(5, get())
      await client.answer(5)
      client.headers(3, get())
    },
  ],
  '6.1: DATA on stream 0': [code.PROTOCOL, client => client.data(0, 'x')],
  '6.1: DATA with padding longer than its frame': [
    code.PROTOCOL,
    client => {
      client.request(post(), OPEN)
      client.frame(type.data, PADDED | END_STREAM, 1, Buffer.from([6, 1, 2, 3, 4]))
    },
  ],
  '6.2: HEADERS on stream 0': [code.PROTOCOL, client => client.headers(0, get())],
  '6.2: HEADERS with padding longer than its frame': [
    code.PROTOCOL,
    client =>
      client.frame(
        type.headers,
        END_HEADERS | END_STREAM | PADDED,
        1,
        Buffer.concat([Buffer.of(200), block(get())]),
      ),
  ],
  '6.2: HEADERS too short for its priority': [
    code.FRAME_SIZE,
    client => client.frame(type.headers, END_HEADERS | END_STREAM | PRIORITY, 1, Buffer.alloc(3)),
  ],
  '6.3: PRIORITY on stream 0': [code.PROTOCOL, client => client.frame(type.priority, 0, 0, Buffer.alloc(5))],
  '6.3: PRIORITY of another size on an idle stream': [
    code.FRAME_SIZE,
    client => client.frame(type.priority, 0, 1, Buffer.alloc(4)),
  ],
  '5.3.1: an idle stream that depends on itself': [
    code.PROTOCOL,
    client => client.frame(type.priority, 0, 2, Buffer.concat([uint32(2), Buffer.of(255)])),
  ],
  '6.4: RST_STREAM on stream 0': [code.PROTOCOL, client => client.frame(type.rst, 0, 0, uint32(8))],
  '6.4: RST_STREAM of another size': [
    code.FRAME_SIZE,
    client => {
      client.request(post(), OPEN)
      client.frame(type.rst, 0, 1, Buffer.alloc(3))
    },
  ],
  '6.5: SETTINGS with an acknowledgement and content': [
    code.FRAME_SIZE,
    client => client.frame(type.settings, ACK, 0, settingsBytes([[3, 100]])),
  ],
  '6.5: SETTINGS on a stream': [
    code.PROTOCOL,
    client => client.frame(type.settings, 0, 1, settingsBytes([[3, 100]])),
  ],
  '6.5: SETTINGS of no multiple of six': [code.FRAME_SIZE, client => client.frame(type.settings, 0, 0, 'abc')],
  '6.5.2: ENABLE_PUSH of 2': [code.PROTOCOL, client => client.frame(type.settings, 0, 0, settingsBytes([[2, 2]]))],
  '6.5.2: INITIAL_WINDOW_SIZE over the largest': [
    code.FLOW_CONTROL,
    client => client.frame(type.settings, 0, 0, settingsBytes([[4, 2 ** 31]])),
  ],
  '6.5.2: MAX_FRAME_SIZE below the least': [
    code.PROTOCOL,
    client => client.frame(type.settings, 0, 0, settingsBytes([[5, 16_383]])),
  ],
  '6.5.2: MAX_FRAME_SIZE above the most': [
    code.PROTOCOL,
    client => client.frame(type.settings, 0, 0, settingsBytes([[5, 2 ** 24]])),
  ],
  'RFC 8441: ENABLE_CONNECT_PROTOCOL of 2': [
    code.PROTOCOL,
    client => client.frame(type.settings, 0, 0, settingsBytes([[8, 2]])),
  ],
  '6.6: PUSH_PROMISE of a client': [
    code.PROTOCOL,
    client => client.frame(type.push, END_HEADERS, 1, Buffer.concat([uint32(2), block(get())])),
  ],
  '6.7: PING on a stream': [code.PROTOCOL, client => client.frame(type.ping, 0, 1, '12345678')],
  '6.7: PING of another size': [code.FRAME_SIZE, client => client.frame(type.ping, 0, 0, '123456')],
  '6.8: GOAWAY on a stream': [code.PROTOCOL, client => client.frame(type.goaway, 0, 1, Buffer.alloc(8))],
  '6.8: a short GOAWAY': [code.FRAME_SIZE, client => client.frame(type.goaway, 0, 0, Buffer.alloc(4))],
  '6.9: WINDOW_UPDATE by 0 on the connection': [
    code.PROTOCOL,
    client => client.frame(type.window, 0, 0, uint32(0)),
  ],
  '6.9: WINDOW_UPDATE of another size': [code.FRAME_SIZE, client => client.frame(type.window, 0, 0, 'abc')],
  '6.9.1: a window of the connection over the largest': [
    code.FLOW_CONTROL,
    client => {
      client.frame(type.window, 0, 0, uint32(0x7fff_ffff))
      client.frame(type.window, 0, 0, uint32(0x7fff_ffff))
    },
  ],
  '6.9.2: INITIAL_WINDOW_SIZE that makes a window too large': [
    code.FLOW_CONTROL,
    client => {
      client.request(get('/never'))
      client.frame(type.window, 0, 1, uint32(0x7fff_ffff - 65_535))
      client.frame(type.settings, 0, 0, settingsBytes([[4, 65_536]]))
    },
  ],
  '6.10: CONTINUATION behind END_HEADERS': [
    code.PROTOCOL,
    client => {
      client.request(get('/never'))
      client.frame(type.continuation, END_HEADERS, 1, block([['x-a', 'b']]))
    },
  ],
  '6.10: CONTINUATION on stream 0': [
    code.PROTOCOL,
    client => {
      client.headers(1, get(), END_STREAM)
      client.frame(type.continuation, END_HEADERS, 0, block([['x-a', 'b']]))
    },
  ],
  '6.10: DATA, then CONTINUATION': [
    code.PROTOCOL,
    client => {
      client.request(post(), OPEN)
      client.data(1, 'x')
      client.frame(type.continuation, END_HEADERS, 1, block([['x-a', 'b']]))
    },
  ],
  '6.10: another type inside a header block': [
    code.PROTOCOL,
    client => {
      client.headers(1, get(), END_STREAM)
      client.frame(0x16, 0, 0, 'abcdefgh')
    },
  ],
  'HPACK 2.3.3: an index beyond the tables': [
    code.COMPRESSION,
    client =>
      client.frame(type.headers, END_HEADERS | END_STREAM, 1, Buffer.concat([block(get()), Buffer.of(0xc6)])),
  ],
  'HPACK 4.2: a table size update behind a field': [
    code.COMPRESSION,
    client =>
      client.frame(type.headers, END_HEADERS | END_STREAM, 1, Buffer.concat([block(get()), Buffer.of(0x20)])),
  ],
  'HPACK 5.2: Huffman padding of more than seven bits': [
    code.COMPRESSION,
    client =>
      client.frame(
        type.headers,
        END_HEADERS | END_STREAM,
        1,
        Buffer.concat([block(get()), Buffer.from('008541a3ffffff85f2b24a84ff84494f'.slice(0, 12), 'hex')]),
      ),
  ],
  'HPACK 5.2: Huffman padding of zeros': [
    code.COMPRESSION,
    client =>
      client.frame(
        type.headers,
        END_HEADERS | END_STREAM,
        1,
        Buffer.concat([block(get()), Buffer.from([0x00, 0x01, 0x61, 0x81, 0x18])]),
      ),
  ],
  'HPACK 5.2: a Huffman string with EOS': [
    code.COMPRESSION,
    client =>
      client.frame(
        type.headers,
        END_HEADERS | END_STREAM,
        1,
        Buffer.concat([block(get()), Buffer.from([0x00, 0x01, 0x61, 0x84, 0xff, 0xff, 0xff, 0xff])]),
      ),
  ],
  'HPACK 6.1: index 0': [
    code.COMPRESSION,
    client =>
      client.frame(type.headers, END_HEADERS | END_STREAM, 1, Buffer.concat([block(get()), Buffer.of(0x80)])),
  ],
  'HPACK 6.3: a table size over SETTINGS_HEADER_TABLE_SIZE': [
    code.COMPRESSION,
    client =>
      client.frame(
        type.headers,
        END_HEADERS | END_STREAM,
        1,
        Buffer.concat([Buffer.from([0x3f, 0xe2, 0x1f]), block(get())]),
      ),
  ],
}

const without = (name: string, more: Pairs = []): Pairs => [...get().filter(([each]) => each !== name), ...more]
const head =
  (pairs: Pairs): Case['send'] =>
  client =>
    void client.request(pairs)

/** Each resets stream 1 with that code, and the connection goes on. */
const streamErrors: Record<string, readonly [number, Case['send']]> = {
  '5.1: DATA on a stream that the client has ended': [
    code.STREAM_CLOSED,
    client => {
      client.request(get('/never'))
      client.data(1, 'x', END_STREAM)
    },
  ],
  '5.1: HEADERS on a stream that the client has ended': [
    code.STREAM_CLOSED,
    client => {
      client.request(get('/never'))
      client.headers(1, get())
    },
  ],
  '5.1: DATA behind RST_STREAM': [
    code.STREAM_CLOSED,
    client => {
      client.request(post('/never'), OPEN)
      client.frame(type.rst, 0, 1, uint32(8))
      client.data(1, 'x', END_STREAM)
    },
  ],
  '5.1: HEADERS behind RST_STREAM': [
    code.STREAM_CLOSED,
    client => {
      client.request(post('/never'), OPEN)
      client.frame(type.rst, 0, 1, uint32(8))
      client.headers(1, get())
    },
  ],
  '5.3.1: HEADERS of a stream that depends on itself': [
    code.PROTOCOL,
    client =>
      client.frame(
        type.headers,
        END_HEADERS | END_STREAM | PRIORITY,
        1,
        Buffer.concat([uint32(1), Buffer.of(255), block(get())]),
      ),
  ],
  '6.3: PRIORITY of another size': [
    code.FRAME_SIZE,
    client => {
      client.request(get('/never'))
      client.frame(type.priority, 0, 1, Buffer.alloc(4))
    },
  ],
  '6.9: WINDOW_UPDATE by 0': [
    code.PROTOCOL,
    client => {
      client.request(get('/never'))
      client.frame(type.window, 0, 1, uint32(0))
    },
  ],
  '6.9.1: a window over the largest': [
    code.FLOW_CONTROL,
    client => {
      client.request(get('/never'))
      client.frame(type.window, 0, 1, uint32(0x7fff_ffff))
      client.frame(type.window, 0, 1, uint32(0x7fff_ffff))
    },
  ],
  '8.1: a second HEADERS that does not end the stream': [
    code.PROTOCOL,
    client => {
      client.request(post('/never'), OPEN)
      client.headers(1, [['x-a', 'b']], OPEN)
    },
  ],
  '8.2: a field name in upper case': [code.PROTOCOL, head(get('/', [['X-TEST', 'ok']]))],
  '8.2: an empty field name': [code.PROTOCOL, head(get('/', [['', 'ok']]))],
  '8.2: a colon in a field name': [code.PROTOCOL, head(get('/', [['x:a', 'ok']]))],
  '8.2: a space in a field name': [code.PROTOCOL, head(get('/', [['x a', 'ok']]))],
  '8.2: CR, LF in a field name': [code.PROTOCOL, head(get('/', [['x\r\nhost', 'ok']]))],
  '8.2: CR LF in a value': [code.PROTOCOL, head(get('/', [['x-a', 'a\r\nx-b: c']]))],
  '8.2: LF in a value': [code.PROTOCOL, head(get('/', [['x-a', 'a\nx-b: c']]))],
  '8.2: NUL in a value': [code.PROTOCOL, head(get('/', [['x-a', 'a\0b']]))],
  '8.2: a value that begins with a space': [code.PROTOCOL, head(get('/', [['x-a', ' b']]))],
  '8.2: CR LF in :path': [code.PROTOCOL, head(without(':path', [[':path', '/ HTTP/1.1\r\nx: y']]))],
  '8.2: a space in :method': [code.PROTOCOL, head(without(':method', [[':method', 'GET /x']]))],
  '8.3: an unknown pseudo-header field': [code.PROTOCOL, head([[':test', 'ok'], ...get()])],
  '8.3: one of responses': [code.PROTOCOL, head([[':status', '200'], ...get()])],
  '8.3: one as a trailer': [
    code.PROTOCOL,
    client => {
      client.request(post('/never'), OPEN)
      client.headers(1, [[':method', 'GET']])
    },
  ],
  '8.3: one behind a field': [code.PROTOCOL, head([...without(':path'), ['x-a', 'b'], [':path', '/']])],
  '8.3.1: no :method': [code.PROTOCOL, head(without(':method'))],
  '8.3.1: no :scheme': [code.PROTOCOL, head(without(':scheme'))],
  '8.3.1: no :path': [code.PROTOCOL, head(without(':path'))],
  '8.3.1: an empty :path': [code.PROTOCOL, head(without(':path', [[':path', '']]))],
  '8.3.1: two :method': [code.PROTOCOL, head([[':method', 'GET'], ...get()])],
  '8.3.1: two :scheme': [code.PROTOCOL, head([[':scheme', 'https'], ...get()])],
  '8.3.1: two :path': [code.PROTOCOL, head([[':path', '/'], ...get()])],
  '8.3.1: two :authority': [code.PROTOCOL, head([[':authority', 'localhost'], ...get()])],
  '8.3.1: :authority and host that differ': [code.PROTOCOL, head(get('/', [['host', 'other.test']]))],
  '8.2.2: connection': [code.PROTOCOL, head(get('/', [['connection', 'keep-alive']]))],
  '8.2.2: transfer-encoding': [code.PROTOCOL, head(get('/', [['transfer-encoding', 'chunked']]))],
  '8.2.2: upgrade': [code.PROTOCOL, head(get('/', [['upgrade', 'h2c']]))],
  '8.2.2: keep-alive': [code.PROTOCOL, head(get('/', [['keep-alive', 'x']]))],
  '8.2.2: proxy-connection': [code.PROTOCOL, head(get('/', [['proxy-connection', 'x']]))],
  '8.2.2: te with something other than trailers': [code.PROTOCOL, head(get('/', [['te', 'trailers, deflate']]))],
  '8.1.1: a content-length that one DATA frame contradicts': [
    code.PROTOCOL,
    client => {
      client.request(post('/never', [['content-length', '1']]), OPEN)
      client.data(1, 'test', END_STREAM)
    },
  ],
  '8.1.1: a content-length that the sum of DATA contradicts': [
    code.PROTOCOL,
    client => {
      client.request(post('/never', [['content-length', '9']]), OPEN)
      client.data(1, 'test')
      client.data(1, 'test', END_STREAM)
    },
  ],
  '8.1.1: a content-length, and no body': [code.PROTOCOL, head(post('/', [['content-length', '4']]))],
  '8.1.1: two content-lengths': [
    code.PROTOCOL,
    client =>
      void client.request(
        post('/', [
          ['content-length', '4'],
          ['content-length', '5'],
        ]),
        OPEN,
      ),
  ],
  '8.1.1: a content-length that is not a number': [
    code.PROTOCOL,
    client => void client.request(post('/', [['content-length', '+4']]), OPEN),
  ],
  '8.5: CONNECT with :path': [code.PROTOCOL, head([...without(':method'), [':method', 'CONNECT']])],
  'RFC 8441: :protocol without CONNECT': [
    code.PROTOCOL,
    client => void client.request([[':protocol', 'websocket'], ...get()], OPEN),
  ],
}

/** Each is answered as if nothing had happened. */
const allowed: Record<string, Case['send']> = {
  'unknown frame types, flags, settings and errors': client => {
    client.frame(0x16, 0xff, 0, 'abcdefgh')
    client.frame(type.ping, 0xfe, 0, 'abcdefgh')
    client.frame(type.settings, 0, 0, settingsBytes([[0xff, 1]]))
  },
  'PRIORITY on idle and later streams': client => {
    client.frame(type.priority, 0, 1, Buffer.concat([uint32(0), Buffer.of(16)]))
    client.frame(type.priority, 0, 99, Buffer.concat([uint32(3), Buffer.of(16)]))
  },
  'the reserved bit of a stream number': client => client.frame(type.window, 0, 0x8000_0000, uint32(1)),
  'SETTINGS with the same setting twice': client =>
    client.frame(
      type.settings,
      0,
      0,
      settingsBytes([
        [4, 100],
        [4, 65_535],
      ]),
    ),
  'a header table of no bytes': client => client.frame(type.settings, 0, 0, settingsBytes([[1, 0]])),
}

describe('a connection error', () => {
  // First, since the log takes only so many refusals a second.
  it('is one record that says which rule was broken', async () => {
    const client = await h2Client(gateway.port)
    const port = client.socket.localPort
    client.frame(type.ping, 0, 1, '12345678')
    await client.closed()
    const record = await gateway.logged(each => each['clientPort'] === port)
    assert.equal(record['message'], 'connection ended')
    assert.equal(record['error'], 'HTTP2_VIOLATION')
    assert.equal(record['why'], 'PING on a stream (PROTOCOL_ERROR)')
  })

  for (const [name, [expected, send]] of Object.entries(connectionErrors)) {
    it(name, async () => {
      const client = await h2Client(gateway.port)
      await send(client)
      assert.equal(await client.closed(), expected)
    })
  }

  it('3.4: a preface that is none', async () => {
    const client = await rawTls(gateway.port, { ALPNProtocols: ['h2'] })
    client.send('INVALID CONNECTION PREFACE\r\n\r\n')
    await client.closed()
  })

  it('3.4: another frame before SETTINGS', async () => {
    const { socket } = await rawTls(gateway.port, { ALPNProtocols: ['h2'] })
    const client = new RawH2(socket, 'client', true)
    client.send(prefaceText, frameBytes(type.ping, 0, 0, '12345678'))
    assert.equal(await client.closed(), code.PROTOCOL)
  })
})

describe('a stream error', () => {
  for (const [name, [expected, send]] of Object.entries(streamErrors)) {
    it(name, async () => {
      const client = await h2Client(gateway.port)
      await send(client)
      assert.equal((await client.answer(1)).reset, expected)
      await stillFine(client)
    })
  }

  it('5.1.2: one stream more than allowed', async () => {
    const client = await h2Client(gateway.port)
    for (let count = 0; count < 11; count++) client.request(get('/never'))
    assert.equal((await client.answer(21)).reset, code.REFUSED)
    await stillFine(client)
  })
})

describe('no error', () => {
  for (const [name, send] of Object.entries(allowed)) {
    it(name, async () => {
      const client = await h2Client(gateway.port)
      await send(client)
      const { status, body } = await client.ask(get())
      assert.deepEqual([status, body], [200, 'fine'])
      await stillFine(client)
    })
  }

  it('a preface, SETTINGS and a request that come byte by byte', async () => {
    const raw = await rawTls(gateway.port, { ALPNProtocols: ['h2'] })
    const bytes = Buffer.concat([
      Buffer.from(prefaceText),
      frameBytes(type.settings, 0, 0),
      frameBytes(type.headers, END_STREAM, 1, block(get()).subarray(0, 10)),
      frameBytes(type.continuation, END_HEADERS, 1, block(get()).subarray(10)),
    ])
    await raw.sendBytewise(bytes)
    await raw.until(text => text.endsWith('fine'))
    raw.destroy()
  })

  it('padding and priority of HEADERS, padding of DATA', async () => {
    const client = await h2Client(gateway.port)
    const padded = Buffer.concat([Buffer.of(5), uint32(0), Buffer.of(7), block(post('/never')), Buffer.alloc(5)])
    client.frame(type.headers, END_HEADERS | PADDED | PRIORITY, 1, padded)
    client.frame(type.data, PADDED | END_STREAM, 1, Buffer.from('\x03abc\0\0\0', 'latin1'))
    await client.ping()
    assert.match(backend.received(), /\r\nabc\r\n/)
    await stillFine(client)
  })

  it('DATA for a stream that we have reset', async () => {
    const client = await h2Client(gateway.port)
    client.request(post('/', [['X-BAD', 'x']]), OPEN)
    assert.equal((await client.answer(1)).reset, code.PROTOCOL)
    client.data(1, 'still under way', END_STREAM)
    client.frame(type.window, 0, 1, uint32(1))
    await stillFine(client)
  })

  it('6.8: GOAWAY of the client: what it has asked is answered, and its PING too; then the connection is closed', async () => {
    const client = await h2Client(gateway.port)
    client.request(get())
    client.frame(type.goaway, 0, 0, Buffer.concat([uint32(0), uint32(0xff)]))
    await client.ping()
    assert.equal((await client.answer(1)).body, 'fine')
    assert.equal(await client.closed(), 0)
  })

  it('a drain takes two steps, and loses no request that is under way', async () => {
    const own = await startGateway({ sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }] })
    const client = await h2Client(own.port, { polite: false })
    const drained = own.gateway.drain(5000)
    await client.until(() => client.count(type.goaway) === 1, 'the first GOAWAY')
    assert.equal(client.frames.find(each => each.type === type.goaway)?.payload.readUInt32BE(0), 0x7fff_ffff)
    const stream = client.request(get())
    assert.equal((await client.answer(stream)).body, 'fine')
    client.frame(type.ping, ACK, 0, client.frames.find(each => each.type === type.ping)?.payload ?? '')
    await client.until(() => client.count(type.goaway) === 2, 'the second GOAWAY')
    assert.equal(client.frames.findLast(each => each.type === type.goaway)?.payload.readUInt32BE(0), 1)
    assert.equal(await client.closed(), 0)
    assert.equal(await drained, 0)
    await own.stop()
  })

  it('6.9.2: a window that SETTINGS makes negative, and opens again', async () => {
    const client = await h2Client(gateway.port, { settings: [[4, 3]], polite: false })
    client.request(get())
    await client.until(() => client.message(1).body === 'fin')
    client.frame(type.settings, 0, 0, settingsBytes([[4, 2]]))
    client.frame(type.window, 0, 1, uint32(1))
    await client.ping()
    assert.equal(client.message(1).body, 'fin')
    client.frame(type.window, 0, 1, uint32(1))
    assert.equal((await client.answer(1)).body, 'fine')
    client.destroy()
  })

  it('6.9.1: a window of one byte', async () => {
    const client = await h2Client(gateway.port, { settings: [[4, 1]], polite: false })
    client.request(get())
    await client.until(() => client.message(1).body === 'f')
    client.frame(type.window, 0, 1, uint32(100))
    assert.equal((await client.answer(1)).body, 'fine')
    client.destroy()
  })
})
