/** DER is written in its one shortest form, and nothing else is read: X.690 sections 8 to 11, RFC 5280 section 4.1.2.5. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as der from '../../src/certs/x509/der.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytes = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('writing', () => {
  const cases: readonly [string, Uint8Array, string][] = [
    ['zero', der.integer(0), '020100'],
    ['127', der.integer(127), '02017f'],
    ['128 gets a zero in front', der.integer(128), '02020080'],
    ['256', der.integer(256), '02020100'],
    ['2^40', der.integer(2 ** 40), '0206010000000000'],
    ['bytes lose their leading zeros', der.integer(bytes('000001')), '020101'],
    ['bytes with the high bit stay positive', der.integer(bytes('80ff')), '02030080ff'],
    ['no bytes are zero', der.integer(bytes('')), '020100'],
    ['true is ff', der.boolean(true), '0101ff'],
    ['OID with a two-byte arc', der.oid('1.2.840.10045.2.1'), '06072a8648ce3d0201'],
    ['OID 2.5.29.17', der.oid('2.5.29.17'), '0603551d11'],
    ['OID 2.999 (first two arcs over 127)', der.oid('2.999.3'), '0603883703'],
    ['bit string', der.bitString(bytes('0a')), '0302000a'],
    ['bit flags drop trailing zeros', der.bitFlags([0]), '03020780'],
    ['keyCertSign and cRLSign', der.bitFlags([5, 6]), '03020106'],
    ['bit 8 is in a second byte', der.bitFlags([0, 8]), '0303078080'],
    ['octet string', der.octetString(bytes('ff00')), '0402ff00'],
    ['UTF-8', der.utf8String('é'), '0c02c3a9'],
    ['printable', der.printableString('DE'), '13024445'],
    ['SET OF is sorted', der.set(der.integer(2), der.integer(1)), '3106020101020102'],
    ['SEQUENCE is not', der.sequence(der.integer(2), der.integer(1)), '3006020102020101'],
    ['explicit', der.explicit(3, der.boolean(true)), 'a3030101ff'],
    ['implicit', der.implicit(2, Buffer.from('a')), '820161'],
  ]
  for (const [name, got, want] of cases) test(name, () => assert.equal(hex(got), want))

  test('lengths are the shortest form at every boundary', () => {
    for (const [length, head] of [
      [0, '0400'],
      [127, '047f'],
      [128, '048180'],
      [255, '0481ff'],
      [256, '04820100'],
      [65536, '0483010000'],
    ] as const) {
      assert.equal(hex(der.octetString(Buffer.alloc(length))).slice(0, head.length), head)
    }
  })

  test('time is UTCTime up to 2049 and GeneralizedTime from 2050', () => {
    assert.equal(der.time(Date.UTC(2049, 11, 31, 23, 59, 59, 999)).toString('latin1'), '\x17\x0d491231235959Z')
    assert.equal(der.time(Date.UTC(2050, 0, 1)).toString('latin1'), '\x18\x0f20500101000000Z')
    assert.equal(der.time(Date.UTC(1950, 0, 1)).toString('latin1'), '\x17\x0d500101000000Z')
    assert.throws(() => der.time(Date.UTC(1949, 11, 31)), RangeError)
    assert.throws(() => der.time(Number.NaN), RangeError)
  })

  test('what cannot be written is refused', () => {
    for (const dotted of ['1', '3.1', '1.40', '1.2.x', '1.-2'])
      assert.throws(() => der.oid(dotted), RangeError, dotted)
    for (const number of [-1, 1.5, 2 ** 53]) assert.throws(() => der.integer(number), RangeError)
    assert.throws(() => der.printableString('a@b'), RangeError)
  })
})

describe('reading', () => {
  test('a value comes back with its tag, content and raw bytes', () => {
    const value = der.read(bytes('3006020101020102'))
    assert.equal(value.tag, 0x30)
    assert.deepEqual(
      der.children(value).map(child => hex(child.content)),
      ['01', '02'],
    )
    assert.equal(hex(value.raw), '3006020101020102')
  })

  test('what was written is read, at lengths of one to three bytes', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65535, 65536]) {
      assert.equal(der.read(der.octetString(Buffer.alloc(length, 7)), der.tags.octetString).content.length, length)
    }
    for (const dotted of ['1.2.840.113549.1.1.11', '2.5.29.17', '2.999.3', '0.9.2342.19200300.100.1.25']) {
      assert.equal(der.readOid(der.read(der.oid(dotted))), dotted)
    }
    // Below 2.25 are UUIDs (X.667): numbers of 128 bits, which OpenSSL takes too.
    const uuid = '06 14 69 83 ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff 7f'.replaceAll(' ', '')
    assert.equal(der.readOid(der.read(bytes(uuid))), `2.25.${2n ** 128n - 1n}`)
    assert.equal(der.readOid(der.read(bytes('0603883701'))), '2.999.1')
    assert.equal(
      der.readOid(der.read(bytes(`060b 8f ff ff ff ff ff ff ff ff ff 7f`.replaceAll(' ', '')))),
      `2.${2n ** 74n - 1n - 80n}`,
    )
    for (const ms of [
      Date.UTC(1950, 0, 1),
      Date.UTC(2024, 1, 29, 1, 2, 3),
      Date.UTC(2049, 11, 31),
      Date.UTC(9999, 11, 31),
    ]) {
      assert.equal(der.readTime(der.read(der.time(ms))), ms)
    }
  })

  for (const [name, text] of [
    ['nothing', ''],
    ['a tag alone', '30'],
    ['an indefinite length', '3080 0000'],
    ['a length that fits in one byte written in two', '048101 00'],
    ['a length padded with a zero', `04820080${'00'.repeat(128)}`],
    ['a length of five bytes', '04850000000001 00'],
    ['a length that is cut off', '0482 01'],
    ['less content than the length says', '0402 00'],
    ['bytes after the value', '0500 00'],
    ['a second value', '0500 0500'],
    ['a tag of two bytes', '1f8101 00'],
  ] as const) {
    test(`refuses ${name}`, () => assert.throws(() => der.read(bytes(text)), der.DerError))
  }

  test('every cut of a certificate-like value is refused', () => {
    const whole = der.sequence(
      der.integer(1),
      der.sequence(der.oid('2.5.29.17'), der.octetString(Buffer.alloc(200))),
    )
    for (let length = 0; length < whole.length; length++) {
      assert.throws(() => der.read(whole.subarray(0, length)), der.DerError, `cut to ${length}`)
    }
  })

  test('refuses malformed OIDs, and times outside RFC 5280', () => {
    for (const text of ['0600', '060180', '06022a86', '06032a8001', `0641${'2a'.repeat(65)}`]) {
      assert.throws(() => der.readOid(der.read(bytes(text))), der.DerError, text)
    }
    for (const [tag, text] of [
      [0x17, '2401010000Z'],
      [0x17, '240101000000+0100'],
      [0x17, '240231000000Z'],
      [0x17, '240101240000Z'],
      [0x18, '20240101000000.5Z'],
      [0x18, '20241301000000Z'],
      [0x0c, '240101000000Z'],
    ] as const) {
      assert.throws(() => der.readTime(der.read(der.encode(tag, Buffer.from(text)))), der.DerError, text)
    }
  })

  test('a primitive value has no children, and a wrong tag is named', () => {
    assert.throws(() => der.children(der.read(bytes('020101'))), /tag 0x2 holds no values/)
    assert.throws(() => der.read(bytes('020101'), der.tags.sequence), /expected tag 0x30, found 0x2/)
  })
})
