/**
 * Name constraints (RFC 5280 section 4.2.1.10): which names a CA may give. A client checks them in the chain; we check
 * them before we sign, so that nothing is issued that nobody would accept.
 *
 * Invariants: once anything is named, every DNS name and IP address beside it is excluded, also where only names of the
 * other form are listed: a form that is not mentioned would be free. A wildcard needs the whole of what it stands for.
 */
import { parseAddress } from '../../base/ip.ts'
import * as der from './der.ts'
import { sortNames } from './names.ts'

/** `permitted`: `internal` (and all below it), `10.0.0.0/8`, `fd00::/8`, `spiffe://example.org` */
export type NameConstraints = { readonly permitted: readonly string[] }

type Subtrees = { readonly dns: string[]; readonly ranges: Uint8Array[]; readonly hosts: string[] }

/** What was read from any CA's certificate: null where a form is free. */
export type ReadConstraints = {
  readonly permitted: { [K in keyof Subtrees]: Subtrees[K] | null }
  readonly excluded: Subtrees
}

/** One written name in its normal form; throws RangeError that says what is wrong. `*.internal` is `internal`. */
export function constraintOf(text: string): string {
  const spiffe = /^spiffe:\/\/([a-z0-9][a-z0-9.-]*)\/?$/.exec(text)
  if (spiffe) return `spiffe://${spiffe[1]}`
  if (text.includes('/') || parseAddress(text) !== null) {
    rangeBytes(text)
    return text
  }
  const bare = text.replace(/^\*?\./, '')
  if (bare.includes('*')) throw new RangeError(`a * stands only for the whole first label, not as in '${text}'`)
  const { dnsNames } = sortNames([bare])
  return dnsNames[0] as string
}

export function encodeNameConstraints({ permitted }: NameConstraints): Buffer {
  const all = permitted.map(constraintOf)
  const hosts = all.filter(name => name.startsWith('spiffe://')).map(name => name.slice(9))
  const ranges = all.filter(isRange)
  const dns = all.filter(name => !isRange(name) && !name.startsWith('spiffe://'))
  const subtree = (tag: number, content: Uint8Array) => der.sequence(der.implicit(tag, content))
  const latin = (text: string) => Buffer.from(text, 'latin1')
  const allowed = [
    ...dns.map(name => subtree(2, latin(name))),
    ...hosts.map(host => subtree(6, latin(host))),
    ...ranges.map(range => subtree(7, rangeBytes(range))),
  ]
  const four = ranges.some(range => rangeBytes(range).length === 8)
  const six = ranges.some(range => rangeBytes(range).length === 32)
  const denied = [
    ...(dns.length === 0 ? [subtree(2, Buffer.alloc(0))] : []),
    // One permitted range closes the other family as well for most readers, not for all.
    ...(four ? [] : [subtree(7, Buffer.alloc(8))]),
    ...(six ? [] : [subtree(7, Buffer.alloc(32))]),
  ]
  return der.sequence(
    ...(allowed.length > 0 ? [der.encode(0xa0, ...allowed)] : []),
    ...(denied.length > 0 ? [der.encode(0xa1, ...denied)] : []),
  )
}

const isRange = (name: string) =>
  !name.startsWith('spiffe://') && (name.includes('/') || name.includes(':') || parseAddress(name) !== null)

/** Address and mask, as GeneralName has them: 8 or 32 bytes. */
function rangeBytes(text: string): Uint8Array {
  const [address = '', length, more] = text.split('/')
  const bytes = parseAddress(address)
  const bits = length === undefined ? (bytes?.length ?? 0) * 8 : /^\d{1,3}$/.test(length) ? Number(length) : -1
  if (bytes === null || more !== undefined || bits < 0 || bits > bytes.length * 8)
    throw new RangeError(`not an address range such as 10.0.0.0/8: '${text}'`)
  const mask = bytes.map((_, at) => 0xff & (0xff00 >>> Math.min(8, Math.max(0, bits - 8 * at))))
  if (bytes.some((byte, at) => (byte & ~(mask[at] as number)) !== 0))
    throw new RangeError(`'${text}' has bits set beyond its prefix length`)
  return Buffer.concat([bytes, mask])
}

/** @param bytes the extension's value. Throws DerError. */
export function readNameConstraints(bytes: Uint8Array): ReadConstraints {
  const parts = der.children(der.read(bytes, der.tags.sequence))
  const permitted = subtrees(parts.find(part => part.tag === 0xa0))
  return {
    permitted: {
      dns: permitted.dns.length > 0 ? permitted.dns : null,
      ranges: permitted.ranges.length > 0 ? permitted.ranges : null,
      hosts: permitted.hosts.length > 0 ? permitted.hosts : null,
    },
    excluded: subtrees(parts.find(part => part.tag === 0xa1)),
  }
}

function subtrees(value: der.DerValue | undefined): Subtrees {
  const found: Subtrees = { dns: [], ranges: [], hosts: [] }
  for (const subtree of value === undefined ? [] : der.children(value)) {
    const base = der.expectTag(der.children(subtree)[0])
    const text = base.content.toString('latin1').toLowerCase()
    if (base.tag === 0x82) found.dns.push(text)
    else if (base.tag === 0x86) found.hosts.push(text)
    else if (base.tag === 0x87) found.ranges.push(base.content)
  }
  return found
}

/** Whether a certificate below the CA may have this DNS name, wildcard, IP address or URI. */
export function permits({ permitted, excluded }: ReadConstraints, name: string): boolean {
  const address = parseAddress(name)
  if (address !== null) return within(permitted.ranges, excluded.ranges, range => inRange(range, address))
  if (name.includes('://')) {
    const host = URL.canParse(name) ? (/^[^:]+:\/\/([^/:?#]*)/.exec(name)?.[1] ?? '').toLowerCase() : ''
    const matches = (base: string) => (base.startsWith('.') ? host.endsWith(base) : host === base)
    return within(permitted.hosts, excluded.hosts, matches)
  }
  const wildcard = name.startsWith('*.')
  const bare = wildcard ? name.slice(2) : name
  const below = (base: string) =>
    base === '' || bare === base.replace(/^\./, '') || bare.endsWith(`.${base.replace(/^\./, '')}`)
  // A wildcard could also stand for a name that is excluded further down.
  const touches = (base: string) => below(base) || (wildcard && base.endsWith(`.${bare}`))
  return (permitted.dns === null || permitted.dns.some(below)) && !excluded.dns.some(touches)
}

function within<T>(permitted: readonly T[] | null, excluded: readonly T[], matches: (base: T) => boolean): boolean {
  return (permitted === null || permitted.some(matches)) && !excluded.some(matches)
}

function inRange(range: Uint8Array, address: Uint8Array): boolean {
  if (range.length !== address.length * 2) return false
  return address.every((byte, at) => (byte & (range[address.length + at] as number)) === range[at])
}

/** For people: `internal, 10.0.0.0/8`; null where nothing is constrained. */
export function constraintsText({ permitted }: ReadConstraints): string | null {
  const ranges = (permitted.ranges ?? []).map(range => {
    const half = range.length / 2
    const bits = [...range.subarray(half)].reduce(
      (sum, byte) => sum + byte.toString(2).replaceAll('0', '').length,
      0,
    )
    const text =
      half === 4
        ? [...range.subarray(0, 4)].join('.')
        : Buffer.from(range.subarray(0, 16))
            .toString('hex')
            .replace(/(.{4})(?=.)/g, '$1:')
    return `${text}/${bits}`
  })
  const names = [...(permitted.dns ?? []).map(name => `${name} and *.${name}`), ...ranges]
  const all = [...names, ...(permitted.hosts ?? []).map(host => `spiffe://${host}`)]
  return all.length === 0 ? null : all.join(', ')
}
