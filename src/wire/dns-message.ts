/**
 * DNS messages (RFC 1035 section 4) with UPDATE (RFC 2136) and TSIG records (RFC 8945), as far as an ACME client needs
 * them. No I/O. Reading is safe with hostile input: bounds are checked, names are at most 255 bytes, and compression
 * pointers only lead backwards. Throws RangeError for anything that makes no sense.
 *
 * Names are text in lower case without a final dot, the root is ''; bytes other than letters, digits, `-`, `_`, `*` and
 * the like are written `\DDD` as in master files, so that a dot within a label is never a separator.
 */

export const recordTypes = { A: 1, NS: 2, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28, TSIG: 250, ANY: 255 } as const
export const classes = { IN: 1, NONE: 254, ANY: 255 } as const
export const opcodes = { query: 0, update: 5 } as const

type DnsQuestion = { readonly name: string; readonly type: number; readonly class: number }

export type DnsRecord = {
  readonly name: string
  readonly type: number
  readonly class: number
  readonly ttl: number
  /** As on the wire; of NS, CNAME and SOA the names in it are read by `nameIn` */
  readonly rdata: Buffer
}

export type DnsMessage = {
  readonly id: number
  readonly isAnswer: boolean
  readonly opcode: number
  /** Cut short for UDP: to be asked again over TCP */
  readonly truncated: boolean
  readonly recursionDesired: boolean
  readonly rcode: number
  /** Of an update: the zone, prerequisites, and changes (RFC 2136 section 2) */
  readonly questions: readonly DnsQuestion[]
  readonly answers: readonly DnsRecord[]
  readonly authorities: readonly DnsRecord[]
  readonly additionals: readonly DnsRecord[]
}

/** With what only the bytes say: where a TSIG record begins, and the names in records' data. */
export type ReadDnsMessage = DnsMessage & {
  readonly bytes: Buffer
  /** Where the last additional record begins, -1 without one: a TSIG is signed without itself */
  readonly lastAt: number
  /** The first name in the data of NS, CNAME and SOA records */
  nameIn(record: DnsRecord): string
}

const maxRecords = 500
/** One name can be written in this many parts; a message of 64 kB could lead through thousands for each of its records. */
const maxPointers = 32

const rcodes: readonly string[] = [
  'NOERROR',
  'FORMERR',
  'SERVFAIL',
  'NXDOMAIN',
  'NOTIMP',
  'REFUSED',
  'YXDOMAIN',
  'YXRRSET',
  'NXRRSET',
  'NOTAUTH',
  'NOTZONE',
]

export const rcodeText = (rcode: number): string => rcodes[rcode] ?? `RCODE ${rcode}`

/** A name without compression, in lower case: the canonical form that signatures are made over (RFC 4034 section 6.2). */
export function encodeName(name: string): Buffer {
  const bytes: number[] = []
  let label: number[] = []
  const end = () => {
    if (label.length === 0 || label.length > 63) throw new RangeError(`${name} is not a DNS name`)
    bytes.push(label.length, ...label)
    label = []
  }
  const text = name.toLowerCase()
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string
    if (char === '.') end()
    else if (char === '\\') {
      const code = /^[0-9]{3}/.exec(text.slice(at + 1))?.[0]
      if (code === undefined || Number(code) > 255) throw new RangeError(`${name} is not a DNS name`)
      label.push(Number(code))
      at += 3
    } else if (char > '~') throw new RangeError(`${name} is not ASCII`)
    else label.push(char.charCodeAt(0))
  }
  if (text !== '' && !text.endsWith('.')) end()
  bytes.push(0)
  if (bytes.length > 255) throw new RangeError(`${name} is longer than a DNS name may be`)
  return Buffer.from(bytes)
}

export function encodeMessage(message: Omit<DnsMessage, 'truncated'>): Buffer {
  const { id, isAnswer, opcode, recursionDesired, rcode, questions } = message
  const head = Buffer.alloc(12)
  const flags = (isAnswer ? 0x8000 : 0) | (opcode << 11) | (recursionDesired ? 0x0100 : 0) | rcode
  const sections = [message.answers, message.authorities, message.additionals]
  const counts = [questions.length, ...sections.map(section => section.length)]
  for (const [at, value] of [id, flags, ...counts].entries()) head.writeUInt16BE(value, at * 2)
  return Buffer.concat([
    head,
    ...questions.map(one => Buffer.concat([encodeName(one.name), shorts(one.type, one.class)])),
    ...sections.flat().map(encodeRecord),
  ])
}

export function encodeRecord({ name, type, class: of, ttl, rdata }: DnsRecord): Buffer {
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(of, 2)
  fixed.writeUInt32BE(ttl, 4)
  fixed.writeUInt16BE(rdata.length, 8)
  return Buffer.concat([encodeName(name), fixed, rdata])
}

function shorts(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2)
  for (const [at, value] of values.entries()) bytes.writeUInt16BE(value, at * 2)
  return bytes
}

export function decodeMessage(bytes: Buffer): ReadDnsMessage {
  if (bytes.length < 12) throw new RangeError('a DNS message has at least 12 bytes')
  const flags = bytes.readUInt16BE(2)
  const [questionCount, ...counts] = [4, 6, 8, 10].map(at => bytes.readUInt16BE(at)) as [number, ...number[]]
  if (questionCount + counts.reduce((sum, count) => sum + count, 0) > maxRecords)
    throw new RangeError(`a DNS message of more than ${maxRecords} records`)
  let at = 12
  const dataAt = new Map<DnsRecord, number>()
  let lastAt = -1
  const questions = Array.from({ length: questionCount }, (): DnsQuestion => {
    const { name, next } = decodeName(bytes, at)
    at = next + 4
    return { name, type: bytes.readUInt16BE(next), class: bytes.readUInt16BE(next + 2) }
  })
  const section = (count: number) =>
    Array.from({ length: count }, (): DnsRecord => {
      lastAt = at
      const { name, next } = decodeName(bytes, at)
      const from = next + 10
      const length = bytes.readUInt16BE(next + 8)
      at = from + length
      if (at > bytes.length) throw new RangeError('a DNS record reaches beyond its message')
      const record: DnsRecord = {
        name,
        type: bytes.readUInt16BE(next),
        class: bytes.readUInt16BE(next + 2),
        ttl: bytes.readUInt32BE(next + 4),
        rdata: bytes.subarray(from, at),
      }
      dataAt.set(record, from)
      return record
    })
  const [answers, authorities] = [section(counts[0] as number), section(counts[1] as number)]
  lastAt = -1
  const additionals = section(counts[2] as number)
  if (additionals.length === 0) lastAt = -1
  return {
    bytes,
    lastAt,
    id: bytes.readUInt16BE(0),
    isAnswer: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    truncated: (flags & 0x0200) !== 0,
    recursionDesired: (flags & 0x0100) !== 0,
    rcode: flags & 15,
    questions,
    answers,
    authorities,
    additionals,
    nameIn: record => decodeName(bytes, dataAt.get(record) ?? bytes.length).name,
  }
}

/** @returns the name, and where what follows it begins */
export function decodeName(bytes: Buffer, from: number): { readonly name: string; readonly next: number } {
  let name = ''
  let size = 1
  let at = from
  let next = -1
  // A pointer leads to before where it was jumped to last, so that there is an end to it.
  let before = from
  let pointers = 0
  for (;;) {
    const length = bytes.readUInt8(at)
    if (length === 0) return { name, next: next < 0 ? at + 1 : next }
    if (length >= 0xc0) {
      const to = bytes.readUInt16BE(at) & 0x3fff
      if (to >= before) throw new RangeError('a DNS name points forwards')
      if (++pointers > maxPointers) throw new RangeError('a DNS name in too many parts')
      if (next < 0) next = at + 2
      at = before = to
      continue
    }
    if (length > 63) throw new RangeError('a DNS label of a kind that nobody uses')
    size += length + 1
    if (size > 255 || at + 1 + length > bytes.length) throw new RangeError('a DNS name is too long')
    if (name !== '') name += '.'
    for (const byte of bytes.subarray(at + 1, at + 1 + length)) name += labelText(byte)
    at += 1 + length
  }
}

function labelText(byte: number): string {
  const char = String.fromCharCode(byte)
  if (/[a-z0-9_*:/-]/i.test(char)) return char.toLowerCase()
  return `\\${String(byte).padStart(3, '0')}`
}

/** One value in character-strings of up to 255 bytes (RFC 1035 section 3.3.14). */
export function encodeText(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  const parts: Buffer[] = []
  for (let at = 0; at === 0 || at < bytes.length; at += 255) {
    const part = bytes.subarray(at, at + 255)
    parts.push(Buffer.of(part.length), part)
  }
  return Buffer.concat(parts)
}

/** The character-strings of a TXT record as one text. */
export function decodeText(rdata: Buffer): string {
  let text = ''
  for (let at = 0; at < rdata.length; ) {
    const end = at + 1 + rdata.readUInt8(at)
    if (end > rdata.length) throw new RangeError('a TXT record reaches beyond its end')
    text += rdata.toString('latin1', at + 1, end)
    at = end
  }
  return text
}
