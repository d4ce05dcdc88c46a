/** Backends on Unix sockets: HTTP/1.1, TLS and HTTP/2, with the Host of the client, verified names, and another endpoint where one is gone. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ask } from '../harness/ask.ts'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { rawTls } from '../harness/raw.ts'

const folder = temporaryFolder()
const at = (name: string) => path.join(folder, name)
const open: { close(): unknown }[] = []
let gateway: Started

/** What a backend was asked, as its answer */
const seen = (version: string, request: http.IncomingMessage | http2.Http2ServerRequest, body: string) =>
  JSON.stringify([
    version,
    request.headers.host ?? request.headers[':authority'],
    request.method,
    request.url,
    body,
  ])

async function answer(
  version: string,
  request: http.IncomingMessage | http2.Http2ServerRequest,
  response: { end(text: string): unknown },
) {
  let body = ''
  for await (const chunk of request) body += chunk
  response.end(seen(version, request, body))
}

async function listen(server: net.Server, name: string) {
  server.listen(at(name))
  await once(server, 'listening')
  open.push(server)
}

before(async () => {
  const ca = testCa()
  const { chainPem, keyPem } = issueFiles(ca, ['in.test'])
  const terms = { cert: chainPem, key: keyPem }
  const plain = http.createServer((request, response) => void answer('http', request, response))
  plain.on('upgrade', (_request, socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n' +
        // RFC 6455 section 1.3
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
    )
    socket.pipe(socket)
  })
  await listen(plain, 'http.sock')
  await listen(
    https.createServer(terms, (request, response) => void answer('https', request, response)),
    'tls.sock',
  )
  await listen(
    http2.createServer((request, response) => void answer('h2c', request, response)),
    'h2c.sock',
  )
  const site = (host: string, to: unknown) => ({ host, certificate: 'local', to })
  const tlsTo = (serverName: string) => ({
    endpoints: [`https+unix:${at('tls.sock')}`],
    tls: { ca: ca.file, serverName },
  })
  gateway = await startGateway({
    sites: [
      site('http.test', `http+unix:${at('http.sock')}`),
      site('own.test', { endpoints: [`http+unix:${at('http.sock')}`], host: 'endpoint' }),
      site('h2c.test', `h2c+unix:${at('h2c.sock')}`),
      site('tls.test', tlsTo('in.test')),
      site('wrong.test', tlsTo('other.test')),
      site('gone.test', `http+unix:${at('gone.sock')}`),
      site('either.test', [`http+unix:${at('gone.sock')}`, `http+unix:${at('http.sock')}`]),
    ],
  } as never)
})

after(async () => {
  await gateway.stop()
  for (const each of open) each.close()
})

const post = (host: string) => ask('HTTP/1.1', gateway.port, { host, method: 'POST', path: '/a?b', body: 'sent' })

describe('a backend on a Unix socket', () => {
  for (const [host, expected] of [
    ['http.test', ['http', 'http.test', 'POST', '/a?b', 'sent']],
    // Nobody looks it up, but HTTP/1.1 must have one.
    ['own.test', ['http', 'localhost', 'POST', '/a?b', 'sent']],
    ['h2c.test', ['h2c', 'h2c.test', 'POST', '/a?b', 'sent']],
    ['tls.test', ['https', 'tls.test', 'POST', '/a?b', 'sent']],
    // Nothing was sent to the one that is not there.
    ['either.test', ['http', 'either.test', 'POST', '/a?b', 'sent']],
  ] as const)
    it(`is asked for ${host}, again and again`, async () => {
      for (let times = 0; times < 3; times++) {
        const { status, body } = await post(host)
        assert.deepEqual([status, JSON.parse(body)], [200, expected])
      }
    })

  it('is a tunnel after an upgrade', async () => {
    const client = await rawTls(gateway.port, { servername: 'http.test' })
    client.send(
      'GET / HTTP/1.1\r\nHost: http.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    await client.until(text => text.includes('\r\n\r\n'))
    client.send('there and back')
    assert.match(await client.until(text => text.endsWith('back')), /^HTTP\/1\.1 101 /)
    client.destroy()
  })

  it('that is not there is a 502, and the log has its path', async () => {
    assert.equal((await post('gone.test')).status, 502)
    const record = await gateway.logged(each => each['host'] === 'gone.test')
    assert.deepEqual([record['error'], record['endpoint']], ['CONNECT_REFUSED', `unix:${at('gone.sock')}`])
    assert.match(String(record['why']), /connect to unix:\/.*gone\.sock: .*(ENOENT|[Ff]ailed)/)
  })

  it('whose certificate has another name is refused', async () => {
    assert.equal((await post('wrong.test')).status, 502)
    const record = await gateway.logged(each => each['host'] === 'wrong.test')
    assert.equal(record['error'], 'UPSTREAM_TLS')
    assert.match(String(record['why']), /TLS handshake with unix:\/.*tls\.sock/)
  })
})
