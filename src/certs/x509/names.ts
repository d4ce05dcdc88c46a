/**
 * The names in a certificate: DNS names, wildcards and IP addresses (RFC 9525 section 6.3, RFC 5280 section 4.2.1.6).
 *
 * A wildcard stands for exactly one label and only as the whole leftmost one: `*.example.com` covers
 * `a.example.com`, neither `example.com` nor `a.b.example.com`. IP addresses match neither wildcards nor DNS names.
 */
import { formatAddress, parseAddress } from '../../base/ip.ts'
import type { Bundle } from '../../model/certificate.ts'

/** Whether one of the bundle's names covers `host`: a DNS name, or an IP address with or without brackets. */
export function covers(bundle: Pick<Bundle, 'names'>, host: string): boolean {
  const address = addressOf(host)
  if (address !== null) return bundle.names.includes(address)
  const wanted = host.replace(/\.$/, '').toLowerCase()
  // The name asked for is never a pattern itself, and an empty first label is no label.
  const dot = wanted.indexOf('.')
  if (wanted === '' || dot === 0 || wanted.includes('*')) return false
  return bundle.names.includes(wanted) || (dot > 0 && bundle.names.includes(`*${wanted.slice(dot)}`))
}

/** The one spelling of an IP address with or without brackets; null for anything else, and for one with a zone. */
function addressOf(name: string): string | null {
  const bare = name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name
  const bytes = bare.includes('%') ? null : parseAddress(bare)
  return bytes && formatAddress(bytes)
}

const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/

/**
 * Splits names into DNS names and IP addresses: lower case, without brackets or a final dot, without repeats.
 * Throws RangeError for what is neither; names beyond ASCII must already be in punycode.
 */
export function sortNames(names: readonly string[]): {
  readonly dnsNames: string[]
  readonly ipAddresses: string[]
} {
  const dnsNames = new Set<string>()
  const ipAddresses = new Set<string>()
  for (const name of names) {
    const address = addressOf(name)
    if (address !== null) {
      ipAddresses.add(address)
      continue
    }
    const lower = name.toLowerCase().replace(/\.$/, '')
    const labels = (lower.startsWith('*.') ? lower.slice(2) : lower).split('.')
    // WHATWG reads a name whose last label is a number as an IPv4 address, so no client would look it up as a name.
    if (lower.length > 253 || !labels.every(part => label.test(part)) || /^\d+$/.test(labels.at(-1) ?? '')) {
      throw new RangeError(`neither a host name nor an IP address: '${name}'`)
    }
    dnsNames.add(lower)
  }
  return { dnsNames: [...dnsNames], ipAddresses: [...ipAddresses] }
}

/** 4 or 16 bytes for an iPAddress. */
export function addressBytes(address: string): Uint8Array {
  const bytes = parseAddress(address)
  if (!bytes) throw new RangeError(`not an IP address: '${address}'`)
  return bytes
}
