/**
 * Names in orders and on allow lists. On a list, `*.orders.internal` stands for every name below `orders.internal`, however
 * many labels, and for wildcards that lie within; `10.0.0.0/8` for every address in it.
 */
import { CidrSet, formatAddress, parseAddress } from '../base/ip.ts'
import { objectOf } from './jws.ts'
import { AcmeProblem, type Identifier, malformed } from './problem.ts'

export type AllowList = (name: string) => boolean

const isAddress = (entry: string) => entry.includes('/') || parseAddress(entry) !== null

/** @param entries in lower case */
export function allowList(entries: readonly string[]): AllowList {
  const ranges = new CidrSet(entries.filter(isAddress))
  const exact = new Set(entries)
  const bases = entries.filter(entry => entry.startsWith('*.')).map(entry => entry.slice(1))
  return name => {
    if (parseAddress(name) !== null) return ranges.contains(name)
    // `*.internal` ends with `.internal`, and so does what it may stand for.
    return exact.has(name) || bases.some(base => name.endsWith(base) && name.length > base.length)
  }
}

const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/

/** Identifiers of an order (RFC 8555 section 7.1.4, RFC 8738), each once, in their one spelling. Throws AcmeProblem. */
export function readIdentifiers(value: unknown, most: number): Identifier[] {
  if (!Array.isArray(value) || value.length === 0) throw malformed('identifiers is a list of at least one')
  if (value.length > most) throw malformed(`an order has at most ${most} identifiers`)
  const found = new Map<string, Identifier>()
  for (const each of value) {
    const identifier = readIdentifier(objectOf(each, 'an identifier is an object'))
    found.set(identifier.value, identifier)
  }
  return [...found.values()]
}

function readIdentifier({ type, value }: Record<string, unknown>): Identifier {
  if (type !== 'dns' && type !== 'ip')
    throw new AcmeProblem('unsupportedIdentifier', 400, 'identifiers are of type dns or ip')
  if (typeof value !== 'string' || value.length > 253) throw malformed('the value of an identifier is a string')
  if (type === 'ip') {
    const bytes = parseAddress(value)
    if (bytes === null) throw new AcmeProblem('rejectedIdentifier', 400, 'the identifier is not an IP address')
    return { type, value: formatAddress(bytes) }
  }
  const name = value.toLowerCase()
  const labels = (name.startsWith('*.') ? name.slice(2) : name).split('.')
  if (!labels.every(part => label.test(part)) || /^\d+$/.test(labels.at(-1) as string))
    throw new AcmeProblem('rejectedIdentifier', 400, 'the identifier is not a DNS name in lower-case punycode')
  return { type, value: name }
}
