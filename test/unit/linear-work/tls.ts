/** The worst inputs of what is read before and beside TLS: hellos, PROXY headers, server answers, DNS. */
import { parseClientHello } from '../../../src/wire/client-hello.ts'
import { crc32c } from '../../../src/wire/crc32c.ts'
import { decodeMessage, decodeName, decodeText, encodeText } from '../../../src/wire/dns-message.ts'
import { HelloReader } from '../../../src/wire/hello-reader.ts'
import { fingerprintOf } from '../../../src/wire/ja4.ts'
import { parseProxyHeader } from '../../../src/wire/proxy-protocol.ts'
import { parseProxyV1 } from '../../../src/wire/proxy-protocol-v1.ts'
import { parseProxyV2, writeProxyV2 } from '../../../src/wire/proxy-protocol-v2.ts'
import { retryAfterMs } from '../../../src/wire/retry-after.ts'
import { readServerFlight } from '../../../src/wire/server-flight.ts'
import { readServerAnswer } from '../../../src/wire/server-hello.ts'
import { startWalk, walkRecords } from '../../../src/wire/tls-records.ts'
import { verifyAnswer } from '../../../src/wire/tsig.ts'
import { alpn, extension, hello, message, record } from '../../wire/hello-bytes.ts'
import { bytewise, latin1, type Worst, worst } from './worst.ts'

/** As many different extensions as fit in `n` bytes, each empty. */
const manyExtensions = (n: number) =>
  hello({ extensions: Array.from({ length: n / 4 }, (_, at) => extension(1_000 + at, Buffer.alloc(0))) })

const oneByteRecords = (bytes: Buffer) =>
  Buffer.concat(Array.from(bytes, (_, at) => record(bytes.subarray(at, at + 1))))

/** A name of `hops` pointers, each to the one before. */
function pointers(hops: number): Buffer {
  const bytes = Buffer.alloc(2 * hops + 1)
  for (let at = 0; at < hops; at++) bytes.writeUInt16BE(0xc000 | (at === 0 ? 0 : 2 * at - 1), 2 * at + 1)
  return bytes
}

/** Records of TLVs that fill a PROXY header. */
const proxy = (n: number) =>
  Buffer.from(
    writeProxyV2({
      source: { address: '10.0.0.1', port: 1 },
      destination: { address: '10.0.0.2', port: 2 },
      tlvs: Array.from({ length: n / 4 }, () => ({ type: 0xe0, value: Buffer.alloc(1) })),
    }),
  )

function parsedHello(bytes: Buffer) {
  const parsed = parseClientHello(bytes)
  if ('alert' in parsed) throw new Error(parsed.why)
  return parsed
}

export const tls: readonly Worst[] = [
  worst('src/wire/hello-reader.ts', 'a hello byte by byte', 4_000, n => {
    const bytes = record(hello({ extensions: [extension(21, Buffer.alloc(n))] }))
    return () => {
      const reader = new HelloReader(null)
      bytewise(bytes, piece => reader.push(piece))
    }
  }),
  worst('src/wire/hello-reader.ts', 'records of one byte, byte by byte', 1_000, n => {
    const bytes = oneByteRecords(hello({ extensions: [extension(21, Buffer.alloc(n))] }))
    return () => {
      const reader = new HelloReader(null, 10_000_000)
      bytewise(bytes, piece => reader.push(piece))
    }
  }),
  worst('src/wire/tls-records.ts', 'records of one byte', 2_000, n => {
    const bytes = oneByteRecords(message(1, Buffer.alloc(n)))
    return () => walkRecords(startWalk(), bytes, bytes.length, bytes.length)
  }),
  worst('src/wire/client-hello.ts', 'cipher suites', 8_000, n => {
    const bytes = hello({ suites: Buffer.alloc(n, 0x13) })
    return () => parseClientHello(bytes)
  }),
  worst('src/wire/client-hello-extensions.ts', 'extensions that all differ', 8_000, n => {
    const bytes = manyExtensions(n)
    return () => parseClientHello(bytes)
  }),
  worst('src/wire/client-hello-extensions.ts', 'protocol names of one byte', 8_000, n => {
    const bytes = hello({ extensions: [alpn(...Array.from({ length: n / 2 }, () => 'x'))] })
    return () => parseClientHello(bytes)
  }),
  worst('src/wire/ja4.ts', 'all of it', 8_000, n => {
    const parsed = parsedHello(manyExtensions(n))
    return () => fingerprintOf(parsed)
  }),
  worst('src/wire/proxy-protocol.ts', 'a header byte by byte', 500, n => {
    const bytes = proxy(n)
    return () => {
      for (let to = 1; to <= bytes.length; to++) parseProxyHeader(bytes.subarray(0, to))
    }
  }),
  worst('src/wire/proxy-protocol-v1.ts', 'a line without an end', 8_000, n => {
    const bytes = latin1(`PROXY ${' '.repeat(n)}`)
    return () => parseProxyV1(bytes)
  }),
  worst('src/wire/proxy-protocol-v2.ts', 'many fields', 4_000, n => {
    const bytes = proxy(n)
    return () => parseProxyV2(bytes, 1_000_000)
  }),
  worst('src/wire/proxy-tlv.ts', 'fields within the TLS field', 4_000, n => {
    const inner = Buffer.concat(Array.from({ length: n / 4 }, () => Buffer.of(0x30, 0, 1, 0)))
    const bytes = Buffer.from(
      writeProxyV2({
        source: null,
        destination: null,
        tlvs: [{ type: 0x20, value: Buffer.concat([Buffer.alloc(5), inner]) }],
      }),
    )
    return () => parseProxyV2(bytes, 1_000_000)
  }),
  worst('src/wire/proxy-cloud-ids.ts', 'fields of clouds that are none, and one long id', 4_000, n => {
    const tlvs = Array.from({ length: n / 8 }, () => ({ type: 0xea, value: Buffer.from('\x01a b') }))
    const long = { type: 0xea, value: Buffer.from(`\x01${'a'.repeat(n)}`) }
    const bytes = writeProxyV2({ source: null, destination: null, tlvs: [...tlvs, long] })
    return () => parseProxyV2(bytes, 1_000_000)
  }),
  worst('src/wire/crc32c.ts', 'any bytes', 16_000, n => {
    const bytes = Buffer.alloc(n, 1)
    return () => crc32c(bytes)
  }),
  worst('src/wire/server-hello.ts', 'records of one byte', 4_000, n => {
    const bytes = oneByteRecords(message(11, Buffer.alloc(n / 6)))
    return () => readServerAnswer(bytes)
  }),
  worst('src/wire/server-flight.ts', 'records of one byte, and certificates of one', 4_000, n => {
    const list = Buffer.alloc(n / 6)
    const certificates = Buffer.concat([
      Buffer.alloc(3),
      ...Array.from({ length: n / 12 }, () => Buffer.of(0, 0, 1, 0)),
    ])
    const flight = [message(2, Buffer.alloc(38)), message(11, certificates), message(13, list)]
    const bytes = oneByteRecords(Buffer.concat(flight))
    return () => readServerFlight(bytes)
  }),
  worst('src/wire/dns-message.ts', 'a name of pointers', 4_000, n => {
    const bytes = pointers(n / 2)
    return () => {
      try {
        return decodeName(bytes, bytes.length - 2)
      } catch {
        return null
      }
    }
  }),
  worst('src/wire/dns-message.ts', 'records whose names are pointers', 4_000, n => {
    const chain = pointers(n / 4)
    const last = 12 + chain.length - 2
    const one = Buffer.alloc(12)
    one.writeUInt16BE(0xc000 | last, 0)
    const count = Math.floor(n / 48)
    const bytes = Buffer.concat([Buffer.alloc(12), chain, ...Array.from({ length: count }, () => one)])
    for (let at = 0; at < chain.length - 1; at += 2) {
      const to = bytes.readUInt16BE(13 + at) & 0x3fff
      bytes.writeUInt16BE(0xc000 | (to + 12), 13 + at)
    }
    bytes.writeUInt16BE(count, 4)
    return () => {
      try {
        return decodeMessage(bytes)
      } catch {
        return null
      }
    }
  }),
  worst('src/wire/dns-message.ts', 'a long text', 8_000, n => {
    const text = encodeText('x'.repeat(n))
    return () => decodeText(text)
  }),
  worst('src/wire/tsig.ts', 'an answer that is not signed', 4_000, n => {
    const bytes = Buffer.alloc(12 + n)
    const answer = decodeMessage(bytes)
    const key = { name: 'k', algorithm: 'hmac-sha256', secret: Buffer.alloc(32) } as const
    return () => verifyAnswer(answer, bytes, key, 0)
  }),
  worst('src/wire/retry-after.ts', 'blanks and digits', 8_000, n => {
    const headers = { 'retry-after': `${' '.repeat(n)}1${'2'.repeat(n)}`, date: 'x'.repeat(n) }
    return () => retryAfterMs(headers, 0)
  }),
]
