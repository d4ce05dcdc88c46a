/** Version 1 of the PROXY protocol, the line of text (section 2.1 of the specification named in proxy-header.ts). */
import { formatAddress, parseAddress } from '../base/ip.ts'
import { type ProxyAddress, type ProxyHeader, type ProxyPair, type ProxyPeek, pairBytes } from './proxy-header.ts'

/** Section 2.1: "PROXY TCP6" with two full addresses, two ports and CRLF takes 104 bytes, UNKNOWN with the same 107. */
const maxV1 = 107

const incomplete: ProxyPeek = { kind: 'incomplete' }
const malformed = (why: string): ProxyPeek => ({ kind: 'malformed', why: `PROXY v1: ${why}` })

/** @param bytes start with "PROXY " */
export function parseProxyV1(bytes: Uint8Array): ProxyPeek {
  const limit = Math.min(bytes.length, maxV1)
  let end = 6
  while (end < limit && bytes[end] !== 13 && bytes[end] !== 10) end++
  // The line's CR is at most the last but one byte of the limit.
  if (end >= maxV1 - 1) return malformed(`no CRLF within ${maxV1} bytes`)
  if (end === limit) return incomplete
  if (bytes[end] === 10) return malformed('a bare LF')
  if (end + 1 === bytes.length) return incomplete
  if (bytes[end + 1] !== 10) return malformed('a bare CR')
  const length = end + 2

  let line = ''
  for (let at = 6; at < end; at++) line += String.fromCharCode(bytes[at])
  const words = line.split(' ')
  const family = words[0]
  if (family === 'UNKNOWN') {
    // Section 2.1: what follows UNKNOWN has to be ignored.
    return { kind: 'header', header: v1Header(null, null), length }
  }
  if (family !== 'TCP4' && family !== 'TCP6') return malformed('a protocol other than TCP4, TCP6 and UNKNOWN')
  if (words.length !== 5) return malformed('not two addresses and two ports with one space between')
  const source = readV1(family, words[1], words[3])
  const destination = readV1(family, words[2], words[4])
  if (source === null || destination === null) return malformed(`an address or port that does not fit ${family}`)
  return { kind: 'header', header: v1Header(source, destination), length }
}

const v1Header = (source: ProxyAddress | null, destination: ProxyAddress | null): ProxyHeader => ({
  version: 1,
  command: 'PROXY',
  source,
  destination,
  tlvs: [],
})

function readV1(family: string, addressText: string, portText: string): ProxyAddress | null {
  if (addressText.includes(':') !== (family === 'TCP6')) return null
  const bytes = parseAddress(addressText)
  if (bytes === null || !/^(0|[1-9][0-9]{0,4})$/.test(portText)) return null
  const port = Number(portText)
  return port > 65535 ? null : { address: formatAddress(bytes), port }
}

/** `PROXY UNKNOWN` when an address is missing. @throws ProxyError INTERNAL for what is not an address and port */
export function writeProxyV1(pair: ProxyPair): Buffer {
  const both = pairBytes(pair)
  if (both === null || pair.source === null || pair.destination === null)
    return Buffer.from('PROXY UNKNOWN\r\n', 'latin1')
  const six = both.source.length === 16
  const text = (bytes: Uint8Array): string =>
    six && bytes[10] === 0xff && bytes.subarray(0, 10).every(byte => byte === 0) && bytes[11] === 0xff
      ? `::ffff:${formatAddress(bytes)}`
      : formatAddress(bytes)
  const addresses = `${text(both.source)} ${text(both.destination)}`
  return Buffer.from(
    `PROXY TCP${six ? 6 : 4} ${addresses} ${pair.source.port} ${pair.destination.port}\r\n`,
    'latin1',
  )
}
