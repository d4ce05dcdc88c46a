/**
 * A connection that stalls outside of an exchange is ended by the timeout of its state: while it is opened, between requests, as
 * a tunnel, while storage is asked for an ACME challenge, and toward backends. All cases stall at once.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, get, h2Client, prefaceText } from '../harness/h2.ts'
import { ok, type RawClient, type RecordingBackend, rawTcp, rawTls, recordingBackend } from '../harness/raw.ts'

const token = 'abcdefghijklmnopqrstuvwxyz012345'
const upgrade =
  'Host: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

let gateway: Started
let mute: RecordingBackend
let backend: RecordingBackend
const clients: { destroy(): void }[] = []
/** A socket forgets its port when it closes. */
const portsOfClients = new Map<RawClient, number>()
const settles: (() => void)[] = []

type Kind = 'tls' | 'proxied' | 'serve' | 'redirect'
const portOf = (kind: Kind) => gateway.ports[['tls', 'proxied', 'serve', 'redirect'].indexOf(kind)] as number

async function plain(kind: Kind, bytes: string | Buffer): Promise<RawClient> {
  return sending(await rawTcp(portOf(kind)), bytes)
}

async function secure(servername: string, bytes: string, alpn = 'http/1.1'): Promise<RawClient> {
  return sending(await rawTls(portOf('tls'), { servername, ALPNProtocols: [alpn] }), bytes)
}

function sending(client: RawClient, bytes: string | Buffer): RawClient {
  clients.push(client)
  portsOfClients.set(client, client.socket.localPort as number)
  client.send(bytes)
  return client
}

before(async () => {
  mute = await recordingBackend(() => {}, { allowHalfOpen: true })
  const answer = (client: RawClient, received: string) => {
    if (!received.endsWith('\r\n\r\n')) return
    if (/upgrade: websocket/i.test(received))
      client.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
    else client.send(ok('fine'))
  }
  backend = await recordingBackend(answer, { allowHalfOpen: true })
  const quiet = `h2c://127.0.0.1:${mute.port}`
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', proxyProtocol: { from: ['127.0.0.1'] } },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
      { port: 0, address: '127.0.0.1', cleartext: 'redirect' },
    ],
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        routes: [
          { match: { path: '/quiet/*' }, to: [quiet], timeouts: { connect: '600ms' } },
          { to: [backend.url] },
        ],
      },
      { host: 'tcp.test', certificate: 'local', tcp: { to: [`127.0.0.1:${mute.port}`] } },
      { host: 'pass.test', passthrough: { to: [`127.0.0.1:${mute.port}`] } },
    ],
    timeouts: { handshake: '1500ms', head: '600ms', keepAlive: '700ms', idle: '800ms' },
  })
  const never = () => new Promise<null>(resolve => settles.push(() => resolve(null)))
  // Storage that does not answer.
  Object.assign(gateway.gateway['services'], { challenges: { any: true, http01: never, tlsAlpn01: never } })
})

after(async () => {
  for (const settle of settles) settle()
  for (const client of clients) client.destroy()
  await gateway.stop()
  await mute.close()
  await backend.close()
})

type Record = { [name: string]: unknown }
const recordOf = (client: RawClient): Promise<Record> => {
  const port = portsOfClients.get(client)
  return gateway.logged(each => each['clientPort'] === port && each['error'] !== undefined)
}

async function refusedWith(client: RawClient, error: string, why: RegExp): Promise<void> {
  const record = await recordOf(client)
  assert.equal(record['error'], error, String(record['why']))
  assert.match(String(record['why']), why)
}

describe('while it is opened', () => {
  it('half a PROXY header', async () => {
    await refusedWith(await plain('proxied', 'PROXY TCP4 1.2'), 'HANDSHAKE_TIMEOUT', /PROXY header .*1500 ms/)
  })

  it('half a first message', async () => {
    await refusedWith(await plain('tls', Buffer.of(0x16, 3)), 'HANDSHAKE_TIMEOUT', /first message .*1500 ms/)
  })

  it('a certificate that does not come is the fault of the gateway, and has its alert', async () => {
    const failed = await rawTls(portOf('tls'), { ALPNProtocols: ['acme-tls/1'] }).then(
      () => null,
      (error: Error) => error,
    )
    assert.ok(failed)
    const record = await gateway.logged(each => each['error'] === 'TLS_NO_CERTIFICATE')
    assert.match(String(record['why']), /no certificate for localhost within timeouts\.handshake/)
  })

  it('half a preface of HTTP/2', async () => {
    const client = await secure('localhost', prefaceText.slice(0, 10), 'h2')
    await refusedWith(client, 'REQUEST_TIMEOUT', /no whole preface within timeouts\.head \(600 ms\)/)
  })
})

describe('between requests', () => {
  it('half a head: 408, served and redirected', async () => {
    const half = 'GET / HTTP/1.1\r\nHost: local'
    const each = [await secure('localhost', half), await plain('serve', half), await plain('redirect', half)]
    for (const client of each) {
      assert.match(await client.until(text => text.includes('\r\n\r\n')), /^HTTP\/1\.1 408 /)
      await refusedWith(client, 'REQUEST_TIMEOUT', /timeouts\.head \(600 ms\)/)
    }
  })

  it('silence: closed, over both versions', async () => {
    const client = await secure('localhost', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.ok((await client.closed()).received.endsWith('fine'))
    const http2 = await h2Client(gateway.port)
    assert.equal((await http2.ask(get('/'))).body, 'fine')
    assert.equal(await http2.closed(), 0)
  })

  it('an ACME challenge that storage does not answer: 503, served and redirected', async () => {
    const ask = `GET /.well-known/acme-challenge/${token} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const served = await plain('serve', ask)
    const redirected = await plain('redirect', ask)
    for (const client of [served, redirected])
      assert.match(await client.until(text => text.includes('\r\n\r\n')), /^HTTP\/1\.1 503 /)
    const record = await gateway.logged(each => each['error'] === 'CHALLENGE_TIMEOUT' && each['path'] !== undefined)
    assert.match(String(record['why']), /timeouts\.handshake \(1500 ms\)/)
    await refusedWith(redirected, 'CHALLENGE_TIMEOUT', /timeouts\.handshake \(1500 ms\)/)
  })
})

describe('as a tunnel', () => {
  it('a WebSocket, whole and half-closed', async () => {
    const whole = await secure('localhost', `GET /ws/whole HTTP/1.1\r\n${upgrade}`)
    const half = await secure('localhost', `GET /ws/half HTTP/1.1\r\n${upgrade}`)
    for (const client of [whole, half]) await client.until(text => text.includes('101 '))
    half.socket.end()
    for (const path of ['/ws/whole', '/ws/half']) {
      const record = await gateway.logged(each => each['path'] === path)
      assert.equal(record['error'], 'CLIENT_STALLED')
      assert.match(String(record['why']), /800 ms/)
    }
  })

  it('layer 4, whole and half-closed', async () => {
    const whole = await secure('tcp.test', 'hello')
    const half = await secure('tcp.test', 'hello')
    half.socket.end()
    for (const client of [whole, half])
      await refusedWith(client, 'CLIENT_STALLED', /no byte in either direction for 800 ms/)
    await assert.rejects(rawTls(portOf('tls'), { servername: 'pass.test' }))
    await gateway.logged(each => each['kind'] === 'passthrough' || String(each['message']).includes('passthrough'))
  })
})

describe('toward a backend', () => {
  it('that never sends SETTINGS: its connection is ended, for requests and upgrades that wait for them', async () => {
    const client = await h2Client(gateway.port)
    const asked = client.request(get('/quiet/get'))
    const tunnel = client.request(
      [[':method', 'CONNECT'], [':protocol', 'websocket'], ...get('/quiet/ws').slice(1)],
      END_HEADERS,
    )
    for (const stream of [asked, tunnel]) assert.equal((await client.answer(stream)).status, 502)
    for (const path of ['/quiet/get', '/quiet/ws']) {
      const record = await gateway.logged(each => each['path'] === path)
      assert.equal(record['error'], 'UPSTREAM_RESET')
      assert.match(String(record['why']), /sent no SETTINGS within timeouts\.connect \(600 ms\)/)
    }
    client.destroy()
  })
})
