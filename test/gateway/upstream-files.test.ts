/**
 * Files that TLS toward backends is made of, replaced while the gateway runs: the certificate that they are shown, and the
 * CAs that they are verified by. Nothing is reloaded, nothing dropped.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type net from 'node:net'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import tls from 'node:tls'
import type { UpstreamInput } from '../../src/config/config.ts'
import { ask } from '../harness/ask.ts'
import {
  type IssuedFiles,
  issueClientFiles,
  issueFiles,
  replaceFile,
  type TestCa,
  temporaryFolder,
  testCa,
} from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { eventually } from '../harness/until.ts'

const closers: (() => unknown)[] = []
after(async () => {
  for (const close of closers) await close()
})

const [before, next] = [testCa('Before'), testCa('Next')]

type Backend = {
  readonly url: string
  /** Common names of the clients of its connections, in order */
  readonly seen: string[]
  /** Requests that wait for their answer */
  readonly held: tls.TLSSocket[]
  show(files: IssuedFiles): void
}

/** Tells the common name of its client, over HTTP/1.1; a request for /held is answered when the test says so. */
async function backend(show: IssuedFiles, clientCa: string | undefined): Promise<Backend> {
  const seen: string[] = []
  const held: tls.TLSSocket[] = []
  const terms = { requestCert: clientCa !== undefined, rejectUnauthorized: true, ca: clientCa }
  const server = tls.createServer({ cert: show.chainPem, key: show.keyPem, ALPNProtocols: ['http/1.1'], ...terms })
  server.on('secureConnection', socket => {
    const name = String(socket.getPeerCertificate().subject?.CN ?? '')
    seen.push(name)
    socket.on('error', () => {})
    socket.on('data', chunk => {
      if (String(chunk).startsWith('GET /held')) held.push(socket)
      else answer(socket, name)
    })
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => server.close())
  const { port } = server.address() as net.AddressInfo
  return {
    url: `https://127.0.0.1:${port}`,
    seen,
    held,
    show: files => server.setSecureContext({ cert: files.chainPem, key: files.keyPem, ...terms }),
  }
}

const answer = (socket: tls.TLSSocket, body: string): void =>
  void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)

async function start(to: UpstreamInput): Promise<Started> {
  const started = await startGateway({
    sites: [{ host: 'shop.test', certificate: 'local', to: 'orders' }],
    upstreams: { orders: to },
  })
  closers.push(() => started.stop())
  return started
}

const bodyOf = async (gateway: Started, target = '/'): Promise<string> =>
  (await ask('HTTP/1.1', gateway.port, { host: 'shop.test', path: target, tls: { ca: gateway.caPem } })).body

const said =
  (message: string, file = '') =>
  (record: Record<string, unknown>) =>
    record['message'] === message && String(record['source'] ?? '').endsWith(file)

describe('the certificate that a backend is shown', () => {
  const folder = temporaryFolder()
  const [chain, key] = [path.join(folder, 'gw.pem'), path.join(folder, 'gw.key')]
  const clientOf = (ca: TestCa, name: string, more = {}) => issueClientFiles(ca, name, more)

  it('is replaced as a pair, without a reload; what is under way goes on', async () => {
    const server = await backend(issueFiles(before, ['127.0.0.1']), before.certificatePem)
    const first = clientOf(before, 'first')
    replaceFile(chain, first.chainPem)
    replaceFile(key, first.keyPem)
    const gateway = await start({ endpoints: server.url, tls: { ca: before.file, certificate: { chain, key } } })
    assert.equal(await bodyOf(gateway), 'first')
    const slow = bodyOf(gateway, '/held')
    await eventually('the request is at the backend', () => server.held.length === 1)

    const second = clientOf(before, 'second')
    replaceFile(chain, second.chainPem)
    // Half of a pair is none.
    await gateway.logged(said('certificate files cannot be used', 'gw.pem'))
    assert.equal(await bodyOf(gateway), 'first')
    replaceFile(key, second.keyPem)
    const replaced = await gateway.logged(said('certificate replaced', 'gw.pem'))
    assert.equal(typeof replaced['fingerprint'], 'string')
    assert.equal(await bodyOf(gateway), 'second')
    const [held] = server.held as [tls.TLSSocket]
    const gone = once(held, 'close')
    answer(held, 'still here')
    assert.equal(await slow, 'still here')
    // The connection of the old identity is not used again, and not kept.
    await gone
    assert.equal(await bodyOf(gateway), 'second')
    assert.deepEqual(new Set(server.seen.slice(server.seen.indexOf('second'))), new Set(['second']))
    assert.equal(gateway.gateway.snapshotVersion, 1)
  })

  it('is listed, counted and missed when it has expired', async () => {
    const server = await backend(issueFiles(before, ['127.0.0.1']), undefined)
    const expired = clientOf(before, 'gone', { expired: true })
    const { chainFile, keyFile } = expired
    const gateway = await start({
      endpoints: server.url,
      tls: { ca: before.file, certificate: { chain: chainFile, key: keyFile } },
    })
    const [row] = gateway.gateway.certificates()
    assert.deepEqual(
      [row?.names, row?.subject, row?.sites, row?.state],
      [[], 'O=Sallyport tests, CN=gone', ['upstream orders'], 'expired'],
    )
    assert.equal(gateway.gateway.certificateCount().expired, 1)
    assert.match(String(gateway.gateway.readiness().reasons), /certificate of upstream orders expired on/)
    await gateway.logged(one => /chain\.pem: .* expired on/.test(String(one['message'])))
  })

  it('that does not fit its key, or is none, is refused at start, with the file', async () => {
    const [one, two] = [clientOf(before, 'one'), clientOf(before, 'two')]
    const to = (tls: object): UpstreamInput => ({ endpoints: 'https://127.0.0.1:1', tls })
    const certificate = { chain: one.chainFile, key: two.keyFile }
    await assert.rejects(start(to({ certificate })), /key\.pem: the private key does not belong to/)
    await assert.rejects(start(to({ ca: one.keyFile })), /key\.pem: holds a private key and no certificate/)
    const foreign = issueFiles(before, ['server.test'])
    const gateway = await start(to({ certificate: { chain: foreign.chainFile, key: foreign.keyFile } }))
    await gateway.logged(one => /does not allow clientAuth/.test(String(one['message'])))
  })
})

describe('the CAs of a backend', () => {
  it('are rotated with nothing but their file: both, then the new one', async () => {
    const file = path.join(temporaryFolder(), 'bundle.pem')
    replaceFile(file, before.certificatePem)
    const server = await backend(issueFiles(before, ['127.0.0.1']), undefined)
    const gateway = await start({ endpoints: server.url, tls: { ca: file }, pool: { idle: 0 } })
    const status = async () =>
      (await ask('HTTP/1.1', gateway.port, { host: 'shop.test', tls: { ca: gateway.caPem } })).status
    assert.equal(await status(), 200)
    replaceFile(file, before.certificatePem + next.certificatePem)
    const record = await gateway.logged(said('trusted CAs replaced', 'bundle.pem'))
    assert.deepEqual(record['subjects'], ['O=Sallyport local CA, CN=Before', 'O=Sallyport local CA, CN=Next'])
    assert.equal(await status(), 200)
    server.show(issueFiles(next, ['127.0.0.1']))
    assert.equal(await status(), 200)
    replaceFile(file, before.certificatePem)
    await eventually(
      'the old CA alone counts',
      () => gateway.logs().filter(said('trusted CAs replaced')).length === 2,
    )
    assert.equal(await status(), 502)
    replaceFile(file, 'half a fi')
    await gateway.logged(said('a file of trusted CAs cannot be used', 'bundle.pem'))
    server.show(issueFiles(before, ['127.0.0.1']))
    assert.equal(await status(), 200)
    assert.equal(gateway.gateway.snapshotVersion, 1)
  })
})
