/**
 * One header field of HTTP/2 as it stands in an HPACK table: classified and checked once, when it is read as a literal,
 * so that an indexed field costs a look-up and nothing else.
 */
import { clientFieldPrefixes } from './client-fields.ts'
import { hopNames, identityNames, nameClass, valueClass } from './field-names.ts'

/** What a field means to us. Kinds from `connection` on make a message malformed (RFC 9113 sections 8.2 and 8.3). */
export const kind = {
  plain: 0,
  /** A name with other token characters than letters, digits and hyphens: dropped from requests */
  odd: 1,
  /** Says who the client is: dropped from requests */
  identity: 2,
  /** Belongs to one connection: dropped in both directions */
  hop: 3,
  host: 4,
  contentLength: 5,
  te: 6,
  expect: 7,
  cookie: 8,
  /** A content-type of gRPC */
  grpc: 9,
  grpcTimeout: 10,
  priority: 11,
  date: 12,
  method: 20,
  scheme: 21,
  authority: 22,
  path: 23,
  protocol: 24,
  status: 25,
  /** Forbidden in HTTP/2: connection, transfer-encoding, ... */
  connection: 30,
  badName: 31,
  badValue: 32,
  badPseudo: 33,
} as const

/** RFC 9113 section 8.2.2 */
export const connectionNames: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
])

const kinds = new Map<string, number>([
  ...identityNames.map(name => [name, kind.identity] as const),
  ...hopNames.map(name => [name, kind.hop] as const),
  ...[...connectionNames].map(name => [name, kind.connection] as const),
  ['host', kind.host],
  ['content-length', kind.contentLength],
  ['te', kind.te],
  ['expect', kind.expect],
  ['cookie', kind.cookie],
  ['content-type', kind.grpc],
  ['grpc-timeout', kind.grpcTimeout],
  ['priority', kind.priority],
  ['date', kind.date],
  [':method', kind.method],
  [':scheme', kind.scheme],
  [':authority', kind.authority],
  [':path', kind.path],
  [':protocol', kind.protocol],
  [':status', kind.status],
])

/** What a table counts for an entry besides its text (RFC 7541 section 4.1) */
export const entryOverhead = 32

export class HpackField {
  readonly name: string
  readonly value: string
  /** As a table and SETTINGS_MAX_HEADER_LIST_SIZE count it */
  readonly size: number
  readonly kind: number
  /** As a line of HTTP/1, with its CRLF. Only of a field whose kind is carried in messages. */
  readonly line: string

  constructor(name: string, value: string) {
    this.name = name
    this.value = value
    this.size = name.length + value.length + entryOverhead
    this.kind = classify(name, value)
    this.line = `${name}: ${value}\r\n`
  }
}

function classify(name: string, value: string): number {
  const known = kinds.get(name)
  if (!isValue(value)) return kind.badValue
  if (known !== undefined) return known === kind.grpc && !isGrpc(value) ? kind.plain : known
  if (name.charCodeAt(0) === 58) return kind.badPseudo
  let seen = 0
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at)
    const kindOfChar = nameClass[code] as number
    // Upper case is not a name in HTTP/2 (RFC 9113 section 8.2.1).
    if (kindOfChar === 0 || (code >= 0x41 && code <= 0x5a)) return kind.badName
    seen |= kindOfChar
  }
  if (seen !== 1) return seen === 0 ? kind.badName : kind.odd
  return clientFieldPrefixes.some(prefix => name.startsWith(prefix)) ? kind.identity : kind.plain
}

/** RFC 9113 section 8.2.1, and RFC 9110 section 5.5: no controls, and no blank at either end. */
function isValue(value: string): boolean {
  const { length } = value
  if (length === 0) return true
  for (let at = 0; at < length; at++) if (valueClass[value.charCodeAt(at)] !== 1) return false
  const first = value.charCodeAt(0)
  const last = value.charCodeAt(length - 1)
  return first !== 0x20 && first !== 0x09 && last !== 0x20 && last !== 0x09
}

/** `application/grpc`, also with `+proto` and the like; not grpc-web, which is another protocol. */
const isGrpc = (value: string): boolean => /^application\/grpc(?:[+; ]|$)/i.test(value)
