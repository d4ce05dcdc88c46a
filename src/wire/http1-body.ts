/**
 * Chunked bodies (RFC 9112 section 7.1), decoded strictly and in place: data is handed on as ranges of what was read,
 * and small chunks that were read together as one range of a copy.
 * Bare LF, white space in the size, sizes over 15 hex digits and extensions over 256 bytes are refused; extensions are
 * dropped. Body by Content-Length needs no decoder: the reader counts.
 */
import { copyRange, joinedAtMost } from '../base/bytes.ts'
import { ProxyError } from '../base/errors.ts'
import type { Share } from '../base/memory-budget.ts'
import type { Fields } from './fields.ts'
import { HeadBuffer } from './head-buffer.ts'
import type { HeadLimits } from './heads.ts'
import { parseTrailers } from './http1-head.ts'

const CR = 13
const LF = 10

/** Where a decoder puts what it finds. */
export interface BodySink {
  /** `bytes[from, to)` is content */
  onBody(bytes: Buffer, from: number, to: number): void
  onBodyEnd(trailers: Fields | null): void
}

const maxSizeDigits = 15
const maxExtensionBytes = 256

const phase = { size: 0, extension: 1, sizeLf: 2, data: 3, dataCr: 4, dataLf: 5, trailers: 6, done: 7 } as const

export class ChunkedDecoder {
  private phase: number = phase.size
  private size = 0
  private digits = 0
  private extension = 0
  /** Trailer bytes that are not complete yet */
  private held: HeadBuffer | null = null
  private readonly limits: HeadLimits
  private readonly request: boolean
  private readonly share: Share | null

  /** @param share of the connection that trailers in pieces are held for; null: they are not counted */
  constructor(limits: HeadLimits, request: boolean, share: Share | null) {
    this.share = share
    this.limits = limits
    this.request = request
  }

  /**
   * Decodes `bytes[from, to)` into `sink`.
   * @returns the position after the body when it has ended, -1 when more is needed, or what is wrong with it
   */
  push(bytes: Buffer, from: number, to: number, sink: BodySink): number | ProxyError {
    let at = from
    // Content that was found and not handed on yet: [start, end) of what was read, or of small pieces put together
    let source = bytes
    let start = from
    let end = from
    while (at < to) {
      const byte = bytes[at] as number
      switch (this.phase) {
        case phase.size: {
          const digit = hexDigit(byte)
          if (digit >= 0) {
            if (++this.digits > maxSizeDigits) return this.refuse('a chunk size of more than 15 digits')
            this.size = this.size * 16 + digit
          } else if (this.digits === 0) return this.refuse('a chunk size that is not hexadecimal')
          else if (byte === CR) this.phase = phase.sizeLf
          else if (byte === 0x3b) this.phase = phase.extension
          else return this.refuse('a chunk size that is not hexadecimal')
          if (!Number.isSafeInteger(this.size)) return this.refuse('a chunk size that no number can hold')
          at++
          break
        }
        case phase.extension:
          if (byte === CR) {
            if (this.extension === 0) return this.refuse('a semicolon without a chunk extension')
            this.phase = phase.sizeLf
          } else if ((byte < 0x20 && byte !== 9) || byte === 0x7f)
            return this.refuse('a control character in a chunk extension')
          else if (++this.extension > maxExtensionBytes)
            return this.refuse('chunk extensions of more than 256 bytes')
          at++
          break
        case phase.sizeLf:
          if (byte !== LF) return this.refuse('a bare CR after a chunk size')
          at++
          this.digits = 0
          this.extension = 0
          this.phase = this.size === 0 ? phase.trailers : phase.data
          break
        case phase.data: {
          const take = Math.min(this.size, to - at)
          this.size -= take
          if (this.size === 0) this.phase = phase.dataCr
          if (start < end && take <= joinedAtMost && (source !== bytes || end - start <= joinedAtMost)) {
            if (source === bytes) {
              source = Buffer.allocUnsafe(end - start + to - at)
              copyRange(bytes, start, end, source, 0)
              end -= start
              start = 0
            }
            copyRange(bytes, at, at + take, source, end)
            end += take
          } else {
            if (start < end) sink.onBody(source, start, end)
            source = bytes
            start = at
            end = at + take
          }
          at += take
          break
        }
        case phase.dataCr:
          if (byte !== CR) return this.refuse('a chunk longer than its size')
          this.phase = phase.dataLf
          at++
          break
        case phase.dataLf:
          if (byte !== LF) return this.refuse('a chunk longer than its size')
          this.phase = phase.size
          at++
          break
        default:
          if (start < end) sink.onBody(source, start, end)
          return this.trailers(bytes, at, to, sink)
      }
    }
    if (start < end) sink.onBody(source, start, end)
    return -1
  }

  private trailers(bytes: Buffer, from: number, to: number, sink: BodySink): number | ProxyError {
    // The usual end: an empty line, whole.
    if (this.held === null && to - from >= 2 && bytes[from] === CR && bytes[from + 1] === LF) {
      this.phase = phase.done
      sink.onBodyEnd(null)
      return from + 2
    }
    this.held ??= new HeadBuffer('trailers', this.share)
    const { held, limits } = this
    const before = held.length
    // Not all that came: what follows the trailers may be as long as it likes.
    const most = Math.min(to, from + limits.headBytes - before)
    held.append(bytes.subarray(from, most))
    const parsed = held.ready() ? parseTrailers(held.view(), 0, held.length, limits, this.request) : null
    if (parsed instanceof ProxyError) return parsed
    if (parsed === null) return most < to ? this.refuse('trailers larger than limits.head') : -1
    this.phase = phase.done
    held.release()
    this.held = null
    sink.onBodyEnd(parsed.fields.text === '' ? null : parsed.fields)
    return from + parsed.end - before
  }

  private refuse(why: string): ProxyError {
    return new ProxyError(this.request ? 'BAD_REQUEST' : 'BAD_RESPONSE', why)
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = byte | 0x20
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}
