/** HPACK against the public vectors (split at every byte through the frame reader), RFC 7541's own examples, and its limits. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FrameReader } from '../../src/wire/h2-frame-reader.ts'
import { flag, frame, frameHeaderBytes, writeFrameHeader } from '../../src/wire/h2-frames.ts'
import { HpackDecoder } from '../../src/wire/hpack-decoder.ts'
import { HpackEncoder } from '../../src/wire/hpack-encoder.ts'
import type { HpackField } from '../../src/wire/hpack-field.ts'
import { huffmanDecode, huffmanDecodedAtMost, huffmanEncode, huffmanLength } from '../../src/wire/huffman.ts'
import { hpackStories } from '../harness/vectors.ts'

type Pair = readonly [string, string]

function decodeAll(decoder: HpackDecoder, bytes: Buffer, from = 0, to = bytes.length): Pair[] {
  const fields: Pair[] = []
  const problem = decoder.decode(bytes, from, to, {
    onField: (field: HpackField) => void fields.push([field.name, field.value]),
  })
  assert.equal(problem, null)
  return fields
}

/** Feeds the bytes to a frame reader in two chunks, and gives the payloads. */
function payloadsOf(bytes: Buffer, split: number): Buffer[] {
  const payloads: Buffer[] = []
  const sink = {
    full: false,
    onFrame(_type: number, _flags: number, _stream: number, chunk: Buffer, from: number, to: number) {
      payloads.push(chunk.subarray(from, to))
      return true
    },
    onOversized: () => assert.fail('oversized'),
  }
  const reader = new FrameReader(null)
  reader.push(bytes.subarray(0, split), sink)
  reader.push(bytes.subarray(split), sink)
  return payloads
}

describe('public vectors', () => {
  for (const { encoder, stories } of hpackStories()) {
    it(`of ${encoder}: ${stories.length} stories`, () => {
      assert.ok(stories.length > 0)
      for (const { name, cases } of stories) {
        const limit = Math.max(4096, ...cases.map(one => one.tableSize))
        const decoder = new HpackDecoder(limit)
        for (const { wire, headers } of cases) assert.deepEqual(decodeAll(decoder, wire), headers, name)
      }
    })

    it(`of ${encoder}: split at every byte`, () => {
      const { cases } = stories[0] as (typeof stories)[0]
      const framed = Buffer.concat(
        cases.map(({ wire }, index) => {
          const header = Buffer.alloc(frameHeaderBytes)
          writeFrameHeader(header, 0, wire.length, frame.headers, flag.endHeaders, 2 * index + 1)
          return Buffer.concat([header, wire])
        }),
      )
      for (let split = 0; split <= framed.length; split++) {
        const decoder = new HpackDecoder(Math.max(4096, ...cases.map(one => one.tableSize)))
        const payloads = payloadsOf(framed, split)
        assert.equal(payloads.length, cases.length)
        for (const [index, payload] of payloads.entries()) {
          assert.deepEqual(decodeAll(decoder, payload), cases[index]?.headers, `split at ${split}`)
        }
      }
    })

    it(`of ${encoder}: what we encode decodes to the same, with every block cut short refused or shorter`, () => {
      for (const { cases } of stories) {
        const encoder = new HpackEncoder()
        const decoder = new HpackDecoder()
        for (const { headers } of cases) {
          encoder.begin()
          for (const [name, value] of headers) encoder.field(name, value)
          const block = Buffer.from(encoder.bytes.subarray(0, encoder.length))
          assert.deepEqual(decodeAll(decoder, block), headers)
        }
      }
    })
  }
})

describe('decoding', () => {
  const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
  const refused = (bytes: Buffer, limit?: number) =>
    new HpackDecoder(limit).decode(bytes, 0, bytes.length, { onField: () => {} })

  it('reads the examples of RFC 7541 appendix C.6, with evictions', () => {
    const decoder = new HpackDecoder(256)
    const first = hex(
      '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
    )
    assert.deepEqual(decodeAll(decoder, first).slice(0, 2), [
      [':status', '302'],
      ['cache-control', 'private'],
    ])
    assert.equal(decoder.tableBytes, 222)
    assert.deepEqual(decodeAll(decoder, hex('4883 640e ffc1 c0bf')), [
      [':status', '307'],
      ['cache-control', 'private'],
      ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
      ['location', 'https://www.example.com'],
    ])
    assert.equal(decoder.tableBytes, 222)
  })

  it('refuses what the RFC calls an error', () => {
    assert.match(refused(hex('80')) ?? '', /index of 0/)
    assert.match(refused(hex('be')) ?? '', /index of 62/)
    assert.match(refused(hex('7f80 8080 8080 01')) ?? '', /more than five bytes/)
    assert.match(refused(hex('ff')) ?? '', /ends inside an integer/)
    assert.match(refused(hex('4003 6162')) ?? '', /ends inside a string/)
    assert.match(refused(hex('4001 61')) ?? '', /ends before a string/)
    // A size update behind a field, and one over what we allow.
    assert.match(refused(hex('8220')) ?? '', /behind a field/)
    assert.match(refused(hex('3fe21f')) ?? '', /over the 4096/)
    assert.equal(refused(hex('3fe11f')), null)
    // EOS, padding longer than seven bits, padding with a zero.
    assert.match(refused(hex('4001 6184 ffff ffff')) ?? '', /Huffman/)
    assert.match(refused(hex('4001 6182 1fff')) ?? '', /Huffman/)
    assert.match(refused(hex('4001 6181 18')) ?? '', /Huffman/)
    assert.equal(refused(hex('4001 6181 1f')), null)
  })

  it('never throws, and keeps its table within its size, whatever comes', () => {
    let seed = 7
    const random = () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff) / 0x8000_0000
    for (let run = 0; run < 3000; run++) {
      const decoder = new HpackDecoder()
      const bytes = Buffer.from(Array.from({ length: 60 }, () => Math.floor(random() * 256)))
      decoder.decode(bytes, 0, bytes.length, { onField: field => assert.ok(field.size >= 32) })
      assert.ok(decoder.tableBytes <= 4096)
    }
  })

  it('evicts exactly: an entry goes when one more byte would not fit, and one too large empties the table', () => {
    const encoder = new HpackEncoder()
    const decoder = new HpackDecoder()
    const put = (name: string, value: string) => {
      encoder.begin()
      encoder.field(name, value)
      return decodeAll(decoder, Buffer.from(encoder.bytes.subarray(0, encoder.length)))
    }
    put('a', 'x'.repeat(1015))
    put('b', 'x'.repeat(1015))
    put('c', 'x'.repeat(1015))
    assert.equal(decoder.tableBytes, 3 * 1048)
    put('d', 'x'.repeat(4096 - 3 * 1048 - 33))
    assert.equal(decoder.tableBytes, 4096)
    put('e', '')
    assert.equal(decoder.tableBytes, 4096 - 1048 + 33)
    const big = Buffer.concat([
      hex('4001 66 7f b120'.replaceAll(' ', '')),
      Buffer.alloc(0x7f + 0x31 + 0x20 * 128, 0x61),
    ])
    decodeAll(decoder, big)
    assert.equal(decoder.tableBytes, 0)
  })
})

describe('encoding', () => {
  const encode = (encoder: HpackEncoder, fields: readonly Pair[]): Buffer => {
    encoder.begin()
    for (const [name, value] of fields) encoder.field(name, value)
    return Buffer.from(encoder.bytes.subarray(0, encoder.length))
  }

  it('never indexes secrets that could be guessed', () => {
    const encoder = new HpackEncoder()
    const secrets: Pair[] = [
      ['authorization', `Basic ${'a'.repeat(60)}`],
      ['cookie', 'id=short'],
      ['set-cookie', 'id=short'],
    ]
    for (const pair of secrets) {
      const first = encode(encoder, [pair])
      assert.equal((first[0] as number) & 0xf0, 0x10, `${pair[0]} is not marked as never indexed`)
      assert.deepEqual(encode(encoder, [pair]), first)
    }
    const long: Pair = ['cookie', 'x'.repeat(40)]
    assert.equal((encode(encoder, [long])[0] as number) & 0xc0, 0x40)
    assert.equal(encode(encoder, [long]).length, 1)
  })

  it('says a smaller table before the next block, and the smallest one on the way', () => {
    const encoder = new HpackEncoder()
    encode(encoder, [['x-a', 'one']])
    encoder.setLimit(0)
    encoder.setLimit(100)
    const block = encode(encoder, [['x-a', 'one']])
    assert.equal(block[0], 0x20)
    assert.deepEqual(block.subarray(1, 3), Buffer.from([0x3f, 100 - 31]))
    const decoder = new HpackDecoder()
    assert.deepEqual(decodeAll(decoder, block), [['x-a', 'one']])
    assert.ok(decoder.tableBytes <= 100)
  })

  it('uses a block again only while the table stays as it was', () => {
    const encoder = new HpackEncoder()
    const decoder = new HpackDecoder()
    const lines = (text: string) => {
      encoder.begin()
      encoder.lines(text)
      return decodeAll(decoder, Buffer.from(encoder.bytes.subarray(0, encoder.length)))
    }
    for (let turn = 0; turn < 60; turn++) {
      for (let again = 0; again < 3; again++) {
        assert.deepEqual(lines('Server: nginx\r\nX-Kind:  b \r\n'), [
          ['server', 'nginx'],
          ['x-kind', 'b'],
        ])
      }
      assert.deepEqual(lines(`x-other: ${turn}${'y'.repeat(300)}\r\n`), [['x-other', `${turn}${'y'.repeat(300)}`]])
    }
  })

  it('leaves out what is about an HTTP/1 connection, in kept blocks too', () => {
    const encoder = new HpackEncoder()
    const decoder = new HpackDecoder()
    const text =
      'a: 1\r\nConnection: close, x\r\nKEEP-ALIVE: 5\r\nproxy-connection: x\r\ntransfer-encoding: chunked\r\nupgrade: h2c\r\n' +
      'te: gzip\r\nte: trailers\r\nconnection-id: 7\r\n'
    for (let turn = 0; turn < 4; turn++) {
      encoder.begin()
      encoder.lines(text)
      assert.deepEqual(decodeAll(decoder, Buffer.from(encoder.bytes.subarray(0, encoder.length))), [
        ['a', '1'],
        ['te', 'trailers'],
        ['connection-id', '7'],
      ])
    }
  })

  it('gives up on names whose values never come again', () => {
    const encoder = new HpackEncoder()
    const kinds = Array.from(
      { length: 20 },
      (_, index) => (encode(encoder, [['x-id', `${index}`]])[0] as number) >> 6,
    )
    assert.equal(kinds[0], 1)
    assert.equal(kinds[19], 0)
  })
})

describe('the Huffman code', () => {
  const huffmanText = (bytes: Uint8Array) => {
    const into = Buffer.alloc(huffmanDecodedAtMost(bytes.length))
    return into.toString('latin1', 0, huffmanDecode(bytes, 0, bytes.length, into))
  }

  it('carries every byte both ways', () => {
    const text = Buffer.from(Array.from({ length: 512 }, (_, index) => index & 0xff)).toString('latin1')
    const bytes = Buffer.alloc(huffmanLength(text))
    assert.equal(huffmanEncode(text, bytes, 0), bytes.length)
    assert.equal(huffmanText(bytes), text)
  })

  it('is that of RFC 7541 appendix C.4', () => {
    assert.equal(huffmanText(Buffer.from('f1e3c2e5f23a6ba0ab90f4ff', 'hex')), 'www.example.com')
  })
})
