/** PostgreSQL on the ordinary TLS port: SSLRequest is answered, TLS is required, and nothing sent before it counts. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type tls from 'node:tls'
import { issueClientFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { type RawClient, type RecordingBackend, rawTcp, rawTls, recordingBackend } from '../harness/raw.ts'
import { cancelRequest, gssRequest, sslRequest, startupPacket, upgrade } from '../harness/start-tls.ts'

const address = '127.0.0.1'
const ca = testCa()
let gateway: Started
let other: Started
let database: RecordingBackend
/** What the backend of each passthrough site says to an SSLRequest */
const answers = { yes: 'S', no: 'N', error: 'EFATAL', more: 'Sinjected' }
const passed = new Map<string, RecordingBackend>()

const opened = async (...packets: readonly Buffer[]): Promise<RawClient> => {
  const client = await rawTcp(gateway.port)
  for (const [at, packet] of packets.entries()) {
    await client.until(text => text.length === at)
    client.send(packet)
  }
  return client
}

async function secured(servername: string, options: tls.ConnectionOptions = {}): Promise<RawClient> {
  const client = await opened(sslRequest)
  await client.until(text => text === 'S')
  return upgrade(client, { ...options, ...(servername === '' ? {} : { servername }) })
}

const why = async (started: Started, code: string, { localPort }: RawClient): Promise<string> =>
  String((await started.logged(each => each['error'] === code && each['clientPort'] === localPort))['why'])

before(async () => {
  database = await recordingBackend((client, received) => client.send(`R${received.length}`))
  const to = [`${address}:${database.port}`]
  const site = (host: string, more = {}) => ({
    host,
    certificate: 'local' as const,
    tcp: { to, startTls: 'postgres' as const, alpn: ['postgresql'] },
    ...more,
  })
  for (const [name, answer] of Object.entries(answers))
    passed.set(
      name,
      await recordingBackend((client, received) => {
        if (received.length === 8) client.send(answer)
      }),
    )
  const through = [...passed].map(([name, { port }]) => ({
    host: `${name}.test`,
    passthrough: { to: [`${address}:${port}`], startTls: 'postgres' as const },
  }))
  gateway = await startGateway({
    listen: [
      { port: 0, address },
      { port: 0, address, cleartext: 'serve' },
    ],
    sites: [
      site('db.test'),
      site('signed.test', { clients: { ca: [ca.file], verify: 'require' } }),
      { host: 'web.test', certificate: 'local', routes: [{ respond: { body: 'web' } }] },
      ...through,
    ],
  })
  other = await startGateway({
    sites: [{ host: 'web.test', certificate: 'local', routes: [{ respond: { body: 'web' } }] }],
  })
})

after(async () => {
  await gateway.stop()
  await other.stop()
  await database.close()
  for (const each of passed.values()) await each.close()
})

describe('SSLRequest', () => {
  it('is answered with S, and the startup packet reaches the backend of the name', async () => {
    const client = await secured('db.test', { ALPNProtocols: ['postgresql'] })
    assert.equal((client.socket as tls.TLSSocket).alpnProtocol, 'postgresql')
    client.send(startupPacket)
    await client.until(text => text === `R${startupPacket.length}`)
    const own = await database.connection(database.connections.length - 1)
    assert.equal(own.received(), startupPacket.toString('latin1'))
    client.destroy()
  })

  it('is answered after GSSENCRequest, and byte by byte', async () => {
    const kerberos = await opened(gssRequest, sslRequest)
    const slow = await rawTcp(gateway.port)
    await slow.sendBytewise(sslRequest)
    await kerberos.until(text => text === 'NS')
    await slow.until(text => text === 'S')
    for (const client of [kerberos, slow]) {
      const inside = await upgrade(client, { servername: 'db.test' })
      inside.send(cancelRequest)
      await inside.until(text => text === `R${cancelRequest.length}`)
      inside.destroy()
    }
  })

  it('is not needed where TLS comes first', async () => {
    const client = await rawTls(gateway.port, { servername: 'db.test', ALPNProtocols: ['postgresql'] })
    client.send(startupPacket)
    await client.until(text => text === `R${startupPacket.length}`)
    client.destroy()
  })

  it('is for sites that say so, and a client without a name has to be told apart by more', async () => {
    await assert.rejects(secured('web.test'), /unrecognized.name/i)
    await gateway.logged(each => /web\.test does not say tcp: \{ startTls: postgres \}/.test(String(each['why'])))
    await assert.rejects(secured(''), /unrecognized.name/i)
    await gateway.logged(each => /no server name behind postgres, and 6 sites/.test(String(each['why'])))
  })

  it('leads to the terms of the site: client certificates, ALPN', async () => {
    const { chainPem: cert, keyPem: key } = issueClientFiles(ca, 'alice')
    const client = await secured('signed.test', { cert, key })
    client.send(startupPacket)
    await client.until(text => text === `R${startupPacket.length}`)
    client.destroy()
    const before = database.connections.length
    const without = await secured('signed.test').catch(() => null)
    await without?.closed()
    await gateway.logged(each => each['error'] === 'CLIENT_CERTIFICATE' && each['sni'] === 'signed.test')
    await assert.rejects(secured('db.test', { ALPNProtocols: ['http/1.1'] }), /no.application.protocol|ALPN/i)
    assert.equal(database.connections.length, before)
  })
})

describe('cleartext bytes ahead of the handshake', () => {
  it('together with SSLRequest are refused, and never read as if they were inside (CVE-2021-23214)', async () => {
    const before = database.connections.length
    for (const early of [startupPacket, cancelRequest, Buffer.from('\x16\x03\x01\x02\x00'), Buffer.of(0)])
      for (const first of [sslRequest, gssRequest]) {
        const client = await opened(Buffer.concat([first, early]))
        const { received } = await client.closed()
        assert.match(received, /^E.*C08P01\0Mreceived unencrypted data after (SSL|GSSENC)Request\0\0$/s)
        assert.match(await why(gateway, 'STARTTLS_PIPELINED', client), /ahead of the TLS handshake/)
      }
    assert.equal(database.connections.length, before)
  })

  it('behind the S are a broken ClientHello', async () => {
    const client = await opened(sslRequest)
    await client.until(text => text === 'S')
    client.send(startupPacket)
    await client.closed()
    await why(gateway, 'TLS_MALFORMED', client)
  })
})

describe('a client without TLS', () => {
  it('gets an ErrorResponse that says what to do', async () => {
    const client = await opened(startupPacket)
    const { received } = await client.closed()
    assert.match(
      received,
      /^E.*SFATAL\0VFATAL\0C28000\0Mconnections without TLS are refused: use sslmode=verify-full/s,
    )
    assert.match(await why(gateway, 'STARTTLS_REQUIRED', client), /begins without TLS/)
  })

  it('cannot cancel a query', async () => {
    const client = await opened(cancelRequest)
    assert.equal((await client.closed()).received, '')
    assert.match(await why(gateway, 'STARTTLS_REQUIRED', client), /CancelRequest without TLS/)
  })

  it('is named where PostgreSQL is not served: on a cleartext port, and where no site has it', async () => {
    const plain = await rawTcp(gateway.ports[1] as number)
    plain.send(sslRequest)
    assert.match((await plain.closed()).received, /^E.*MPostgreSQL is not served here/s)
    assert.match(await why(gateway, 'POSTGRES_NOT_SERVED', plain), /on a port for cleartext HTTP/)
    for (const packet of [sslRequest, startupPacket]) {
      const client = await rawTcp(other.port)
      client.send(packet)
      assert.match((await client.closed()).received, /^E/)
      assert.match(await why(other, 'POSTGRES_NOT_SERVED', client), /no site has tcp: \{ startTls: postgres \}/)
    }
  })
})

describe('a passthrough site', () => {
  const hello = async (name: string) => {
    const client = await opened(sslRequest)
    await client.until(text => text === 'S')
    upgrade(client, { servername: `${name}.test` }).catch(() => {})
    return { client, backend: await (passed.get(name) as RecordingBackend).connection(0) }
  }

  it('has its backend asked for TLS, and then the ClientHello as it came', async () => {
    const { client, backend } = await hello('yes')
    const received = await backend.until(text => text.includes('yes.test'))
    assert.equal(received.slice(0, 10), `${sslRequest.toString('latin1')}\x16\x03`)
    client.destroy()
  })

  it('is cut off where the backend has no TLS, or where something came ahead of it (CVE-2021-23222)', async () => {
    for (const [name, why] of [
      ['no', /offers no TLS: it answered SSLRequest with "N"/],
      ['error', /offers no TLS: .*EFATAL/],
      ['more', /more than an S in answer to SSLRequest: "Sinjected"/],
    ] as const) {
      const { backend } = await hello(name)
      assert.equal((await backend.closed()).received, sslRequest.toString('latin1'))
      const record = await gateway.logged(
        each => each['error'] === 'BAD_GREETING' && each['sni'] === `${name}.test`,
      )
      assert.match(String(record['why']), why)
    }
  })

  it('begins with TLS where its client does', async () => {
    const before = (passed.get('yes') as RecordingBackend).connections.length
    rawTls(gateway.port, { servername: 'yes.test' }).catch(() => {})
    const backend = await (passed.get('yes') as RecordingBackend).connection(before)
    assert.equal((await backend.until(text => text.includes('yes.test'))).slice(0, 2), '\x16\x03')
    backend.destroy()
  })
})
