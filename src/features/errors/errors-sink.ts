/**
 * An answer that may be an error: its page takes the place of the body. The head leaves at once with the page and its length.
 * What a backend sends as the body of its own error is read away, so that its connection can be used again, but only so much
 * of it; then its attempt is cut. The answer ends once the backend is done, as any other does.
 */
import type { ProxyError } from '../../base/errors.ts'
import { type RequestSink, type Sink, type StagedExchange, WrappedSink } from '../../model/stage.ts'
import { type Fields, fieldNames } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import type { Page } from '../pages.ts'

/** Bytes of a backend's body that are read away */
const readAway = 65_536

/** They say something of the body that the page replaces. */
const ofTheBody = fieldNames([
  'content-type',
  'content-encoding',
  'content-language',
  'content-disposition',
  'content-location',
  'content-range',
  'content-digest',
  'content-md5',
  'repr-digest',
  'digest',
  'accept-ranges',
  'etag',
  'last-modified',
  'cache-control',
  'expires',
  'age',
  'trailer',
  'x-content-type-options',
])
const added = fieldNames(['content-type', 'cache-control', 'x-content-type-options']).bits

/** By status, or `4xx`: each as its file is now */
export type Pages = ReadonlyMap<string, { readonly current: Page }>

export class ErrorsSink extends WrappedSink {
  private readonly exchange: StagedExchange
  private readonly pages: Pages
  private readonly ofBackends: boolean
  private request: RequestSink | null = null
  private replaced = false
  private readAway = 0
  private over = false

  constructor(sink: Sink, exchange: StagedExchange, pages: Pages, ofBackends: boolean) {
    super(sink)
    this.exchange = exchange
    this.pages = pages
    this.ofBackends = ofBackends
  }

  /** The origin has returned its request side. */
  asked(request: RequestSink): void {
    this.request = request
    if (this.over && this.readAway > readAway) request.drop()
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    const page = this.pageOf(head.status)
    if (page === null) {
      this.sink.answer(head, bodyless)
      return
    }
    const { bytes, lines } = page
    this.replaced = true
    head.contentLength = bytes.length
    head.chunked = false
    head.fields.replace(ofTheBody, lines, added)
    this.sink.answer(head, bodyless)
    if (!bodyless && bytes.length > 0) this.sink.data(bytes, 0, bytes.length)
  }

  override data(bytes: Uint8Array, from: number, to: number): boolean {
    if (!this.replaced) return this.sink.data(bytes, from, to)
    if (this.over) return true
    this.readAway += to - from
    if (this.readAway > readAway) {
      this.request?.drop()
      this.whole()
    }
    return true
  }

  override end(trailers: Fields | null): void {
    if (this.replaced) this.whole()
    else this.sink.end(trailers)
  }

  /** The page is whole, whatever has become of the body that it replaces. */
  override abort(error: ProxyError): void {
    if (this.replaced) this.whole()
    else this.sink.abort(error)
  }

  private whole(): void {
    if (this.over) return
    this.over = true
    this.sink.end(null)
  }

  private pageOf(status: number): Page | null {
    if (status < 400) return null
    const { errorCode, answersItself } = this.exchange
    const isError = errorCode !== null || (this.ofBackends && !answersItself)
    if (!isError) return null
    const page = this.pages.get(`${status}`) ?? this.pages.get(`${Math.trunc(status / 100)}xx`)
    return page?.current ?? null
  }
}
