/**
 * DER (ITU-T X.690), as much of it as certificates need: functions that write one value each, and a strict reader.
 *
 * Invariants: what is written is DER, not merely BER: shortest lengths, shortest integers, sorted SETs. The reader
 * takes nothing else: indefinite or padded lengths, bytes after the value and tags of more than one byte are errors,
 * because two readers that disagree about a certificate are how checks are bypassed.
 */

/** Universal tags, with the constructed bit where DER asks for it. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const

/** A value with its tag and length in front. */
export function encode(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  let length = 0
  for (const part of contents) length += part.length
  const head = length < 0x80 ? [tag, length] : [tag, ...longLength(length)]
  return Buffer.concat([Buffer.from(head), ...contents], head.length + length)
}

function longLength(length: number): number[] {
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return [0x80 | bytes.length, ...bytes]
}

export function sequence(...values: readonly Uint8Array[]): Buffer {
  return encode(tags.sequence, ...values)
}

/** SET OF: the encodings are sorted (X.690 section 11.6). */
export function set(...values: readonly Uint8Array[]): Buffer {
  return encode(tags.set, ...values.toSorted(Buffer.compare))
}

export function boolean(value: boolean): Buffer {
  return encode(tags.boolean, Buffer.from([value ? 0xff : 0]))
}

/** A non-negative integer; bytes are taken as big-endian and unsigned. */
export function integer(value: number | Uint8Array): Buffer {
  const bytes = typeof value === 'number' ? numberBytes(value) : Buffer.from(value)
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const short = bytes.subarray(start)
  return encode(
    tags.integer,
    short.length === 0 || short[0] & 0x80 ? Buffer.concat([Buffer.alloc(1), short]) : short,
  )
}

function numberBytes(value: number): Buffer {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a non-negative integer: ${value}`)
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

/** `1.2.840.10045.2.1` */
export function oid(dotted: string): Buffer {
  const arcs = dotted.split('.').map(Number)
  const [first, second] = arcs
  const valid = arcs.length >= 2 && arcs.every(arc => Number.isSafeInteger(arc) && arc >= 0)
  if (!valid || first > 2 || (first < 2 && second > 39)) throw new RangeError(`not an object identifier: ${dotted}`)
  const bytes: number[] = []
  for (const arc of [first * 40 + second, ...arcs.slice(2)]) {
    const digits = [arc % 128]
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
      digits.unshift(0x80 | (rest % 128))
    bytes.push(...digits)
  }
  return encode(tags.oid, Buffer.from(bytes))
}

export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return encode(tags.bitString, Buffer.from([unusedBits]), bytes)
}

/** A named bit list: trailing zero bits are dropped (X.690 section 11.2.2). Bit 0 is the leftmost. */
export function bitFlags(bits: readonly number[]): Buffer {
  if (bits.length === 0) return bitString(Buffer.alloc(0))
  const last = Math.max(...bits)
  const bytes = Buffer.alloc(Math.floor(last / 8) + 1)
  for (const bit of bits) bytes[bit >> 3] |= 0x80 >> (bit & 7)
  return bitString(bytes, 7 - (last & 7))
}

export function octetString(bytes: Uint8Array): Buffer {
  return encode(tags.octetString, bytes)
}

export function utf8String(text: string): Buffer {
  return encode(tags.utf8String, Buffer.from(text, 'utf8'))
}

export function printableString(text: string): Buffer {
  if (!/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)) throw new RangeError(`not a PrintableString: ${text}`)
  return encode(tags.printableString, Buffer.from(text, 'latin1'))
}

/** UTCTime before 2050, GeneralizedTime from then on, always in UTC and whole seconds (RFC 5280 section 4.1.2.5). */
export function time(ms: number): Buffer {
  const year = new Date(ms).getUTCFullYear()
  if (!(year >= 1950 && year <= 9999)) throw new RangeError(`a certificate cannot hold the time ${ms}`)
  const digits = `${new Date(ms).toISOString().slice(0, 19).replace(/\D/g, '')}Z`
  if (year < 2050) return encode(tags.utcTime, Buffer.from(digits.slice(2), 'latin1'))
  return encode(tags.generalizedTime, Buffer.from(digits, 'latin1'))
}

/** `[n] EXPLICIT`: the whole value inside a constructed context tag. */
export function explicit(number: number, value: Uint8Array): Buffer {
  return encode(0xa0 | number, value)
}

/** `[n] IMPLICIT` of a primitive type: the content under a context tag. */
export function implicit(number: number, content: Uint8Array): Buffer {
  return encode(0x80 | number, content)
}

/** One value that was read. `content` and `raw` are views of the input. */
export type DerValue = { readonly tag: number; readonly content: Buffer; readonly raw: Buffer }

/** What is not DER, or not the DER that was expected. Callers add the file's name. */
export class DerError extends Error {}

/** The one value that `bytes` holds; anything after it is an error. */
export function read(bytes: Uint8Array, tag?: number): DerValue {
  const values = readAll(bytes, 16)
  if (values.length !== 1) throw new DerError(`expected one value, found ${values.length}`)
  return expectTag(values[0], tag)
}

/** The values inside a constructed value. One parameter, so that it can be given to `map`. */
export function children(value: DerValue): DerValue[] {
  return fewChildren(value, Number.POSITIVE_INFINITY)
}

/** The same for what nobody has signed: more than `most` are an error. */
export function fewChildren(value: DerValue, most: number): DerValue[] {
  if ((value.tag & 0x20) === 0) throw new DerError(`tag 0x${value.tag.toString(16)} holds no values`)
  return readAll(value.content, most)
}

/** `value`, if it is there and has this tag. */
export function expectTag(value: DerValue | undefined, tag?: number): DerValue {
  if (value === undefined) throw new DerError('a value is missing')
  if (tag !== undefined && value.tag !== tag) {
    throw new DerError(`expected tag 0x${tag.toString(16)}, found 0x${value.tag.toString(16)}`)
  }
  return value
}

function readAll(bytes: Uint8Array, most: number): DerValue[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values: DerValue[] = []
  for (let at = 0; at < buffer.length; ) {
    const value = readOne(buffer, at)
    if (values.length === most) throw new DerError(`more than ${most} values`)
    values.push(value)
    at += value.raw.length
  }
  return values
}

function readOne(buffer: Buffer, at: number): DerValue {
  if (at + 2 > buffer.length) throw new DerError('cut off inside a tag or length')
  const tag = buffer[at]
  if ((tag & 0x1f) === 0x1f) throw new DerError('tags of more than one byte are not used in certificates')
  let start = at + 2
  let length = buffer[at + 1]
  if (length >= 0x80) {
    const size = length & 0x7f
    if (size === 0) throw new DerError('indefinite length')
    if (size > 4) throw new DerError('a length of more than 4 bytes')
    if (start + size > buffer.length) throw new DerError('cut off inside a length')
    length = buffer.readUIntBE(start, size)
    if (length < 0x80 || length < 256 ** (size - 1)) throw new DerError('a length that is not the shortest form')
    start += size
  }
  const end = start + length
  if (end > buffer.length)
    throw new DerError(`a value of ${length} bytes, of which ${buffer.length - start} are there`)
  return { tag, content: buffer.subarray(start, end), raw: buffer.subarray(at, end) }
}

/** More than any that is in use: a UUID below 2.25 (X.667) has 20. */
const longestOid = 64

/** The dotted form of an OBJECT IDENTIFIER. */
export function readOid(value: DerValue): string {
  const { content } = expectTag(value, tags.oid)
  if (content.length > longestOid) throw new DerError(`an object identifier of ${content.length} bytes`)
  const arcs: (number | bigint)[] = []
  let arc: number | bigint = 0
  let fresh = true
  for (const byte of content) {
    if (fresh && byte === 0x80) throw new DerError('an object identifier that is not the shortest form')
    // Beyond 2^45 the next seven bits need not fit a number.
    if (typeof arc === 'number' && arc < 2 ** 45) arc = arc * 128 + (byte & 0x7f)
    else arc = BigInt(arc) * 128n + BigInt(byte & 0x7f)
    fresh = byte < 0x80
    if (!fresh) continue
    if (arcs.length > 0) arcs.push(arc)
    // The first byte is of two arcs, of which the first is 0, 1 or 2 (X.690 section 8.19.4).
    else if (arc < 80) arcs.push(Math.floor(Number(arc) / 40), Number(arc) % 40)
    else arcs.push(2, typeof arc === 'number' ? arc - 80 : arc - 80n)
    arc = 0
  }
  if (!fresh || arcs.length === 0) throw new DerError('an object identifier that is cut off')
  return arcs.join('.')
}

/** Milliseconds since 1970 of a UTCTime or GeneralizedTime in the only forms RFC 5280 allows. */
export function readTime(value: DerValue): number {
  const text = value.content.toString('latin1')
  const found =
    value.tag === tags.utcTime
      ? /^()(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
      : value.tag === tags.generalizedTime
        ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
        : null
  if (!found) throw new DerError('a time that is not in the form of RFC 5280')
  const century = found[1] !== '' ? found[1] : Number(found[2]) < 50 ? '20' : '19'
  const iso = `${century}${found[2]}-${found[3]}-${found[4]}T${found[5]}:${found[6]}:${found[7]}Z`
  const ms = Date.parse(iso)
  // Date.parse takes 31 February for 3 March: the text must come back as it was.
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== iso.replace('Z', '.000Z'))
    throw new DerError('a time that does not exist')
  return ms
}
