/**
 * Whatever makes the gateway end a client's stream early is counted in one place: a connection that does nothing else
 * is ended, and its backends are asked no more than the guard's burst. A complete answer that came early is an honest
 * end, and leaves whole.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import type net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { acceptFor } from '../../src/proxy/seam/websocket.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import {
  END_HEADERS,
  END_STREAM,
  frameBytes,
  get,
  type H2Backend,
  h2Backend,
  h2Client,
  block as headerBlock,
  type Pairs,
  post,
  type RawH2,
  respond,
  type,
  uint32,
} from '../harness/h2.ts'
import { ok, type RecordingBackend, recordingBackend } from '../harness/raw.ts'

const run = promisify(execFile)
const CALM = 11

let gateway: Started
let backend: RecordingBackend
let shared: H2Backend
let refusing: http.Server
/** To both backends that speak HTTP/1.1 */
let connections = 0
const asked = () => connections + backend.connections.length

const urlOf = (server: http.Server) => `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n') && !text.includes(' /never')) client.send(ok('fine'))
  })
  refusing = http.createServer((request, response) => {
    if (request.url?.includes('/info/refs')) {
      // An empty repository that takes pushes (gitprotocol-http, gitprotocol-common).
      response.setHeader('content-type', 'application/x-git-receive-pack-advertisement')
      const refs = `${'0'.repeat(40)} capabilities^{}\0report-status\n`
      const line = (text: string) => (text.length + 4).toString(16).padStart(4, '0') + text
      response.end(`${line('# service=git-receive-pack\n')}0000${line(refs)}0000`)
      return
    }
    // Before a large pack git asks with an empty one whether it may.
    if (request.url?.endsWith('/git-receive-pack')) {
      request.resume().on('end', () => response.end())
      return
    }
    response.writeHead(request.url === '/early' ? 403 : 401)
    response.end(request.url === '/early' ? 'no' : 'n'.repeat(300_000))
  })
  refusing.on('connection', () => connections++)
  await new Promise<void>(resolve => refusing.listen(0, '127.0.0.1', resolve))
  shared = await h2Backend({
    onRequest: request => {
      if (request.field(':path') !== '/shared/never') respond(request, 'fine')
    },
  })
  gateway = await startGateway({
    sites: localhostWith(
      { match: { path: '/own' }, respond: { status: 401, body: 'who are you?' } },
      { match: { path: '/good' }, respond: { status: 200, body: 'good' } },
      { match: { path: '/shared/*' }, to: [`h2c://127.0.0.1:${shared.port}`] },
      { match: { path: ['/early', '/refused'] }, limits: { body: '10mb' }, to: [urlOf(refusing)] },
      { match: { path: '/repository.git/*' }, to: [urlOf(refusing)] },
      { to: [backend.url] },
    ),
    limits: { body: '4kb' },
    log: { access: false, level: 'info' },
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
  await shared.close()
  refusing.closeAllConnections()
  refusing.close()
})

const open = (stream: number, pairs: Pairs) => frameBytes(type.headers, END_HEADERS, stream, headerBlock(pairs))
const connect = (path: string): Pairs => [
  [':method', 'CONNECT'],
  [':protocol', 'websocket'],
  ...get(path).slice(1),
  ['sec-websocket-version', '13'],
]

/** Sends `count` streams, `batch` at a time, until the connection ends; each batch after an answer to a PING. */
async function abuse(client: RawH2, count: number, batch: number, make: (stream: number) => Buffer): Promise<void> {
  client.socket.on('error', () => {})
  for (let sent = 0; sent < count && client.closedWith === null && client.goaway === null; sent += batch) {
    const parts = Array.from({ length: batch }, (_, at) => make(2 * (sent + at) + 1))
    client.send(...parts)
    await client.ping().catch(() => {})
  }
}

const large = Buffer.alloc(16_384, 'x')

/** What a stream does that ends early: all of it in one write, or the last part when the backend has been asked. */
const ways: Record<string, (stream: number) => Buffer> = {
  'extended CONNECT and END_STREAM': stream =>
    Buffer.concat([open(stream, connect('/never')), frameBytes(type.data, END_STREAM, stream)]),
  'a body over limits.body': stream =>
    Buffer.concat([
      open(stream, post('/never')),
      ...Array.from({ length: 5 }, () => frameBytes(type.data, 0, stream, large.subarray(0, 1_000))),
    ]),
  'a body over limits.body that ends': stream =>
    Buffer.concat([
      open(stream, post('/never')),
      ...Array.from({ length: 4 }, () => frameBytes(type.data, 0, stream, large.subarray(0, 1_000))),
      frameBytes(type.data, END_STREAM, stream, large.subarray(0, 1_000)),
    ]),
  'a content-length over limits.body': stream => open(stream, post('/never', [['content-length', '70000']])),
  'more DATA than content-length says': stream =>
    Buffer.concat([
      open(stream, post('/never', [['content-length', '1']])),
      frameBytes(type.data, END_STREAM, stream, 'xx'),
    ]),
  'less DATA than content-length says': stream =>
    Buffer.concat([
      open(stream, post('/never', [['content-length', '3']])),
      frameBytes(type.data, END_STREAM, stream, 'xx'),
    ]),
  'trailers with a pseudo-header field': stream =>
    Buffer.concat([
      open(stream, post('/never')),
      frameBytes(type.headers, END_HEADERS | END_STREAM, stream, headerBlock([[':path', '/']])),
    ]),
  'trailers that do not end the stream': stream =>
    Buffer.concat([open(stream, post('/never')), open(stream, [['x-a', 'b']])]),
  'a malformed head': stream => open(stream, [...get('/never'), ['connection', 'close']]),
  'a reset': stream => Buffer.concat([open(stream, post('/never')), frameBytes(type.rst, 0, stream, uint32(8))]),
  'a reset of a tunnel that is not open yet': stream =>
    Buffer.concat([open(stream, connect('/never')), frameBytes(type.rst, 0, stream, uint32(8))]),
  'requests that the backend answers early': stream => open(stream, post('/early')),
  'requests that a route answers early': stream => open(stream, post('/own')),
  'resets behind answers that came early': stream =>
    Buffer.concat([open(stream, post('/good')), frameBytes(type.rst, 0, stream, uint32(8))]),
}

describe('counted', () => {
  for (const [name, make] of Object.entries(ways)) {
    for (const batch of [100, 10]) {
      it(`${name}, ${batch} at once`, async () => {
        const client = await h2Client(gateway.port)
        const before = asked()
        await abuse(client, 4_000, batch, make)
        assert.equal(client.goaway, CALM)
        const made = asked() - before
        assert.ok(made <= 1_000, `${made} connections to the backend`)
      })
    }
  }
})

describe('a tunnel', () => {
  it('counts among the streams for as long as its backend is connected', async () => {
    const stubborn = await recordingBackend((connection, text) => {
      const key = /sec-websocket-key: (.*)\r\n/i.exec(text)?.[1]
      if (key !== undefined && !text.endsWith('last words'))
        connection.send(
          `HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${acceptFor(key)}\r\n\r\n`,
        )
      // What it is sent from now on it does not take: so nothing closes behind its client.
      connection.socket.pause()
    })
    const small = await startGateway({
      sites: [{ host: 'localhost', certificate: 'local', to: [stubborn.url] }],
      limits: { streams: 5 },
      log: { access: false, level: 'info' },
    })
    const client = await h2Client(small.port)
    const answers: (number | null)[] = []
    for (let count = 0; count < 8; count++) {
      const stream = client.request(connect('/'), END_HEADERS)
      await client.until(() => client.message(stream).status === 200 || client.message(stream).reset !== null)
      answers.push(client.message(stream).reset)
      if (client.message(stream).reset !== null) continue
      let window = 65_535
      client.onFrame = frame => {
        if (frame.type === type.window && frame.stream === stream) window += frame.payload.readUInt32BE()
      }
      // Until the system takes no more for the backend.
      let sent = 0
      while (window >= 16_384 && sent < 20_000_000) {
        window -= 16_384
        sent += 16_384
        client.data(stream, Buffer.alloc(16_384))
        await client.ping()
      }
      client.data(stream, '', END_STREAM)
      client.frame(type.rst, 0, stream, uint32(8))
      await client.ping()
    }
    const open = stubborn.connections.filter(each => !each.socket.destroyed).length
    assert.ok(open <= 5, `${open} connections for tunnels, ${answers.join(' ')}`)
    client.destroy()
    await small.stop()
    await stubborn.close()
  })
})

describe('honest', () => {
  /** 600 of them, each behind the answer to the one before. */
  const honest: Record<string, (client: RawH2) => Promise<unknown>> = {
    'uploads that are answered early, and end in the same read': async client => {
      const stream = client.request(post('/own'), END_HEADERS)
      client.data(stream, 'x', END_STREAM)
      assert.equal((await client.answer(stream)).status, 401)
    },
    'uploads that a route answers with 200 before they end': async client => {
      const stream = client.request(post('/good'), END_HEADERS)
      assert.equal((await client.answer(stream)).body, 'good')
      client.data(stream, large, END_STREAM)
    },
    'early answers of a backend whose connection is shared': async client => {
      const stream = client.request(post('/shared/'), END_HEADERS)
      assert.equal((await client.answer(stream)).body, 'fine')
      client.frame(type.rst, 0, stream, uint32(0))
    },
  }
  for (const [name, once] of Object.entries(honest)) {
    it(`${name}, 600 in a row`, async () => {
      const client = await h2Client(gateway.port)
      for (let count = 0; count < 600; count++) await once(client)
      await client.ping()
      assert.equal(client.goaway, null)
      client.destroy()
    })
  }

  it('a refused upload for each that succeeds, 320 in a row', async () => {
    const client = await h2Client(gateway.port)
    for (let count = 0; count < 320; count++) {
      const stream = client.request(post('/own'), END_HEADERS)
      assert.equal((await client.answer(stream)).status, 401)
      for (let good = 0; good < 2; good++) assert.equal((await client.ask(get('/'))).body, 'fine')
    }
    assert.equal(client.goaway, null)
    client.destroy()
  })
})

describe('an early answer reaches its client', () => {
  const upload = path.join(temporaryFolder('sallyport-early-'), 'upload')
  before(() => writeFileSync(upload, Buffer.alloc(4_000_000, 'u')))

  const cases: Record<string, readonly [string, number, number, ...string[]]> = {
    'from a route': ['/own', 401, 12, '-H', 'transfer-encoding: chunked'],
    'over the limit by content-length': ['/', 413, -1],
    'over the limit as it comes': ['/never', 413, -1, '-H', 'transfer-encoding: chunked'],
    'from a backend': ['/early', 403, 2, '-H', 'transfer-encoding: chunked'],
    'from a backend, larger than the windows': ['/refused', 401, 300_000, '-H', 'transfer-encoding: chunked'],
  }
  for (const [name, [target, status, length, ...more]] of Object.entries(cases)) {
    it(`${name}: twelve of twelve with curl`, async () => {
      for (let count = 0; count < 12; count++) {
        const { stdout } = await run('curl', [
          '-sS',
          '--http2',
          '--max-time',
          '300',
          '--cacert',
          gateway.caFile,
          '-o',
          '/dev/null',
          '-w',
          '%{http_code} %{size_download}',
          '--data-binary',
          `@${upload}`,
          ...more,
          `https://localhost:${gateway.port}${target}`,
        ])
        if (length < 0) assert.match(stdout, new RegExp(`^${status} `))
        else assert.equal(stdout, `${status} ${length}`)
      }
    })
  }

  it('over the limit: twelve of twelve with git', async () => {
    const folder = temporaryFolder('sallyport-git-')
    const git = (...args: string[]) =>
      run('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args])
    await git('init', '-q')
    writeFileSync(path.join(folder, 'file'), randomBytes(2_000_000))
    await git('add', 'file')
    await git('commit', '-qm', 'one')
    for (let count = 0; count < 12; count++) {
      const pushed = git(
        ...['-c', 'http.sslVerify=false', '-c', 'http.postBuffer=65536', '-c', 'http.version=HTTP/2'],
        ...['push', `https://localhost:${gateway.port}/repository.git`, 'HEAD:refs/heads/main'],
      )
      await assert.rejects(pushed, /RPC failed; HTTP 413/)
    }
  })
})
