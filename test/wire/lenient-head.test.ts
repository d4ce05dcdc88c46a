/**
 * Leniencies for backends: what each accepts, what none accepts, and that a head which was mended is framed as one strict reading
 * of it, however it is split.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import type { ResponseHead } from '../../src/wire/heads.ts'
import { parseResponseHead } from '../../src/wire/http1-head.ts'
import { type Leniency, LenientHead, leniencyHint, leniencyNames } from '../../src/wire/lenient-head.ts'
import { llhttpCases } from '../harness/vectors.ts'
import { randomFrom } from './hello-bytes.ts'

const limits = { headBytes: 4_000, uriBytes: 100, headers: 20 }
const all: ReadonlySet<Leniency> = new Set(leniencyNames)

type Read = { head: ResponseHead; end: number; used: readonly string[] }

/** Reads one head in pieces of `step`. */
function read(text: string, allowed = all, step = text.length): Read | ProxyError | null {
  const bytes = Buffer.from(text, 'latin1')
  const reader = new LenientHead(allowed, null)
  for (let at = 0; at < bytes.length; at += step) {
    const made = reader.read(bytes.subarray(0, Math.min(bytes.length, at + step)), at, limits)
    if (made !== null) return made
  }
  return null
}

function taken(text: string, allowed = all): Read {
  const made = read(text, allowed)
  assert.ok(made !== null && !(made instanceof ProxyError), `${JSON.stringify(text)}: ${made}`)
  for (const step of [1, 2, 3, 7]) assert.deepEqual(read(text, allowed, step), made, `split into ${step}`)
  return made
}

function refused(text: string, allowed = all): string {
  const made = read(text, allowed)
  assert.ok(made instanceof ProxyError, `${JSON.stringify(text)}: ${JSON.stringify(made)}`)
  assert.equal(made.code, 'BAD_RESPONSE')
  for (const step of [1, 2, 3, 7]) assert.ok(read(text, allowed, step) instanceof ProxyError, `split into ${step}`)
  return made.message
}

const strictly = (text: string) => parseResponseHead(Buffer.from(text, 'latin1'), 0, text.length, limits)

const many = Array.from({ length: 30 }, (_, at) => `x-${at}: ${at}\r\n`).join('')
const head = (fields: string, status = '200 OK') => `HTTP/1.1 ${status}\r\n${fields}\r\n`

/** Of each leniency: a head that needs it, what it is read as, and what it does not take although it is near. */
const cases: Record<Leniency, { text: string; fields: string; length?: number; near: readonly string[] }> = {
  'duplicate-length': {
    text: head('Content-Length: 5\r\nA: b\r\ncontent-length: 5\r\nContent-Length: 5, 5\r\n'),
    fields: 'A: b\r\n',
    length: 5,
    near: [
      head('Content-Length: 5\r\nContent-Length: 6\r\n'),
      head('Content-Length: 5\r\nContent-Length: 05\r\n'),
      head('Content-Length: 5, 6\r\n'),
      head('Content-Length: 5,\r\n'),
      head('Content-Length: +5\r\nContent-Length: +5\r\n'),
      head('Content-Length: 5\r\nContent-Length:\r\n'),
      head('Content-Length: 5\r\nContent-Length : 5\r\n'),
      head('Content-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n'),
      head('Content-Length: 99999999999999999999\r\nContent-Length: 99999999999999999999\r\n'),
      head('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'),
    ],
  },
  'bare-lf': {
    text: 'HTTP/1.1 200 OK\nContent-Length: 5\nA: b\n\n',
    fields: 'A: b\r\n',
    length: 5,
    near: [
      'HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\n',
      'HTTP/1.1 200 OK\nContent-Length: 5\r\n\n',
      'HTTP/1.1 200 OK\nContent-Length: 5\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\n',
      'HTTP/1.1 200 OK\nA: b\rC: d\n\n',
      'HTTP/1.1 200 OK\n\rA: b\n\n',
      'HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 5\n\n',
    ],
  },
  'odd-status': {
    text: head('Content-Length: 5\r\nA: b\r\n', '999 Request denied'),
    fields: 'A: b\r\n',
    length: 5,
    near: ['99', '9999', '099', '000', '9 9', '-99', '6a0', '999\tx'].map(status => head('', status)),
  },
  'control-bytes': {
    text: head('A: b\0\x01c\r\nContent-Length: 5\r\n', '200 O\x7fK'),
    fields: 'A: b  c\r\n',
    length: 5,
    near: [
      head('A: b\rc\r\n'),
      head('A\0: b\r\n'),
      head('Content-Length: 5\0\r\n'),
      head('Transfer-Encoding: \x0bchunked\r\n'),
      head('Connection: close\0\r\n'),
      head('Content-Length\x0b: 5\r\n'),
      head('', '200\0OK'),
      'HTTP/1.1\x0b200 OK\r\n\r\n',
    ],
  },
  'many-fields': { text: head(many), fields: many, near: [head('x: y\r\n'.repeat(201))] },
  'space-before-colon': {
    text: head('A : b\r\nC \t: d\r\nContent-Length: 5\r\n'),
    fields: 'A: b\r\nC: d\r\n',
    length: 5,
    near: [
      head('Content-Length : 5\r\n'),
      head('Transfer-Encoding\t: chunked\r\n'),
      head('Connection : close\r\n'),
      head(' : b\r\n'),
      head('A B : c\r\n'),
    ],
  },
  'folded-fields': {
    text: head('A: b\r\n c\r\n\td\r\n \r\nContent-Length: 5\r\n'),
    fields: 'A: b c d \r\n',
    length: 5,
    near: [
      head(' c\r\n'),
      head('Content-Length: 5\r\n 5\r\n'),
      head('Transfer-Encoding:\r\n chunked\r\n'),
      head('Connection: a\r\n b\r\n'),
    ],
  },
}

describe('a lenient head', () => {
  for (const name of leniencyNames) {
    const { text, fields, length = -1, near } = cases[name]
    const only: ReadonlySet<Leniency> = new Set([name])
    const others: ReadonlySet<Leniency> = new Set(leniencyNames.filter(each => each !== name))
    it(`${name}: is accepted, with that alone, and refused with all others`, () => {
      const made = taken(`${text}rest`, only)
      assert.deepEqual([made.end, made.used], [text.length, [name]])
      assert.deepEqual([made.head.fields.text, made.head.contentLength], [fields, length])
      assert.deepEqual(taken(text), made)
      refused(text, others)
      assert.ok(strictly(text) instanceof ProxyError)
    })
    it(`${name}: what is near it is refused, with all of them`, () => {
      for (const each of near) {
        refused(each)
        assert.ok(strictly(each) instanceof ProxyError)
      }
    })
    it(`${name}: is named by the strict refusal, as early as that comes`, () => {
      for (let to = 1; to <= text.length; to++) {
        if (!(strictly(text.slice(0, to)) instanceof ProxyError)) continue
        const hint = leniencyHint(Buffer.from(text.slice(0, to), 'latin1'), 0, limits, null)
        assert.match(hint, new RegExp(`lenient: \\[${name}\\]`), JSON.stringify(text.slice(0, to)))
        return
      }
      assert.fail('it was not refused')
    })
  }

  it('has its own status, and is framed as any other', () => {
    const { head: made } = taken(head('Content-Length: 5\r\n', '999 No'))
    assert.deepEqual([made.status, made.reason, made.contentLength], [999, 'No', 5])
    assert.equal(taken(head('Transfer-Encoding: chunked\r\n', '600')).head.chunked, true)
  })

  it('with several mistakes needs each of their names', () => {
    const text = 'HTTP/1.0 999 No\nA : b\n c\0\nContent-Length: 0\nContent-Length: 0\n\n'
    const { used, head: made } = taken(text)
    assert.deepEqual([...used].sort(), [
      'bare-lf',
      'control-bytes',
      'duplicate-length',
      'folded-fields',
      'odd-status',
      'space-before-colon',
    ])
    assert.equal(made.fields.text, 'A: b c \r\n')
    for (const name of used) refused(text, new Set(used.filter(each => each !== name) as Leniency[]))
    const hint = leniencyHint(Buffer.from(text, 'latin1'), 0, limits, new Set(['bare-lf', 'odd-status']))
    assert.doesNotMatch(hint, /bare-lf|odd-status/)
    assert.match(hint, /folded-fields/)
  })

  it('is no larger than the limit', () => {
    assert.match(refused(`HTTP/1.1 200 OK\n${'a: b\n'.repeat(1_000)}`), /head over limits\.head \(4000 bytes\)/)
    assert.match(refused(`HTTP/1.1 200 OK\na: ${'b'.repeat(5_000)}`), /head over limits\.head/)
  })

  it('begins as a head, or is refused at once', () => {
    assert.match(refused('HTTQ'), /does not begin with HTTP/)
    assert.match(refused('<html>'), /does not begin with HTTP/)
    assert.equal(read('HTT'), null)
  })

  it('that is hopeless gets no hint', () => {
    for (const text of ['hello\r\n\r\n', head('no colon\r\n'), head('Content-Length: 1\r\nContent-Length: 2\r\n')])
      assert.equal(leniencyHint(Buffer.from(text), 0, limits, null), '')
  })
})

describe('every leniency at once', () => {
  const pieces: readonly string[] = [
    ...['\r', '\n', '\r\n', '\r\n', '\n\n', '\r\n\r\n', ' ', '\t', '\0', '\x0b', '\x7f', ':', ',', ': '],
    ...[
      'content-length: 3',
      'Content-Length: 3',
      'content-length: 4',
      'content-length : 3',
      'Content-Length: 3, 3',
    ],
    ...['transfer-encoding: chunked', 'Transfer-Encoding:chunked', 'transfer-encoding : chunked'],
    ...['connection: close', 'Connection: content-length', 'connection: keep-alive', 'upgrade: x', 'a: b', 'a : b'],
    ...[' folded', '\tfolded', 'HTTP/1.1 200 OK', 'HTTP/1.1 999 X', 'HTTP/1.0 204', 'HTTP/1.1 100 Continue'],
  ]

  /** Framing by a reading of its own: the values of each field about framing, by name, blanks and control characters as they are. */
  function framing(text: string): { lengths: Set<string>; codings: number } {
    const lines = text.split(/\r?\n/)
    const values = (name: string) =>
      lines
        .filter(line => new RegExp(`^${name}[^:]*:`, 'i').test(line))
        .map(line => line.slice(line.indexOf(':') + 1))
    const lengths = values('content-length').flatMap(value => value.split(',').map(each => each.trim()))
    return { lengths: new Set(lengths), codings: values('transfer-encoding').length }
  }

  it('a head has one reading, at every split, and what is written of it is strict', () => {
    const below = randomFrom(81)
    let accepted = 0
    for (let round = 0; round < 20_000; round++) {
      const end = ['\r\n', '\n'][below(2)] as string
      const lines = Array.from({ length: below(5) }, () =>
        Array.from({ length: 1 + below(2) }, () => pieces[below(pieces.length)]).join(''),
      )
      const status = ['HTTP/1.1 200 OK', 'HTTP/1.1 999 X', 'HTTP/1.0 200', 'HTTP/1.1 200 \x01'][below(4)] as string
      const text = `${[status, ...lines, '', ''].join(end)}HTTP/1.1 200 OK\r\n\r\n`
      const whole = read(text)
      const split = read(text, all, 1)
      if (whole === null || whole instanceof ProxyError) {
        assert.ok(split === null || split instanceof ProxyError, JSON.stringify(text))
        continue
      }
      accepted++
      assert.deepEqual(split, whole, JSON.stringify(text))
      const { head: made, end: at } = whole
      // The end is the first empty line, in the endings of the first line, and no other ending is before it.
      const own = text.slice(0, at)
      const bare = own[own.indexOf('\n') - 1] !== '\r'
      assert.equal(own.indexOf(bare ? '\n\n' : '\r\n\r\n') + (bare ? 2 : 4), at, JSON.stringify(own))
      assert.ok(bare ? !own.includes('\r') : !/\r(?!\n)|(?<!\r)\n/.test(own), JSON.stringify(own))
      // Framing: at most one length, and never two kinds.
      const { lengths, codings } = framing(own)
      assert.ok(lengths.size <= 1 && codings <= 1 && lengths.size + codings <= 1, JSON.stringify(own))
      assert.equal(made.contentLength, lengths.size === 0 ? -1 : Number([...lengths][0]), JSON.stringify(own))
      assert.equal(made.chunked, codings === 1, JSON.stringify(own))
      // What goes on is as clean as what the strict parser takes.
      const again = strictly(`HTTP/1.1 200 ${made.reason}\r\n${made.fields.text}\r\n`)
      assert.ok(again !== null && !(again instanceof ProxyError), JSON.stringify(own))
      assert.equal(again.fields.text, made.fields.text)
      assert.deepEqual([again.contentLength, again.chunked], [-1, false])
    }
    assert.ok(accepted > 1_000, `${accepted} were accepted`)
  })

  for (const { name, kind, input } of llhttpCases()) {
    if (kind !== 'response') continue
    it(`llhttp: ${name}`, () => {
      const text = input.toString('latin1')
      const strict = strictly(text)
      const whole = read(text)
      const split = read(text, all, 1)
      if (whole === null || whole instanceof ProxyError) assert.ok(split === null || split instanceof ProxyError)
      else {
        assert.deepEqual(split, whole)
        assert.ok(strict instanceof ProxyError, 'what is strict needs no leniency')
      }
    })
  }
})
