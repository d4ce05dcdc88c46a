/**
 * Public vectors: llhttp's own cases and those of http-desync-guardian. A strict parser refuses what llhttp calls an
 * error and what it takes only when lenient. Where we are stricter still, the case stands in a table with the reason.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import { HeadBuffer } from '../../src/wire/head-buffer.ts'
import { ChunkedDecoder } from '../../src/wire/http1-body.ts'
import { parseRequestHead, parseResponseHead } from '../../src/wire/http1-head.ts'
import { desyncCases, llhttpCases } from '../harness/vectors.ts'

const limits = { headBytes: 64_000, uriBytes: 16_000, headers: 200 }

type Verdict = { kind: 'accepted' | 'incomplete'; bodies: string[] } | { kind: 'refused'; why: string }

/** Reads messages one after the other to the end of the bytes, in pieces of `step`. */
function read(input: Buffer, kind: 'request' | 'response', step: number): Verdict {
  const bodies: string[] = []
  let at = 0
  while (at < input.length) {
    const buffer = new HeadBuffer(kind, null)
    let fed = at
    let head: ReturnType<typeof parseRequestHead> | ReturnType<typeof parseResponseHead> = null
    while (head === null && fed < input.length) {
      const next = Math.min(input.length, fed + step)
      buffer.append(input.subarray(fed, next))
      fed = next
      if (step < input.length && !buffer.ready() && fed < input.length) continue
      const view = buffer.view()
      head =
        kind === 'request'
          ? parseRequestHead(view, 0, view.length, limits)
          : parseResponseHead(view, 0, view.length, limits)
    }
    if (head instanceof ProxyError) return { kind: 'refused', why: head.message }
    if (head === null) return { kind: 'incomplete', bodies }
    at += head.end
    const status = 'status' in head ? head.status : 0
    const bodyless = (status > 0 && status < 200) || status === 204 || status === 304
    if (head.upgrade !== null || ('method' in head && head.method === 'CONNECT'))
      return { kind: 'accepted', bodies }
    if (head.chunked && !bodyless) {
      let body = ''
      let ended = false
      const decoder = new ChunkedDecoder(limits, kind === 'request', null)
      const sink = {
        onBody: (bytes: Buffer, from: number, to: number) => void (body += bytes.toString('latin1', from, to)),
        onBodyEnd: () => void (ended = true),
      }
      while (at < input.length && !ended) {
        const next = Math.min(input.length, at + step)
        const end = decoder.push(input, at, next, sink)
        if (end instanceof ProxyError) return { kind: 'refused', why: end.message }
        at = end < 0 ? next : end
      }
      if (!ended) return { kind: 'incomplete', bodies }
      bodies.push(body)
    } else if (head.contentLength >= 0 && !bodyless) {
      bodies.push(input.toString('latin1', at, at + head.contentLength))
      at += head.contentLength
      if (at > input.length) return { kind: 'incomplete', bodies }
    } else if (kind === 'response' && !bodyless) {
      bodies.push(input.toString('latin1', at))
      return { kind: 'accepted', bodies }
    } else bodies.push('')
  }
  return { kind: 'accepted', bodies }
}

/** A refusal may be worded by what was seen first; that it is one may not depend on the split. */
function same(one: Verdict, other: Verdict, message: string): void {
  if (one.kind === 'refused' && other.kind === 'refused') return
  assert.deepEqual(one, other, message)
}

/** Where we refuse what llhttp takes: by what we say, and why. */
const stricter: readonly (readonly [said: RegExp, because: string])[] = [
  [/no Host field/, 'RFC 9112 section 3.2: a request without Host is a 400'],
  [/a Host that is not a host name/, 'a host is routed on, so it must be one'],
  [/a repeated Host field/, 'RFC 9112 section 3.2'],
  [
    /Transfer-Encoding that is not exactly chunked|Transfer-Encoding in HTTP\/1\.0/,
    'no other coding can be framed safely',
  ],
  [/repeated Transfer-Encoding|repeated Content-Length/, 'two readers may take different ones'],
  [/the request says HTTP\/|does not begin with HTTP/, 'only 1.0 and 1.1 are spoken'],
  [/the request line does not end with HTTP\/1\.1/, 'HTTP/0.9 and other protocols are not spoken'],
  [/percent-encoded/, 'a fragment or a raw byte above ASCII in a target is read differently by different parsers'],
  [/Expect asks/, '417: no other expectation is known'],
  [/the status is not a number from 100 to 599/, 'RFC 9110 section 15'],
  [/chunk extension/, 'extensions are dropped, and bounded'],
  [/control character|bare CR|bare CR or LF/, 'no control characters in fields'],
]

describe('llhttp', () => {
  const cases = llhttpCases()
  it('has cases', () => assert.ok(cases.length > 100, `${cases.length}`))
  for (const { name, kind, lenient, input, error } of cases) {
    it(name, () => {
      const whole = read(input, kind, input.length)
      for (const step of [1, 7]) same(read(input, kind, step), whole, `split into ${step}`)
      if (whole.kind === 'refused') {
        if (!error && !lenient) {
          assert.ok(
            stricter.some(([said]) => said.test(whole.why)),
            `refused without a reason: ${whole.why}`,
          )
        }
        return
      }
      // What llhttp refuses may be something that a reader of messages never gets to, such as bytes behind a close.
      if (error && !lenient)
        assert.ok(
          whole.kind === 'incomplete' || tolerated.some(each => each.test(name)),
          `taken: ${JSON.stringify(whole)}`,
        )
    })
  }
})

/** What llhttp calls an error and we take, each harmless to how the message is framed and forwarded. */
const tolerated: readonly RegExp[] = [
  // Methods are extensible (RFC 9110 section 9.1); llhttp knows a list, and keeps some for RTSP.
  /HTTP protocol and ANNOUNCE method/,
]

describe('http-desync-guardian', () => {
  for (const { name, input } of desyncCases('severe')) {
    it(`severe, refused: ${name}`, () => {
      const verdict = read(input, 'request', input.length)
      assert.equal(verdict.kind, 'refused', JSON.stringify(verdict))
      same(read(input, 'request', 1), verdict, 'one byte at a time')
    })
  }
  for (const tier of ['acceptable', 'rfc-compliant'] as const) {
    for (const { name, input } of desyncCases(tier)) {
      it(`${tier}, one reading: ${name}`, () => {
        same(read(input, 'request', 1), read(input, 'request', input.length), 'one byte at a time')
      })
    }
  }
})
