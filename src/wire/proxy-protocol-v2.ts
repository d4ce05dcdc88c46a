/** Version 2 of the PROXY protocol, the binary one (section 2.2 of the specification named in proxy-header.ts). */
import { ProxyError } from '../base/errors.ts'
import { formatAddress } from '../base/ip.ts'
import { cloudIds } from './proxy-cloud-ids.ts'
import {
  type ProxyAddress,
  type ProxyHeader,
  type ProxyPair,
  type ProxyPeek,
  type ProxyTlv,
  pairBytes,
} from './proxy-header.ts'
import { encodeTlv, readTlvs } from './proxy-tlv.ts'

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const fixedLength = 16
const families = { unspecified: 0x00, tcp4: 0x11, tcp6: 0x21, unixStream: 0x31 } as const

/** Bytes the two addresses and ports of each family take; what is not here is datagrams, or not in the specification. */
const addressBytes: ReadonlyMap<number, number> = new Map([
  [families.unspecified, 0],
  [families.tcp4, 12],
  [families.tcp6, 36],
  [families.unixStream, 216],
])

const incomplete: ProxyPeek = { kind: 'incomplete' }
const malformed = (why: string): ProxyPeek => ({ kind: 'malformed', why: `PROXY v2: ${why}` })

/** @param bytes start with the signature */
export function parseProxyV2(bytes: Uint8Array, maxBytes: number): ProxyPeek {
  if (bytes.length > 12) {
    if (bytes[12] >>> 4 !== 2) return malformed(`version ${bytes[12] >>> 4}`)
    if ((bytes[12] & 15) > 1) return malformed(`command ${bytes[12] & 15}, neither LOCAL nor PROXY`)
  }
  if (bytes.length < fixedLength) return incomplete
  const length = fixedLength + ((bytes[14] << 8) | bytes[15])
  if (length > maxBytes) return malformed(`a header of ${length} bytes, more than ${maxBytes}`)
  const family = bytes[13]
  const local = (bytes[12] & 15) === 0
  const tlvFrom = fixedLength + (addressBytes.get(family) ?? 0)
  if (!local) {
    if (!addressBytes.has(family)) return malformed(`family and protocol 0x${family.toString(16).padStart(2, '0')}`)
    if (length < tlvFrom) return malformed(`${length - fixedLength} bytes, too few for the addresses`)
  }
  if (bytes.length < length) return incomplete

  // For LOCAL, everything after the fixed part has to be ignored, the family too.
  if (local) {
    const header: ProxyHeader = { version: 2, command: 'LOCAL', source: null, destination: null, tlvs: [] }
    return { kind: 'header', header, length }
  }
  const fields = readTlvs(bytes, tlvFrom, length)
  if (typeof fields === 'string') return malformed(fields)
  const cloud = cloudIds(fields.tlvs)
  if (typeof cloud === 'string') return malformed(cloud)
  const width = family === families.tcp4 ? 4 : family === families.tcp6 ? 16 : 0
  const source = width === 0 ? null : readPeer(bytes, fixedLength, width, tlvFrom - 4)
  const destination = width === 0 ? null : readPeer(bytes, fixedLength + width, width, tlvFrom - 2)
  const header = { version: 2, command: 'PROXY', source, destination, ...fields } as const
  return { kind: 'header', header: cloud === null ? header : { ...header, cloud }, length }
}

function readPeer(b: Uint8Array, at: number, width: number, portAt: number): ProxyAddress {
  return { address: formatAddress(b.subarray(at, at + width)), port: (b[portAt] << 8) | b[portAt + 1] }
}

type ProxyV2 = ProxyPair & { readonly command?: 'LOCAL' | 'PROXY'; readonly tlvs?: readonly ProxyTlv[] }

/**
 * The family is UNSPEC when an address is missing; LOCAL carries neither addresses nor fields.
 * @throws ProxyError INTERNAL for what is not an address and port, or fields of more than 64 kB
 */
export function writeProxyV2(header: ProxyV2): Buffer {
  const local = header.command === 'LOCAL'
  const both = local ? null : pairBytes(header)
  const parts: Uint8Array[] = []
  if (both !== null && header.source !== null && header.destination !== null) {
    const ports = Buffer.allocUnsafe(4)
    ports.writeUInt16BE(header.source.port, 0)
    ports.writeUInt16BE(header.destination.port, 2)
    parts.push(both.source, both.destination, ports)
  }
  if (!local) for (const tlv of header.tlvs ?? []) parts.push(encodeTlv(tlv))
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  if (length > 0xffff) throw new ProxyError('INTERNAL', `a PROXY header of ${length} bytes, more than 65535`)

  const family = both === null ? families.unspecified : both.source.length === 4 ? families.tcp4 : families.tcp6
  const fixed = Buffer.from([...signature, local ? 0x20 : 0x21, family, length >>> 8, length])
  return Buffer.concat([fixed, ...parts])
}
