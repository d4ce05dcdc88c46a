/**
 * Hostile clients and backends, each of which would have the gateway hold more and more, and how that is measured: the
 * resident set of a gateway in a process of its own, after a collection, while fifty connections that sent at full speed
 * for a while are still open. Each row of docs/memory.md names its attacks.
 */
import assert from 'node:assert/strict'
import type net from 'node:net'
import { after, before, describe, it } from 'node:test'
import { connected, flood, type HostileBackends, hostileBackends } from './floods.ts'
import {
  block,
  END_HEADERS,
  END_STREAM,
  frameBytes,
  get,
  type Pairs,
  post,
  prefaceText,
  settingsBytes,
  type,
} from './h2.ts'
import { type MeasuredGateway, measuredGateway } from './memory-gateway.ts'

const attackMs = 800
const connections = 50
/** Half of what is promised */
const perConnection = 1024 * 1024
/** For HTTP/2 */
const carriers = 8
const streams = 100
const perStream = 65_536 + 65_536

type Attack = {
  readonly name: string
  /** Which port, and under which name where it is TLS */
  readonly to?: 'plain' | 'proxied' | 'hello' | 'localhost' | 'tcp.test' | 'flood.test'
  /** Streams of HTTP/2 on each; 0: it is no HTTP/2 */
  readonly streams?: number
  run(socket: net.Socket): void
}

const request = (line: string, ...fields: string[]) =>
  Buffer.from([`${line} HTTP/1.1`, 'host: localhost', ...fields, '', ''].join('\r\n'))
const times = (count: number, bytes: Buffer) => Buffer.concat(Array(count).fill(bytes))
const oneByteChunks = times(5_000, Buffer.from('1\r\nx\r\n'))
const zeros = Buffer.alloc(65_536, 'z')
const chunkedPost = (path: string) => request(`POST ${path}`, 'transfer-encoding: chunked')
const upgrade = (path: string) =>
  request(
    `GET ${path}`,
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
  )

/** A head without an end, in pieces of 100 bytes. */
const endless = (start: string, field: string) => (socket: net.Socket) => {
  socket.write(start)
  for (let sent = 0; sent < 31_000; sent += 100) socket.write(field)
}

const http1: readonly Attack[] = [
  {
    name: 'pipelines requests that are answered here',
    run: socket => flood(socket, times(500, request('GET /respond'))),
  },
  {
    name: 'pipelines requests that are redirected',
    run: socket => flood(socket, times(500, request('GET /redirect'))),
  },
  { name: 'pipelines requests for a backend', run: socket => flood(socket, times(500, request('GET /pages'))) },
  {
    name: 'pipelines requests over TLS',
    to: 'localhost',
    run: socket => flood(socket, times(500, request('GET /respond'))),
  },
  {
    name: 'sends chunks of one byte to a backend that reads nothing',
    run: socket => flood(socket, oneByteChunks, chunkedPost('/silent')),
  },
  {
    name: 'sends chunks of one byte to a backend that answers nothing',
    run: socket => flood(socket, oneByteChunks, chunkedPost('/sink')),
  },
  {
    name: 'sends chunks of one byte before there is a backend',
    run: socket => flood(socket, oneByteChunks, chunkedPost('/unconnected')),
  },
  {
    name: 'sends chunks of one byte while a request filter waits',
    run: socket => flood(socket, oneByteChunks, chunkedPost('/asking')),
  },
  {
    name: 'sends chunks of one byte over TLS',
    to: 'localhost',
    run: socket => flood(socket, oneByteChunks, chunkedPost('/silent')),
  },
  {
    name: 'sends a body to a backend that reads nothing',
    run: socket => flood(socket, zeros, request('POST /silent', 'content-length: 1000000000000')),
  },
  { name: 'does not read an answer without end', run: socket => void socket.write(request('GET /flood')) },
  {
    name: 'does not read an answer without end over TLS',
    to: 'localhost',
    run: socket => void socket.write(request('GET /flood')),
  },
  {
    name: 'has a backend answer while a response filter waits',
    run: socket => void socket.write(request('GET /looking')),
  },
  {
    name: 'does not read an answer that a filter changes',
    run: socket => void socket.write(request('GET /changing')),
  },
  {
    name: 'has a backend answer while a filter changes a piece',
    run: socket => void socket.write(request('GET /stuck')),
  },
  {
    name: 'sends chunks of one byte while a filter changes a piece',
    run: socket => flood(socket, oneByteChunks, chunkedPost('/stuck')),
  },
  {
    name: 'sends chunks of one byte that a filter reads',
    run: socket => flood(socket, oneByteChunks, chunkedPost('/reading')),
  },
  { name: 'does not read interim answers without end', run: socket => void socket.write(request('GET /interim')) },
  {
    name: 'pipelines behind a request that is not answered',
    run: socket => flood(socket, times(500, request('GET /sink'))),
  },
  {
    name: 'sends half a request head',
    run: endless('GET /respond HTTP/1.1\r\nhost: localhost\r\n', `x: ${'y'.repeat(95)}\r\n`),
  },
  { name: 'sends half of its trailers', run: endless(`${chunkedPost('/sink')}0\r\n`, `x: ${'y'.repeat(95)}\r\n`) },
  {
    name: 'sends half a PROXY header',
    to: 'proxied',
    run: socket =>
      void socket.write(
        Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a21110fff', 'hex'), Buffer.alloc(4_000)]),
      ),
  },
  {
    name: 'sends half a ClientHello',
    to: 'hello',
    run: socket =>
      void socket.write(Buffer.concat([Buffer.from('160301400001003ffc0303', 'hex'), Buffer.alloc(16_000)])),
  },
]

const layer4: readonly Attack[] = [
  {
    name: 'sends through a tcp site whose backend does not read',
    to: 'tcp.test',
    run: socket => flood(socket, zeros),
  },
  { name: 'does not read from a tcp site', to: 'flood.test', run: socket => void socket.write('x') },
  { name: 'sends and does not read in a WebSocket', run: socket => flood(socket, zeros, upgrade('/tunnel')) },
]

const settings = (pairs: readonly (readonly [number, number])[] = []) =>
  Buffer.concat([Buffer.from(prefaceText), frameBytes(type.settings, 0, 0, settingsBytes(pairs))])
const heads = (pairs: Pairs, flags: number, count = streams) =>
  Buffer.concat(Array.from({ length: count }, (_, at) => frameBytes(type.headers, flags, 1 + at * 2, block(pairs))))
/** The window of every stream, and of the connection as far as it goes, a byte a frame, by turns */
const oneByteFrames = (payload = Buffer.from('x'), flags = 0) =>
  Buffer.concat(Array.from({ length: streams }, (_, at) => frameBytes(type.data, flags, 1 + at * 2, payload)))
/** 8,000 rounds, so that no window is exceeded, as fast as they are taken. */
const rounds = (socket: net.Socket, round: Buffer, count: number) => {
  let left = count
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      left -= 50
      if (!socket.write(times(50, round))) {
        socket.once('drain', more)
        return
      }
    }
  }
  more()
}

const connect = (path: string): Pairs => [
  [':method', 'CONNECT'],
  [':protocol', 'websocket'],
  [':scheme', 'https'],
  [':path', path],
  [':authority', 'localhost'],
  ['sec-websocket-version', '13'],
]

const http2: readonly Attack[] = [
  ...['/silent', '/sink', '/unconnected', '/asking', '/silent2', '/stuck', '/reading'].map(path => ({
    name: `sends DATA of one byte to ${path}`,
    streams,
    run: (socket: net.Socket) => {
      socket.resume()
      socket.write(Buffer.concat([settings(), heads(post(path), END_HEADERS)]))
      rounds(socket, oneByteFrames(), 6_000)
    },
  })),
  {
    name: 'sends DATA of one byte and 255 of padding',
    streams,
    run: socket => {
      socket.resume()
      socket.write(Buffer.concat([settings(), heads(post('/sink'), END_HEADERS)]))
      rounds(socket, oneByteFrames(Buffer.concat([Buffer.of(255), Buffer.from('x'), Buffer.alloc(255)]), 8), 250)
    },
  },
  {
    name: 'sends one byte of every 48 kB for a backend that answers nothing',
    streams,
    run: socket => {
      socket.resume()
      const one = oneByteFrames().subarray(0, 10 * (streams - 1))
      const filler = frameBytes(type.data, 0, 2 * streams - 1, zeros.subarray(0, 16_384))
      const windows = Buffer.concat([settings(), heads(post('/sink'), END_HEADERS)])
      // The last stream fills the reads; it is opened as its backend takes it.
      let allowed = 65_535
      let sent = 0
      socket.write(windows)
      socket.on('data', (chunk: Buffer) => {
        for (let at = 0; at + 13 <= chunk.length; at++)
          if (chunk.readUIntBE(at, 4) === 4 * 256 + type.window && chunk.readUInt32BE(at + 5) === 2 * streams - 1)
            allowed += chunk.readUInt32BE(at + 9)
        more()
      })
      const more = () => {
        while (sent + 49_152 <= allowed && !socket.destroyed) {
          sent += 49_152
          socket.write(Buffer.concat([filler, filler, filler, one]))
        }
      }
      more()
    },
  },
  {
    name: 'opens no window for answers without end',
    streams,
    run: socket => {
      socket.resume()
      socket.write(Buffer.concat([settings([[4, 0]]), heads(get('/flood'), END_HEADERS | END_STREAM)]))
    },
  },
  {
    name: 'opens no window for answers of an HTTP/2 backend in frames of one byte',
    streams,
    run: socket => {
      socket.resume()
      socket.write(Buffer.concat([settings([[4, 0]]), heads(get('/flood2'), END_HEADERS | END_STREAM)]))
    },
  },
  {
    name: 'has backends answer while response filters wait',
    streams,
    run: socket => {
      socket.resume()
      socket.write(Buffer.concat([settings(), heads(get('/looking'), END_HEADERS | END_STREAM)]))
    },
  },
  ...['/interim', '/interim2'].map(path => ({
    name: `does not read the interim answers of ${path}`,
    streams,
    run: (socket: net.Socket) => {
      socket.write(Buffer.concat([settings(), heads(get(path), END_HEADERS | END_STREAM)]))
    },
  })),
  {
    name: 'sends into tunnels that are not open yet',
    streams,
    run: socket => {
      socket.resume()
      socket.write(Buffer.concat([settings(), heads(connect('/sink'), END_HEADERS)]))
      rounds(socket, oneByteFrames(), 6_000)
    },
  },
  {
    name: 'asks without end and reads nothing',
    streams,
    run: socket => {
      let next = 1
      socket.write(settings())
      const more = () => {
        while (!socket.destroyed && next < 400_000) {
          const some = Array.from({ length: 200 }, () => {
            const bytes = frameBytes(type.headers, END_HEADERS | END_STREAM, next, block(get('/redirect')))
            next += 2
            return bytes
          })
          if (socket.write(Buffer.concat(some))) continue
          socket.once('drain', more)
          return
        }
      }
      more()
    },
  },
  {
    name: 'sends half a header block',
    streams,
    run: socket => {
      socket.resume()
      socket.write(settings())
      socket.write(frameBytes(type.headers, 0, 1, Buffer.alloc(16_384)))
      for (let at = 0; at < 7; at++) socket.write(frameBytes(type.continuation, 0, 1, Buffer.alloc(16_384)))
      socket.write(frameBytes(type.continuation, 0, 1, Buffer.alloc(16_384)).subarray(0, 16_000))
    },
  },
]

const attacks = [
  ...[...http1, ...layer4].map(attack => ({ ...attack, count: connections, atMost: connections * perConnection })),
  ...http2.map(attack => ({ ...attack, count: carriers, atMost: carriers * streams * perStream })),
]

/** The allocators of both runtimes keep some of what was freed, more after a first storm. */
const slack = 24 * 1024 * 1024
const mb = (bytes: number) => `${(bytes / 1_048_576).toFixed(1)} MB`

const connections1 = 'fifty connections, each of which'
const connections2 = 'HTTP/2 connections with a hundred streams, each of which'

/** Declares the tests of these attacks, or of all over one version, against one gateway. */
export function measureAttacks(which: readonly string[] | 'HTTP/1.1 and layer 4' | 'HTTP/2'): void {
  let backends: HostileBackends
  let gateway: MeasuredGateway

  before(async () => {
    backends = await hostileBackends()
    gateway = await measuredGateway(backends.ports)
  })

  after(async () => {
    await gateway.stop()
    backends.close()
  })

  function open(to: Attack['to'] = 'plain', alpn: string): Promise<net.Socket> {
    const [plain, secure, proxied] = gateway.ports
    if (to === 'plain') return connected(plain)
    if (to === 'proxied') return connected(proxied)
    if (to === 'hello') return connected(secure)
    return connected(secure, to, alpn)
  }

  async function measure(attack: (typeof attacks)[number]): Promise<void> {
    const { count, atMost } = attack
    const before = await gateway.resident(Number.POSITIVE_INFINITY)
    const alpn = attack.streams ? 'h2' : 'http/1.1'
    const sockets = await Promise.all(Array.from({ length: count }, () => open(attack.to, alpn)))
    for (const socket of sockets) {
      if (!attack.streams) socket.pause()
      attack.run(socket)
    }
    await new Promise(resolve => setTimeout(resolve, attackMs))
    const { bytes } = await gateway.held()
    const grown = (await gateway.resident(before + atMost / 4)) - before
    if (process.env['SALLYPORT_MEMORY_FIGURES'])
      console.log(`${attack.name}: ${mb(grown)} grown, ${mb(bytes)} held`)
    for (const socket of sockets) socket.destroy()
    backends.cut()
    assert.ok(grown < atMost + slack, `${mb(grown)}, of which ${mb(bytes)} are counted`)
  }

  const named = typeof which !== 'string'
  const chosen = attacks.filter(({ name, streams: over }) =>
    named ? which.includes(name) : (over === undefined) === (which !== 'HTTP/2'),
  )
  if (named) assert.equal(chosen.length, which.length, 'an attack that there is not')
  for (const group of [connections1, connections2]) {
    describe(group, () => {
      for (const attack of chosen)
        if ((attack.streams === undefined) === (group === connections1)) it(attack.name, () => measure(attack))
    })
  }

  describe('when it is all over', () => {
    it('nothing is counted as held', async () => {
      while ((await gateway.held()).bytes > 0) await new Promise(resolve => setTimeout(resolve, 50))
      assert.equal((await gateway.held()).reset, 0)
    })
  })
}
