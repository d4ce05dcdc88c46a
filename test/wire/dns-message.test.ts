/** DNS messages: what is written is read back, and what is hostile is refused with a RangeError and nothing else. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type DnsMessage,
  decodeMessage,
  decodeName,
  decodeText,
  encodeMessage,
  encodeName,
  encodeText,
} from '../../src/wire/dns-message.ts'
import { signMessage, verifyAnswer } from '../../src/wire/tsig.ts'

const message: Omit<DnsMessage, 'truncated'> = {
  id: 4711,
  isAnswer: true,
  opcode: 5,
  recursionDesired: true,
  rcode: 3,
  questions: [{ name: 'example.com', type: 6, class: 1 }],
  answers: [{ name: '_acme-challenge.example.com', type: 16, class: 1, ttl: 60, rdata: encodeText('value') }],
  authorities: [{ name: 'example.com', type: 2, class: 1, ttl: 1, rdata: encodeName('ns1.example.com') }],
  additionals: [{ name: '', type: 41, class: 1232, ttl: 0, rdata: Buffer.alloc(0) }],
}
const whole = encodeMessage(message)

describe('a DNS message', () => {
  test('is read as it was written', () => {
    const read = decodeMessage(whole)
    for (const key of ['id', 'isAnswer', 'opcode', 'recursionDesired', 'rcode', 'questions', 'answers'] as const)
      assert.deepEqual(read[key], message[key])
    assert.equal(read.nameIn(read.authorities[0]!), 'ns1.example.com')
    assert.equal(decodeText(read.answers[0]!.rdata), 'value')
  })

  test('of the wire, with compression and capitals (RFC 1035 section 4.1.4)', () => {
    const names = Buffer.from('0146034953490441525041 00 03464f4f c000 c000 00'.replaceAll(' ', ''), 'hex')
    assert.deepEqual(decodeName(names, 0), { name: 'f.isi.arpa', next: 12 })
    assert.deepEqual(decodeName(names, 12), { name: 'foo.f.isi.arpa', next: 18 })
    assert.deepEqual(decodeName(names, 18), { name: 'f.isi.arpa', next: 20 })
    assert.deepEqual(decodeName(names, 20), { name: '', next: 21 })
  })

  test('a dot or a line break within a label separates nothing', () => {
    const odd = Buffer.from('\x05a.b\n\x80\x03com\x00', 'latin1')
    assert.deepEqual(decodeName(odd, 0), { name: 'a\\046b\\010\\128.com', next: 11 })
    assert.deepEqual(encodeName('a\\046b\\010\\128.com'), odd)
  })

  test('cut short at every byte is refused', () => {
    for (let length = 0; length < whole.length; length++)
      assert.throws(() => decodeMessage(Buffer.from(whole.subarray(0, length))), RangeError, `${length}`)
  })

  test('pointers that lead forwards, in circles or out of the message are refused', () => {
    for (const hex of ['c000', 'c002', 'c0ff', '0161c000', '80', '40', '3f61'])
      assert.throws(() => decodeName(Buffer.from(hex, 'hex'), 0), RangeError, hex)
    const long = Buffer.concat([
      ...Array.from({ length: 5 }, () => Buffer.concat([Buffer.of(63), Buffer.alloc(63, 'a')])),
      Buffer.of(0),
    ])
    assert.throws(() => decodeName(long, 0), RangeError)
    const many = Buffer.from(whole)
    many.writeUInt16BE(65_535, 6)
    assert.throws(() => decodeMessage(many), RangeError)
  })

  test('of random bytes: a message or a RangeError', () => {
    let seed = 12_345
    const random = () => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) >> 8
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(whole)
      for (let changes = 0; changes <= random() % 6; changes++) bytes[random() % bytes.length] = random()
      try {
        const read = decodeMessage(bytes)
        for (const record of read.answers) {
          decodeText(record.rdata)
          read.nameIn(record)
        }
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error))
      }
    }
  })

  test('names and texts that cannot be are not written', () => {
    for (const name of ['a..b', '.a', 'é.test', `${'a'.repeat(64)}.test`, `${'a.'.repeat(128)}a`, 'a\\1', 'a\\999'])
      assert.throws(() => encodeName(name), RangeError, name)
    const long = 'x'.repeat(600)
    assert.equal(decodeText(encodeText(long)), long)
    assert.equal(encodeText(long).length, 603)
    assert.throws(() => decodeText(Buffer.from('05616263', 'hex')), RangeError)
  })
})

describe('a signature', () => {
  const key = { name: 'Key.Test', algorithm: 'hmac-sha256', secret: Buffer.from('secret') } as const
  const now = Date.parse('2030-01-01T00:00:00Z')
  const request = signMessage(whole, key, now)

  /** What a server with our codec would send: its mac goes over the request's. */
  const verify = (bytes: Buffer, at = now, by: Parameters<typeof verifyAnswer>[2] = key) =>
    verifyAnswer(decodeMessage(bytes), request.mac, by, at)

  test('that is missing, changed, of another key or of another time is told apart', () => {
    assert.match(verify(whole) as string, /not signed/)
    // The request itself, sent back: its mac is not over the request.
    assert.match(verify(request.bytes) as string, /signature of the answer is wrong/)
    assert.match(verify(request.bytes, now, { ...key, name: 'other.test' }) as string, /another key/)
    assert.match(verify(request.bytes, now, { ...key, algorithm: 'hmac-sha512' }) as string, /another key/)
    const bad = Buffer.from(request.bytes)
    bad.writeUInt16BE(17, bad.length - 4)
    assert.match(verify(bad) as string, /BADKEY/)
    for (let at = 12; at < request.bytes.length; at++) {
      const changed = Buffer.from(request.bytes)
      changed[at] = (changed[at] as number) ^ 1
      try {
        assert.notEqual(verify(changed), null)
      } catch (error) {
        assert.ok(error instanceof RangeError)
      }
    }
  })
})
