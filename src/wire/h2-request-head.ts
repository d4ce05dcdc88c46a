/**
 * From a header block to the same request head that HTTP/1.1 is read into (RFC 9113 sections 8.3 and 8.5, RFC 8441).
 * Fields are dropped as those of HTTP/1.1 are (http1-head.ts), and cookie crumbs become one field (section 8.2.3).
 */
import { targetClass } from './field-names.ts'
import { Fields } from './fields.ts'
import { BlockCheck } from './h2-block-check.ts'
import { type Priority, parsePriority } from './h2-priority.ts'
import { type AllowedFields, type HeadLimits, parseLength, type RequestHead } from './heads.ts'
import { isHost } from './host.ts'
import type { HpackSink } from './hpack-decoder.ts'
import { type HpackField, kind } from './hpack-field.ts'

/** More than any browser keeps for one site; each costs the joined field two bytes more. */
const mostCrumbs = 256

export class RequestBlock implements HpackSink {
  readonly check: BlockCheck
  private text = ''
  private readonly uriBytes: number
  private regular = false
  private method: string | null = null
  private scheme: string | null = null
  private path: string | null = null
  private authority: string | null = null
  private protocol: string | null = null
  private host: string | null = null
  private length: string | null = null
  private expect: string | null = null
  private cookie: string | null = null
  private crumbs = 0
  private grpc = false
  private grpcTimeout: string | null = null
  private trailers = false
  /** As the field says, or null */
  priority: Priority | null = null

  private readonly allowed: AllowedFields
  /** What a trusted peer says of the client; null from any other */
  private claims: string | null

  constructor(limits: HeadLimits, allowed: AllowedFields = null, trusted = false) {
    this.allowed = allowed
    this.claims = trusted ? '' : null
    this.check = new BlockCheck(limits, 'HEAD_TOO_LARGE')
    this.uriBytes = limits.uriBytes
  }

  /** The head of a block that is whole, or null where `check` says what is wrong. `ended`: no body follows. */
  head(ended: boolean): RequestHead | null {
    const method = this.method
    if (!this.check.sound) return null
    const upgrade = this.protocol
    if (method === null) this.check.refuse('no :method')
    else if (method === 'CONNECT' && upgrade === null) {
      if (this.scheme !== null || this.path !== null || this.authority === null)
        this.check.refuse('CONNECT has :authority and neither :scheme nor :path')
    } else if (this.scheme === null || this.path === null || this.path === '')
      this.check.refuse('no :scheme or no :path')
    else if (upgrade !== null && (method !== 'CONNECT' || this.authority === null || ended))
      this.check.refuse(
        ':protocol is for CONNECT with :authority and a stream that stays open (RFC 8441 section 4)',
      )
    const host = this.authority ?? this.host
    if (this.authority !== null && this.host !== null && this.authority.toLowerCase() !== this.host.toLowerCase())
      this.check.refuse(':authority and host differ')
    const contentLength = this.length === null ? -1 : parseLength(this.length)
    if (contentLength === -2) this.check.refuse('a content-length that is not a number')
    if (ended && contentLength > 0) this.check.refuse(`a content-length of ${contentLength}, and no body`)
    if (!this.check.sound) return null
    if (upgrade === null && this.scheme !== null && this.scheme !== 'https' && this.scheme !== 'http')
      this.check.fail('BAD_REQUEST', ':scheme is neither https nor http')
    else if (upgrade !== null && !/^[!#$%&'*+\-.^_`|~0-9A-Za-z/]{1,64}$/.test(upgrade))
      this.check.fail('BAD_REQUEST', ':protocol is not the name of a protocol')
    else if ((this.path ?? '').length > this.uriBytes)
      this.check.fail('URI_TOO_LONG', `:path is longer than limits.uri (${this.uriBytes} bytes)`)
    else if (this.path !== null && this.path[0] !== '/' && !(this.path === '*' && method === 'OPTIONS'))
      this.check.fail('BAD_REQUEST', ':path does not begin with a slash (RFC 9113 section 8.3.1)')
    else if (!isTarget(this.path ?? '/'))
      this.check.fail('BAD_REQUEST', ':path has a byte that must be percent-encoded')
    else if (host === null) this.check.fail('BAD_REQUEST', 'neither :authority nor host')
    else if (!isHost(host)) this.check.fail('BAD_REQUEST', ':authority is not a host name')
    else if (this.expect !== null && this.expect.toLowerCase() !== '100-continue')
      this.check.fail('EXPECTATION_FAILED', 'Expect asks for something other than 100-continue')
    if (!this.check.sound || host === null || method === null) return null
    const text = this.cookie === null ? this.text : `${this.text}cookie: ${this.cookie}\r\n`
    // A tunnel has no body in the sense of HTTP; what follows its head belongs to the protocol inside.
    const withBody = !ended && upgrade === null
    return {
      end: 0,
      version: 2,
      minor: 1,
      method: upgrade === null ? method : 'GET',
      target: this.path ?? '/',
      host: host.toLowerCase(),
      fields: new Fields(text),
      contentLength: withBody || ended ? contentLength : -1,
      chunked: withBody && contentLength <= 0,
      persistent: true,
      upgrade: upgrade?.toLowerCase() ?? null,
      expectContinue: this.expect !== null,
      trailers: this.trailers,
      claims: this.claims === null ? null : new Fields(this.claims),
      grpc: this.grpc,
      grpcTimeout: this.grpcTimeout,
    }
  }

  onField(field: HpackField): void {
    if (!this.check.admits(field)) return
    const { value } = field
    switch (field.kind) {
      case kind.plain:
      case kind.date:
        this.regular = true
        this.text += field.line
        break
      case kind.identity:
        if (this.claims !== null) this.claims += field.line
        if (this.allowed?.has(field.name)) this.text += field.line
        this.regular = true
        break
      case kind.odd:
        if (this.allowed?.has(field.name)) this.text += field.line
        this.regular = true
        break
      case kind.hop:
        this.regular = true
        break
      case kind.cookie:
        this.regular = true
        if (++this.crumbs > mostCrumbs) {
          this.check.fail('HEAD_TOO_LARGE', `more than ${mostCrumbs} cookie fields`)
        } else this.cookie = this.cookie === null ? value : `${this.cookie}; ${value}`
        break
      case kind.grpc:
        this.regular = true
        this.grpc = true
        this.text += field.line
        break
      case kind.grpcTimeout:
        this.regular = true
        this.grpcTimeout = value
        this.text += field.line
        break
      case kind.priority:
        this.regular = true
        this.priority = parsePriority(value)
        this.text += field.line
        break
      case kind.host:
        this.regular = true
        if (this.host !== null) this.check.refuse('a repeated host')
        this.host = value
        break
      case kind.contentLength:
        this.regular = true
        if (this.length !== null && this.length !== value) this.check.refuse('two content-lengths')
        this.length = value
        break
      case kind.expect:
        this.regular = true
        this.expect = this.expect === null ? value : `${this.expect}, ${value}`
        break
      case kind.te:
        this.regular = true
        if (value.toLowerCase() !== 'trailers') this.check.refuse('te says something other than trailers')
        this.trailers = true
        break
      case kind.method:
        this.method = this.pseudo(field, this.method)
        if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/.test(value)) this.check.refuse(':method is not a method')
        break
      case kind.scheme:
        this.scheme = this.pseudo(field, this.scheme)
        break
      case kind.path:
        this.path = this.pseudo(field, this.path)
        break
      case kind.authority:
        this.authority = this.pseudo(field, this.authority)
        if (value === '') this.check.refuse('an empty :authority')
        break
      case kind.protocol:
        this.protocol = this.pseudo(field, this.protocol)
        break
      default:
        this.check.notAllowed(field)
    }
  }

  private pseudo(field: HpackField, before: string | null): string {
    if (before !== null) this.check.refuse(`${field.name} twice`)
    if (this.regular) this.check.refuse(`${field.name} behind a field (RFC 9113 section 8.3)`)
    return field.value
  }
}

/** The bytes that HTTP/1 allows in a target too, so that it can be written into a request line. */
function isTarget(path: string): boolean {
  for (let at = 0; at < path.length; at++) if (targetClass[path.charCodeAt(at)] !== 1) return false
  return true
}
