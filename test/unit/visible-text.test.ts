/** What a peer sends cannot move a terminal's cursor, forge a line of the log or decide how long one is. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLog } from '../../src/base/log.ts'
import { cut, firstOf, visible, visibleLines } from '../../src/base/visible.ts'
import { handshakeGroups, handshakesText } from '../../src/control/commands/handshakes.ts'

const hostile = 'a\u0000\u001b[2J\r\nb\u007f\u0085\u009b\u200e\u202e\u2066\ufeff\u2028\ud800x\udb40\udc41c\u00e9'
const dangerous =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u2028\u2029]|[\ud800-\udbff](?![\udc00-\udfff])|\u{e0041}/u

function lineOf(format: 'json' | 'text', fields: Record<string, unknown>, message = 'request'): string {
  let text = ''
  const log = createLog({ level: 'debug', format, out: lines => void (text += lines) })
  log.write('info', message, fields)
  log.flush()
  return text
}

describe('visible text', () => {
  it('has an escape for every character that a terminal acts on, and is one line', () => {
    const text = visible(hostile)
    assert.doesNotMatch(text, dangerous)
    assert.ok(!text.includes('\n'))
    assert.ok(text.startsWith('a\\u0000\\u001b[2J\\u000d\\u000ab') && text.endsWith('c\u00e9'), text)
    assert.equal(visible('plain text, \u00fcber'), 'plain text, \u00fcber')
  })

  it('keeps the lines of what has several, and JSON what it is', () => {
    assert.equal(visibleLines('one\ntwo\u0085\n'), 'one\ntwo\\u0085\n')
    const value = { a: hostile, '\u202e': ['\u{e0041}'] }
    const json = visibleLines(JSON.stringify(value))
    assert.doesNotMatch(json, dangerous)
    assert.deepEqual(JSON.parse(json), value)
  })

  it('says how much was cut, and never cuts a pair', () => {
    assert.equal(cut('abcdef', 3), 'abc... (3 more characters)')
    assert.equal(cut('ab\u{1f600}', 3), 'ab... (2 more characters)')
    assert.deepEqual(firstOf(['a', 'bbbb', 'c'], 2, 3), ['a', 'bbb... (1 more characters)', '... (1 more)'])
  })
})

for (const format of ['json', 'text'] as const) {
  describe(`the log as ${format}`, () => {
    it('is one line of plain text, whatever the values are', () => {
      const line = lineOf(format, { why: hostile, nested: { [hostile]: [hostile] } })
      assert.doesNotMatch(line, dangerous)
      assert.equal(line.indexOf('\n'), line.length - 1)
      if (format === 'json') assert.equal(JSON.parse(line).why, hostile)
    })

    it('has a bound for every field, and shows that it has cut', () => {
      const long = 'x'.repeat(100_000)
      const fields = {
        why: long,
        path: `/${long}`,
        names: Array.from({ length: 30_000 }, () => long.slice(0, 255)),
        tls: { sni: long, deep: { deeper: { deepest: { more: long } } } },
        ...Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`field-${at}`, 1])),
      }
      const line = lineOf(format, fields, long)
      assert.ok(line.length < 20_000, `${line.length} characters`)
      assert.match(line, /\.\.\. \(98976 more characters\)/)
      assert.match(line, /\.\.\. \(29936 more\)/)
      if (format === 'json')
        assert.equal(JSON.parse(line).path.length, 2_048 + '... (97953 more characters)'.length)
    })

    it('leaves what is within its bounds alone', () => {
      const fields = {
        path: `/${'p'.repeat(1_500)}`,
        why: 'w'.repeat(1_024),
        list: ['a', 'b'],
        none: null,
        number: 7,
      }
      const line = lineOf(format, fields)
      assert.ok(line.includes('p'.repeat(1_500)) && line.includes('w'.repeat(1_024)))
      assert.doesNotMatch(line, /more/)
    })
  })
}

it('handshakes print one block of plain text for each cause', () => {
  const offered = {
    alpnOffered: [hostile],
    ja4: 't',
    groupsOffered: [],
    signatureAlgorithms: [],
    versions: [],
    ciphersOffered: [],
  }
  const failed = {
    at: 0,
    error: 'TLS_NO_ALPN',
    why: hostile,
    client: '10.0.0.1',
    sni: 'a',
    alert: null,
    alertFrom: null,
    offered,
  }
  const text = handshakesText(handshakeGroups([failed]), 1)
  assert.doesNotMatch(text, dangerous)
})
