/** Answers that come before the request's body has ended: what clients that end or go on get, and what their backends are told. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type tls from 'node:tls'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, END_STREAM, h2Client, post } from '../harness/h2.ts'
import { type RawClient, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend
/** Called with a connection that has the head of a request */
let act: (connection: RawClient) => void = () => {}

before(async () => {
  const acting = new Set<RawClient>()
  backend = await recordingBackend((client, text) => {
    if (!text.includes('\r\n\r\n') || acting.has(client)) return
    acting.add(client)
    act(client)
  })
  gateway = await startGateway({
    sites: localhostWith({ limits: { body: '100mb' }, to: { endpoints: [backend.url], pool: { idle: 0 } } }),
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const head = (status: string) => `HTTP/1.1 ${status}\r\nContent-Length: 8\r\n\r\nhalf`

describe('over HTTP/2, a client that ends its request short of its length', () => {
  it('behind the head of a refusal gets the rest of it, and the backend no end of the request', async () => {
    act = connection => connection.send(head('401 Unauthorized'))
    const client = await h2Client(gateway.port)
    const stream = client.request(post('/', [['content-length', '1000']]), END_HEADERS)
    client.data(stream, 'x'.repeat(10))
    await client.until(() => client.message(stream).body === 'half', 'half of the answer')
    client.data(stream, 'x'.repeat(10), END_STREAM)
    await client.ping()
    const connection = backend.connections.at(-1) as RawClient
    connection.send('more')
    await client.until(() => client.message(stream).ended, 'all of the answer')
    const { status, body, reset } = client.message(stream)
    assert.deepEqual([status, body, reset], [401, 'halfmore', null])
    const { received } = await connection.closed()
    assert.doesNotMatch(received, /x{21}/)
    client.destroy()
  })

  it('behind the head of a success is malformed', async () => {
    act = connection => connection.send(head('200 OK'))
    const client = await h2Client(gateway.port)
    const stream = client.request(post('/', [['content-length', '1000']]), END_HEADERS)
    await client.until(() => client.message(stream).body === 'half', 'half of the answer')
    client.data(stream, 'x', END_STREAM)
    await client.until(() => client.message(stream).reset !== null, 'a reset')
    assert.equal(client.message(stream).reset, 1)
    await backend.connections.at(-1)?.closed()
    client.destroy()
  })
})

describe('over HTTP/1.1', () => {
  it('a refusal says that the connection ends, and a client that goes on sending is not reset', async () => {
    act = connection => connection.send(`${head('401 Unauthorized')}more`)
    const client = await rawTls(gateway.port, { allowHalfOpen: true } as tls.ConnectionOptions)
    client.send('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n')
    const text = await client.until(received => received.endsWith('halfmore'))
    assert.match(text, /^HTTP\/1\.1 401 /)
    assert.match(text, /\r\nconnection: close\r\n/i)
    for (let sent = 0; sent < 100; sent++)
      await new Promise<void>(resolve => client.socket.write(Buffer.alloc(100_000), () => resolve()))
    client.socket.end()
    const { error, ended } = await client.closed()
    assert.deepEqual([error, ended], [null, true])
  })

  it('a success that comes before its request has ended keeps the connection', async () => {
    act = connection => connection.send(head('200 OK'))
    const client = await rawTls(gateway.port)
    client.send('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n')
    await client.until(received => received.endsWith('half'))
    client.send('body')
    await backend.connections.at(-1)?.until(received => received.endsWith('body'))
    backend.connections.at(-1)?.send('more')
    const text = await client.until(received => received.endsWith('halfmore'))
    assert.doesNotMatch(text, /connection: close/i)
    client.destroy()
  })
})

describe('a backend that resets', () => {
  /** Uploads for as long as the connection lasts. */
  async function upload(): Promise<string> {
    const client = await rawTls(gateway.port)
    client.send('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000000\r\n\r\n')
    const piece = Buffer.alloc(200_000)
    let left = 90_000_000
    const more = () => {
      while (left > 0 && client.socket.writable) {
        left -= piece.length
        if (!client.socket.write(piece)) return void client.socket.once('drain', more)
      }
    }
    more()
    const { received } = await client.closed()
    return received
  }

  it('behind a whole response loses nothing of it', async () => {
    act = connection => {
      connection.socket.pause()
      connection.socket.write(`${head('413 Content Too Large')}more`, () => connection.socket.resetAndDestroy())
    }
    assert.match(await upload(), /^HTTP\/1\.1 413 [\s\S]*halfmore$/)
  })

  it('in the middle of a response that ends with its connection cuts it off', async () => {
    act = connection => {
      connection.socket.pause()
      connection.socket.write('HTTP/1.1 413 Content Too Large\r\n\r\nhalf', () =>
        connection.socket.resetAndDestroy(),
      )
    }
    const received = await upload()
    assert.doesNotMatch(received, /\r\n0\r\n\r\n$/, 'it looks complete')
    await gateway.logged(({ status, error }) => status === 413 && error === 'UPSTREAM_TRUNCATED')
  })
})
