/** One client connection over HTTP/1.1: keep-alive, pipelining, chunks and trailers, 1xx, upgrades, and how it ends. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { heads, ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend
type Answer = (client: { send(text: string): void; destroy(): void; socket: { end(): void } }, text: string) => void
/** What the backend does with what a connection has received since this was set; set by each test */
let answer: Answer = () => {}
let current: Answer | null = null
let from = new Map<object, number>()
const seen = new Map<object, number>()

before(async () => {
  backend = await recordingBackend((client, text) => {
    // A pooled connection comes with what earlier tests have sent over it.
    if (current !== answer) {
      current = answer
      from = new Map(seen)
    }
    seen.set(client, text.length)
    answer(client, text.slice(from.get(client) ?? 0))
  })
  gateway = await startGateway({ sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }] })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

/** Answers each whole request without a body once, with its path. */
function answerEach(): typeof answer {
  const done = new WeakMap<object, number>()
  return (client, text) => {
    const requests = text.split('\r\n\r\n').slice(0, -1)
    for (let at = done.get(client) ?? 0; at < requests.length; at++) {
      const path = /^(?:GET|HEAD|POST) (\S+)/.exec(requests[at] ?? '')?.[1] ?? '?'
      client.send(ok(`<${path}>`))
    }
    done.set(client, requests.length)
  }
}

const get = (path: string, extra = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${extra}\r\n`

describe('one connection', () => {
  it('carries pipelined requests in order, however they are split', async () => {
    answer = answerEach()
    const client = await rawTls(gateway.port)
    const all = Array.from({ length: 10 }, (_, index) => get(`/p${index}`)).join('')
    for (let at = 0; at < all.length; at += 37) client.send(all.slice(at, at + 37))
    const text = await client.until(received => received.includes('</p9>') || received.includes('<' + '/p9>'))
    const order = [...text.matchAll(/<\/p(\d)>/g)].map(found => found[1])
    assert.deepEqual(order, ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
    client.destroy()
  })

  it('passes chunks and trailers both ways, decoded and framed anew', async () => {
    answer = (client, text) => {
      if (!text.endsWith('0\r\nX-Sum: 1\r\n\r\n')) return
      client.send(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Done: yes\r\n\r\n',
      )
    }
    const client = await rawTls(gateway.port)
    const before = backend.connections.length
    client.send('POST /up HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n')
    client.send('5;x\r\npedia\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n')
    const text = await client.until(received => received.includes('X-Done'))
    assert.match(text, /transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX-Done: yes\r\n\r\n$/)
    const sent = backend.received()
    assert.match(sent, /\r\n(?:4\r\nwiki\r\n5\r\npedia|9\r\nwikipedia)\r\n0\r\nX-Sum: 1\r\n\r\n/)
    assert.ok(!sent.includes('evil'))
    assert.ok(backend.connections.length <= before + 1)
    client.destroy()
  })

  it('answers an HTTP/1.0 client whose backend is chunked by closing at the end', async () => {
    answer = client => client.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n')
    const client = await rawTls(gateway.port)
    client.send('GET / HTTP/1.0\r\n\r\n')
    const { received, ended } = await client.closed()
    assert.match(received, /connection: close\r\n\r\nabc$/)
    assert.ok(ended)
  })

  it('forwards 103 and 100 before the answer', async () => {
    answer = (client, text) => {
      if (!text.endsWith('\r\n\r\n')) return client.send(ok('body seen'))
      client.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n')
    }
    const client = await rawTls(gateway.port)
    client.send('PUT /c HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n')
    const early = await client.until(received => received.includes('100 Continue'))
    assert.match(early, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 100 Continue\r\n\r\n$/)
    client.send('data')
    await client.until(received => received.endsWith('body seen'))
    client.destroy()
  })

  it('sends no body for HEAD, 204 and 304, and keeps the connection', async () => {
    answer = (client, text) => {
      const last = text.split('\r\n\r\n').at(-2) ?? ''
      if (last.startsWith('HEAD')) client.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
      else if (last.startsWith('GET /204')) client.send('HTTP/1.1 204 No Content\r\n\r\n')
      else client.send('HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n')
    }
    const client = await rawTls(gateway.port)
    client.send('HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await client.until(text => heads(text, 1))
    client.send(get('/204'))
    await client.until(text => heads(text, 2))
    client.send(get('/304'))
    const text = await client.until(received => heads(received, 3))
    assert.match(
      text,
      /^HTTP\/1\.1 200 OK\r\ndate: .*\r\ncontent-length: 5\r\n\r\nHTTP\/1\.1 204 No Content\r\ndate: .*\r\n\r\nHTTP\/1\.1 304 /,
    )
    client.destroy()
  })

  it('becomes a tunnel only after the 101', async () => {
    answer = (client, text) => {
      if (text.endsWith('\r\n\r\n'))
        client.send(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nearly',
        )
      else client.send(`<${text.slice(text.indexOf('\r\n\r\n') + 4)}>`)
    }
    const client = await rawTls(gateway.port)
    client.send(get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'))
    await client.until(text => text.endsWith('early'))
    client.send('\x81\x05frame')
    await client.until(text => text.endsWith('<\x81\x05frame>'))
    client.destroy()
    const record = await gateway.logged(each => each['status'] === 101)
    assert.equal(record['path'], '/ws')
  })

  it('never forwards what comes behind an upgrade that the backend refuses', async () => {
    answer = (client, text) => {
      if (heads(text, 1) && !heads(text, 2)) client.send(ok('no upgrade'))
    }
    const client = await rawTls(gateway.port)
    client.send(
      `${get('/ws2', 'Connection: Upgrade\r\nUpgrade: foo\r\n')}GET /smuggled HTTP/1.1\r\nHost: admin.internal\r\n\r\n`,
    )
    // Nor as a request: it may be of the other protocol (RFC 9931).
    assert.equal(heads((await client.closed()).received, 2), false)
    const sent = backend.received()
    assert.ok(!sent.includes('/smuggled') && !sent.includes('admin.internal'), sent)
    assert.ok(!/upgrade: foo/i.test(sent))
  })

  it('refuses CONNECT, and takes OPTIONS * and the absolute form', async () => {
    answer = answerEach()
    const connect = await rawTls(gateway.port)
    connect.send('CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.match((await connect.closed()).received, /^HTTP\/1\.1 501 /)
    const client = await rawTls(gateway.port)
    client.send('GET https://localhost/abs?q HTTP/1.1\r\nHost: other\r\n\r\n')
    await client.until(text => text.includes('/abs'))
    const sent = backend.received()
    assert.match(sent, /GET \/abs\?q HTTP\/1\.1\r\nhost: localhost\r\n/)
    client.destroy()
  })

  it('cuts the client off visibly when the backend dies in the middle of a body', async () => {
    for (const head of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
      answer = client => {
        client.send(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${head.startsWith('T') ? '5\r\npart1\r\n' : 'part1'}`)
        setImmediate(() => client.socket.end())
      }
      const client = await rawTls(gateway.port)
      client.send(get('/dies', 'Connection: close\r\n'))
      const { received, error, ended } = await client.closed()
      assert.ok(!received.endsWith('0\r\n\r\n'), received)
      assert.ok(error !== null || !ended, `ended as if complete: ${JSON.stringify(received)}`)
    }
    await gateway.logged(each => each['error'] === 'UPSTREAM_TRUNCATED')
  })

  it('aborts the backend when the client leaves', async () => {
    let reached = () => {}
    const asked = new Promise<void>(resolve => {
      reached = resolve
    })
    answer = () => reached()
    const count = backend.connections.length
    const client = await rawTls(gateway.port)
    client.send(get('/slow'))
    await asked
    client.destroy()
    const used = backend.connections.slice(Math.max(0, count - 1)).filter(each => each.received().includes('/slow'))
    assert.equal(used.length, 1)
    await used[0]?.closed()
    const record = await gateway.logged(each => each['path'] === '/slow')
    assert.equal(record['error'], 'CLIENT_GONE')
  })

  it('gives an early answer whole while the request body still flows', async () => {
    let answered = false
    answer = (client, text) => {
      if (heads(text, 1) && !answered)
        client.send('HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nno!\n')
      answered = true
    }
    const client = await rawTls(gateway.port)
    client.send('POST /big HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n')
    client.send('x'.repeat(50_000))
    const text = await client.until(received => received.endsWith('no!\n'))
    assert.match(text, /^HTTP\/1\.1 413 /)
    await client.closed()
  })
})
