/** A head or body whose end is not one is refused at once, on every kind of listener; empty lines are forgiven, a few. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RawClient, type RecordingBackend, rawTcp, rawTls, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n')) client.send(ok('served'))
  })
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
      { port: 0, address: '127.0.0.1', cleartext: 'redirect' },
    ],
    sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }],
    // Whoever waits for one of these fails by the time of the test.
    timeouts: { head: '10m', keepAlive: '10m' },
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const listeners: readonly (readonly [string, () => Promise<RawClient>])[] = [
  ['TLS', () => rawTls(gateway.port)],
  ['cleartext', () => rawTcp(gateway.ports[1] as number)],
  ['redirect', () => rawTcp(gateway.ports[2] as number)],
]
const get = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
const post = 'POST / HTTP/1.1\r\nHost: localhost\r\n'

describe('refused at once', () => {
  for (const [name, connect] of listeners) {
    const cases: readonly (readonly [string, string])[] = [
      ['32 kB of empty lines before a request', '\r\n'.repeat(16_000) + get],
      ['an LF for the last empty line', 'GET / HTTP/1.1\r\nHost: localhost\r\n\n'],
      ['an LF behind a field', 'GET / HTTP/1.1\r\nHost: localhost\n'],
      ...(name === 'redirect'
        ? []
        : ([
            ['0 CRLF LF behind a chunked body', `${post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\n`],
          ] as const)),
    ]
    for (const [what, bytes] of cases) {
      it(`${name}: ${what}`, async () => {
        const client = await connect()
        client.send(bytes)
        const answer = await client.until(text => text.includes('\r\n\r\n'))
        assert.match(answer, /^HTTP\/1\.1 400 /)
        client.destroy()
      })
    }
    it(`${name}: the same, byte by byte`, async () => {
      const client = await connect()
      await client.sendBytewise('\r\n'.repeat(20) + get)
      assert.match(await client.until(text => text.includes('\r\n\r\n')), /^HTTP\/1\.1 400 /)
      client.destroy()
    })
    it(`${name}: an empty line before a request is forgiven`, async () => {
      const client = await connect()
      client.send(`GET${get.slice(3)}`.replace(/^/, name === 'TLS' ? '\r\n' : ''))
      assert.match(await client.until(text => text.includes('\r\n\r\n')), /^HTTP\/1\.1 (200|308) /)
      client.destroy()
    })
  }
})
