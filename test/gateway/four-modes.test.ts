/** Edge, bridge, passthrough and tcp on one port, each chosen by the server name. */
import assert from 'node:assert/strict'
import http from 'node:http'
import https from 'node:https'
import type net from 'node:net'
import { after, before, describe, it } from 'node:test'
import type tls from 'node:tls'
import { issueFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

const ca = testCa()
const own = issueFiles(ca, ['internal.test', 'passthrough.test'])
let gateway: Started
let plain: http.Server
let secure: https.Server
let echo: RecordingBackend
const portOf = (server: net.Server) => (server.address() as net.AddressInfo).port
const started = (server: net.Server) => new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))

function get(host: string, ca: string, path = '/'): Promise<{ status: number; body: string; issuer: string }> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      { host: '127.0.0.1', port: gateway.port, servername: host, path, ca, headers: { host }, agent: false },
      response => {
        const issuer = String((response.socket as tls.TLSSocket).getPeerCertificate().issuer?.CN)
        let body = ''
        response.on('data', chunk => {
          body += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body, issuer }))
      },
    )
    request.on('error', reject)
    request.end()
  })
}

before(async () => {
  plain = http.createServer((request, response) =>
    response.end(`plain ${request.url} ${request.headers['x-forwarded-for']}`),
  )
  secure = https.createServer({ cert: own.chainPem, key: own.keyPem }, (request, response) =>
    response.end(`secure ${request.url} ${request.headers['x-forwarded-proto'] ?? 'none'}`),
  )
  echo = await recordingBackend((client, text) => {
    if (text.endsWith('\n')) client.send(`echo ${text}`)
  })
  await started(plain)
  await started(secure)
  gateway = await startGateway({
    sites: [
      { host: 'edge.test', certificate: 'local', to: [`http://127.0.0.1:${portOf(plain)}`] },
      {
        host: 'bridge.test',
        certificate: 'local',
        to: {
          endpoints: [`https://127.0.0.1:${portOf(secure)}`],
          tls: { ca: ca.file, serverName: 'internal.test' },
        },
      },
      {
        host: 'wrong-name.test',
        certificate: 'local',
        to: { endpoints: [`https://127.0.0.1:${portOf(secure)}`], tls: { ca: ca.file, serverName: 'other.test' } },
      },
      { host: 'untrusted.test', certificate: 'local', to: [`https://127.0.0.1:${portOf(secure)}`] },
      { host: 'passthrough.test', passthrough: { to: [`127.0.0.1:${portOf(secure)}`] } },
      { host: 'tcp.test', certificate: 'local', tcp: { to: [`127.0.0.1:${echo.port}`] } },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await echo.close()
  plain.close()
  secure.close()
})

describe('one port', () => {
  it('ends TLS and forwards plain HTTP (edge)', async () => {
    const { status, body } = await get('edge.test', gateway.caPem, '/a?b')
    assert.equal(status, 200)
    assert.equal(body, 'plain /a?b 127.0.0.1')
  })

  it('ends TLS and encrypts again to a verified backend (bridge)', async () => {
    assert.equal((await get('bridge.test', gateway.caPem, '/x')).body, 'secure /x https')
  })

  it('refuses a backend with another name or an unknown CA, and says why in the log', async () => {
    for (const host of ['wrong-name.test', 'untrusted.test']) {
      assert.equal((await get(host, gateway.caPem)).status, 502)
      const record = await gateway.logged(each => each['host'] === host)
      assert.equal(record['error'], 'UPSTREAM_TLS')
      assert.match(String(record['why']), /TLS handshake with 127\.0\.0\.1:\d+/)
    }
  })

  it("routes by name without a key: the certificate is the backend's (passthrough)", async () => {
    const { body, issuer } = await get('passthrough.test', ca.certificatePem)
    assert.equal(body, 'secure / none')
    assert.ok(issuer.length > 0)
    await assert.rejects(get('passthrough.test', gateway.caPem), /certificate/)
  })

  it('unwraps TLS for raw TCP, and half-closes both ways (tcp)', async () => {
    const client = await rawTls(gateway.port, {
      servername: 'tcp.test',
      ALPNProtocols: undefined,
      allowHalfOpen: true,
    } as tls.ConnectionOptions)
    client.send('hello\n')
    await client.until(text => text === 'echo hello\n')
    const backend = await echo.connection(0)
    const ended = new Promise(resolve => backend.socket.once('end', resolve))
    client.socket.end()
    await ended
    assert.equal((await client.closed()).received, 'echo hello\n')
  })

  it('refuses a name that no site has with unrecognized_name', async () => {
    await assert.rejects(rawTls(gateway.port, { servername: 'nobody.test' }), /unrecognized|112|UNRECOGNIZED/)
    const record = await gateway.logged(each => each['error'] === 'TLS_UNKNOWN_NAME')
    assert.equal(record['sni'], 'nobody.test')
  })
})
