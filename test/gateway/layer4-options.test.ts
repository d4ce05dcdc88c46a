/** What a tcp or passthrough site says about its connections: ALPN, how many a client may have, and how long they may last. */
import assert from 'node:assert/strict'
import type net from 'node:net'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import { issueFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { type RawClient, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

const lifetimeMs = 700
let gateway: Started
let echo: RecordingBackend
let secure: tls.Server

const opened = (servername: string, alpn: readonly string[] = []): Promise<RawClient> =>
  rawTls(gateway.port, { servername, ALPNProtocols: [...alpn] })

async function echoes(client: RawClient, text: string): Promise<void> {
  client.send(text)
  await client.until(received => received.endsWith(text))
}

before(async () => {
  echo = await recordingBackend((client, received) => client.send(received.slice(-1)))
  const { chainPem: cert, keyPem: key } = issueFiles(testCa(), ['through.test'])
  secure = tls.createServer({ cert, key }, socket => socket.on('error', () => {}).pipe(socket))
  await new Promise<void>(resolve => secure.listen(0, '127.0.0.1', resolve))
  const to = [`127.0.0.1:${echo.port}`]
  const limits = { connectionsPerClient: 2 }
  gateway = await startGateway({
    timeouts: { idle: '1m' },
    sites: [
      { host: 'db.test', certificate: 'local', tcp: { to, alpn: ['postgresql'] } },
      { host: 'any.test', certificate: 'local', tcp: { to } },
      { host: 'few.test', certificate: 'local', tcp: { to, limits } },
      {
        host: 'through.test',
        passthrough: { to: [`127.0.0.1:${(secure.address() as net.AddressInfo).port}`], limits },
      },
      { host: 'idle.test', certificate: 'local', tcp: { to, timeouts: { idle: '600ms' } } },
      {
        host: 'brief.test',
        certificate: 'local',
        tcp: { to, timeouts: { lifetime: `${lifetimeMs}ms`, idle: 'none' } },
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await echo.close()
  secure.close()
})

describe('ALPN of a tcp site', () => {
  it('is agreed on with a client that offers it, and with no other', async () => {
    const client = await opened('db.test', ['postgresql'])
    assert.equal((client.socket as tls.TLSSocket).alpnProtocol, 'postgresql')
    client.destroy()
    await assert.rejects(opened('db.test', ['h2', 'http/1.1']), /no.application.protocol|ALPN/i)
    const record = await gateway.logged(each => each['error'] === 'TLS_NO_ALPN')
    assert.match(String(record['why']), /offers only h2, http\/1\.1; db\.test speaks postgresql/)
  })

  it('is not required of a client that offers none, and negotiated nowhere else', async () => {
    const silent = await opened('db.test')
    const other = await opened('any.test', ['postgresql'])
    for (const client of [silent, other]) {
      assert.equal((client.socket as tls.TLSSocket).alpnProtocol || false, false)
      client.destroy()
    }
  })
})

describe('connections per client of a site', () => {
  for (const site of ['few.test', 'through.test'])
    it(`are refused beyond the limit, with an alert, until one is closed (${site})`, async () => {
      const [first, second] = [await opened(site), await opened(site)]
      await assert.rejects(opened(site), /access.denied/i)
      const record = await gateway.logged(each => each['error'] === 'TOO_MANY_CONNECTIONS' && each['sni'] === site)
      assert.match(String(record['why']), /limits\.connectionsPerClient \(2\) of \S+ for 127\.0\.0\.1/)
      const elsewhere = await opened('any.test')
      await echoes(second, 'x')
      first.destroy()
      await gateway.logged(each => each['sni'] === site && each['bytesIn'] !== undefined)
      const next = await opened(site)
      for (const client of [second, next, elsewhere]) client.destroy()
    })
})

describe('timeouts of a site', () => {
  it('end a connection on which nothing moves', async () => {
    const client = await opened('idle.test')
    await client.closed()
    const record = await gateway.logged(each => each['sni'] === 'idle.test')
    assert.equal(record['error'], 'CLIENT_STALLED')
    assert.match(String(record['why']), /no byte in either direction for 600 ms/)
  })

  it('end a connection that is busy for longer than its lifetime', async () => {
    const startedAt = performance.now()
    const client = await opened('brief.test')
    const busy = setInterval(() => client.send('x'), 50)
    await client.closed()
    clearInterval(busy)
    assert.ok(performance.now() - startedAt > lifetimeMs - 200)
    const record = await gateway.logged(each => each['sni'] === 'brief.test')
    assert.equal(record['error'], 'CONNECTION_LIFETIME')
    assert.match(String(record['why']), /open for timeouts\.lifetime \(700 ms\)/)
  })
})
