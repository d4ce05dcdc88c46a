/**
 * The type-length-value fields of a PROXY protocol header, version 2 (section 2.2): reading, checking and writing.
 * A field we act on may come once only: of two authorities, two readers could pick different ones.
 */
import { ProxyError } from '../base/errors.ts'
import { crc32c } from './crc32c.ts'
import type { ProxySsl, ProxyTlv } from './proxy-header.ts'

const types = {
  alpn: 0x01,
  authority: 0x02,
  crc32c: 0x03,
  noop: 0x04,
  uniqueId: 0x05,
  ssl: 0x20,
  netns: 0x30,
} as const
const sslTypes = { version: 0x21, commonName: 0x22, cipher: 0x23 } as const
const clientFlags = { tls: 1, certificateOnConnection: 2, certificateInSession: 4 } as const

type TlvFields = {
  tlvs: ProxyTlv[]
  ssl?: ProxySsl
  authority?: string
  alpn?: string
  uniqueId?: Uint8Array
  netns?: string
}

/** Reads b[from, to), which the fields have to fill exactly. A string says what is wrong. */
export function readTlvs(b: Uint8Array, from: number, to: number): TlvFields | string {
  const fields: TlvFields = { tlvs: [] }
  const seen = new Set<number>()
  for (let at = from; at < to; ) {
    if (at + 3 > to) return 'the fields do not fill the header'
    const type = b[at]
    const start = at + 3
    at = start + ((b[at + 1] << 8) | b[at + 2])
    if (at > to) return `field ${hex(type)} is longer than the header`
    if (type === types.noop) continue
    const value = copy(b, start, at)
    fields.tlvs.push({ type, value })
    const fault = readKnown(fields, seen, type, value, b, start, to)
    if (fault !== null) return fault
  }
  return fields
}

function readKnown(
  fields: TlvFields,
  seen: Set<number>,
  type: number,
  value: Uint8Array,
  b: Uint8Array,
  start: number,
  to: number,
): string | null {
  switch (type) {
    case types.alpn:
      if (value.length === 0 || value.length > 255) return `an ALPN name of ${value.length} bytes`
      fields.alpn = Buffer.from(value).toString('latin1')
      break
    case types.authority: {
      const name = text(value)
      if (name === null || name === '') return 'an authority that is empty, not UTF-8 or has control characters'
      fields.authority = name
      break
    }
    case types.crc32c:
      if (value.length !== 4) return 'a checksum of other than 4 bytes'
      if (Buffer.from(value).readUInt32BE(0) !== checksumWithout(b, start, to)) return 'the checksum is wrong'
      break
    case types.uniqueId:
      if (value.length > 128) return 'a unique id of more than 128 bytes'
      fields.uniqueId = value
      break
    case types.ssl: {
      const ssl = readSsl(value)
      if (typeof ssl === 'string') return ssl
      fields.ssl = ssl
      break
    }
    case types.netns: {
      const name = text(value)
      if (name === null) return 'a network namespace with control characters'
      fields.netns = name
      break
    }
    default:
      return null
  }
  if (seen.has(type)) return `field ${hex(type)} comes twice`
  seen.add(type)
  return null
}

/** Section 2.2.5: over the whole header, with zeros in the place of the checksum itself. */
function checksumWithout(b: Uint8Array, start: number, to: number): number {
  const header = copy(b, 0, to)
  header.fill(0, start, start + 4)
  return crc32c(header)
}

/** Section 2.2.6: flags, the result of verification (0 is good), then fields within the field. */
function readSsl(value: Uint8Array): ProxySsl | string {
  if (value.length < 5) return 'an SSL field of less than 5 bytes'
  const flags = value[0]
  const certificate = (flags & (clientFlags.certificateOnConnection | clientFlags.certificateInSession)) !== 0
  const good = (value[1] | value[2] | value[3] | value[4]) === 0
  const tlvs: ProxyTlv[] = []
  const texts = new Map<number, string>()
  for (let at = 5; at < value.length; ) {
    if (at + 3 > value.length) return 'the fields do not fill the SSL field'
    const type = value[at]
    const start = at + 3
    at = start + ((value[at + 1] << 8) | value[at + 2])
    if (at > value.length) return `field ${hex(type)} is longer than the SSL field`
    tlvs.push({ type, value: value.subarray(start, at) })
    if (type === sslTypes.version || type === sslTypes.commonName || type === sslTypes.cipher) {
      const read = text(value.subarray(start, at))
      if (read === null) return `field ${hex(type)} is not UTF-8 or has control characters`
      if (texts.has(type)) return `field ${hex(type)} comes twice`
      texts.set(type, read)
    }
  }
  return {
    tls: (flags & clientFlags.tls) !== 0,
    certificate,
    // Senders write 0 for "no certificate" as well, whatever the specification says.
    verified: certificate && good,
    version: texts.get(sslTypes.version),
    cipher: texts.get(sslTypes.cipher),
    commonName: texts.get(sslTypes.commonName),
    tlvs,
  }
}

const hex = (type: number): string => `0x${type.toString(16).padStart(2, '0')}`

/** A copy: the chunk may be overwritten, and a view would keep it alive. */
const copy = (b: Uint8Array, from: number, to: number): Uint8Array => new Uint8Array(b.subarray(from, to))

/** Null for what is not UTF-8 or would break a log line. */
function text(value: Uint8Array): string | null {
  try {
    const read = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value)
    return /[\u0000-\u001f\u007f-\u009f]/.test(read) ? null : read
  } catch {
    return null
  }
}

/** One field on the wire. @throws ProxyError INTERNAL above 65535 bytes */
export function encodeTlv(tlv: ProxyTlv): Buffer {
  if (tlv.value.length > 0xffff) {
    throw new ProxyError('INTERNAL', `PROXY field ${hex(tlv.type)} has ${tlv.value.length} bytes, more than 65535`)
  }
  const head = Buffer.from([tlv.type, tlv.value.length >>> 8, tlv.value.length])
  return Buffer.concat([head, tlv.value])
}

export const authorityTlv = (name: string): ProxyTlv => ({
  type: types.authority,
  value: Buffer.from(name, 'utf8'),
})

type SslClaim = {
  /** As HAProxy and OpenSSL write it: `TLSv1.3` */
  readonly version: string
  readonly cipher?: string
  /** The client presented a certificate in this session. */
  readonly certificate?: boolean
  /** ... and it verified. */
  readonly verified?: boolean
  /** Of the certificate's subject */
  readonly commonName?: string
}

/** Says that the client's side was TLS. Without a certificate, "verified" is a failure (section 2.2.6). */
export function sslTlv(claim: SslClaim): ProxyTlv {
  const certificate = claim.certificate === true
  const flags =
    clientFlags.tls | (certificate ? clientFlags.certificateOnConnection | clientFlags.certificateInSession : 0)
  const parts: Uint8Array[] = [Buffer.from([flags, 0, 0, 0, certificate && claim.verified === true ? 0 : 1])]
  const add = (type: number, value: string | undefined): void => {
    if (value !== undefined) parts.push(encodeTlv({ type, value: Buffer.from(value, 'utf8') }))
  }
  add(sslTypes.version, claim.version)
  if (certificate) add(sslTypes.commonName, claim.commonName)
  add(sslTypes.cipher, claim.cipher)
  return { type: types.ssl, value: Buffer.concat(parts) }
}
