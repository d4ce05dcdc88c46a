/**
 * The field names that the gateway itself reads, sets or drops, found while a head is scanned. All others are carried
 * as they are. A name is found by a hash over its bytes in lower case and then compared, so a head costs one pass.
 */

import { clientFieldNames } from './client-fields.ts'

/** What a found name is, for the parsers' switch. Values are stable only within a process. */
export const field = {
  none: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  expect: 5,
  upgrade: 6,
  te: 7,
  /** Belongs to one connection only, or to us: never carried on, in either direction (RFC 9110 section 7.6.1) */
  hop: 8,
  /** Says who the client is: what a client sends is dropped, on every listener; responses may carry what they like */
  identity: 9,
  /** Carried as it is; an answer without one gets ours (RFC 9110 section 6.6.1) */
  date: 10,
} as const

const names: Readonly<Record<string, number>> = {
  host: field.host,
  'content-length': field.contentLength,
  'transfer-encoding': field.transferEncoding,
  connection: field.connection,
  expect: field.expect,
  upgrade: field.upgrade,
  te: field.te,
  date: field.date,
  'keep-alive': field.hop,
  'proxy-connection': field.hop,
  'proxy-authenticate': field.hop,
  'proxy-authorization': field.hop,
  'http2-settings': field.hop,
  ...Object.fromEntries(clientFieldNames.map(name => [name, field.identity])),
}

/** Names that say who the client is, in full; the tests send each of them on every listener. */
export const identityNames: readonly string[] = clientFieldNames
/** Names that belong to one connection only. */
export const hopNames: readonly string[] = Object.keys(names).filter(name => names[name] === field.hop)
/** Names that only the gateway writes: neither a filter nor a configuration sets them. */
export const gatewayNames: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'expect',
  'te',
  'trailer',
  'upgrade',
  ...hopNames,
])

/** Bits of the name's hash that index the table; the loop below fails on a collision. */
const hashMask = 0x3ff
const slotIds = new Uint8Array(hashMask + 1)
const slotNames: (Uint8Array | null)[] = new Array(hashMask + 1).fill(null)

/** One step of the hash that `findName` expects: over each byte of the name, in lower case. */
export const hashStep = (hash: number, byte: number): number => (Math.imul(hash, 31) + (byte | 0x20)) | 0

function hashOf(name: Uint8Array): number {
  let hash = 0
  for (const byte of name) hash = hashStep(hash, byte)
  return hash
}

/**
 * One bit of 32 that stands for a name with this hash: what is known of a head's names without a look at them (Fields). A bit
 * that is not set says for certain that a name is not there.
 */
export const nameBit = (hash: number): number => 1 << (hash ^ (hash >>> 5))

/** @param name in any case */
export const bitOf = (name: string): number => nameBit(hashOf(Buffer.from(name, 'latin1')))

for (const [name, id] of Object.entries(names)) {
  const bytes = Buffer.from(name, 'latin1')
  const slot = hashOf(bytes) & hashMask
  if (slotNames[slot] !== null) throw new Error(`the names table has a collision at ${name}: change hashMask`)
  slotNames[slot] = bytes
  slotIds[slot] = id
}

/** The id of the name at `bytes[from, to)` whose hash is `hash`, or `field.none`. */
export function findName(bytes: Uint8Array, from: number, to: number, hash: number): number {
  const slot = hash & hashMask
  const name = slotNames[slot] as Uint8Array | null
  if (name === null || name.length !== to - from) return field.none
  for (let at = 0; at < name.length; at++) if (((bytes[from + at] as number) | 0x20) !== name[at]) return field.none
  return slotIds[slot] as number
}

/** 0: not allowed in a name; 1: letter, digit or hyphen; 2: other token characters (RFC 9110 section 5.6.2). */
export const nameClass = new Uint8Array(256)
/** 1 where a byte is allowed in a field value: HTAB, visible ASCII, space and obs-text (RFC 9110 section 5.5). */
export const valueClass = new Uint8Array(256)
/** 1 where a byte is allowed in a request target: visible ASCII without what has no place in one raw. */
export const targetClass = new Uint8Array(256)

for (let byte = 0; byte < 256; byte++) {
  const char = String.fromCharCode(byte)
  if (/[-0-9A-Za-z]/.test(char)) nameClass[byte] = 1
  else if (/[!#$%&'*+.^_`|~]/.test(char)) nameClass[byte] = 2
  if (byte === 0x09 || (byte >= 0x20 && byte !== 0x7f)) valueClass[byte] = 1
  // '#' would cut the target short for whoever reads it as a URL; '\' is a slash to some; '<', '>', '"' never occur raw.
  if (byte > 0x20 && byte < 0x7f && !'#\\<>"'.includes(char)) targetClass[byte] = 1
}
