/** Backends are not trusted: what is not strictly HTTP/1.1 is a 502 or a visible cut, and its connection is not used again. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, h2Client, type Pairs } from '../harness/h2.ts'
import { ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend
let bytes = ''

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n')) client.send(bytes)
  })
  gateway = await startGateway({ sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }] })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const switched = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n'

const bad: Record<string, string> = {
  garbage: 'hello there, this is not HTTP\r\n\r\n',
  'another version': 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n',
  'a status of two digits': 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n',
  'a status out of range': 'HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n',
  'Content-Length beside Transfer-Encoding':
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
  'another transfer coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabcd',
  'a bare LF': 'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
  'a field without a colon': 'HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 0\r\n\r\n',
  'a folded field': 'HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n',
  'a NUL': 'HTTP/1.1 200 OK\r\nX-A: \0\r\nContent-Length: 0\r\n\r\n',
  'a head over the limit': `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(40_000)}\r\nContent-Length: 0\r\n\r\n`,
  'a switch nobody asked for': switched,
}

describe('a backend', () => {
  for (const [name, answer] of Object.entries(bad)) {
    it(`that sends ${name} is a 502, and its connection is closed`, async () => {
      bytes = answer
      const count = backend.connections.length
      const client = await rawTls(gateway.port)
      client.send(`GET /bad HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      const text = await client.until(received => received.includes('</html>'))
      assert.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\n/)
      assert.ok(!text.includes('127.0.0.1'), 'the page names the inside')
      client.destroy()
      for (const connection of backend.connections.slice(count)) await connection.closed()
    })
  }

  it('that refused a WebSocket does not get a tunnel from the next request on its connection', async () => {
    const refused = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'
    const count = backend.connections.length
    const client = await rawTls(gateway.port)
    bytes = refused
    client.send(
      'GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    await client.until(text => text.includes(' 403 '))
    bytes = switched
    client.send('GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const text = await client.until(received => received.split('\r\n\r\n').length > 2)
    assert.match(text, /\r\n\r\nHTTP\/1\.1 502 /)
    assert.equal(backend.connections.length, count + 1, 'the connection was used again')
    client.destroy()
  })

  it('that switches for a client of HTTP/2 has to prove that it has read the key', async () => {
    bytes = switched
    const client = await h2Client(gateway.port)
    const extended: Pairs = [
      [':method', 'CONNECT'],
      [':protocol', 'websocket'],
      [':scheme', 'https'],
      [':authority', 'localhost'],
      [':path', '/ws'],
    ]
    const stream = client.request(extended, END_HEADERS)
    await client.until(() => client.message(stream).status > 0, 'a head')
    assert.equal(client.message(stream).status, 502)
    client.destroy()
  })

  it('that sends more than its answer is not used again', async () => {
    bytes = `${ok('one')}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged`
    const client = await rawTls(gateway.port)
    client.send('GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await client.until(text => text.endsWith('one'))
    await backend.connections.at(-1)?.closed()
    bytes = ok('two')
    client.send('GET /2 HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const text = await client.until(received => received.endsWith('two'))
    assert.ok(!text.includes('forged'))
    client.destroy()
  })

  it('that speaks while its connection rests loses it', async () => {
    bytes = ok('first')
    const client = await rawTls(gateway.port)
    client.send('GET /rest HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await client.until(text => text.endsWith('first'))
    const resting = backend.connections.at(-1)
    resting?.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged')
    await resting?.closed()
    bytes = ok('second')
    client.send('GET /rest HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const text = await client.until(received => received.endsWith('second'))
    assert.ok(!text.includes('forged'))
    client.destroy()
  })

  it('that closed a pooled connection is tried once more, on a new one', async () => {
    bytes = ok('a')
    const client = await rawTls(gateway.port)
    client.send('GET /s HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await client.until(text => text.endsWith('a'))
    const count = backend.connections.length
    const resting = backend.connections.at(-1)
    // Cut exactly when the next request arrives on it.
    resting?.socket.once('data', () => resting.socket.resetAndDestroy())
    bytes = ''
    const next = backend.connection(count).then(fresh => {
      bytes = ok('b')
      return fresh
    })
    client.send('GET /s HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await next
    assert.match(await client.until(text => text.endsWith('b')), /200 OK/)
    client.destroy()
  })
})
