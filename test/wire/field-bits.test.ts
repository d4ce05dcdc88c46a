/** What a head knows of its names without a look at them never hides one that is there. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import { clientFieldNames } from '../../src/wire/client-fields.ts'
import { Fields, fieldNames } from '../../src/wire/fields.ts'
import { parseRequestHead, parseResponseHead } from '../../src/wire/http1-head.ts'

const limits = { headBytes: 65_536, headers: 200, uriBytes: 8_192 }
const common = ['server', 'etag', 'vary', 'set-cookie', 'x-a', 'accept', 'user-agent', "!#$%&'*+.^_`|~", 'date']
const names = [
  ...common,
  ...Array.from({ length: 200 }, (_, at) => `x-${at.toString(36)}-${(at * 7919).toString(36)}`),
]
const spellings = [(name: string) => name, (name: string) => name.toUpperCase(), (name: string) => capitals(name)]
const capitals = (name: string) => name.replace(/(^|-)[a-z]/g, letter => letter.toUpperCase())

/** Every third name is there, in one of its spellings. */
const there = names.filter((_, at) => at % 3 === 0)
const lines = there.map((name, at) => `${spellings[at % 3]?.(name)}: value ${at}\r\n`).join('')

function parsed(): Fields {
  const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${lines}\r\n`, 'latin1')
  const head = parseResponseHead(bytes, 0, bytes.length, limits)
  assert.ok(head !== null && !(head instanceof ProxyError))
  return head.fields
}

describe('the bits of a head', () => {
  it('hide no field that is to be replaced, in any case', () => {
    for (const name of names) {
      const fields = parsed()
      fields.replace(fieldNames([name]), '', 0)
      assert.equal(fields.has(name), false, name)
      const plain = new Fields(lines)
      plain.delete(name)
      assert.equal(fields.text, plain.text)
    }
  })

  it('hide none that was set, appended or added since', () => {
    const none = 'HTTP/1.1 200 OK\r\n\r\n'
    const bytes = Buffer.from(none, 'latin1')
    for (const name of names) {
      const ways: ((fields: Fields) => void)[] = [
        fields => fields.set(name, 'v'),
        fields => fields.append(name, 'v'),
        fields => fields.replace(fieldNames([]), `${name}: v\r\n`, fieldNames([name]).bits),
      ]
      for (const way of ways) {
        const head = parseResponseHead(bytes, 0, bytes.length, limits)
        assert.ok(head !== null && !(head instanceof ProxyError))
        way(head.fields)
        head.fields.replace(fieldNames([name]), '', 0)
        assert.equal(head.fields.text, '')
      }
    }
  })

  it('are of requests too, and of the fields that a listener lets through', () => {
    for (const name of clientFieldNames) {
      const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${name}: v\r\n\r\n`, 'latin1')
      const head = parseRequestHead(bytes, 0, bytes.length, limits, new Set([name]))
      assert.ok(head !== null && !(head instanceof ProxyError))
      assert.equal(head.fields.has(name), true)
      head.fields.replace(fieldNames([name]), '', 0)
      assert.equal(head.fields.text, '')
    }
  })
})
