/**
 * A head that comes in pieces is parsed once: when the buffer says that it is ready, the parser has a verdict, whatever
 * the bytes are. One that asked for more then would be asked again for each piece that follows, or wait for its deadline.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import { emptyLinesAtMost, HeadBuffer } from '../../src/wire/head-buffer.ts'
import { ChunkedDecoder } from '../../src/wire/http1-body.ts'
import { parseRequestHead, parseResponseHead, parseTrailers } from '../../src/wire/http1-head.ts'
import { randomFrom } from '../wire/hello-bytes.ts'

const limits = { headBytes: 64_000, uriBytes: 16_000, headers: 200 }
const parsers = {
  request: (bytes: Buffer) => parseRequestHead(bytes, 0, bytes.length, limits),
  response: (bytes: Buffer) => parseResponseHead(bytes, 0, bytes.length, limits),
  trailers: (bytes: Buffer) => parseTrailers(bytes, 0, bytes.length, limits, true),
}
const kinds = ['request', 'response', 'trailers'] as const

const pieces: readonly string[] = [
  ...['\r', '\n', '\r\n', '\r\n\r\n', ' ', '\t', ':', 'a', 'a: b', 'a: b\r\n', 'host: a\r\n', '\0'],
  ...[
    'GET',
    'GET / HTTP/1.1',
    'GET / HTTP/1.1\r\n',
    'GET / HTTP/1.0\r\n',
    '/',
    'HTTP/1.1',
    'content-length: 0\r\n',
  ],
  ...['HTTP/1.1 200', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200\r\n', 'connection: close\r\n', 'x\u00ff'],
]

describe('a head in pieces', () => {
  it('has its verdict as soon as the buffer is ready', () => {
    const below = randomFrom(11)
    for (let round = 0; round < 30_000; round++) {
      const text = Array.from({ length: 1 + below(8) }, () => pieces[below(pieces.length)]).join('')
      const bytes = Buffer.from(text, 'latin1')
      for (const kind of kinds) {
        const buffer = new HeadBuffer(kind, null)
        for (let at = 0; at < bytes.length; at++) {
          buffer.append(bytes.subarray(at, at + 1))
          if (!buffer.ready()) continue
          assert.notEqual(parsers[kind](buffer.view()), null, `${kind} ${JSON.stringify(text.slice(0, at + 1))}`)
          break
        }
      }
    }
  })

  it('is complete at the same byte, in one piece or in many', () => {
    const below = randomFrom(12)
    for (let round = 0; round < 30_000; round++) {
      const text = Array.from({ length: 1 + below(8) }, () => pieces[below(pieces.length)]).join('')
      const bytes = Buffer.from(`${below(2) === 0 ? 'GET / HTTP/1.1\r\nhost: a\r\n' : ''}${text}`, 'latin1')
      const whole = parsers.request(bytes)
      const buffer = new HeadBuffer('request', null)
      let split: typeof whole = null
      for (let at = 0; at < bytes.length && split === null; at += 3) {
        buffer.append(bytes.subarray(at, at + 3))
        if (buffer.ready()) split = parsers.request(buffer.view())
      }
      if (whole === null || whole instanceof ProxyError) continue
      assert.ok(split !== null && !(split instanceof ProxyError), JSON.stringify(text))
      assert.equal(split.end, whole.end)
    }
  })

  it('may begin with a few empty lines, and not with more', () => {
    const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'
    const after = (count: number) => parsers.request(Buffer.from('\r\n'.repeat(count) + get))
    assert.ok(!(after(emptyLinesAtMost) instanceof ProxyError))
    const refused = after(emptyLinesAtMost + 1)
    assert.ok(refused instanceof ProxyError)
    assert.equal(refused.code, 'BAD_REQUEST')
    assert.match(refused.message, /empty lines/)
  })

  it('is refused for a lone LF in the place of its last empty line, at once', () => {
    for (const text of ['GET / HTTP/1.1\r\nhost: a\r\n\n', 'GET / HTTP/1.1\r\nhost: a\n', 'GET / HTTP/1.1\n', '\n'])
      assert.ok(parsers.request(Buffer.from(text)) instanceof ProxyError, JSON.stringify(text))
    for (const text of ['HTTP/1.1 200 OK\r\na: b\r\n\n', 'HTTP/1.1 200 OK\n', 'HTTP/1.1 200\n', 'HTTP/1.\n'])
      assert.ok(parsers.response(Buffer.from(text)) instanceof ProxyError, JSON.stringify(text))
  })

  it('is refused behind a chunked body as well', () => {
    for (const [text, step] of [
      ['0\r\n\n', 4],
      ['0\r\n\n', 1],
      ['0\r\nx: y\r\n\n', 1],
    ] as const) {
      const decoder = new ChunkedDecoder(limits, true, null)
      const bytes = Buffer.from(text)
      let end: number | ProxyError = 0
      for (let at = 0; at < bytes.length; at += step)
        end = decoder.push(bytes, at, Math.min(at + step, bytes.length), { onBody() {}, onBodyEnd() {} })
      assert.ok(end instanceof ProxyError, JSON.stringify(text))
    }
  })

  it('ends trailers where they end, however they are split and whatever follows', () => {
    const text = '0\r\nx-sum: 1\r\nx-t: 2\r\n\r\nGET /next'
    const bytes = Buffer.from(text)
    for (let step = 1; step <= bytes.length; step++) {
      const decoder = new ChunkedDecoder(limits, true, null)
      let trailers = ''
      const sink = {
        onBody() {},
        onBodyEnd: (fields: { text: string } | null) => void (trailers = fields?.text ?? ''),
      }
      let end: number | ProxyError = -1
      for (let at = 0; at < bytes.length && end === -1; at += step)
        end = decoder.push(bytes, at, Math.min(at + step, bytes.length), sink)
      assert.equal(end, text.indexOf('GET'), `in pieces of ${step}`)
      assert.equal(trailers, 'x-sum: 1\r\nx-t: 2\r\n')
    }
  })
})
