/**
 * HTTP/1.1 message heads (RFC 9112 sections 2 to 6), strictly: what could be read in two ways is refused, from clients
 * and from backends alike. Bytes are passed over once; what is only carried stays one slice of text.
 *
 * Refused: bare CR or LF, obs-fold, NUL and other controls, white space before the colon, repeated or odd
 * Content-Length, Content-Length beside Transfer-Encoding, any Transfer-Encoding but exactly `chunked`, a missing or
 * repeated Host. Dropped from requests: hop-by-hop fields, those that `Connection` names, identity fields, and names
 * with anything but letters, digits and hyphens, since CGI-like backends read `X_Real_IP` as `X-Real-IP`.
 */
import { latin1 } from '../base/bytes.ts'
import { type ErrorCode, ProxyError } from '../base/errors.ts'
import { inClientFamily } from './client-fields.ts'
import { readConnection } from './connection-options.ts'
import { field, findName, hashStep, nameBit, nameClass, targetClass, valueClass } from './field-names.ts'
import { Fields, trimBlanks } from './fields.ts'
import { emptyLinesAtMost } from './head-buffer.ts'
import { type AllowedFields, type HeadLimits, parseLength, type RequestHead, type ResponseHead } from './heads.ts'
import { isHost } from './host.ts'

const CR = 13
const LF = 10
const SP = 32
const HTAB = 9
const COLON = 58

/**
 * Reads a request head from `bytes[from, to)`.
 * @returns null where the head is not complete yet, a ProxyError where it never can be
 */
export function parseRequestHead(
  bytes: Buffer,
  from: number,
  to: number,
  limits: HeadLimits,
  allowed: AllowedFields = null,
  trusted = false,
): RequestHead | ProxyError | null {
  let at = from
  for (let empty = 0; at < to && bytes[at] === CR; at += 2) {
    if (at + 1 >= to) return null
    if (bytes[at + 1] !== LF) return bad('bare CR before the request line')
    if (++empty > emptyLinesAtMost) return bad('too many empty lines before the request line')
  }
  const start = at
  while (at < to && nameClass[bytes[at] as number] !== 0) at++
  if (at === to) return at - start > 64 ? bad('the method is longer than 64 bytes') : null
  const methodEnd = at
  if (bytes[at] !== SP || at === start || at - start > 64)
    return bad('the request line does not begin with a method')
  const targetStart = ++at
  while (at < to && targetClass[bytes[at] as number] === 1) at++
  if (at - targetStart > limits.uriBytes) {
    return new ProxyError('URI_TOO_LONG', `the request target is longer than limits.uri (${limits.uriBytes} bytes)`)
  }
  if (at === to) return null
  const targetEnd = at
  if (bytes[at] !== SP || at === targetStart)
    return bad('the request target has a byte that must be percent-encoded')
  // "HTTP/1.1" CRLF
  if (at + 11 > to) return versionSoFar(bytes, at + 1, to)
  const minor = minorVersion(bytes, at + 1)
  if (minor < 0) {
    const version = latin1(bytes, at + 1, at + 9)
    if (/^HTTP\/\d\.\d$/.test(version))
      return new ProxyError('VERSION_NOT_SUPPORTED', `the request says ${version}`)
    return bad('the request line does not end with HTTP/1.1')
  }
  if (bytes[at + 9] !== CR || bytes[at + 10] !== LF) return bad('the request line does not end with CRLF')
  const scanned = scanFields(bytes, at + 11, to, limits, true, allowed, trusted)
  if (scanned === null || scanned instanceof ProxyError) return scanned
  const head = scanned as Scanned
  if (head.te !== null) {
    if (head.length !== null) return bad('Content-Length beside Transfer-Encoding')
    if (minor === 0) return bad('Transfer-Encoding in HTTP/1.0')
    if (head.te.toLowerCase() !== 'chunked') return bad('a Transfer-Encoding that is not exactly chunked')
  }
  const contentLength = head.length === null ? -1 : parseLength(head.length)
  if (contentLength === -2) return bad('a Content-Length that is not a number')
  const host = head.host
  if (host === null) {
    if (minor === 1) return bad('no Host field')
  } else if (!isHost(host)) return bad('a Host that is not a host name')
  if (head.expect !== null && minor === 1 && head.expect.toLowerCase() !== '100-continue') {
    return new ProxyError('EXPECTATION_FAILED', 'Expect asks for something other than 100-continue')
  }
  const line = latin1(bytes, start, targetEnd)
  return {
    end: head.end,
    method: line.slice(0, methodEnd - start),
    target: line.slice(targetStart - start),
    version: 1,
    minor: minor as 0 | 1,
    host: host === null ? null : host.toLowerCase(),
    fields: head.fields,
    contentLength,
    chunked: head.te !== null,
    persistent: minor === 1 ? !head.close : head.keepAlive && !head.close,
    upgrade: head.connectionUpgrade && head.upgrade !== null && minor === 1 ? head.upgrade.toLowerCase() : null,
    expectContinue: head.expect !== null && minor === 1,
    trailers: head.takesTrailers,
    claims: trusted ? new Fields(head.claims) : null,
    grpc: false,
    grpcTimeout: null,
  }
}

/**
 * Reads a response head from `bytes[from, to)`. Content-Length and Transfer-Encoding are as the backend sent them;
 * whether there is a body at all depends on the method and status too (RFC 9112 section 6.3).
 * @returns null where the head is not complete yet, a ProxyError where it never can be
 */
export function parseResponseHead(
  bytes: Buffer,
  from: number,
  to: number,
  limits: HeadLimits,
): ResponseHead | ProxyError | null {
  if (to - from < 14) {
    // "HTTP/1.1 200" CRLF is the shortest; what cannot become it is refused early, so that a wrong protocol shows.
    const begun = latin1(bytes, from, to)
    return 'HTTP/1.'.startsWith(begun.slice(0, 7)) && !begun.includes('\n')
      ? null
      : badResponse('does not begin with HTTP/1.')
  }
  const minor = minorVersion(bytes, from)
  if (minor < 0) return badResponse('does not begin with HTTP/1.1 or 1.0')
  const digit = (offset: number) => (bytes[from + offset] as number) - 48
  const status = digit(9) * 100 + digit(10) * 10 + digit(11)
  const inRange =
    digit(9) >= 1 && digit(9) <= 5 && digit(10) >= 0 && digit(10) <= 9 && digit(11) >= 0 && digit(11) <= 9
  if (bytes[from + 8] !== SP || !inRange) return badResponse('the status is not a number from 100 to 599')
  let at = from + 12
  if (bytes[at] === SP) at++
  else if (bytes[at] !== CR) return badResponse('the status is not followed by a space')
  const reasonStart = at
  while (at < to && valueClass[bytes[at] as number] === 1) at++
  if (at - from > limits.headBytes) return badResponse(`head over limits.head (${limits.headBytes} bytes)`)
  if (at + 2 > to && (at === to || bytes[at] === CR)) return null
  if (bytes[at] !== CR || bytes[at + 1] !== LF) return badResponse('the status line does not end with CRLF')
  const isOk = at - reasonStart === 2 && bytes[reasonStart] === 79 && bytes[reasonStart + 1] === 75
  const reason = isOk ? 'OK' : latin1(bytes, reasonStart, at)
  const scanned = scanFields(bytes, at + 2, to, limits, false)
  if (scanned === null) return null
  if (scanned instanceof ProxyError) return scanned
  const head = scanned as Scanned
  if (head.te !== null) {
    if (head.length !== null) return badResponse('Content-Length beside Transfer-Encoding')
    if (minor === 0) return badResponse('Transfer-Encoding in HTTP/1.0')
    if (head.te.toLowerCase() !== 'chunked') return badResponse('a Transfer-Encoding that is not exactly chunked')
  }
  const contentLength = head.length === null ? -1 : parseLength(head.length)
  if (contentLength === -2) return badResponse('a Content-Length that is not a number')
  return {
    end: head.end,
    status,
    reason,
    minor: minor as 0 | 1,
    fields: head.fields,
    contentLength,
    chunked: head.te !== null,
    persistent: minor === 1 ? !head.close : head.keepAlive && !head.close,
    upgrade: offeredUpgrade(status, head),
    dated: head.dated,
  }
}

/** A 426 says which protocol the client must switch to (RFC 9110 section 15.5.22); its spelling is kept for the client. */
function offeredUpgrade(status: number, { upgrade, connectionUpgrade }: Scanned): string | null {
  if (status === 426) return upgrade
  return connectionUpgrade && upgrade !== null ? upgrade.toLowerCase() : null
}

/**
 * Reads trailer fields after the last chunk (RFC 9112 section 7.1.2): the same rules as for fields, and none of those
 * that frame, route or identify (RFC 9110 section 6.5.1), which are dropped.
 */
export function parseTrailers(
  bytes: Buffer,
  from: number,
  to: number,
  limits: HeadLimits,
  request: boolean,
): { end: number; fields: Fields } | ProxyError | null {
  const scanned = scanFields(bytes, from, to, limits, request)
  if (scanned === null || scanned instanceof ProxyError) return scanned
  return { end: scanned.end, fields: scanned.fields }
}

type Scanned = {
  end: number
  fields: Fields
  host: string | null
  length: string | null
  te: string | null
  expect: string | null
  upgrade: string | null
  close: boolean
  keepAlive: boolean
  connectionUpgrade: boolean
  takesTrailers: boolean
  claims: string
  dated: boolean
}

function scanFields(
  bytes: Buffer,
  from: number,
  to: number,
  limits: HeadLimits,
  request: boolean,
  allowed: AllowedFields = null,
  trusted = false,
): Scanned | ProxyError | null {
  const refuse = request ? bad : badResponse
  const code: ErrorCode = request ? 'HEAD_TOO_LARGE' : 'BAD_RESPONSE'
  let kept = ''
  let runStart = from
  let count = 0
  let host: string | null = null
  let length: string | null = null
  let te: string | null = null
  let expect: string | null = null
  let upgrade: string | null = null
  let connection: string | null = null
  let keepAlive = false
  let takesTrailers = false
  let claims = ''
  let dated = false
  let bits = 0
  let at = from
  for (;;) {
    if (at + 1 >= to) return at < to && bytes[at] === LF ? refuse('a bare LF in the head') : null
    if (bytes[at] === CR) {
      if (bytes[at + 1] !== LF) return refuse('bare CR in the head')
      break
    }
    if (++count > limits.headers) return new ProxyError(code, `more than limits.headers (${limits.headers}) fields`)
    const nameStart = at
    let hash = 0
    let odd = 0
    for (; at < to; at++) {
      const byte = bytes[at] as number
      const kind = nameClass[byte] as number
      if (kind === 0) break
      odd |= kind
      hash = hashStep(hash, byte)
    }
    if (at === to) return null
    const nameEnd = at
    bits |= nameBit(hash)
    if (bytes[at] !== COLON || at === nameStart) return refuse(nameProblem(bytes, nameStart, at))
    at++
    while (at < to && (bytes[at] === SP || bytes[at] === HTAB)) at++
    const valueStart = at
    while (at < to && valueClass[bytes[at] as number] === 1) at++
    if (at + 1 >= to) {
      if (at === to || bytes[at] === CR) return null
      return refuse(bytes[at] === LF ? 'a bare CR or LF in the head' : 'a control character in a field value')
    }
    if (bytes[at] !== CR || bytes[at + 1] !== LF) {
      return refuse(
        bytes[at] === LF || bytes[at] === CR
          ? 'a bare CR or LF in the head'
          : 'a control character in a field value',
      )
    }
    const valueEnd = at
    at += 2
    const id = findName(bytes, nameStart, nameEnd, hash)
    const family = id === field.none && odd === 1 && request && inClientFamily(bytes, nameStart, nameEnd)
    if (id === field.none && (!request || odd === 1) && !family) continue
    if (trusted && id === field.identity) claims += latin1(bytes, nameStart, at)
    if (allowed !== null && request && (id === field.none || id === field.identity)) {
      if (allowed.has(latin1(bytes, nameStart, nameEnd).toLowerCase())) continue
    }
    if (id === field.identity && !request) continue
    if (id === field.date) {
      dated = true
      continue
    }
    // Everything from here on is not carried in the text: close the run before it, begin the next one after it.
    if (nameStart > runStart) kept += latin1(bytes, runStart, nameStart)
    runStart = at
    if (id === field.none || id === field.hop || id === field.identity) continue
    // The one value that nearly every backend sends costs no text.
    if (id === field.connection && connection === null && isKeepAlive(bytes, valueStart, valueEnd)) {
      keepAlive = true
      continue
    }
    const value = trimBlanks(latin1(bytes, valueStart, valueEnd))
    switch (id) {
      case field.host:
        if (!request) break
        if (host !== null) return refuse('a repeated Host field')
        host = value
        break
      case field.contentLength:
        if (length !== null) return refuse('a repeated Content-Length')
        length = value
        break
      case field.transferEncoding:
        if (te !== null) return refuse('a repeated Transfer-Encoding')
        te = value
        break
      case field.te:
        takesTrailers ||= /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(value)
        break
      case field.expect:
        expect = expect === null ? value : `${expect}, ${value}`
        break
      case field.upgrade:
        upgrade = upgrade === null ? value : `${upgrade}, ${value}`
        break
      default:
        connection = connection === null ? value : `${connection},${value}`
    }
  }
  if (at > runStart) kept += latin1(bytes, runStart, at)
  const head: Scanned = {
    end: at + 2,
    fields: new Fields(kept, bits),
    host,
    length,
    te,
    expect,
    upgrade,
    close: false,
    keepAlive,
    connectionUpgrade: false,
    takesTrailers,
    claims,
    dated,
  }
  if (connection !== null) {
    const options = readConnection(connection)
    head.close = options.close
    head.keepAlive ||= options.keepAlive
    head.connectionUpgrade = options.upgrade
    if (options.names !== null) head.fields.deleteAll(options.names)
  }
  return head
}

const keepAliveBytes = Buffer.from('keep-alive')

function isKeepAlive(bytes: Buffer, from: number, to: number): boolean {
  if (to - from !== keepAliveBytes.length) return false
  for (let at = 0; at < keepAliveBytes.length; at++) {
    if (((bytes[from + at] as number) | 0x20) !== keepAliveBytes[at]) return false
  }
  return true
}

/** 1 or 0 for HTTP/1.1 and HTTP/1.0 at `bytes[at]`, -1 for anything else. */
function minorVersion(bytes: Buffer, at: number): number {
  const isHttp1 =
    bytes[at] === 72 &&
    bytes[at + 1] === 84 &&
    bytes[at + 2] === 84 &&
    bytes[at + 3] === 80 &&
    bytes[at + 4] === 47 &&
    bytes[at + 5] === 49 &&
    bytes[at + 6] === 46
  const minor = (bytes[at + 7] as number) - 48
  return isHttp1 && (minor === 0 || minor === 1) ? minor : -1
}

function nameProblem(bytes: Buffer, from: number, at: number): string {
  const byte = bytes[at]
  if (at === from && (byte === SP || byte === HTAB)) return 'a folded field (obs-fold)'
  if (byte === SP || byte === HTAB) return 'white space between field name and colon'
  if (byte === LF || byte === CR) return 'a line without a colon, or a bare CR or LF'
  return 'a byte in a field name that is not allowed there'
}

/** The version is not complete yet: refuse at once what it cannot become. */
function versionSoFar(bytes: Buffer, from: number, to: number): ProxyError | null {
  const begun = latin1(bytes, from, to)
  if (/^(?:H(?:T(?:T(?:P(?:\/(?:\d(?:\.(?:\d\r?)?)?)?)?)?)?)?)?$/.test(begun)) return null
  return bad('the request line does not end with HTTP/1.1')
}

const bad = (why: string): ProxyError => new ProxyError('BAD_REQUEST', why)
const badResponse = (why: string): ProxyError => new ProxyError('BAD_RESPONSE', why)
