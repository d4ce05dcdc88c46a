/** The worst inputs of HTTP/2: frames, header blocks, settings. */
import { BlockCheck } from '../../../src/wire/h2-block-check.ts'
import { FrameReader } from '../../../src/wire/h2-frame-reader.ts'
import { writeFrameHeader } from '../../../src/wire/h2-frames.ts'
import { parsePriority } from '../../../src/wire/h2-priority.ts'
import { RequestBlock } from '../../../src/wire/h2-request-head.ts'
import { ResponseBlock, TrailerBlock } from '../../../src/wire/h2-response-head.ts'
import { defaultPeerSettings, readSettings, settingsPayload } from '../../../src/wire/h2-settings.ts'
import { HpackDecoder } from '../../../src/wire/hpack-decoder.ts'
import { HpackEncoder } from '../../../src/wire/hpack-encoder.ts'
import { HpackField } from '../../../src/wire/hpack-field.ts'
import { huffmanDecode, huffmanDecodedAtMost, huffmanEncode, huffmanLength } from '../../../src/wire/huffman.ts'
import { bytewise, latin1, type Worst, worst } from './worst.ts'

const limits = { headBytes: 10_000_000, uriBytes: 10_000_000, headers: 10_000_000 }
const noFields = { onField: () => {} }

const fieldsOf = (count: number, name: (at: number) => string, value = 'v') =>
  Array.from({ length: count }, (_, at) => new HpackField(name(at), value))

const pseudo = [
  new HpackField(':method', 'GET'),
  new HpackField(':scheme', 'https'),
  new HpackField(':path', '/'),
  new HpackField(':authority', 'a'),
]

/** A block whose first field has 4000 bytes in the table, and then its index `n` times. */
function bomb(n: number): Buffer {
  const value = latin1('v'.repeat(4_000))
  const literal = Buffer.concat([Buffer.of(0x40, 1, 0x78, 0x7f, 0xa1, 0x1e), value])
  return Buffer.concat([literal, Buffer.alloc(n, 0x80 | 62)])
}

export const http2: readonly Worst[] = [
  worst('src/wire/h2-frame-reader.ts', 'empty frames, byte by byte', 9_000, n => {
    const bytes = Buffer.alloc(n)
    for (let at = 0; at + 9 <= n; at += 9) writeFrameHeader(bytes, at, 0, 0, 0, 1)
    return () => {
      const reader = new FrameReader(null)
      const sink = { full: false, onFrame: () => true, onOversized: () => {} }
      bytewise(bytes, piece => reader.push(piece, sink))
    }
  }),
  worst('src/wire/hpack-decoder.ts', 'one large entry over and over', 4_000, n => {
    const block = bomb(n)
    return () => new HpackDecoder().decode(block, 0, block.length, noFields)
  }),
  worst('src/wire/hpack-decoder.ts', 'entries that push each other out', 8_000, n => {
    const block = Buffer.concat(Array.from({ length: n / 4 }, () => Buffer.of(0x40, 1, 0x78, 0)))
    return () => new HpackDecoder().decode(block, 0, block.length, noFields)
  }),
  worst('src/wire/hpack-decoder.ts', 'changes of the table size', 8_000, n => {
    const block = Buffer.alloc(n, 0x20)
    return () => new HpackDecoder().decode(block, 0, block.length, noFields)
  }),
  worst('src/wire/hpack-encoder.ts', 'names that never come twice', 8_000, n => {
    const text = Array.from({ length: n / 12 }, (_, at) => `x-${at}: v${at}\r\n`).join('')
    return () => {
      const encoder = new HpackEncoder()
      encoder.begin()
      encoder.lines(text)
    }
  }),
  worst('src/wire/hpack-encoder.ts', 'one name with many values', 8_000, n => {
    const text = Array.from({ length: n / 12 }, (_, at) => `x: v${at}\r\n`).join('')
    return () => {
      const encoder = new HpackEncoder()
      encoder.begin()
      encoder.lines(text)
    }
  }),
  worst('src/wire/hpack-field.ts', 'a long name and a long value', 8_000, n => {
    const [name, value] = ['x'.repeat(n), ' v'.repeat(n / 2)]
    return () => new HpackField(name, value)
  }),
  worst('src/wire/huffman.ts', 'the longest codes', 8_000, n => {
    const text = '\x7f'.repeat(n)
    const coded = Buffer.alloc(huffmanLength(text))
    huffmanEncode(text, coded, 0)
    const into = Buffer.alloc(huffmanDecodedAtMost(coded.length))
    return () => huffmanDecode(coded, 0, coded.length, into)
  }),
  worst('src/wire/h2-request-head.ts', 'cookie crumbs', 4_000, n => {
    const fields = [...pseudo, ...fieldsOf(n / 10, () => 'cookie')]
    return () => {
      const block = new RequestBlock(limits)
      for (const field of fields) block.onField(field)
      return block.head(true)
    }
  }),
  worst('src/wire/h2-request-head.ts', 'expectations, and many fields', 4_000, n => {
    const fields = [...pseudo, ...fieldsOf(n / 20, () => 'expect'), ...fieldsOf(n / 20, at => `x-${at}`)]
    return () => {
      const block = new RequestBlock(limits)
      for (const field of fields) block.onField(field)
      return block.head(true)?.fields.get('nothing')
    }
  }),
  worst('src/wire/h2-response-head.ts', 'many fields', 4_000, n => {
    const fields = [new HpackField(':status', '200'), ...fieldsOf(n / 10, at => `x-${at}`)]
    return () => {
      const block = new ResponseBlock(limits)
      for (const field of fields) block.onField(field)
      return block.head()?.fields.get('nothing')
    }
  }),
  worst('src/wire/h2-response-head.ts', 'many trailers', 4_000, n => {
    const fields = fieldsOf(n / 10, at => `x-${at}`)
    return () => {
      const block = new TrailerBlock(limits, true)
      for (const field of fields) block.onField(field)
      return block.fields()?.get('nothing')
    }
  }),
  worst('src/wire/h2-block-check.ts', 'a field that is not allowed', 8_000, n => {
    const field = new HpackField('\n'.repeat(n), 'v')
    return () => {
      const check = new BlockCheck(limits, 'HEAD_TOO_LARGE')
      for (let at = 0; at < n; at++) check.admits(field)
      check.notAllowed(field)
    }
  }),
  worst('src/wire/h2-settings.ts', 'one setting over and over', 12_000, n => {
    const payload = settingsPayload(Array.from({ length: n / 6 }, () => [4, 1] as const))
    return () => readSettings(payload, 0, payload.length, defaultPeerSettings())
  }),
  worst('src/wire/h2-priority.ts', 'members without a meaning', 8_000, n => {
    const text = `${'u=1 ,'.repeat(n / 10)}${' '.repeat(n / 2)}`
    return () => parsePriority(text)
  }),
]
