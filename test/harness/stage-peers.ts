/** Both ends of a chain of stages, without sockets: they note what comes, and are full when they are told to be. */
import assert from 'node:assert/strict'
import type { ProxyError } from '../../src/base/errors.ts'
import type { HeldBytes } from '../../src/base/held-bytes.ts'
import { type Ending, MemoryBudget, Share } from '../../src/base/memory-budget.ts'
import type { Lasting } from '../../src/features/feature.ts'
import type { RequestSink, Sink } from '../../src/model/stage.ts'
import { Fields } from '../../src/wire/fields.ts'
import type { RequestHead, ResponseHead } from '../../src/wire/heads.ts'

export const responseHead = (status: number): ResponseHead => ({
  end: 0,
  minor: 1,
  fields: new Fields(''),
  contentLength: -1,
  chunked: true,
  persistent: true,
  upgrade: null,
  status,
  reason: '',
  dated: true,
})

export const requestHead = (more: Partial<RequestHead> = {}): RequestHead => ({
  end: 0,
  minor: 1,
  fields: new Fields(''),
  contentLength: -1,
  chunked: true,
  persistent: true,
  upgrade: null,
  version: 1,
  method: 'POST',
  target: '/',
  host: 'a.test',
  expectContinue: false,
  trailers: false,
  claims: null,
  grpc: false,
  grpcTimeout: null,
  ...more,
})

export const newShare = (): Share =>
  new Share(new MemoryBudget(Number.POSITIVE_INFINITY, () => {}), { overBudget() {} } as unknown as Ending)

/** A sink that notes what comes, and is full after `room` pieces. */
export class Noted implements Sink {
  readonly calls: string[] = []
  room = Number.POSITIVE_INFINITY
  drained = () => {}
  inform(of: ResponseHead): boolean {
    this.calls.push(`inform ${of.status}`)
    return true
  }
  answer(of: ResponseHead): void {
    this.calls.push(`answer ${of.status} ${of.fields.text.trim()}`.trim())
  }
  data(bytes: Uint8Array, from: number, to: number): boolean {
    this.calls.push(`data ${Buffer.from(bytes.subarray(from, to))}`)
    return --this.room > 0
  }
  end(trailers: Fields | null): void {
    this.calls.push(trailers === null ? 'end' : `end ${trailers.text.trim()}`)
  }
  abort(error: ProxyError): void {
    this.calls.push(`abort ${error.code}`)
  }
  switched(): void {
    this.calls.push('switched')
  }
  requestDrained(): void {
    this.calls.push('drained')
    this.drained()
  }
}

/** A request side that notes what comes; `open` is what `data` answers. */
export class Asked implements RequestSink {
  readonly calls: string[] = []
  open = true
  /** The last that was given to `dataHeld` */
  held: HeldBytes | null = null
  data(bytes: Buffer, from: number, to: number): boolean {
    this.calls.push(`data ${bytes.subarray(from, to)}`)
    return this.open
  }
  /** Notes the bytes as one call */
  dataHeld(held: HeldBytes): boolean {
    this.held = held
    return this.data(held.whole(), 0, held.length)
  }
  end(trailers: Fields | null): void {
    this.calls.push(trailers === null ? 'end' : `end ${trailers.text.trim()}`)
  }
  flush(): boolean {
    this.calls.push('flush')
    return true
  }
  resumeAnswer(): void {
    this.calls.push('resume')
  }
  fail(error: ProxyError): void {
    this.calls.push(`fail ${error.code}`)
  }
  drop(): void {
    this.calls.push('drop')
  }
}

/** For features that need nothing that outlives a configuration. */
export const nothingLasts: Lasting = {
  page: file => assert.fail(`the page ${file}`),
  maintenance: () => ({ on: false }),
}
