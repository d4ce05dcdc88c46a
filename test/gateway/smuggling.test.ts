/**
 * Every class of request smuggling as raw bytes, whole and one byte at a time: a 400 and a closed connection, before a
 * byte reaches the backend. A second request stands behind each and must never be seen there.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { heads, ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend

before(async () => {
  backend = await recordingBackend((client, text) => {
    // Only what has no body: an answer to a head alone would overtake the refusal of its body.
    if (/GET \S+ HTTP\/1.1\r\n(?:[^\r\n]+\r\n)*\r\n$/.test(text)) client.send(ok('fine'))
  })
  gateway = await startGateway({ sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }] })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const canary = 'GET /canary HTTP/1.1\r\nHost: localhost\r\n\r\n'
const post = (fields: string, body = '') => `POST /x HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n${body}`
const chunked = 'Transfer-Encoding: chunked\r\n'

/** Refused from the head alone: the backend gets nothing. */
const badHeads: Record<string, string> = {
  'Content-Length beside Transfer-Encoding': post(`Content-Length: 4\r\n${chunked}`, '0\r\n\r\n'),
  'Transfer-Encoding beside Content-Length': post(`${chunked}Content-Length: 4\r\n`, '0\r\n\r\n'),
  'two equal lengths': post('Content-Length: 1\r\nContent-Length: 1\r\n', 'a'),
  'two lengths': post('Content-Length: 1\r\nContent-Length: 2\r\n', 'ab'),
  'a list of lengths': post('Content-Length: 1, 1\r\n', 'a'),
  'a signed length': post('Content-Length: +1\r\n', 'a'),
  'a negative length': post('Content-Length: -1\r\n', 'a'),
  'a hexadecimal length': post('Content-Length: 0x1\r\n', 'a'),
  'an empty length': post('Content-Length:\r\n'),
  'a length with a space': post('Content-Length: 1 1\r\n', 'a'),
  'a length that overflows': post('Content-Length: 18446744073709551617\r\n', 'a'),
  'another transfer coding': post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'),
  identity: post('Transfer-Encoding: identity\r\n'),
  'chunked and another': post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n'),
  'gzip before chunked': post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'),
  'two transfer codings': post(`${chunked}${chunked}`, '0\r\n\r\n'),
  'a quoted transfer coding': post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n'),
  'a vertical tab before chunked': post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'),
  'Transfer-Encoding in HTTP/1.0': `POST /x HTTP/1.0\r\nHost: localhost\r\n${chunked}\r\n0\r\n\r\n`,
  'a space before the colon': post('Content-Length : 1\r\n', 'a'),
  'a tab before the colon': post('Transfer-Encoding\t: chunked\r\n', '0\r\n\r\n'),
  'a folded field': post('X-A: b\r\n Transfer-Encoding: chunked\r\n'),
  'a bare LF after a field': post('X-A: b\nContent-Length: 1\r\n', 'a'),
  'a bare CR in a value': post('X-A: b\rContent-Length: 1\r\n', 'a'),
  'a bare LF after the request line': 'GET /x HTTP/1.1\nHost: localhost\r\n\r\n',
  'a bare LF that ends the head': 'GET /x HTTP/1.1\r\nHost: localhost\r\n\n',
  'a NUL in a value': post('X-A: a\0b\r\n'),
  'a NUL in a name': post('X\0A: b\r\n'),
  'a control character': post('X-A: \x01\r\n'),
  'no colon': post('X-A\r\n'),
  'an empty name': post(': a\r\n'),
  'no Host': 'GET /x HTTP/1.1\r\nX-A: b\r\n\r\n',
  'two Hosts': 'GET /x HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n',
  'a Host with a path': 'GET /x HTTP/1.1\r\nHost: localhost/a\r\n\r\n',
  'a Host with user info': 'GET /x HTTP/1.1\r\nHost: a@localhost\r\n\r\n',
  'two spaces in the request line': 'GET  /x HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a tab in the request line': 'GET\t/x HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a space in the target': 'GET /x y HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'an encoded slash': 'GET /a%2fb HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'an encoded NUL': 'GET /a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a climb above the root': 'GET /a/../../b HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'HTTP/0.9': 'GET /x\r\n\r\n',
}

/** The head is good; the body is not. */
const badBodies: Record<string, string> = {
  'a chunk size that is not hexadecimal': 'x\r\n',
  'a chunk size with 0x': '0x4\r\nabcd\r\n0\r\n\r\n',
  'an empty chunk size': '\r\nabcd\r\n0\r\n\r\n',
  'a space after the size': '4 \r\nabcd\r\n0\r\n\r\n',
  'a sign before the size': '+4\r\nabcd\r\n0\r\n\r\n',
  'a chunk size that overflows': '11111111111111111\r\nabcd\r\n0\r\n\r\n',
  'a bare LF after the size': '4\nabcd\r\n0\r\n\r\n',
  'a bare CR after the size': '4\rabcd\r\n0\r\n\r\n',
  'a chunk longer than its size': '4\r\nabcdef\r\n0\r\n\r\n',
  'a bare LF after the data': '4\r\nabcd\n0\r\n\r\n',
  'a NUL in an extension': '4;a\0b\r\nabcd\r\n0\r\n\r\n',
  'a bare LF in an extension': '4;a\nb\r\nabcd\r\n0\r\n\r\n',
  'a trailer without a colon': '0\r\nX-A\r\n\r\n',
  'a bare LF after a trailer': '0\r\nX-A: b\n\r\n',
}

async function refused(bytes: string, bytewise: boolean): Promise<string> {
  const client = await rawTls(gateway.port)
  if (bytewise) await client.sendBytewise(bytes + canary)
  else client.send(bytes + canary)
  const { received } = await client.closed()
  assert.match(received, /^HTTP\/1\.1 (400|505) /, JSON.stringify(received))
  assert.ok(!heads(received, 2) || !received.includes('fine'), 'a second answer')
  assert.match(received, /connection: close\r\n/)
  return received
}

for (const bytewise of [false, true]) {
  describe(bytewise ? 'one byte at a time' : 'in one piece', () => {
    for (const [name, bytes] of Object.entries(badHeads)) {
      it(`refuses ${name} before a byte reaches the backend`, async () => {
        const before = backend.received().length
        await refused(bytes, bytewise)
        assert.equal(backend.received().length, before)
      })
    }

    for (const [name, body] of Object.entries(badBodies)) {
      it(`refuses ${name}, and cuts the backend's request off`, async () => {
        const count = backend.connections.length
        await refused(post(chunked, body), bytewise)
        assert.ok(!backend.received().includes('/canary'))
        for (const connection of backend.connections.slice(count)) {
          const { received } = await connection.closed()
          assert.ok(!received.endsWith('0\r\n\r\n'), `completed: ${JSON.stringify(received)}`)
        }
      })
    }

    it('takes what is right', async () => {
      const client = await rawTls(gateway.port)
      const bytes = 'GET /right HTTP/1.1\r\nHost: localhost\r\nX-A:  b \r\n\r\n'
      if (bytewise) await client.sendBytewise(bytes)
      else client.send(bytes)
      assert.match(await client.until(text => text.endsWith('fine')), /^HTTP\/1\.1 200 /)
      client.destroy()
    })
  })
}
