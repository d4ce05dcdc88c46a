/** What AWS, Google Cloud and Azure say in PROXY v2, as they document it, and what hostile or foreign fields do to it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ProxyTlv } from '../../src/wire/proxy-header.ts'
import { parseProxyHeader } from '../../src/wire/proxy-protocol.ts'
import { writeProxyV2 } from '../../src/wire/proxy-protocol-v2.ts'
import { randomFrom } from './hello-bytes.ts'

const addresses = {
  source: { address: '192.0.2.1', port: 1 },
  destination: { address: '192.0.2.2', port: 2 },
}
const tlv = (type: number, value: string | number[]): ProxyTlv => ({
  type,
  value: Buffer.from(value as string, 'latin1'),
})
const aws = (id: string) => tlv(0xea, `\x01${id}`)

function read(...tlvs: ProxyTlv[]) {
  const peek = parseProxyHeader(writeProxyV2({ ...addresses, tlvs }))
  return peek.kind === 'header' ? (peek.header.cloud ?? null) : peek.kind === 'malformed' ? peek.why : assert.fail()
}

const none = { awsVpceId: null, gcpConnectionId: null, azureLinkId: null }

describe('the id of a private connection', () => {
  it('of AWS is a word behind its kind', () => {
    assert.deepEqual(read(aws('vpce-08d2bf15fac5001c9')), { ...none, awsVpceId: 'vpce-08d2bf15fac5001c9' })
    assert.deepEqual(read(aws('a'.repeat(64))), { ...none, awsVpceId: 'a'.repeat(64) })
  })

  it('of Azure is four bytes behind its kind, the lowest first', () => {
    assert.deepEqual(read(tlv(0xee, [1, 0xc1, 0x45, 0, 0x21])), { ...none, azureLinkId: '553665985' })
    assert.deepEqual(read(tlv(0xee, [1, 255, 255, 255, 255])), { ...none, azureLinkId: '4294967295' })
  })

  it('of Google Cloud is eight bytes, the highest first', () => {
    assert.deepEqual(read(tlv(0xe0, [0, 0, 0, 0, 0, 0, 0x1a, 0x2b])), { ...none, gcpConnectionId: '6699' })
    assert.deepEqual(read(tlv(0xe0, Array(8).fill(255))), { ...none, gcpConnectionId: '18446744073709551615' })
  })

  it('stands beside any other field', () => {
    const found = read(tlv(0x05, 'unique'), aws('vpce-1'), tlv(0x04, 'padding'), tlv(0xe0, Array(8).fill(0)))
    assert.deepEqual(found, { ...none, awsVpceId: 'vpce-1', gcpConnectionId: '0' })
  })

  const foreign: [string, ProxyTlv][] = [
    ['nothing', tlv(0xea, [])],
    ['a kind alone', tlv(0xea, [1])],
    ['another kind', tlv(0xea, '\x02vpce-1')],
    ['an id that is too long', aws('a'.repeat(65))],
    ['an id with a line break', aws('vpce-1\r\nx-admin: 1')],
    ['an id with a NUL', aws('vpce-1\0')],
    ['an id with a blank', aws('vpce 1')],
    ['an id that is not ASCII', aws('vpce-\xe9')],
    ['another kind of Azure', tlv(0xee, [2, 0, 0, 0, 0])],
    ['three bytes of Azure', tlv(0xee, [1, 0, 0, 0])],
    ['five bytes of Azure', tlv(0xee, [1, 0, 0, 0, 0, 0])],
    ['nothing of Azure', tlv(0xee, [])],
    ['seven bytes of Google', tlv(0xe0, Array(7).fill(1))],
    ['nine bytes of Google', tlv(0xe0, Array(9).fill(1))],
    ['a field of nobody', tlv(0xe1, '\x01vpce-1')],
  ]
  for (const [what, field] of foreign) it(`is not there: ${what}`, () => assert.equal(read(field), null))

  it('comes once', () => {
    for (const field of [aws('vpce-1'), tlv(0xee, [1, 0, 0, 0, 1]), tlv(0xe0, Array(8).fill(1))])
      assert.match(String(read(field, field)), /^PROXY v2: field 0xe[0ae] comes twice$/)
    assert.match(String(read(aws('vpce-1'), aws('vpce-2'))), /0xea comes twice/)
    // One that belongs to somebody else contradicts nothing.
    assert.deepEqual(read(tlv(0xea, '\x02x'), aws('vpce-1'), tlv(0xea, '\x03y')), { ...none, awsVpceId: 'vpce-1' })
  })

  it('is not taken from LOCAL', () => {
    const bytes = writeProxyV2({ ...addresses, tlvs: [aws('vpce-1')] })
    bytes[12] = 0x20
    const peek = parseProxyHeader(bytes)
    assert.ok(peek.kind === 'header' && peek.header.cloud === undefined)
  })

  it('is a plain word or a number, whatever the bytes', () => {
    const random = randomFrom(7)
    for (let round = 0; round < 3_000; round++) {
      const value = Array.from({ length: random(12) }, () => random(256))
      const type = [0xe0, 0xea, 0xee][random(3)] as number
      const found = read(tlv(type, random(2) === 0 ? [1, ...value] : value))
      assert.ok(found === null || typeof found === 'object')
      for (const id of Object.values(found ?? {})) assert.match(id ?? 'none', /^[A-Za-z0-9-]{1,64}$/)
    }
  })
})
