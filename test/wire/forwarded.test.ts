/** `Forwarded` (RFC 7239) and the nodes in it and in X-Forwarded-For: what is taken, and what is malformed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { listElements, parseForwarded, parseNode } from '../../src/wire/forwarded.ts'

const element = (more: object) => ({ for: null, proto: null, host: null, by: null, ...more })

describe('Forwarded', () => {
  const good: [string[], object[]][] = [
    // RFC 7239 section 4
    [['for="_gazonk"'], [{ for: '_gazonk' }]],
    [['For="[2001:db8:cafe::17]:4711"'], [{ for: '[2001:db8:cafe::17]:4711' }]],
    [['for=192.0.2.60;proto=http;by=203.0.113.43'], [{ for: '192.0.2.60', proto: 'http', by: '203.0.113.43' }]],
    [['for=192.0.2.43, for=198.51.100.17'], [{ for: '192.0.2.43' }, { for: '198.51.100.17' }]],
    [
      ['for=192.0.2.43', 'for=198.51.100.17'],
      [{ for: '192.0.2.43' }, { for: '198.51.100.17' }],
    ],
    [
      ['for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown'],
      [{ for: '192.0.2.43' }, { for: '[2001:db8:cafe::17]' }, { for: 'unknown' }],
    ],
    [['for=_hidden, for=_SEVKISEK'], [{ for: '_hidden' }, { for: '_SEVKISEK' }]],
    [['host="a.test:8443";PROTO=https'], [{ host: 'a.test:8443', proto: 'https' }]],
    // A quoted pair, separators within quotes, empty elements and pairs, extensions
    [['for="a\\"b"'], [{ for: 'a"b' }]],
    [['for="1, for=2;proto=x"'], [{ for: '1, for=2;proto=x' }]],
    [[' , ;for=1.2.3.4 ; proto=https;, ,'], [{ for: '1.2.3.4', proto: 'https' }]],
    [['for=1.2.3.4;secret=_a;x="y"'], [{ for: '1.2.3.4' }]],
    [[''], []],
    [[], []],
  ]
  for (const [values, expected] of good) {
    it(`reads ${JSON.stringify(values)}`, () => assert.deepEqual(parseForwarded(values), expected.map(element)))
  }

  for (const value of [
    'for',
    'for=',
    'for=""',
    '=a',
    'for =a',
    'for= a',
    'for=a b',
    'for="a',
    'for="a\\',
    'for="a"b',
    'for="a" "b"',
    'for=1.2.3.4;for=5.6.7.8',
    'for=1.2.3.4;FOR=1.2.3.4',
    'for=[2001:db8::1]',
    'for=1.2.3.4:80',
    'for=a/b',
    // What a client begins, no proxy behind it ends
    'for="6.6.6.6, for=1.2.3.4;host="a.test"',
  ]) {
    it(`refuses ${value}`, () => assert.equal(parseForwarded([value]), null))
  }

  it('ends a quoted string with its line', () => assert.equal(parseForwarded(['for="a', 'b"']), null))
})

describe('a node', () => {
  const nodes: [string, string | null, number][] = [
    ['192.0.2.1', '192.0.2.1', 0],
    ['192.0.2.1:80', '192.0.2.1', 80],
    ['2001:DB8:0::1', '2001:db8::1', 0],
    ['[2001:db8::1]', '2001:db8::1', 0],
    ['[2001:db8::1]:65535', '2001:db8::1', 65_535],
    ['::ffff:192.0.2.1', '192.0.2.1', 0],
    ['[::ffff:192.0.2.1]:1', '192.0.2.1', 1],
    ['192.0.2.1:_port', '192.0.2.1', 0],
    ['unknown', null, 0],
    ['UNKNOWN', null, 0],
    ['unknown:80', null, 0],
    ['_hidden', null, 0],
    ['_a.b-c_D:12', null, 0],
  ]
  for (const [text, address, port] of nodes)
    it(`reads ${text}`, () => assert.deepEqual(parseNode(text), { address, port }))

  for (const text of [
    '',
    'a.test',
    '192.0.2',
    '192.0.2.01',
    '192.0.2.1:',
    '192.0.2.1:65536',
    '192.0.2.1:x',
    '192.0.2.1:80:80',
    '[192.0.2.1]',
    '[2001:db8::1',
    '2001:db8::1]',
    '[2001:db8::1]80',
    '[2001:db8::1]:',
    '[]',
    '[]:80',
    'fe80::1%eth0',
    '[fe80::1%eth0]',
    '_',
    '_a b',
    '_a/b',
    'unknown2',
    ' 192.0.2.1',
    '"192.0.2.1"',
    `_${'a'.repeat(300)}`,
  ]) {
    it(`refuses '${text.slice(0, 40)}'`, () => assert.equal(parseNode(text), null))
  }
})

it('a list has the elements of all its lines, without empty ones', () => {
  assert.deepEqual(listElements(['a, b', ' ,c\t,', '']), ['a', 'b', 'c'])
})
