/** PROXY headers in, from trusted peers only and then required, and out to backends, in both versions. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import { parseProxyHeader } from '../../src/wire/proxy-protocol.ts'
import { writeProxyV2 } from '../../src/wire/proxy-protocol-v2.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, recordingBackend, wrap } from '../harness/raw.ts'

let trusting: Started
let untrusting: Started
let backend: RecordingBackend
let echo: RecordingBackend

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n')) client.send(ok('fine'))
  })
  echo = await recordingBackend(client => client.send('seen'))
  const sites = [
    { host: 'localhost', certificate: 'local' as const, to: [backend.url] },
    {
      host: 'v1.test',
      certificate: 'local' as const,
      tcp: { to: [`127.0.0.1:${echo.port}`], proxyProtocol: 'v1' as const },
    },
    {
      host: 'v2.test',
      certificate: 'local' as const,
      tcp: { to: [`127.0.0.1:${echo.port}`], proxyProtocol: 'v2' as const },
    },
  ]
  trusting = await startGateway({
    listen: [{ port: 0, address: '127.0.0.1', proxyProtocol: { from: ['127.0.0.0/8'] } }],
    sites,
  })
  untrusting = await startGateway({
    listen: [{ port: 0, address: '127.0.0.1', proxyProtocol: { from: ['192.0.2.0/24'] } }],
    sites,
  })
})

after(async () => {
  await trusting.stop()
  await untrusting.stop()
  await backend.close()
  await echo.close()
})

/** Connects, sends `header` in pieces of `size`, then TLS. */
function through(
  port: number,
  header: Buffer,
  size: number,
  servername = 'localhost',
): Promise<ReturnType<typeof wrap>> {
  return new Promise((resolve, reject) => {
    const raw = net.connect({ host: '127.0.0.1', port, noDelay: true }, () => {
      const send = (at: number) => {
        if (at < header.length) {
          raw.write(header.subarray(at, at + size), () => setImmediate(send, at + size))
          return
        }
        const socket = tls.connect({ socket: raw, servername, rejectUnauthorized: false }, () =>
          resolve(wrap(socket)),
        )
        socket.once('error', reject)
      }
      send(0)
    })
    raw.once('error', reject)
  })
}

const source = { address: '203.0.113.7', port: 4711 }
const destination = { address: '203.0.113.1', port: 8443 }
const v1 = Buffer.from('PROXY TCP4 203.0.113.7 203.0.113.1 4711 8443\r\n')
const v2 = writeProxyV2({ source, destination })

describe('in', () => {
  for (const [name, header] of [
    ['v1', v1],
    ['v2', v2],
  ] as const) {
    for (const size of [1, 1000]) {
      it(`${name} in pieces of ${size}: the client is whom it names`, async () => {
        const client = await through(trusting.port, header, size)
        client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
        await client.until(text => text.endsWith('fine'))
        const request = backend.received().slice(backend.received().lastIndexOf('GET / '))
        assert.match(request, /x-forwarded-for: 203\.0\.113\.7\r\n/)
        assert.match(request, /x-forwarded-port: 8443\r\n/)
        client.destroy()
      })
    }
  }

  it('LOCAL keeps the peer itself', async () => {
    const client = await through(
      trusting.port,
      writeProxyV2({ command: 'LOCAL', source: null, destination: null }),
      1000,
    )
    client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await client.until(text => text.endsWith('fine'))
    assert.match(backend.received().slice(-400), /x-forwarded-for: 127\.0\.0\.1\r\n/)
    client.destroy()
  })

  it('is required from a trusted peer, and refused when malformed', async () => {
    for (const bad of [
      Buffer.alloc(0),
      Buffer.from('PROXY TCP4 1.2.3.4 x 1 2\r\n'),
      Buffer.from('PROXY TCP9 a\r\n'),
    ]) {
      await assert.rejects(through(trusting.port, bad, 1000))
    }
    const record = await trusting.logged(each => each['error'] === 'PROXY_HEADER')
    assert.ok(String(record['why']).length > 0)
  })

  it('is not believed from anybody else', async () => {
    await assert.rejects(through(untrusting.port, v1, 1000))
    const plain = await through(untrusting.port, Buffer.alloc(0), 1)
    plain.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await plain.until(text => text.endsWith('fine'))
    plain.destroy()
  })
})

describe('out', () => {
  for (const version of ['v1', 'v2'] as const) {
    it(`${version} says who the client is`, async () => {
      const count = echo.connections.length
      const client = await through(trusting.port, v2, 1000, `${version}.test`)
      client.send('hello')
      await client.until(text => text.includes('seen'))
      const got = Buffer.from((await echo.connection(count)).received(), 'latin1')
      const peeked = parseProxyHeader(got)
      assert.ok(peeked.kind === 'header', JSON.stringify(peeked))
      assert.deepEqual(peeked.header.source, source)
      assert.deepEqual(peeked.header.destination, destination)
      if (version === 'v2') {
        assert.equal(peeked.header.authority, 'v2.test')
        assert.equal(peeked.header.ssl?.version, 'TLSv1.3')
      }
      client.destroy()
    })
  }
})
