/** From the first byte to the end of the handshake: split hellos, names, versions, ALPN, and the mistakes people make. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, describe, it } from 'node:test'
import type tls from 'node:tls'
import { type Started, startGateway } from '../harness/gateway.ts'
import { rawTcp, rawTls } from '../harness/raw.ts'

let gateway: Started

before(async () => {
  const respond = { status: 200, body: 'here' }
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
      { port: 0, address: '127.0.0.1', cleartext: 'redirect' },
    ],
    sites: [
      { host: ['localhost', 'other.test'], certificate: 'local', routes: [{ respond }] },
      { host: '*.wild.test', certificate: 'local', routes: [{ respond: { status: 200, body: 'wild' } }] },
      { host: 'modern.test', certificate: 'local', policy: 'modern', routes: [{ respond }] },
    ],
  })
})

after(() => gateway.stop())

/** A TCP relay that hands the client's bytes on in pieces of `size`, to the gateway. */
function slicing(size: number, records: boolean): Promise<{ port: number; close(): void }> {
  return new Promise(resolve => {
    const server = net.createServer({ noDelay: true }, client => {
      const up = net.connect({ host: '127.0.0.1', port: gateway.port, noDelay: true })
      let first = true
      const send = (bytes: Buffer, at: number) => {
        if (at >= bytes.length) client.resume()
        else up.write(bytes.subarray(at, at + size), () => setImmediate(send, bytes, at + size))
      }
      client.on('data', (bytes: Buffer) => {
        client.pause()
        const hello = first && records ? refragment(bytes, size) : bytes
        send(hello, 0)
        first = false
      })
      up.pipe(client)
      for (const socket of [client, up]) socket.on('error', () => {})
      client.on('close', () => up.destroy())
      up.on('close', () => client.destroy())
    })
    server.listen(0, '127.0.0.1', () =>
      resolve({ port: (server.address() as net.AddressInfo).port, close: () => void server.close() }),
    )
  })
}

/** The same handshake bytes in records of `size` bytes each. */
function refragment(record: Buffer, size: number): Buffer {
  const parts: Buffer[] = []
  const message = record.subarray(5)
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size)
    parts.push(Buffer.from([0x16, 0x03, 0x01, part.length >> 8, part.length & 0xff]), part)
  }
  return Buffer.concat(parts)
}

async function body(port: number, options: tls.ConnectionOptions): Promise<string> {
  const client = await rawTls(port, options)
  client.send(`GET / HTTP/1.1\r\nHost: ${options.servername ?? 'localhost'}\r\nConnection: close\r\n\r\n`)
  return (await client.closed()).received
}

describe('a hello', () => {
  for (const size of [1, 3, 100, 1200]) {
    it(`in TCP segments of ${size} bytes is served`, async () => {
      const relay = await slicing(size, false)
      assert.match(await body(relay.port, { servername: 'localhost' }), /here$/)
      relay.close()
    })
  }

  for (const [name, expected] of [
    ['LOCALHOST', /here$/],
    ['localhost.', /here$/],
    ['a.wild.test', /wild$/],
    ['A.Wild.Test', /wild$/],
  ] as const) {
    it(`for ${name} finds its site`, async () => {
      const client = await rawTls(gateway.port, { servername: name })
      client.send(`GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`)
      assert.match((await client.closed()).received, expected)
    })
  }

  for (const name of ['wild.test', 'a.b.wild.test', 'nobody.test', '__proto__', 'constructor']) {
    it(`for ${name} is refused`, async () => {
      await assert.rejects(rawTls(gateway.port, { servername: name }))
    })
  }

  it('without a name is refused where no site is the default', async () => {
    await assert.rejects(rawTls(gateway.port, { servername: '' }))
    await gateway.logged(each => each['error'] === 'TLS_NO_NAME')
  })

  it('that offers only another protocol gets no_application_protocol', async () => {
    await assert.rejects(rawTls(gateway.port, { ALPNProtocols: ['ftp'] }))
    const record = await gateway.logged(each => each['error'] === 'TLS_NO_ALPN')
    assert.match(String(record['why']), /offers only ftp/)
  })

  it('of a version that the policy does not allow is told so in words', async () => {
    await assert.rejects(rawTls(gateway.port, { servername: 'modern.test', maxVersion: 'TLSv1.2' }))
    const record = await gateway.logged(each => each['error'] === 'TLS_VERSION')
    assert.match(String(record['why']), /offers at most TLS 1\.2; policy modern needs TLS 1\.3/)
    assert.equal(record['sni'], 'modern.test')
  })

  for (const [name, bytes, alert] of [
    ['not a ClientHello', '160301000402000000', 10],
    ['a lying length', '16030100060100000200ff', 50],
    ['too long a record', '160301ffff01', 22],
  ] as const) {
    it(`that is ${name} gets alert ${alert}`, async () => {
      const client = await rawTcp(gateway.port)
      client.send(Buffer.from(bytes, 'hex'))
      const { received } = await client.closed()
      assert.equal(received.charCodeAt(0), 0x15)
      assert.equal(received.charCodeAt(6), alert)
    })
  }

  it('that never goes on does not stop others', async () => {
    const stuck = await Promise.all(Array.from({ length: 20 }, () => rawTcp(gateway.port)))
    for (const each of stuck) each.send(Buffer.from('16030100', 'hex'))
    assert.match(await body(gateway.port, { servername: 'localhost' }), /here$/)
    for (const each of stuck) each.destroy()
  })
})

describe('the wrong protocol', () => {
  it('cleartext on the TLS port gets a 400 that says what to do', async () => {
    const client = await rawTcp(gateway.port)
    client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const { received } = await client.closed()
    assert.match(received, /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*https:\/\//)
    await gateway.logged(each => each['error'] === 'PLAIN_HTTP_ON_TLS_PORT')
  })

  it('TLS on a cleartext port is closed', async () => {
    await assert.rejects(rawTls(gateway.ports[1] as number))
    await gateway.logged(each => each['error'] === 'TLS_ON_PLAIN_PORT')
  })

  it('a cleartext port serves, or sends to https with path and query', async () => {
    const plain = await rawTcp(gateway.ports[1] as number)
    plain.send('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    assert.match((await plain.closed()).received, /here$/)
    const redirected = await rawTcp(gateway.ports[2] as number)
    redirected.send('GET /a%7Eb?c=d HTTP/1.1\r\nHost: localhost:80\r\n\r\n')
    const { received } = await redirected.closed()
    assert.match(
      received,
      new RegExp(`^HTTP/1\\.1 308 [\\s\\S]*location: https://localhost:${gateway.port}/a%7Eb\\?c=d\r\n`),
    )
  })
})

describe('terms', () => {
  it('a Host that falls under others than the connection is a 421', async () => {
    const client = await rawTls(gateway.port, { servername: 'localhost' })
    client.send('GET / HTTP/1.1\r\nHost: modern.test\r\n\r\n')
    await client.until(text => text.includes('</html>'))
    assert.match(client.received(), /^HTTP\/1\.1 421 /)
    client.destroy()
    const record = await gateway.logged(each => each['error'] === 'MISDIRECTED')
    assert.equal(
      record['why'],
      'modern.test is under other TLS terms than localhost, for which the connection was opened ' +
        '(policy modern and not policy intermediate): the client must open a connection of its own for it',
    )
  })

  it('a Host under the same is served, and an unknown one is a 404', async () => {
    const client = await rawTls(gateway.port, { servername: 'localhost' })
    client.send('GET / HTTP/1.1\r\nHost: x.wild.test\r\n\r\n')
    await client.until(text => text.endsWith('wild'))
    client.send('GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n')
    await client.until(text => text.includes('404 Not Found'))
    client.destroy()
  })

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`a ${version} session resumes on its own site and on no other`, async () => {
      const options: tls.ConnectionOptions = { minVersion: version, maxVersion: version }
      const session = await new Promise<Buffer>((resolve, reject) => {
        rawTls(gateway.port, { ...options, servername: 'a.wild.test' }).then(client => {
          const socket = client.socket as tls.TLSSocket
          socket.once('session', (bytes: Buffer) => {
            resolve(bytes)
            client.destroy()
          })
          client.send('GET / HTTP/1.1\r\nHost: a.wild.test\r\n\r\n')
          if (version === 'TLSv1.2') {
            const known = socket.getSession()
            if (known) resolve(known)
          }
        }, reject)
      })
      const again = await rawTls(gateway.port, { ...options, servername: 'a.wild.test', session })
      assert.equal((again.socket as tls.TLSSocket).isSessionReused(), true)
      again.destroy()
      const other = await rawTls(gateway.port, { ...options, servername: 'localhost', session })
      assert.equal((other.socket as tls.TLSSocket).isSessionReused(), false)
      other.destroy()
    })
  }
})
