/** From a header block to a response head, and trailers of either direction (RFC 9113 sections 8.1 and 8.3.2). */
import { Fields } from './fields.ts'
import { BlockCheck } from './h2-block-check.ts'
import { type HeadLimits, parseLength, type ResponseHead, reasonOf } from './heads.ts'
import type { HpackSink } from './hpack-decoder.ts'
import { type HpackField, kind } from './hpack-field.ts'

export class ResponseBlock implements HpackSink {
  readonly check: BlockCheck
  private text = ''
  private status: number | null = null
  private regular = false
  private length: string | null = null
  private dated = false

  constructor(limits: HeadLimits) {
    this.check = new BlockCheck(limits, 'BAD_RESPONSE')
  }

  head(): ResponseHead | null {
    if (this.status === null) this.check.refuse('no :status')
    const contentLength = this.length === null ? -1 : parseLength(this.length)
    if (contentLength === -2) this.check.refuse('a content-length that is not a number')
    if (!this.check.sound || this.status === null) return null
    return {
      end: 0,
      minor: 1,
      status: this.status,
      reason: reasonOf(this.status),
      fields: new Fields(this.text),
      contentLength,
      chunked: false,
      persistent: true,
      upgrade: null,
      dated: this.dated,
    }
  }

  onField(field: HpackField): void {
    if (!this.check.admits(field)) return
    switch (field.kind) {
      case kind.status:
        if (this.status !== null || this.regular) this.check.refuse(':status twice, or behind a field')
        if (!/^[1-5][0-9][0-9]$/.test(field.value) || field.value === '101')
          this.check.refuse(':status is not a status')
        this.status = Number(field.value)
        return
      case kind.contentLength:
        this.regular = true
        if (this.length !== null && this.length !== field.value) this.check.refuse('two content-lengths')
        this.length = field.value
        return
      case kind.hop:
        this.regular = true
        return
      case kind.host:
      case kind.te:
      case kind.expect:
        this.regular = true
        return
      default:
        if (field.kind === kind.date) this.dated = true
        if (field.kind >= kind.method) this.check.notAllowed(field)
        else {
          this.regular = true
          this.text += field.line
        }
    }
  }
}

/** Trailers: no pseudo-header fields, and none that frame, route or identify (RFC 9110 section 6.5.1). */
export class TrailerBlock implements HpackSink {
  readonly check: BlockCheck
  private text = ''
  private readonly request: boolean

  constructor(limits: HeadLimits, request: boolean) {
    this.check = new BlockCheck(limits, request ? 'HEAD_TOO_LARGE' : 'BAD_RESPONSE')
    this.request = request
  }

  fields(): Fields | null {
    return this.text === '' ? null : new Fields(this.text)
  }

  onField(field: HpackField): void {
    if (!this.check.admits(field)) return
    switch (field.kind) {
      case kind.plain:
      case kind.date:
      case kind.grpc:
      case kind.grpcTimeout:
      case kind.priority:
        this.text += field.line
        return
      case kind.odd:
      case kind.identity:
      case kind.cookie:
        if (!this.request) this.text += field.line
        return
      case kind.hop:
      case kind.host:
      case kind.contentLength:
      case kind.te:
      case kind.expect:
        return
      default:
        this.check.notAllowed(field)
    }
  }
}
