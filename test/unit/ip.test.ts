import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UsageError } from '../../src/base/errors.ts'
import { CidrSet, formatAddress, normaliseAddress, parseAddress } from '../../src/base/ip.ts'

describe('parsing and formatting', () => {
  it('writes IPv6 as RFC 5952 says', () => {
    const cases: [string, string][] = [
      ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
      ['2001:DB8::1', '2001:db8::1'],
      ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
      ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
      ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['0:0:0:0:0:0:0:0', '::'],
      ['::', '::'],
      ['0:0:0:0:0:0:0:1', '::1'],
      ['1::', '1::'],
      ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
      ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
      ['1::8', '1::8'],
      ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
      ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
      ['::1.2.3.4', '::102:304'],
      ['fe80::1%eth0', 'fe80::1'],
    ]
    for (const [text, expected] of cases) assert.equal(normaliseAddress(text), expected, text)
  })

  it('takes IPv4 inside IPv6 as IPv4', () => {
    for (const text of ['::ffff:1.2.3.4', '::FFFF:1.2.3.4', '0:0:0:0:0:ffff:102:304', '1.2.3.4']) {
      assert.equal(normaliseAddress(text), '1.2.3.4')
      assert.deepEqual(parseAddress(text), Uint8Array.of(1, 2, 3, 4))
    }
    assert.equal(formatAddress(Buffer.from('00000000000000000000ffffc0000201', 'hex')), '192.0.2.1')
    assert.equal(normaliseAddress('255.255.255.255'), '255.255.255.255')
    assert.equal(normaliseAddress('0.0.0.0'), '0.0.0.0')
    assert.deepEqual(parseAddress('200.0.0.129'), Uint8Array.of(200, 0, 0, 129))
  })

  it('refuses what is not an address, and leaves it as it is', () => {
    const wrong = [
      '',
      ' ',
      '1.2.3',
      '1.2.3.4.5',
      '1.2.3.',
      '.1.2.3',
      '1..2.3',
      '01.2.3.4',
      '1.2.3.04',
      '256.1.1.1',
      '1.2.3.4 ',
      '1.2.3.1000',
      '0x7f.0.0.1',
      '1.2.3.a',
      ':',
      ':::',
      '1',
      '1:',
      ':1',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '1:2:3:4:5:6:7:8::',
      '::1:2:3:4:5:6:7:8',
      '1::2::3',
      '12345::',
      'g::',
      '::1.2.3',
      '::1.2.3.4:5',
      '1.2.3.4::',
      '1:2:3:4:5:6:7:1.2.3.4',
      '[::1]',
      '::1 ',
      '1:::2',
      'localhost',
      '::ffff:1.2.3.256',
      'unix:/run/x',
    ]
    for (const text of wrong) {
      assert.equal(parseAddress(text), null, text)
      assert.equal(normaliseAddress(text), text)
    }
  })

  it('reads back what it writes, for every place of the zeros', () => {
    for (let mask = 0; mask < 256; mask++) {
      const bytes = new Uint8Array(16)
      for (let i = 0; i < 8; i++) if (mask & (1 << i)) bytes[2 * i + 1] = i + 1
      const text = formatAddress(bytes)
      assert.deepEqual(parseAddress(text), bytes, text)
      assert.equal(normaliseAddress(text), text)
      // The platform's own URL parser writes addresses the same way.
      assert.equal(new URL(`http://[${text}]/`).hostname, `[${text}]`)
    }
  })
})

describe('CidrSet', () => {
  it('holds what lies in its networks', () => {
    const set = new CidrSet(['10.0.0.0/8', '192.0.2.7', '::1', 'fd00::/8', '2001:db8:8000::/33', '172.16.0.0/12'])
    const inside = [
      '10.0.0.0',
      '10.255.255.255',
      '192.0.2.7',
      '::1',
      'fdff::',
      'fd12:3456::1',
      '2001:db8:ffff::',
      '172.31.0.1',
      '::ffff:10.1.2.3',
      'fd00::1%eth0',
    ]
    const outside = [
      '9.255.255.255',
      '11.0.0.0',
      '192.0.2.6',
      '192.0.2.8',
      '::2',
      '::',
      'fc00::',
      'fe00::',
      '2001:db8:7fff::',
      '2001:db9::',
      '172.32.0.0',
      '',
      'x',
      '10.0.0',
      '0.0.0.0',
      'ffff::',
      '255.255.255.255',
    ]
    for (const address of inside) assert.equal(set.contains(address), true, address)
    for (const address of outside) assert.equal(set.contains(address), false, address)
  })

  it('keeps the families apart', () => {
    assert.equal(new CidrSet(['::/0']).contains('1.2.3.4'), false)
    assert.equal(new CidrSet(['::/0']).contains('::1'), true)
    assert.equal(new CidrSet(['0.0.0.0/0']).contains('::1'), false)
    assert.equal(new CidrSet(['0.0.0.0/0']).contains('255.0.0.1'), true)
    assert.equal(new CidrSet(['::ffff:10.0.0.0/104']).contains('10.9.9.9'), true)
    assert.equal(new CidrSet([]).contains('10.9.9.9'), false)
  })

  it('drops networks inside others', () => {
    const set = new CidrSet(['10.1.0.0/16', '10.0.0.0/8', '10.0.0.0/8', '10.0.0.1', '11.0.0.0/8'])
    assert.equal(set.size, 2)
    assert.equal(set.contains('10.1.2.3'), true)
    assert.equal(set.contains('10.200.0.1'), true)
  })

  it('agrees with one comparison per network', () => {
    let seed = 12345
    const next = (below: number) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below
    const mask = (value: number, bits: number) => (bits === 0 ? 0 : (value & (-1 << (32 - bits))) >>> 0)
    const text = (v: number) => `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`
    const nets = Array.from({ length: 300 }, () => {
      const bits = 9 + next(24)
      return { bits, value: mask((next(65536) * 65536 + next(65536)) & 0x3fffffff, bits) }
    })
    const set = new CidrSet(nets.map(net => `${text(net.value)}/${net.bits}`))
    let hits = 0
    for (let i = 0; i < 20_000; i++) {
      const near = nets[next(300)].value
      const value = i % 2 === 0 ? (near + next(1000) - 500) >>> 0 : next(65536) * 16384 + next(16384)
      const expected = nets.some(net => mask(value, net.bits) === net.value)
      if (expected) hits++
      assert.equal(set.contains(text(value)), expected, text(value))
    }
    assert.ok(hits > 1000 && hits < 19_000, `${hits}`)
  })

  it('says what is wrong with an entry', () => {
    const wrong: [string, RegExp][] = [
      ['10.0.0.0/33', /"10.0.0.0\/33": the prefix length .* from 0 to 32/],
      ['fd00::/129', /from 0 to 128/],
      ['::ffff:10.0.0.0/8', /from 96 to 128/],
      ['10.0.0.0/', /prefix length/],
      ['10.0.0.0/08', /prefix length/],
      ['10.0.0.0/-1', /prefix length/],
      ['10.0.0.0/8/8', /prefix length/],
      ['10.0.0.1/8', /bits set beyond its prefix length; did you mean 10.0.0.0\/8\?/],
      ['fd00::1/64', /did you mean fd00::\/64\?/],
      ['example.com', /"example.com" is not an IP address/],
      ['', /"" is not an IP address/],
    ]
    for (const [entry, message] of wrong) {
      assert.throws(
        () => new CidrSet(['10.0.0.0/8', entry]),
        (error: unknown) => error instanceof UsageError && message.test(error.message),
        entry,
      )
    }
  })
})
