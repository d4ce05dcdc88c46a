/** `readBody` of filters: the request body, held for the request phase. The deadlines are the client's meanwhile. */
import type { ProxyError } from '../../base/errors.ts'
import type { Filter } from '../../model/filter.ts'
import type { Sink } from '../../model/stage.ts'
import { hasBody } from '../seam/backend.ts'
import { faultPlace } from './filter-run.ts'
import { type HoldingExchange, tooLarge, waitForBody } from './hold-body.ts'
import type { PendingRequest } from './pending-request.ts'

export class FilterReader {
  private readonly host: HoldingExchange
  private readonly sink: Sink
  private readonly pending: PendingRequest
  private readonly readDone: () => void
  private rejects: ((error: unknown) => void) | null = null
  private tooLarge: ProxyError | null = null
  private over = false

  /** @param readDone the filter is waited for again */
  constructor(host: HoldingExchange, sink: Sink, pending: PendingRequest, readDone: () => void) {
    this.host = host
    this.sink = sink
    this.pending = pending
    this.readDone = readDone
    host.onDone(error => this.stop(error ?? new TypeError('the exchange is over')))
  }

  get reading(): boolean {
    return this.rejects !== null
  }

  /** The 413 that a filter was given, where it has let that end the exchange. */
  refused(error: unknown): ProxyError | null {
    return error === this.tooLarge ? this.tooLarge : null
  }

  /** The bytes stay held, and are what the backend gets. Rejects with BODY_TOO_LARGE. */
  read(filter: Filter, limit: number, past: 'refuse' | 'prefix'): Promise<Uint8Array> {
    const promise = new Promise<Uint8Array>((resolve, reject) => this.start(filter, limit, past, resolve, reject))
    // A filter that does not wait for it is no reason to end the process.
    promise.catch(() => {})
    return promise
  }

  /** The request phase is over. */
  close(): void {
    this.over = true
    this.stop(new TypeError('readBody: the request phase is over'))
  }

  private start(
    filter: Filter,
    limit: number,
    past: 'refuse' | 'prefix',
    resolve: (bytes: Uint8Array) => void,
    reject: (error: unknown) => void,
  ): void {
    const { host, pending } = this
    if (!Number.isSafeInteger(limit) || limit < 0)
      throw new TypeError(`readBody takes a number of bytes, not ${String(limit)}`)
    if (past !== 'refuse' && past !== 'prefix')
      throw new TypeError(`readBody takes 'refuse' or 'prefix', not ${String(past)}`)
    if (this.over) throw new TypeError('readBody: the request phase is over')
    if (this.reading) throw new TypeError('readBody: the body is being read already')
    if (!hasBody(host.head)) {
      resolve(new Uint8Array(0))
      return
    }
    if (past === 'refuse' && host.head.contentLength > limit) {
      reject(this.refuse(filter, limit))
      return
    }
    this.rejects = reject
    waitForBody(host, this.sink, faultPlace(filter), pending)
    pending.hold(limit, complete => {
      this.rejects = null
      if (complete || past === 'prefix') resolve(pending.whole().subarray(0, limit))
      else reject(this.refuse(filter, limit))
      this.readDone()
    })
  }

  private refuse(filter: Filter, limit: number): ProxyError {
    this.tooLarge = tooLarge(limit, faultPlace(filter))
    return this.tooLarge
  }

  private stop(error: unknown): void {
    const { rejects } = this
    this.rejects = null
    if (rejects === null) return
    this.pending.stopHolding()
    rejects(error)
  }
}
