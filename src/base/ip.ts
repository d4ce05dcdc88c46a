/**
 * IP addresses: text to bytes and back, in one spelling each, and sets of networks. An IPv4 address inside IPv6 (`::ffff:1.2.3.4`, which
 * is what a dual-stack listener reports) is the IPv4 address everywhere, or an allow list would miss it.
 *
 * Parsing is strict: four decimal parts without leading zeros (which some read as octal), RFC 4291 forms for IPv6.
 */
import { UsageError } from './errors.ts'

/** Value of a dotted quad in text[from, to), or -1. */
function parseQuad(text: string, from: number, to: number): number {
  if (to - from < 7 || to - from > 15) return -1
  let value = 0
  let part = -1
  let dots = 0
  for (let at = from; at < to; at++) {
    const c = text.charCodeAt(at)
    if (c === 0x2e) {
      if (part < 0 || ++dots > 3) return -1
      value = value * 256 + part
      part = -1
    } else if (c >= 0x30 && c <= 0x39 && part !== 0) {
      part = part < 0 ? c - 0x30 : part * 10 + (c - 0x30)
      if (part > 255) return -1
    } else return -1
  }
  return dots === 3 && part >= 0 ? value * 256 + part : -1
}

function hexDigit(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30
  const lower = c | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** Fills eight 16-bit groups from an IPv6 address; false if it is not one. */
function parseGroups(text: string, groups: Uint16Array): boolean {
  const length = text.length
  if (length < 2 || length > 45) return false
  groups.fill(0)
  let count = 0
  let gap = -1
  let at = 0
  if (text.charCodeAt(0) === 0x3a) {
    if (text.charCodeAt(1) !== 0x3a) return false
    gap = 0
    at = 2
  }
  while (at < length) {
    if (count === 8) return false
    const start = at
    let group = 0
    let digit = 0
    while (at < length && at - start < 4 && (digit = hexDigit(text.charCodeAt(at))) >= 0) {
      group = group * 16 + digit
      at++
    }
    if (at < length && text.charCodeAt(at) === 0x2e) {
      const quad = count <= 6 ? parseQuad(text, start, length) : -1
      if (quad < 0) return false
      groups[count++] = quad / 65536
      groups[count++] = quad & 0xffff
      break
    }
    if (at === start) return false
    groups[count++] = group
    if (at === length) break
    if (text.charCodeAt(at++) !== 0x3a) return false
    if (at === length) return false
    if (text.charCodeAt(at) === 0x3a) {
      if (gap >= 0) return false
      gap = count
      at++
    }
  }
  if (gap < 0) return count === 8
  // `::` stands for at least one group (RFC 4291 section 2.2).
  if (count === 8) return false
  groups.copyWithin(8 - (count - gap), gap, count)
  groups.fill(0, gap, 8 - (count - gap))
  return true
}

function isMapped(groups: Uint16Array): boolean {
  return groups[5] === 0xffff && (groups[0] | groups[1] | groups[2] | groups[3] | groups[4]) === 0
}

/** 4 or 16 bytes; null if the text is not an address. No zone, no brackets, no port. */
export function parseAddress(text: string): Uint8Array | null {
  const quad = parseQuad(text, 0, text.length)
  if (quad >= 0) return Uint8Array.of(quad / 16777216, quad >>> 16, quad >>> 8, quad)
  const groups = new Uint16Array(8)
  if (!parseGroups(text, groups)) return null
  if (isMapped(groups)) return Uint8Array.of(groups[6] >>> 8, groups[6], groups[7] >>> 8, groups[7])
  const bytes = new Uint8Array(16)
  for (let i = 0; i < 8; i++) {
    bytes[2 * i] = groups[i] >>> 8
    bytes[2 * i + 1] = groups[i]
  }
  return bytes
}

/** Canonical text (RFC 5952) of 4 or 16 bytes. Sixteen that hold an IPv4 address are written as that. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`
  if (bytes.length !== 16) throw new RangeError(`an IP address has 4 or 16 bytes, not ${bytes.length}`)
  const groups = new Uint16Array(8)
  for (let i = 0; i < 8; i++) groups[i] = (bytes[2 * i] << 8) | bytes[2 * i + 1]
  if (isMapped(groups)) return formatAddress(bytes.subarray(12))
  // Section 4.2: the longest run of two or more zero groups is left out, the first of equals.
  let best = -1
  let bestLength = 1
  for (let i = 0; i < 8; i++) {
    let run = 0
    while (i + run < 8 && groups[i + run] === 0) run++
    if (run > bestLength) {
      best = i
      bestLength = run
    }
    i += run
  }
  let text = ''
  for (let i = 0; i < 8; i++) {
    if (i === best) {
      text += '::'
      i += bestLength - 1
    } else text += (text === '' || text.endsWith(':') ? '' : ':') + groups[i].toString(16)
  }
  return text
}

/** A link-local peer is reported with the interface it came in by (`fe80::1%eth0`); the name is ours, not the peer's. */
function withoutZone(text: string): string {
  const percent = text.indexOf('%')
  return percent < 0 ? text : text.slice(0, percent)
}

/** Stands for the address of a peer on a Unix socket, which has none; in sets of networks too. */
export const unixPeer = 'unix'

/** `address:port`, an IPv6 address in brackets (RFC 3986 section 3.2.2) */
export const withPort = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

/**
 * The one spelling of an address, without a zone: `::FFFF:1.2.3.4` is `1.2.3.4`. What is not an address, such as the
 * empty string of a Unix socket's peer, comes back as it is.
 */
export function normaliseAddress(text: string): string {
  if (parseQuad(text, 0, text.length) >= 0) return text
  const bytes = parseAddress(withoutZone(text))
  return bytes === null ? text : formatAddress(bytes)
}

type Network = { readonly bytes: Uint8Array; readonly bits: number }

function parseNetwork(text: string): Network {
  const slash = text.indexOf('/')
  const addressText = slash < 0 ? text : text.slice(0, slash)
  const bytes = parseAddress(addressText)
  if (bytes === null)
    throw new UsageError(`"${text}" is not an IP address or network such as 10.0.0.0/8 or fd00::/8`)
  const width = bytes.length * 8
  if (slash < 0) return { bytes, bits: width }
  const lengthText = text.slice(slash + 1)
  // A prefix length behind an IPv6 spelling of an IPv4 network counts from the IPv6 start: ::ffff:10.0.0.0/104.
  const skipped = bytes.length === 4 && addressText.includes(':') ? 96 : 0
  const bits = /^(0|[1-9][0-9]{0,2})$/.test(lengthText) ? Number(lengthText) - skipped : -1
  if (bits < 0 || bits > width) {
    throw new UsageError(
      `"${text}": the prefix length after the slash must be from ${skipped} to ${width + skipped}`,
    )
  }
  const network = bytes.map((byte, i) => byte & (0xff00 >>> Math.min(8, Math.max(0, bits - 8 * i))))
  if (network.some((byte, i) => byte !== bytes[i])) {
    // Either the length or the address is a slip: guessing which would open or close the wrong door.
    throw new UsageError(
      `"${text}" has bits set beyond its prefix length; did you mean ${formatAddress(network)}/${bits}?`,
    )
  }
  return { bytes, bits }
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] - b[i]
  return 0
}

function covers(network: Network, bytes: Uint8Array): boolean {
  const whole = network.bits >>> 3
  for (let i = 0; i < whole; i++) if (network.bytes[i] !== bytes[i]) return false
  const rest = network.bits & 7
  return rest === 0 || ((network.bytes[whole] ^ bytes[whole]) & (0xff00 >>> rest)) === 0
}

/** Sorted, and without networks that lie within another: what is left is disjoint, so a search needs to look at one only. */
function disjoint(networks: Network[]): Network[] {
  const kept: Network[] = []
  for (const network of networks.sort((a, b) => compare(a.bytes, b.bytes) || a.bits - b.bits)) {
    const last = kept.at(-1)
    if (last === undefined || !covers(last, network.bytes)) kept.push(network)
  }
  return kept
}

function find(networks: readonly Network[], bytes: Uint8Array): boolean {
  let low = 0
  let high = networks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(networks[middle].bytes, bytes) <= 0) low = middle + 1
    else high = middle
  }
  return low > 0 && covers(networks[low - 1], bytes)
}

/** A set of networks, for allow and deny lists and for trusted peers. Immutable. A lookup is a binary search: about as fast with ten thousand networks as with ten. `::/0` holds no IPv4 address. */
export class CidrSet {
  readonly size: number
  readonly #v4: readonly Network[]
  readonly #v6: readonly Network[]
  readonly #unix: boolean

  /** @param entries networks, and `unix`. @throws UsageError naming the first that is neither */
  constructor(entries: readonly string[]) {
    this.#unix = entries.includes(unixPeer)
    const networks = entries.filter(entry => entry !== unixPeer).map(parseNetwork)
    this.#v4 = disjoint(networks.filter(network => network.bytes.length === 4))
    this.#v6 = disjoint(networks.filter(network => network.bytes.length === 16))
    this.size = this.#v4.length + this.#v6.length
  }

  /** False for text that is not an address, such as the empty string of a Unix socket's peer. */
  contains(address: string): boolean {
    if (address === unixPeer) return this.#unix
    if (this.size === 0) return false
    const bytes = parseAddress(withoutZone(address))
    return bytes !== null && find(bytes.length === 4 ? this.#v4 : this.#v6, bytes)
  }
}
