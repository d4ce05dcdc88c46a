/** Ids of private connections in PROXY headers: in the log, for routes and for header templates, over both versions and at layer 4. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import type { ProxyTlv } from '../../src/wire/proxy-header.ts'
import { writeProxyV2 } from '../../src/wire/proxy-protocol-v2.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { getBackend, rawTcp, wrap } from '../harness/raw.ts'

const address = '127.0.0.1'
let gateway: Started
let backend: Awaited<ReturnType<typeof getBackend>>

before(async () => {
  backend = await getBackend('from the backend')
  const proxyProtocol = { from: ['127.0.0.0/8'] }
  const body = (text: string) => ({ respond: { body: text } })
  gateway = await startGateway({
    listen: [
      { port: 0, address, cleartext: 'serve', proxyProtocol },
      { port: 0, address, proxyProtocol },
    ],
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        headers: {
          request: {
            set: {
              'x-vpce': '{proxy.awsVpceId}',
              'x-psc': '{proxy.gcpConnectionId}',
              'x-link': '{proxy.azureLinkId}',
            },
          },
        },
        routes: [
          { match: { proxy: { awsVpceId: ['vpce-partner', 'vpce-other'] } }, ...body('partner') },
          { match: { proxy: { gcpConnectionId: '18446744073709551615', azureLinkId: '1' } }, ...body('both') },
          { match: { path: '/private', proxy: { azureLinkId: '2' } }, ...body('private') },
          { match: { path: '/private' }, respond: { status: 403 } },
          { to: [backend.url] },
        ],
      },
      { host: 'tcp.test', certificate: 'local', tcp: { to: [`${address}:${backend.port}`] } },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const source = { address: '203.0.113.7', port: 4711 }
const destination = { address: '203.0.113.1', port: 443 }
const headerWith = (...tlvs: ProxyTlv[]) => writeProxyV2({ source, destination, tlvs })
const aws = (id: string): ProxyTlv => ({ type: 0xea, value: Buffer.from(`\x01${id}`) })
const azure = (id: number): ProxyTlv => ({ type: 0xee, value: Buffer.of(1, id, 0, 0, 0) })
const gcp: ProxyTlv = { type: 0xe0, value: Buffer.alloc(8, 255) }

async function ask(header: Buffer, path = '/', pieces = header.length): Promise<string> {
  const client = await rawTcp(gateway.port)
  for (let at = 0; at < header.length; at += pieces) client.send(header.subarray(at, at + pieces))
  client.send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nX-Vpce: forged\r\nConnection: close\r\n\r\n`)
  const { received } = await client.closed()
  return received.startsWith('HTTP/1.1 200 ')
    ? received.slice(received.indexOf('\r\n\r\n') + 4)
    : received.slice(9, 12)
}

const sent = (name: string) => new RegExp(`^${name}: (.*)\\r$`, 'm').exec(backend.last())?.[1]

describe('ids of private connections', () => {
  it('choose routes: any of a kind, and every kind that is written', async () => {
    assert.equal(await ask(headerWith(aws('vpce-partner'))), 'partner')
    assert.equal(await ask(headerWith(aws('vpce-other'), gcp)), 'partner')
    assert.equal(await ask(headerWith(gcp, azure(1))), 'both')
    assert.equal(await ask(headerWith(azure(2)), '/private'), 'private')
    for (const header of [headerWith(), headerWith(gcp), headerWith(aws('vpce-stranger'))])
      assert.equal(await ask(header), 'from the backend')
    assert.equal(await ask(headerWith(azure(3)), '/private'), '403')
    assert.equal(await ask(headerWith({ type: 0xee, value: Buffer.of(1, 2, 0, 0) }), '/private'), '403')
  })

  it('are told to backends by templates, and never by clients', async () => {
    await ask(headerWith(aws('vpce-08d2bf15fac5001c9'), azure(7)))
    assert.deepEqual([sent('x-vpce'), sent('x-link'), sent('x-psc')], ['vpce-08d2bf15fac5001c9', '7', undefined])
    await ask(headerWith())
    assert.equal(sent('x-vpce'), undefined)
  })

  it('come in pieces of one byte', async () => {
    assert.equal(await ask(headerWith(gcp, azure(1)), '/', 1), 'both')
  })

  it('are in the log', async () => {
    await ask(headerWith(aws('vpce-log'), azure(9)), '/logged')
    const record = await gateway.logged(each => each['path'] === '/logged')
    assert.deepEqual(
      [record['client'], record['proxy']],
      [source.address, { awsVpceId: 'vpce-log', azureLinkId: '9' }],
    )
    await ask(headerWith(), '/without')
    assert.equal((await gateway.logged(each => each['path'] === '/without'))['proxy'], undefined)
  })

  it('refuse a connection that has two of a kind', async () => {
    assert.equal(await ask(headerWith(aws('vpce-partner'), aws('vpce-other'))), '')
    await gateway.logged(each => each['error'] === 'PROXY_HEADER' && /0xea comes twice/.test(String(each['why'])))
  })

  it('are in the log of layer 4', async () => {
    const raw = net.connect({ host: address, port: gateway.ports[1] as number })
    await new Promise(resolve => raw.once('connect', resolve))
    raw.write(headerWith(aws('vpce-tcp')))
    const socket = tls.connect({ socket: raw, servername: 'tcp.test', ca: gateway.caPem })
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    const client = wrap(socket)
    client.send('GET / \r\n\r\n')
    await client.until(text => text.endsWith('from the backend'))
    client.destroy()
    const record = await gateway.logged(each => each['message'] === 'tcp' || each['sni'] === 'tcp.test')
    assert.deepEqual(record['proxy'], { awsVpceId: 'vpce-tcp' })
  })
})
