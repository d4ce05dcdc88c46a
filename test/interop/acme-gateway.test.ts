/** `certificate: acme` from end to end: a gateway, Pebble with all its noise, and clients that verify. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import tls from 'node:tls'
import { temporaryFolder, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { type Pebble, pebbleIsMissing, startPebble } from '../harness/pebble.ts'

const ca = testCa()

describe('a gateway that orders by itself', { skip: pebbleIsMissing || false }, () => {
  let pebble: Pebble
  const running: Started[] = []

  before(async () => {
    pebble = await startPebble({ ca, ownAnswers: true })
  })
  afterEach(async () => {
    for (const each of running.splice(0)) await each.stop()
  })
  after(() => pebble.stop())

  async function start(config: Partial<Parameters<typeof startGateway>[0]>, acme: object = {}): Promise<Started> {
    const started = await startGateway({
      sites: [{ host: 'shop.test', certificate: 'acme', routes: [{ respond: { status: 200, body: 'hello' } }] }],
      ...config,
      acme: { email: 'ops@example.com', directory: pebble.directory, ca: ca.file, ...acme },
    })
    running.push(started)
    return started
  }

  const stop = async (started: Started) => {
    running.splice(running.indexOf(started), 1)
    await started.stop()
  }

  /** Rejects with what went wrong, rather than waiting for the next try. */
  const obtained = async (started: Started, name: string) => {
    const record = await started.logged(
      each => each['name'] === name && /^(certificate obtained|no new certificate)$/.test(String(each['message'])),
    )
    if (record['message'] !== 'certificate obtained') throw new Error(String(record['why']))
  }

  test('http-01: the redirecting listener answers, and everything else is redirected', async () => {
    const started = await start(
      {
        listen: [
          { port: 0, address: '127.0.0.1' },
          { port: pebble.httpPort, address: '127.0.0.1', cleartext: 'redirect' },
        ],
      },
      { challenges: ['http-01'] },
    )
    await obtained(started, 'shop.test')
    const peer = await certificateOf(started.port, 'shop.test')
    assert.equal(peer.subjectaltname, 'DNS:shop.test')
    const url = `http://127.0.0.1:${pebble.httpPort}/.well-known/acme-challenge/${'x'.repeat(43)}`
    const redirected = await get(url, 'shop.test')
    assert.equal(redirected.status, 308)
    const kept = readdirSync(path.join(started.gateway.config.state, 'storage'), { recursive: true }).map(String)
    assert.ok(
      kept.some(name => name.endsWith('certificates/shop.test.ecdsa')),
      kept.join(),
    )
  })

  test('http-01: a listener that serves cleartext answers too', async () => {
    const started = await start(
      {
        listen: [
          { port: 0, address: '127.0.0.1' },
          { port: pebble.httpPort, address: '127.0.0.1', cleartext: 'serve' },
        ],
        sites: [{ host: 'plain.test', certificate: 'acme', routes: [{ respond: { status: 200, body: 'hello' } }] }],
      },
      { challenges: ['http-01'] },
    )
    await obtained(started, 'plain.test')
    await certificateOf(started.port, 'plain.test')
    const url = `http://127.0.0.1:${pebble.httpPort}/.well-known/acme-challenge/${'x'.repeat(43)}`
    assert.equal((await get(url, 'plain.test')).text, 'hello')
  })

  test('tls-alpn-01: the TLS listener answers, for several names and both kinds of keys', async () => {
    const started = await start(
      {
        listen: [{ port: pebble.tlsPort, address: '127.0.0.1' }],
        sites: [
          {
            host: ['a.test', 'b.test'],
            certificate: 'acme',
            routes: [{ respond: { status: 200, body: 'hello' } }],
          },
        ],
      },
      { challenges: ['tls-alpn-01'], keys: ['ecdsa', 'rsa'] },
    )
    await obtained(started, 'a.test')
    await obtained(started, 'b.test')
    assert.equal((await certificateOf(started.port, 'b.test')).subjectaltname, 'DNS:b.test')
    await started.logged(
      record =>
        record['message'] === 'certificate obtained' && record['name'] === 'a.test' && record['key'] === 'rsa',
    )
    const rsa = await certificateOf(started.port, 'a.test', {
      maxVersion: 'TLSv1.2',
      ciphers: 'ECDHE-RSA-AES128-GCM-SHA256',
    })
    assert.equal(rsa.asn1Curve, undefined)
    const open = tls.connect({
      port: started.port,
      host: '127.0.0.1',
      servername: 'a.test',
      ALPNProtocols: ['acme-tls/1'],
      rejectUnauthorized: false,
    })
    const refused = await new Promise(resolve =>
      open.once('error', resolve).once('secureConnect', () => resolve(null)),
    )
    assert.match(String(refused), /no.application.protocol|alert number 120|NO_APPLICATION_PROTOCOL/i)
  })

  test('until there is a certificate the handshake fails at once and says why', async () => {
    const started = await start(
      { listen: [{ port: 0, address: '127.0.0.1' }] },
      { directory: 'https://127.0.0.1:1/dir', challenges: ['tls-alpn-01'] },
    )
    await started.logged(record => record['message'] === 'no new certificate')
    await assert.rejects(certificateOf(started.port, 'shop.test'))
    const failed = await started.logged(record => record['error'] === 'TLS_NO_CERTIFICATE')
    assert.match(String(failed['why']), /no usable certificate for shop\.test: .*127\.0\.0\.1:1/)
  })

  test('a restart finds its certificate, and orders nothing', async () => {
    const state = temporaryFolder('sallyport-state-')
    const config = { state, listen: [{ port: pebble.tlsPort, address: '127.0.0.1' }] }
    const first = await start(config, { challenges: ['tls-alpn-01'] })
    await obtained(first, 'shop.test')
    const { fingerprint256 } = await certificateOf(first.port, 'shop.test')
    await stop(first)
    const second = await start(config, { challenges: ['tls-alpn-01'] })
    assert.equal((await certificateOf(second.port, 'shop.test')).fingerprint256, fingerprint256)
    assert.ok(!second.logs().some(record => /ordering|renewing/.test(String(record['message']))))
    await second.gateway.managed.renew('shop.test')
    assert.notEqual((await certificateOf(second.port, 'shop.test')).fingerprint256, fingerprint256)
    await second.gateway.managed.revoke('shop.test', 4)
  })

  test('on demand: a name below the wildcard comes with its first handshake, and one that nobody asked for does not', async () => {
    const started = await start(
      {
        listen: [{ port: pebble.tlsPort, address: '127.0.0.1' }],
        sites: [
          { host: '*.customers.test', certificate: 'acme', routes: [{ respond: { status: 200, body: 'hello' } }] },
        ],
      },
      { challenges: ['tls-alpn-01'], onDemand: { allow: ['one.customers.test', 'two.customers.test'] } },
    )
    const [one, two] = await Promise.all(
      ['one', 'two'].map(name => certificateOf(started.port, `${name}.customers.test`)),
    )
    assert.equal(one!.subjectaltname, 'DNS:one.customers.test')
    assert.equal(two!.subjectaltname, 'DNS:two.customers.test')
    await assert.rejects(certificateOf(started.port, 'three.customers.test'))
    const failed = await started.logged(record => record['error'] === 'TLS_NO_CERTIFICATE')
    assert.match(String(failed['why']), /three\.customers\.test is not on the list/)
  })
})

async function get(url: string, host: string): Promise<{ status: number | undefined; text: string }> {
  const request = http.get(url, { headers: { host }, agent: false })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode, text }
}

/** The leaf that a client is shown; the chain is Pebble's, made at its start, and not verified here. */
function certificateOf(
  port: number,
  servername: string,
  options: tls.ConnectionOptions = {},
): Promise<tls.PeerCertificate> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      { host: '127.0.0.1', port, servername, rejectUnauthorized: false, ...options },
      () => {
        const peer = socket.getPeerCertificate()
        socket.end()
        resolve(peer)
      },
    )
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('closed')))
  })
}
