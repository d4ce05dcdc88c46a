import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import { crc32c } from '../../src/wire/crc32c.ts'
import { parseProxyHeader } from '../../src/wire/proxy-protocol.ts'
import { writeProxyV2 } from '../../src/wire/proxy-protocol-v2.ts'
import { authorityTlv, sslTlv } from '../../src/wire/proxy-tlv.ts'
import { randomFrom } from './hello-bytes.ts'

const signature = '0d0a0d0a000d0a515549540a'
const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')

/** A header with the length filled in. */
function header(versionAndCommand: number, family: number, rest: string | Uint8Array = ''): Buffer {
  const body = typeof rest === 'string' ? bytesOf(rest) : rest
  const fixed = [versionAndCommand, family, body.length >>> 8, body.length & 255]
  return Buffer.concat([bytesOf(signature), Buffer.from(fixed), body])
}

const v4 = 'c0000201 c6336402 dc04 01bb'
const v6 = '20010db8000000000000000000000001 00000000000000000000000000000001 0001 0002'
const tlv = (type: number, value: Uint8Array | string): string => {
  const body = Buffer.from(value as string)
  return Buffer.concat([Buffer.from([type, body.length >>> 8, body.length]), body]).toString('hex')
}

function read(bytes: Uint8Array) {
  const peek = parseProxyHeader(bytes)
  assert.equal(peek.kind, 'header', JSON.stringify(peek))
  return peek.kind === 'header' ? peek.header : assert.fail()
}

function refused(bytes: Uint8Array, why: RegExp) {
  const peek = parseProxyHeader(bytes)
  assert.equal(peek.kind, 'malformed', bytes.toString())
  if (peek.kind === 'malformed') assert.match(peek.why, why)
}

/** The header with a correct checksum field at its end. */
function checked(rest: string): Buffer {
  const bytes = header(0x21, 0x11, `${rest} 03 0004 00000000`)
  bytes.writeUInt32BE(crc32c(bytes), bytes.length - 4)
  return bytes
}

const source = { address: '192.0.2.1', port: 56324 }
const destination = { address: '198.51.100.2', port: 443 }

const alpnTlv = { type: 0x01, value: Buffer.from('h2') }

describe('PROXY v2', () => {
  it('reads addresses of both families', () => {
    const four = read(header(0x21, 0x11, v4))
    assert.deepEqual(four, { version: 2, command: 'PROXY', source, destination, tlvs: [] })
    const six = read(header(0x21, 0x21, v6))
    assert.deepEqual(six.source, { address: '2001:db8::1', port: 1 })
    assert.deepEqual(six.destination, { address: '::1', port: 2 })
    const mapped = `00000000000000000000ffffc0000201 ${v6.slice(33)}`
    assert.equal(read(header(0x21, 0x21, mapped)).source?.address, '192.0.2.1')
  })

  it('has no addresses for LOCAL, UNSPEC and Unix sockets', () => {
    for (const bytes of [
      header(0x20, 0x00),
      header(0x20, 0x11, v4),
      // Whatever LOCAL carries is ignored, the family too (section 2.2).
      header(0x20, 0xff, 'deadbeef'),
      header(0x21, 0x00),
      header(0x21, 0x31, Buffer.alloc(216, 97)),
    ]) {
      const found = read(bytes)
      assert.equal(found.command, bytes[12] === 0x20 ? 'LOCAL' : 'PROXY')
      assert.deepEqual([found.source, found.destination, found.tlvs], [null, null, []])
    }
    assert.equal(read(header(0x21, 0x00, tlv(2, 'a.example'))).authority, 'a.example')
  })

  it('reads the fields it knows, keeps the others, drops padding', () => {
    const ssl = `07 00000000 ${tlv(0x21, 'TLSv1.3')} ${tlv(0x22, 'Zoë')} ${tlv(0x23, 'X')} ${tlv(0x25, 'EC256')}`
    const fields = [
      tlv(1, 'h2'),
      tlv(2, 'a.example'),
      tlv(4, '\0\0'),
      tlv(4, ''),
      tlv(5, 'id'),
      tlv(0x20, bytesOf(ssl)),
      tlv(0x30, 'blue'),
      tlv(0xea, 'x'),
      tlv(0xea, 'y'),
    ]
    const found = read(checked(`${v4} ${fields.join('')}`))
    assert.equal(found.alpn, 'h2')
    assert.equal(found.authority, 'a.example')
    assert.deepEqual(found.uniqueId, Uint8Array.of(105, 100))
    assert.equal(found.netns, 'blue')
    assert.deepEqual(
      found.tlvs.map(each => each.type),
      [1, 2, 5, 0x20, 0x30, 0xea, 0xea, 3],
    )
    const { tls, certificate, verified, version, cipher, commonName, tlvs } = found.ssl ?? assert.fail()
    assert.deepEqual(
      [tls, certificate, verified, version, cipher, commonName],
      [true, true, true, 'TLSv1.3', 'X', 'Zoë'],
    )
    assert.deepEqual(
      tlvs.map(each => each.type),
      [0x21, 0x22, 0x23, 0x25],
    )
  })

  it('takes a client as verified only with a certificate and a good result', () => {
    const verified = (hex: string) => read(header(0x21, 0x11, `${v4} ${tlv(0x20, bytesOf(hex))}`)).ssl?.verified
    assert.equal(verified('03 00000000'), true)
    assert.equal(verified('05 00000000'), true)
    assert.equal(verified('03 00000001'), false)
    assert.equal(verified('03 01000000'), false)
    assert.equal(verified('01 00000000'), false)
  })

  it('does not keep the bytes it was read from', () => {
    const bytes = header(0x21, 0x11, `${v4} ${tlv(0xea, 'abc')} ${tlv(5, 'id')}`)
    const found = read(bytes)
    bytes.fill(0)
    assert.equal(Buffer.from(found.tlvs[0].value).toString(), 'abc')
    assert.equal(Buffer.from(found.uniqueId ?? []).toString(), 'id')
  })

  it('verifies the checksum', () => {
    // RFC 3720 appendix B.4, and the customary check value.
    assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
    assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
    const good = checked(`${v4} ${tlv(2, 'a.example')}`)
    assert.equal(read(good).authority, 'a.example')
    for (let at = 16; at < good.length; at++) {
      const flipped = Buffer.from(good)
      flipped[at] ^= 1
      assert.equal(parseProxyHeader(flipped).kind, 'malformed', `byte ${at}`)
    }
    // In front of other fields too
    const front = header(0x21, 0x11, `${v4} 03 0004 00000000 ${tlv(2, 'b.example')}`)
    front.writeUInt32BE(crc32c(front), 16 + 12 + 3)
    assert.equal(read(front).authority, 'b.example')
  })

  it('refuses everything else', () => {
    refused(bytesOf('0d0a0d0a000d0a515549540b'), /no PROXY header/)
    refused(header(0x11, 0x11, v4), /version 1/)
    refused(header(0x31, 0x11, v4), /version 3/)
    refused(header(0x22, 0x11, v4), /command 2/)
    refused(header(0x2f, 0x11, v4), /command 15/)
    for (const family of [0x01, 0x02, 0x10, 0x12, 0x13, 0x20, 0x22, 0x30, 0x32, 0x41, 0xff]) {
      refused(header(0x21, family, Buffer.alloc(216)), /family and protocol 0x/)
    }
    refused(header(0x21, 0x11, v4.slice(0, -2)), /11 bytes, too few/)
    refused(header(0x21, 0x21, v4), /too few/)
    refused(header(0x21, 0x31, v6), /too few/)
    const field = (hex: string, why: RegExp) => refused(header(0x21, 0x11, `${v4} ${hex}`), why)
    field('ea', /do not fill/)
    field('ea00', /do not fill/)
    field('ea0001', /0xea is longer/)
    field('ea000000', /do not fill/)
    field('01 0000', /ALPN/)
    field(tlv(2, ''), /authority/)
    field(tlv(2, 'a\r\nb'), /authority/)
    field(tlv(2, Buffer.from([0xff])), /authority/)
    field(tlv(2, 'a') + tlv(2, 'b'), /0x02 comes twice/)
    field(tlv(5, 'a'.repeat(129)), /unique id/)
    field(tlv(3, 'abc'), /other than 4/)
    field(tlv(3, 'abcd'), /checksum is wrong/)
    field(tlv(0x20, 'abcd'), /less than 5/)
    field(tlv(0x20, bytesOf('0100000000 21')), /do not fill the SSL/)
    field(tlv(0x20, bytesOf('0100000000 210002 41')), /0x21 is longer than the SSL/)
    field(tlv(0x20, bytesOf(`0100000000 ${tlv(0x22, 'a')} ${tlv(0x22, 'b')}`)), /0x22 comes twice/)
    field(tlv(0x20, bytesOf(`0100000000 ${tlv(0x22, 'a\n')}`)), /0x22 is not UTF-8/)
    field(tlv(0x30, '\x1b'), /namespace/)
  })

  it('is limited as a whole, and refused before it has come', () => {
    const large = header(0x21, 0x11, `${v4} ${tlv(0xea, Buffer.alloc(4096 - 31))}`)
    assert.equal(large.length, 4096)
    assert.equal(parseProxyHeader(large).kind, 'header')
    assert.equal(parseProxyHeader(large, 4095).kind, 'malformed')
    refused(bytesOf(`${signature} 21 11 0ff1`), /4097 bytes, more than 4096/)
    assert.equal(parseProxyHeader(bytesOf(`${signature} 20 00 ffff`), 70_000).kind, 'incomplete')
  })

  it('is incomplete at every byte before the last, and leaves what follows alone', () => {
    for (const bytes of [
      header(0x20, 0),
      header(0x21, 0x11, v4),
      header(0x21, 0x21, v6),
      checked(v4 + tlv(2, 'a')),
    ]) {
      for (let end = 0; end < bytes.length; end++) {
        assert.equal(parseProxyHeader(bytes.subarray(0, end)).kind, 'incomplete')
      }
      const peek = parseProxyHeader(Buffer.concat([bytes, Buffer.from('\x16\x03\x01')]))
      assert.equal(peek.kind === 'header' && peek.length, bytes.length)
    }
  })

  it('gives a verdict for 30,000 mutations', () => {
    const below = randomFrom(2026)
    const counts = { header: 0, incomplete: 0, malformed: 0 }
    const ssl = sslTlv({ version: 'TLSv1.3', cipher: 'X', certificate: true, verified: true, commonName: 'client' })
    const seeds = [
      writeProxyV2({ source, destination, tlvs: [authorityTlv('a.example'), alpnTlv, ssl] }),
      header(0x21, 0x21, v6 + tlv(5, 'id') + tlv(0xea, 'x')),
      header(0x20, 0),
    ]
    for (let round = 0; round < 30_000; round++) {
      const bytes = Buffer.from(seeds[below(seeds.length)])
      for (let edits = 1 + below(3); edits > 0; edits--)
        bytes[12 + below(bytes.length - 12)] = below(2) ? below(256) : below(8)
      const peek = parseProxyHeader(bytes.subarray(0, bytes.length - (below(4) === 0 ? below(20) : 0)))
      counts[peek.kind]++
      if (peek.kind === 'header') assert.ok(peek.length <= bytes.length)
    }
    assert.ok(Math.min(...Object.values(counts)) > 1000, JSON.stringify(counts))
  })
})

describe('writing PROXY v2', () => {
  it('writes exact bytes', () => {
    assert.ok(writeProxyV2({ source, destination }).equals(header(0x21, 0x11, v4)))
    assert.ok(writeProxyV2({ source, destination, command: 'LOCAL', tlvs: [alpnTlv] }).equals(header(0x20, 0)))
    assert.ok(writeProxyV2({ source: null, destination }).equals(header(0x21, 0)))
    assert.ok(
      writeProxyV2({ source, destination, tlvs: [alpnTlv] }).equals(header(0x21, 0x11, `${v4} 01 0002 6832`)),
    )
  })

  it('writes one IPv6 and one IPv4 address as IPv6', () => {
    const bytes = writeProxyV2({ source, destination: { address: '::1', port: 443 } })
    assert.equal(bytes[13], 0x21)
    assert.equal(bytes.toString('hex', 16, 32), '00000000000000000000ffffc0000201')
    assert.deepEqual(read(bytes).source, source)
  })

  it('says what the client proved', () => {
    const claim = {
      version: 'TLSv1.3',
      cipher: 'TLS_AES_128_GCM_SHA256',
      certificate: true,
      verified: true,
      commonName: 'bob',
    }
    const found = read(writeProxyV2({ source, destination, tlvs: [authorityTlv('a.example'), sslTlv(claim)] }))
    assert.equal(found.authority, 'a.example')
    const { tls, tlvs, ...rest } = found.ssl ?? assert.fail()
    assert.deepEqual(rest, claim)
    assert.equal(tls, true)
    assert.equal(tlvs.length, 3)
    // Without a certificate nothing is verified, whatever the caller says, and the wire says so to strict readers.
    const none = sslTlv({ version: 'TLSv1.2', verified: true, commonName: 'mallory' })
    assert.equal(Buffer.from(none.value).toString('hex', 0, 5), '0100000001')
    const unproven = read(writeProxyV2({ source, destination, tlvs: [none] })).ssl
    assert.deepEqual([unproven?.verified, unproven?.certificate, unproven?.commonName], [false, false, undefined])
  })

  it('throws for what does not fit', () => {
    const huge = { type: 0xea, value: Buffer.alloc(65_536) }
    assert.throws(() => writeProxyV2({ source, destination, tlvs: [huge] }), ProxyError)
    const many = Array.from({ length: 2 }, () => ({ type: 0xea, value: Buffer.alloc(40_000) }))
    assert.throws(() => writeProxyV2({ source, destination, tlvs: many }), ProxyError)
    assert.throws(() => writeProxyV2({ source: { address: 'x', port: 1 }, destination }), ProxyError)
  })
})
