/** `limits.body`: the largest request body, by its length where that is known, else as it comes. */
import { ProxyError } from '../../base/errors.ts'
import type { HeldBytes } from '../../base/held-bytes.ts'
import { needsNoBody, type RequestSink, type Stage, WrappedRequest } from '../../model/stage.ts'
import { feature } from '../feature.ts'

export const bodyLimit = feature({
  docs: 'Refuses request bodies that are too large.',
  row: {
    kind: { type: 'size', min: 0, max: Number.MAX_SAFE_INTEGER, words: { none: Number.POSITIVE_INFINITY } },
    default: 'none',
    docs: 'Size of a request body; larger is a 413. Bodies are streamed, so a large body costs the gateway no memory.',
    example: '10mb',
  },
  inherits: 'replaces',
  compile(values) {
    const limit = values.at(-1) ?? Number.POSITIVE_INFINITY
    return limit === Number.POSITIVE_INFINITY ? {} : { outside: bodyLimitStage(limit) }
  },
  explain: limit => (limit === Number.POSITIVE_INFINITY ? 'none' : `a request body has at most ${limit} bytes`),
})

function bodyLimitStage(limit: number): Stage {
  return inner => (exchange, sink) => {
    const { chunked, contentLength } = exchange.head
    if (contentLength > limit && exchange.refusal === null) {
      const why = `${contentLength} bytes, limits.body is ${limit}`
      exchange.failThrough(sink, new ProxyError('BODY_TOO_LARGE', why))
      return needsNoBody
    }
    const request = inner(exchange, sink)
    // A body that says how long it is cannot be longer: its framing sees to that.
    return chunked && contentLength < 0 ? new LimitedRequest(request, limit) : request
  }
}

class LimitedRequest extends WrappedRequest {
  private readonly limit: number
  private bytes = 0

  constructor(request: RequestSink, limit: number) {
    super(request)
    this.limit = limit
  }

  override data(bytes: Buffer, from: number, to: number): boolean {
    return this.exceeded(to - from) || this.request.data(bytes, from, to)
  }

  override dataHeld(held: HeldBytes): boolean {
    if (!this.exceeded(held.length)) return this.request.dataHeld(held)
    held.clear()
    return true
  }

  private exceeded(more: number): boolean {
    const before = this.bytes
    this.bytes += more
    if (this.bytes <= this.limit) return false
    if (before <= this.limit)
      this.request.fail(new ProxyError('BODY_TOO_LARGE', `more than limits.body (${this.limit} bytes)`))
    return true
  }
}
