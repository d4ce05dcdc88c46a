import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import { parseProxyHeader } from '../../src/wire/proxy-protocol.ts'
import { writeProxyV1 } from '../../src/wire/proxy-protocol-v1.ts'
import { randomFrom } from './hello-bytes.ts'

const parse = (text: string) => parseProxyHeader(Buffer.from(text, 'latin1'))

const good: [string, [string, number, string, number] | null][] = [
  ['PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n', ['192.0.2.1', 56324, '198.51.100.2', 443]],
  ['PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n', ['255.255.255.255', 65535, '0.0.0.0', 0]],
  ['PROXY TCP6 2001:DB8::1 ::1 1 2\r\n', ['2001:db8::1', 1, '::1', 2]],
  ['PROXY TCP6 ::ffff:192.0.2.1 fd00::2 1 2\r\n', ['192.0.2.1', 1, 'fd00::2', 2]],
  ['PROXY UNKNOWN\r\n', null],
  ['PROXY UNKNOWN ffff::1 whatever  it says\t9\r\n', null],
  [`PROXY UNKNOWN ${'f'.repeat(91)}\r\n`, null],
]

const bad = [
  'GET / HTTP/1.1\r\n',
  'proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n',
  'PROXY\r\n',
  'PROXYTCP4',
  ' PROXY ',
  '\r\nPROXY',
  '\0',
  '\x16\x03\x01',
  'PROXY \r\n',
  'PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n',
  'PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n',
  'PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n',
  'PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n',
  'PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n',
  'PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 0x1 2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 1e1 2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4  2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 123456 2\r\n',
  'PROXY TCP4 ::1 ::1 1 2\r\n',
  'PROXY TCP4 1.2.3.4 ::1 1 2\r\n',
  'PROXY TCP6 1.2.3.4 ::1 1 2\r\n',
  'PROXY TCP6 ::1 1.2.3.4 1 2\r\n',
  'PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n',
  'PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n',
  'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
  'PROXY TCP6 [::1] ::1 1 2\r\n',
  'PROXY TCP4 a.example 1.2.3.4 1 2\r\n',
  'PROXY UNKNOWNS\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX',
  'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n',
  'PROXY UNKNOWN\n',
  `PROXY UNKNOWN ${'f'.repeat(92)}\r\n`,
  `PROXY UNKNOWN ${'f'.repeat(92)}`,
]

describe('PROXY v1', () => {
  it('reads what the specification allows', () => {
    for (const [text, addresses] of good) {
      const peek = parse(`${text}GET /`)
      assert.equal(peek.kind, 'header', text)
      if (peek.kind !== 'header') continue
      assert.equal(peek.length, text.length)
      const { source, destination } = peek.header
      const found = source && destination && [source.address, source.port, destination.address, destination.port]
      assert.deepEqual(found, addresses)
      assert.deepEqual([peek.header.version, peek.header.command, peek.header.tlvs], [1, 'PROXY', []])
    }
  })

  it('refuses everything else', () => {
    for (const text of bad) assert.equal(parse(text).kind, 'malformed', JSON.stringify(text))
  })

  it('is incomplete at every byte before the last', () => {
    for (const [text] of good) {
      for (let end = 0; end < text.length; end++) assert.equal(parse(text.slice(0, end)).kind, 'incomplete')
    }
  })

  it('stops reading after 107 bytes', () => {
    assert.equal(parse(`PROXY ${'A'.repeat(99)}`).kind, 'incomplete')
    assert.equal(parse(`PROXY ${'A'.repeat(100)}`).kind, 'malformed')
    assert.equal(parse(`PROXY ${'A'.repeat(10_000)}\r\n`).kind, 'malformed')
  })

  it('gives a verdict for 20,000 mutations, addresses always canonical', () => {
    const below = randomFrom(9)
    const counts = { header: 0, incomplete: 0, malformed: 0 }
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(good[below(good.length)][0], 'latin1')
      for (let edits = 1 + below(2); edits > 0; edits--)
        bytes[below(bytes.length)] = below(3) ? 32 + below(96) : below(256)
      const peek = parseProxyHeader(bytes)
      counts[peek.kind]++
      if (peek.kind === 'header' && peek.header.source !== null) {
        assert.match(peek.header.source.address, /^[0-9a-f:.]+$/)
        assert.ok(peek.header.source.port <= 65535)
      }
    }
    assert.ok(counts.header > 100 && counts.malformed > 1000, JSON.stringify(counts))
  })
})

describe('writing PROXY v1', () => {
  it('writes what it reads', () => {
    for (const [text, addresses] of good) {
      if (addresses === null) continue
      const [source, sourcePort, destination, port] = addresses
      const pair = { source: { address: source, port: sourcePort }, destination: { address: destination, port } }
      const peek = parseProxyHeader(writeProxyV1(pair))
      assert.ok(peek.kind === 'header', text)
      assert.deepEqual({ source: peek.header.source, destination: peek.header.destination }, pair)
    }
  })

  it('writes exact lines', () => {
    const v4 = { address: '::ffff:192.0.2.1', port: 1000 }
    const v6 = { address: '2001:DB8:0::1', port: 443 }
    assert.equal(
      String(writeProxyV1({ source: v4, destination: v4 })),
      'PROXY TCP4 192.0.2.1 192.0.2.1 1000 1000\r\n',
    )
    assert.equal(
      String(writeProxyV1({ source: v6, destination: v6 })),
      'PROXY TCP6 2001:db8::1 2001:db8::1 443 443\r\n',
    )
    assert.equal(
      String(writeProxyV1({ source: v4, destination: v6 })),
      'PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1000 443\r\n',
    )
    assert.equal(String(writeProxyV1({ source: null, destination: v4 })), 'PROXY UNKNOWN\r\n')
  })

  it('throws rather than write an injected line', () => {
    for (const peer of [
      { address: '1.2.3.4\r\nX', port: 1 },
      { address: '', port: 1 },
      { address: '1.2.3.4', port: 65536 },
      { address: '1.2.3.4', port: Number.NaN },
    ]) {
      assert.throws(() => writeProxyV1({ source: peer, destination: peer }), ProxyError)
    }
  })
})
