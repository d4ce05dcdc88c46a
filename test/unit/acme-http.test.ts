/** Requests to CAs and webhooks: whom they trust, and that nothing is too large, too slow or led elsewhere. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type net from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Ca } from '../../src/acme/directory.ts'
import { httpClient, isSafeUrl, shownUrl } from '../../src/acme/http.ts'
import { retryAfterMs } from '../../src/wire/retry-after.ts'
import { issueFiles, testCa } from '../harness/certificates.ts'

const ca = testCa()
const never = new AbortController().signal
let secure: https.Server
let plain: http.Server
let base = ''
let plainBase = ''
let connections = 0
const seen: http.IncomingHttpHeaders[] = []

const handle: http.RequestListener = (request, response) => {
  seen.push(request.headers)
  if (request.url === '/hang') return
  if (request.url === '/drip') {
    response.write('x')
    const timer = setInterval(() => response.write('x'), 5)
    response.on('close', () => clearInterval(timer))
  } else if (request.url === '/flood') {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    }
    response.on('drain', more)
    more()
  } else if (request.url?.startsWith('/cut')) {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half')
    setImmediate(() => request.socket.destroy())
  } else if (request.url === '/redirect') response.writeHead(307, { location: '/' }).end()
  else response.end(`${request.method} ${request.url}`)
}

before(async () => {
  const { chainFile, keyFile } = issueFiles(ca, ['localhost', '127.0.0.1'])
  secure = https.createServer({ cert: readFileSync(chainFile), key: readFileSync(keyFile) }, handle)
  secure.on('secureConnection', () => connections++)
  secure.on('tlsClientError', () => {})
  plain = http.createServer(handle)
  await new Promise<void>(resolve => secure.listen(0, '127.0.0.1', resolve))
  await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
  base = `https://127.0.0.1:${(secure.address() as net.AddressInfo).port}`
  plainBase = `http://127.0.0.1:${(plain.address() as net.AddressInfo).port}`
})

after(() => {
  for (const server of [secure, plain]) {
    server.closeAllConnections()
    server.close()
  }
})

describe('trust', () => {
  test('a CA that is given is trusted, and the connection is used again', async () => {
    const client = httpClient({ ca: ca.certificatePem })
    connections = 0
    for (let at = 0; at < 3; at++) {
      const { status, body } = await client.request({ method: 'GET', url: `${base}/a` }, never)
      assert.deepEqual([status, body.toString()], [200, 'GET /a'])
    }
    assert.equal(connections, 1)
    client.close()
  })

  test('one that is not is refused, and the message says what to do', async () => {
    for (const options of [{}, { ca: testCa('Another').certificatePem }]) {
      const client = httpClient(options)
      await assert.rejects(client.request({ method: 'POST', url: `${base}/a`, body: '{}' }, never), {
        kind: 'unavailable',
        message: /give that CA as ca$/,
      })
      client.close()
    }
  })

  test('a certificate for another name is refused', async () => {
    const client = httpClient({ ca: ca.certificatePem })
    const other = `${base.replace('127.0.0.1', '127.0.0.2')}/a`
    await assert.rejects(client.request({ method: 'GET', url: other }, never), { kind: 'unavailable' })
    client.close()
  })
})

describe('bounds', () => {
  test('time, size, cut answers, refused connections', async () => {
    const [hasty, client] = [httpClient({ timeoutMs: 150 }), httpClient({ maxBytes: 100_000 })]
    const fails = (path: string, message: RegExp, by = client) =>
      assert.rejects(by.request({ method: 'GET', url: path }, never), { kind: 'unavailable', message })
    await fails(`${plainBase}/hang`, /no whole answer within 150ms/, hasty)
    await fails(`${plainBase}/drip`, /no whole answer within 150ms/, hasty)
    await fails(`${plainBase}/flood`, /larger than 100000b/)
    await fails(`${plainBase}/cut?secret=1`, /^GET http:\/\/127\.0\.0\.1:\d+\/cut: /)
    await fails('http://127.0.0.1:1/', /ECONNREFUSED|ConnectionRefused/)
    hasty.close()
    client.close()
  })

  test('a signal ends a request, before and in the middle', async () => {
    const client = httpClient()
    const end = new AbortController()
    const hanging = client.request({ method: 'GET', url: `${plainBase}/hang` }, end.signal)
    end.abort()
    await assert.rejects(hanging, { kind: 'cancelled' })
    await assert.rejects(client.request({ method: 'GET', url: `${plainBase}/a` }, end.signal), {
      kind: 'cancelled',
    })
    client.close()
  })

  test('no redirect is followed; who asks is said', async () => {
    const client = httpClient()
    seen.length = 0
    const { status } = await client.request({ method: 'POST', url: `${plainBase}/redirect`, body: 'x' }, never)
    assert.deepEqual([status, seen.length], [307, 1])
    assert.match(seen[0]?.['user-agent'] as string, /^sallyport\/\d+\.\d+\.\d+/)
    client.close()
  })
})

test('URLs that may be spoken to, and how they are shown', () => {
  for (const url of ['https://a.example/x', 'http://localhost:1/', 'http://127.0.0.1/', 'http://[::1]:80/'])
    assert.equal(isSafeUrl(url), true, url)
  for (const url of [
    'http://a.example/',
    'http://127.0.0.1.a.example/',
    'ftp://x/',
    'file:///etc',
    'https://u:p@a.example/',
    '',
    '/x',
  ])
    assert.equal(isSafeUrl(url), false, url)
  // What a CA names: in clear text only where its directory is.
  const [secureCa, localCa] = ['https://a.example/dir', 'http://127.0.0.1/dir'].map(
    url => new Ca(url, httpClient()),
  )
  assert.deepEqual(
    ['https://b.example/', 'http://127.0.0.1/', 'http://b.example/'].map(url => [
      secureCa?.mayAsk(url),
      localCa?.mayAsk(url),
    ]),
    [
      [true, true],
      [false, true],
      [false, false],
    ],
  )
  assert.equal(shownUrl('https://user:secret@a.example/x?token=secret#secret'), 'https://a.example/x')
  assert.equal(shownUrl('secret'), 'a URL')
})

test('Retry-After: seconds, dates by the clock of who sends them, and nonsense', () => {
  const now = Date.parse('2030-01-01T00:00:00Z')
  const of = (value: string, date?: string) =>
    retryAfterMs({ 'retry-after': value, ...(date ? { date } : {}) }, now)
  assert.equal(of('0'), 0)
  assert.equal(of(' 120 '), 120_000)
  assert.equal(of('Tue, 01 Jan 2030 00:01:00 GMT'), 60_000)
  assert.equal(of('Tue, 01 Jan 2030 01:01:00 GMT', 'Tue, 01 Jan 2030 01:00:00 GMT'), 60_000)
  assert.equal(of('Mon, 31 Dec 2029 00:00:00 GMT'), 0)
  assert.equal(of('999999999'), 86_400_000)
  for (const text of ['', '-1', '1.5', 'soon', '1e9', '2030-01-01', '99999999999999999999'])
    assert.equal(of(text), null, text)
})
