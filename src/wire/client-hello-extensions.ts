/**
 * The extensions of a ClientHello (RFC 8446 section 4.2). Those that the gateway decides by are read and held to
 * their syntax; the others are only counted. `decode_error` is for lengths, `illegal_parameter` for values.
 */
import { type Malformed, malformed } from './tls-alert.ts'
import { isGrease } from './tls-names.ts'

export type ExtensionFields = {
  /** Extension types */
  readonly extensions: readonly number[]
  /** The host name asked for: lower case, without a trailing dot; null when the client named none */
  readonly serverName: string | null
  /** Protocol names, one latin1 character per byte (RFC 7301 names are bytes, not text) */
  readonly alpn: readonly string[]
  /** Versions the client speaks, without GREASE; from the hello's old version field when there is no such extension */
  readonly versions: readonly number[]
  readonly groups: readonly number[]
  /** Groups a key share was sent for; may be empty, which asks for a HelloRetryRequest */
  readonly keyShares: readonly number[]
  readonly signatureAlgorithms: readonly number[]
  /** Elliptic curve point formats (RFC 8422), which fingerprints are made of */
  readonly pointFormats: readonly number[]
  readonly pskOffered: boolean
  readonly earlyData: boolean
  /** A TLS 1.2 session ticket was sent: the extension is there and not empty (RFC 5077) */
  readonly ticketOffered: boolean
}

type Draft = { -readonly [K in keyof ExtensionFields]: ExtensionFields[K] }

const none: readonly never[] = []
const u16 = (b: Uint8Array, at: number): number => (b[at] << 8) | b[at + 1]
const badLength = (what: string): Malformed => malformed('decode_error', `the lengths in ${what} do not add up`)

/**
 * Reads from `at`, right after the compression methods, to the end. No extensions at all is legal before TLS 1.3.
 * @param oldVersions what the client speaks if it sends no supported_versions
 */
export function readExtensions(
  b: Uint8Array,
  at: number,
  oldVersions: readonly number[],
): ExtensionFields | Malformed {
  const extensions: number[] = []
  const draft: Draft = {
    extensions,
    serverName: null,
    alpn: none,
    versions: oldVersions,
    groups: none,
    keyShares: none,
    signatureAlgorithms: none,
    pointFormats: none,
    pskOffered: false,
    earlyData: false,
    ticketOffered: false,
  }
  const end = b.length
  if (at === end) return draft
  if (at + 2 > end || at + 2 + u16(b, at) !== end) return badLength('the extensions')
  at += 2
  while (at < end) {
    if (at + 4 > end) return badLength('the extensions')
    const type = u16(b, at)
    const from = at + 4
    at = from + u16(b, at + 2)
    if (at > end) return badLength('the extensions')
    extensions.push(type)
    const fault = readExtension(draft, type, b, from, at)
    if (fault !== null) return fault
    if (type === 41 && at !== end) {
      return malformed('illegal_parameter', 'pre_shared_key is not the last extension (RFC 8446 section 4.2.11)')
    }
  }
  const twice = firstRepeated(extensions)
  if (twice !== -1) return malformed('illegal_parameter', `extension ${twice} comes twice`)
  return draft
}

/** -1 if all differ. A hello can hold 16,000 extensions, too many to compare each with each. */
function firstRepeated(values: readonly number[]): number {
  if (values.length > 32) {
    const seen = new Set<number>()
    for (const value of values) {
      if (seen.has(value)) return value
      seen.add(value)
    }
    return -1
  }
  for (let i = 1; i < values.length; i++) if (values.indexOf(values[i]) !== i) return values[i]
  return -1
}

/** Reads the body of one extension, b[from, to), into the draft. */
function readExtension(draft: Draft, type: number, b: Uint8Array, from: number, to: number): Malformed | null {
  switch (type) {
    case 0:
      return readServerName(draft, b, from, to)
    case 10: {
      const groups = readNumbers(b, from, to)
      if (groups === null) return badLength('supported_groups')
      draft.groups = groups
      return null
    }
    case 11: {
      if (to - from < 2 || from + 1 + b[from] !== to) return badLength('ec_point_formats')
      draft.pointFormats = Array.from(b.subarray(from + 1, to))
      return null
    }
    case 13: {
      const algorithms = readNumbers(b, from, to)
      if (algorithms === null) return badLength('signature_algorithms')
      draft.signatureAlgorithms = algorithms
      return null
    }
    case 16:
      return readAlpn(draft, b, from, to)
    case 35:
      draft.ticketOffered = to > from
      return null
    case 41:
      draft.pskOffered = true
      return checkPreSharedKey(b, from, to)
    case 42:
      draft.earlyData = true
      return to === from ? null : badLength('early_data')
    case 43:
      return readVersions(draft, b, from, to)
    case 45:
      return to - from < 2 || from + 1 + b[from] !== to ? badLength('psk_key_exchange_modes') : null
    case 50:
      return readNumbers(b, from, to) === null ? badLength('signature_algorithms_cert') : null
    case 51:
      return readKeyShares(draft, b, from, to)
    default:
      return null
  }
}

/** A list of at least one 16-bit number behind a 16-bit length; null if the lengths do not add up. */
function readNumbers(b: Uint8Array, from: number, to: number): number[] | null {
  if (to - from < 4 || (to - from) % 2 !== 0 || from + 2 + u16(b, from) !== to) return null
  const numbers: number[] = []
  for (let at = from + 2; at < to; at += 2) numbers.push(u16(b, at))
  return numbers
}

function readVersions(draft: Draft, b: Uint8Array, from: number, to: number): Malformed | null {
  if (to - from < 3 || (to - from) % 2 !== 1 || from + 1 + b[from] !== to) return badLength('supported_versions')
  const versions: number[] = []
  for (let at = from + 1; at < to; at += 2) {
    const version = u16(b, at)
    if (!isGrease(version)) versions.push(version)
  }
  draft.versions = versions
  return null
}

function readAlpn(draft: Draft, b: Uint8Array, from: number, to: number): Malformed | null {
  if (to - from < 4 || from + 2 + u16(b, from) !== to) return badLength('ALPN')
  const protocols: string[] = []
  for (let at = from + 2; at < to; ) {
    const nameEnd = at + 1 + b[at]
    // RFC 7301 section 3.1: an empty name must not be included and names must not be truncated.
    if (b[at] === 0 || nameEnd > to) return badLength('ALPN')
    protocols.push(latin1(b, at + 1, nameEnd))
    at = nameEnd
  }
  draft.alpn = protocols
  return null
}

function readKeyShares(draft: Draft, b: Uint8Array, from: number, to: number): Malformed | null {
  if (to - from < 2 || from + 2 + u16(b, from) !== to) return badLength('key_share')
  const shares: number[] = []
  for (let at = from + 2; at < to; ) {
    if (at + 4 > to) return badLength('key_share')
    const length = u16(b, at + 2)
    if (length === 0 || at + 4 + length > to) return badLength('key_share')
    shares.push(u16(b, at))
    at += 4 + length
  }
  if (firstRepeated(shares) !== -1) return malformed('illegal_parameter', 'two key shares for one group')
  draft.keyShares = shares
  return null
}

/** RFC 8446 section 4.2.11: identities of at least one byte and an age each, then as many binders of 32 to 255 bytes. */
function checkPreSharedKey(b: Uint8Array, from: number, to: number): Malformed | null {
  if (to - from < 2) return badLength('pre_shared_key')
  const identitiesEnd = from + 2 + u16(b, from)
  if (identitiesEnd + 2 > to) return badLength('pre_shared_key')
  let offered = 0
  for (let at = from + 2; at < identitiesEnd; offered++) {
    if (at + 2 > identitiesEnd || u16(b, at) === 0) return badLength('pre_shared_key')
    at += 2 + u16(b, at) + 4
    if (at > identitiesEnd) return badLength('pre_shared_key')
  }
  let at = identitiesEnd + 2
  if (offered === 0 || at + u16(b, identitiesEnd) !== to) return badLength('pre_shared_key')
  for (; at < to; offered--) {
    if (b[at] < 32) return badLength('pre_shared_key')
    at += 1 + b[at]
    if (at > to) return badLength('pre_shared_key')
  }
  return offered === 0
    ? null
    : malformed('illegal_parameter', 'pre_shared_key has not one binder for each identity')
}

/**
 * RFC 6066 section 3: a list with one host name. A second name, or one of another type, is refused: the parsers in
 * use differ on which of them counts.
 */
function readServerName(draft: Draft, b: Uint8Array, from: number, to: number): Malformed | null {
  // List length 2, name type 1, name length 2, and at least one byte of name.
  if (to - from < 6 || from + 2 + u16(b, from) !== to) return badLength('server_name')
  if (b[from + 2] !== 0)
    return malformed('illegal_parameter', `a server name of type ${b[from + 2]}, not host_name`)
  const start = from + 5
  const length = u16(b, from + 3)
  if (length === 0 || start + length > to) return badLength('server_name')
  if (start + length < to) return malformed('illegal_parameter', 'more than one server name')
  if (length > 255) return malformed('illegal_parameter', `a server name of ${length} bytes, more than 255`)

  const end = b[to - 1] === 0x2e ? to - 1 : to
  let label = 0
  for (let at = start; at < end; at++) {
    const c = b[at]
    if (c === 0x2e) {
      if (label === 0) return malformed('illegal_parameter', 'an empty label in the server name')
      label = 0
    } else if (isNameByte(c)) label++
    else return malformed('illegal_parameter', `byte ${c} in the server name`)
  }
  if (label === 0) return malformed('illegal_parameter', 'an empty label in the server name')
  // RFC 6066 section 3 allows no IP address here; wrk and older libraries send one all the same, and every peer takes
  // it. It is looked up like any name: no certificate is chosen by it that its text does not name.
  draft.serverName = latin1(b, start, end).toLowerCase()
  return null
}

/**
 * Letters, digits, hyphen, and the underscore that some internal names have. So no star that could equal a wildcard
 * site, no slash that could reach a path, no colon (which IPv6 addresses have), nothing to escape in a log.
 */
const isNameByte = (c: number): boolean =>
  (c >= 0x61 && c <= 0x7a) || (c >= 0x30 && c <= 0x39) || c === 0x2d || c === 0x5f || (c >= 0x41 && c <= 0x5a)

function latin1(b: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let at = from; at < to; at++) text += String.fromCharCode(b[at])
  return text
}
