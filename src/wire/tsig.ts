/**
 * Transaction signatures of DNS messages (RFC 8945): signing a request, and holding its answer to the same key. An
 * answer that is not signed as it should be is not believed, whatever it says.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import {
  classes,
  type DnsRecord,
  decodeName,
  encodeName,
  encodeRecord,
  type ReadDnsMessage,
  recordTypes,
} from './dns-message.ts'

export type TsigKey = {
  readonly name: string
  readonly algorithm: 'hmac-sha256' | 'hmac-sha512'
  readonly secret: Uint8Array
}

/** Seconds that clocks may differ (section 10). */
const fudge = 300

/** Of the extended codes in a TSIG record (section 3). */
const tsigErrors: Readonly<Record<number, string>> = { 16: 'BADSIG', 17: 'BADKEY', 18: 'BADTIME', 22: 'BADTRUNC' }

type TsigData = {
  readonly algorithm: string
  /** Seconds since 1970 */
  readonly signedAt: number
  readonly fudge: number
  readonly mac: Buffer
  readonly originalId: number
  readonly error: number
  readonly other: Buffer
}

type Signed = { readonly bytes: Buffer; readonly mac: Buffer }

/** @param bytes a message without TSIG */
export function signMessage(bytes: Buffer, key: TsigKey, nowMs: number): Signed {
  const data = { signedAt: Math.floor(nowMs / 1000), fudge, error: 0, other: Buffer.alloc(0) }
  const mac = macOf(key, [bytes, variables(key, data)])
  const record = tsigRecord(key, { ...data, mac, originalId: bytes.readUInt16BE(0) })
  const signed = Buffer.concat([bytes, encodeRecord(record)])
  signed.writeUInt16BE(signed.readUInt16BE(10) + 1, 10)
  return { bytes: signed, mac }
}

/** Null where the answer is as signed by `key` (section 5.3), else what is wrong with it. */
export function verifyAnswer(
  answer: ReadDnsMessage,
  requestMac: Buffer,
  key: TsigKey,
  nowMs: number,
): string | null {
  const record = answer.additionals.at(-1)
  if (record === undefined || record.type !== recordTypes.TSIG) return 'the answer is not signed'
  const data = readTsig(record)
  if (data === null || record.name !== lower(key.name) || data.algorithm !== algorithmName(key))
    return 'the answer is signed with another key'
  // A server that does not know the key or the signature cannot sign (section 5.2).
  if (data.error === 16 || data.error === 17)
    return `the server says ${tsigErrors[data.error]}: it has no such key for this zone, or with another secret or algorithm`
  const body = Buffer.from(answer.bytes.subarray(0, answer.lastAt))
  body.writeUInt16BE(data.originalId, 0)
  body.writeUInt16BE(answer.additionals.length - 1, 10)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(requestMac.length)
  const mac = macOf(key, [length, requestMac, body, variables(key, data)])
  if (mac.length !== data.mac.length || !timingSafeEqual(mac, data.mac))
    return 'the signature of the answer is wrong'
  if (data.error === 18) {
    const theirs = data.other.length === 6 ? data.other.readUIntBE(0, 6) : data.signedAt
    const apart = Math.round(Math.abs(theirs * 1000 - nowMs) / 1000)
    return `the server says BADTIME: its clock and ours are ${apart} seconds apart`
  }
  if (Math.abs(data.signedAt - nowMs / 1000) > Math.min(data.fudge, fudge))
    return 'the answer is signed at another time'
  if (data.error !== 0) return `the server says ${tsigErrors[data.error] ?? `TSIG error ${data.error}`}`
  return null
}

function macOf(key: TsigKey, parts: readonly Buffer[]): Buffer {
  const hmac = createHmac(key.algorithm.slice('hmac-'.length), key.secret)
  for (const part of parts) hmac.update(part)
  return hmac.digest()
}

/** Section 4.3.3. */
function variables(key: TsigKey, data: Pick<TsigData, 'signedAt' | 'fudge' | 'error' | 'other'>): Buffer {
  const before = Buffer.alloc(6)
  before.writeUInt16BE(classes.ANY, 0)
  return Buffer.concat([
    encodeName(key.name),
    before,
    encodeName(algorithmName(key)),
    time(data),
    short(data.error),
    short(data.other.length),
    data.other,
  ])
}

function tsigRecord(key: TsigKey, data: Omit<TsigData, 'algorithm'>): DnsRecord {
  const rdata = Buffer.concat([
    encodeName(algorithmName(key)),
    time(data),
    short(data.mac.length),
    data.mac,
    short(data.originalId),
    short(data.error),
    short(data.other.length),
    data.other,
  ])
  return { name: key.name, type: recordTypes.TSIG, class: classes.ANY, ttl: 0, rdata }
}

/** Section 4.2; null where it makes no sense. */
function readTsig({ rdata }: DnsRecord): TsigData | null {
  try {
    const { name: algorithm, next } = decodeName(rdata, 0)
    const macAt = next + 10
    const macEnd = macAt + rdata.readUInt16BE(next + 8)
    const otherAt = macEnd + 6
    const otherEnd = otherAt + rdata.readUInt16BE(macEnd + 4)
    if (otherEnd !== rdata.length) return null
    return {
      algorithm,
      signedAt: rdata.readUIntBE(next, 6),
      fudge: rdata.readUInt16BE(next + 6),
      mac: rdata.subarray(macAt, macEnd),
      originalId: rdata.readUInt16BE(macEnd),
      error: rdata.readUInt16BE(macEnd + 2),
      other: rdata.subarray(otherAt, otherEnd),
    }
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

function time(data: Pick<TsigData, 'signedAt' | 'fudge'>): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUIntBE(data.signedAt, 0, 6)
  bytes.writeUInt16BE(data.fudge, 6)
  return bytes
}

function short(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

const algorithmName = ({ algorithm }: TsigKey): string => algorithm
const lower = (name: string): string => name.toLowerCase().replace(/\.$/, '')
