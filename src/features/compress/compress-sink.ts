/** An answer that may be compressed: decided by its head, and from there on its body goes through one of the two kinds of body. */
import type { ProxyError } from '../../base/errors.ts'
import type { HeldBytes } from '../../base/held-bytes.ts'
import { type RequestSink, type Sink, type StagedExchange, WrappedRequest, WrappedSink } from '../../model/stage.ts'
import type { Fields } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import type { Choice } from './accept-encoding.ts'
import {
  addVary,
  isCompressible,
  isCompressiblePart,
  isNotToTransform,
  markCompressed,
  weakenConfirmed,
} from './answer.ts'
import type { Coding } from './codings.ts'
import type { CompressingExchange } from './compressing-exchange.ts'
import { HeldHead } from './held-head.ts'
import type { MediaTypes } from './media-types.ts'
import { StreamedBody } from './streamed-body.ts'
import { type CompressedBody, WholeBody, wholeAtMost } from './whole-body.ts'

export type Terms = {
  readonly types: MediaTypes
  readonly minBytes: number
  readonly level: number | null
}

export class CompressSink extends WrappedSink {
  private readonly exchange: CompressingExchange
  private readonly terms: Terms
  private readonly choice: Choice
  private body: CompressedBody | null = null
  private head: HeldHead | null = null
  /** Of the inner origin. Null before that has returned, when nobody can let it go on yet */
  request: RequestSink | null = null

  constructor(sink: Sink, exchange: StagedExchange, terms: Terms, choice: Choice) {
    super(sink)
    this.exchange = exchange as CompressingExchange
    this.terms = terms
    this.choice = choice
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    const { fields, contentLength } = head
    if (head.status === 304) weakenConfirmed(fields, this.exchange.head.fields)
    else if (isCompressiblePart(head, this.terms.types)) addVary(fields)
    else if (this.isWorthIt(contentLength) && isCompressible(head, this.terms.types)) {
      const coding = isNotToTransform(this.exchange.head.fields) ? null : this.choice.coding
      if (coding !== null && this.take(coding, head, bodyless)) return
      addVary(fields)
    }
    this.sink.answer(head, bodyless)
  }

  override data(bytes: Uint8Array, from: number, to: number): boolean {
    return (this.body ?? this.sink).data(bytes, from, to)
  }

  override end(trailers: Fields | null): void {
    ;(this.body ?? this.sink).end(trailers)
  }

  /** What the client has of the body is not complete, and what is held of it would not make it so. */
  override abort(error: ProxyError): void {
    this.body?.drop()
    if (this.head === null || this.head.sent) this.sink.abort(error)
    else this.exchange.failThrough(this.sink, error)
  }

  resume(): void {
    if (this.body?.resume() !== true) this.letSourceGoOn()
  }

  private letSourceGoOn(): void {
    this.request?.resumeAnswer()
  }

  /** A client that refuses answers as they are gets even a short one compressed. */
  private isWorthIt(length: number): boolean {
    return length < 0 || length >= this.terms.minBytes || !this.choice.identity
  }

  /** @returns whether it is compressed: there are only so many encoders */
  private take(coding: Coding, head: ResponseHead, bodyless: boolean): boolean {
    const { exchange, sink, terms } = this
    const { contentLength: length, fields } = head
    const short = length >= 0 && length <= wholeAtMost
    // The answer to a HEAD has the fields, and needs no encoder.
    if (!short && !bodyless && !exchange.services.compressors.take()) return false
    markCompressed(fields, coding)
    if (bodyless) {
      head.contentLength = -1
      head.chunked = false
      sink.answer(head, true)
      return true
    }
    this.head = new HeldHead(sink, head)
    this.body = short
      ? new WholeBody(exchange, sink, this.head, length, coding, terms.level)
      : new StreamedBody(exchange, sink, this.head, () => this.letSourceGoOn(), coding, terms.level)
    return true
  }
}

/** The request side beside it: it hears when the client can take more. */
export class CompressRequest extends WrappedRequest {
  private readonly answer: CompressSink

  constructor(request: RequestSink, answer: CompressSink) {
    super(request)
    this.answer = answer
    answer.request = request
  }

  override dataHeld(held: HeldBytes): boolean {
    return this.request.dataHeld(held)
  }

  override resumeAnswer(): void {
    this.answer.resume()
  }
}
