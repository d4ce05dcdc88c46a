/**
 * What every HTTP/2 header block is held to: the limits on its size, and the kinds of field that no message may have
 * (RFC 9113 section 8.2). A block is read to its end whatever is in it, since the tables must keep up with the peer's;
 * once it is refused, nothing more of it is kept.
 */
import { type ErrorCode, ProxyError } from '../base/errors.ts'
import type { HeadLimits } from './heads.ts'
import { type HpackField, kind } from './hpack-field.ts'

export class BlockCheck {
  /** Breaks the rules of HTTP/2: the stream ends */
  malformed: string | null = null
  /** A sound message that we do not serve */
  error: ProxyError | null = null
  /** The decoded size, as SETTINGS_MAX_HEADER_LIST_SIZE counts it */
  bytes = 0
  private count = 0
  private readonly limits: HeadLimits
  private readonly code: ErrorCode

  constructor(limits: HeadLimits, code: ErrorCode) {
    this.limits = limits
    this.code = code
  }

  /** False: the field is not looked at any more. */
  admits(field: HpackField): boolean {
    this.bytes += field.size
    if (this.error !== null || this.malformed !== null) return false
    // Crumbs are one field in the end; they have a limit of their own.
    if (field.kind !== kind.cookie) this.count++
    if (this.count > this.limits.headers) {
      this.fail(this.code, `more than limits.headers (${this.limits.headers}) fields`)
    } else if (this.bytes > this.limits.headBytes) {
      this.fail(this.code, `the head is over limits.head (${this.limits.headBytes} bytes)`)
    } else return true
    return false
  }

  get sound(): boolean {
    return this.error === null && this.malformed === null
  }

  refuse(why: string): void {
    this.malformed ??= why
  }

  fail(code: ErrorCode, why: string): void {
    this.error ??= new ProxyError(code, why)
  }

  /** For kinds that no message may have, and those that this one may not. */
  notAllowed(field: HpackField): void {
    const name = JSON.stringify(field.name.slice(0, 40))
    switch (field.kind) {
      case kind.connection:
        this.refuse(`${name} belongs to a connection (RFC 9113 section 8.2.2)`)
        break
      case kind.badName:
        this.refuse(`${name} is not a field name in HTTP/2 (RFC 9113 section 8.2.1)`)
        break
      case kind.badValue:
        this.refuse(`the value of ${name} has a control character, or a blank at an end (RFC 9113 section 8.2.1)`)
        break
      default:
        this.refuse(`${name} has no place here (RFC 9113 section 8.3)`)
    }
  }
}
