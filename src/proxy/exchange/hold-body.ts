/**
 * For stages that look at the request body before they let it go on: it is held until it is whole or longer than they
 * wanted. Held bytes count in the share of the client's connection and leave its flow-control window open; what goes on
 * afterwards is the same bytes, which the origin keeps for another try.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Share } from '../../base/memory-budget.ts'
import { needsNoBody, type RequestSink, type Sink, type StagedExchange } from '../../model/stage.ts'
import { Fields } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import { hasBody } from '../seam/backend.ts'
import type { ExchangeDeadline } from './exchange-deadline.ts'
import { PendingRequest } from './pending-request.ts'

/** An exchange whose body can be held. */
export interface HoldingExchange extends StagedExchange {
  readonly share: Share
  readonly deadline: Pick<ExchangeDeadline, 'wait' | 'continued'>
}

/** What was held. */
export type HeldBody = {
  readonly bytes: Buffer
  /** False: it is the beginning of a longer body, at most as long as `limit` */
  readonly complete: boolean
}

export type BodyHold = {
  /** In bytes */
  readonly limit: number
  /** A longer body: a 413, or its first bytes are looked at */
  readonly past: 'refuse' | 'prefix'
  /** Who waits, for errors */
  readonly who: string
  /** Called once. @returns where the body goes on: what the inner origin gave back, or `needsNoBody` after an answer */
  inspected(held: HeldBody): RequestSink
}

/** @returns the request side to give back from the stage */
export function holdBody(exchange: StagedExchange, sink: Sink, hold: BodyHold): RequestSink {
  const holding = exchange as HoldingExchange
  const { head } = exchange
  if (!hasBody(head)) return hold.inspected({ bytes: Buffer.alloc(0), complete: true })
  const tooLong = (): RequestSink => {
    exchange.failThrough(sink, tooLarge(hold.limit, hold.who))
    return needsNoBody
  }
  if (hold.past === 'refuse' && head.contentLength > hold.limit) return tooLong()
  const pending = new PendingRequest(holding.share, sink, error => exchange.failThrough(sink, error))
  waitForBody(holding, sink, hold.who, pending)
  pending.hold(hold.limit, complete => {
    if (complete || hold.past === 'prefix')
      pending.flowInto(hold.inspected({ bytes: pending.whole().subarray(0, hold.limit), complete }))
    else pending.flowInto(tooLong())
  })
  return pending
}

export const tooLarge = (limit: number, who: string): ProxyError =>
  new ProxyError('BODY_TOO_LARGE', `the request body has more than the ${limit} bytes that ${who} takes`)

/** The client is let send, and its deadlines count. One that waits for a 100 gets it from here, and the backend is asked for none. */
export function waitForBody(exchange: HoldingExchange, sink: Sink, who: string, pending: PendingRequest): void {
  const { head, deadline } = exchange
  deadline.wait('requestBody', who)
  if (!head.expectContinue) return
  head.expectContinue = false
  deadline.continued()
  // Whoever has begun does not wait (RFC 9110 section 10.1.1).
  if (pending.length === 0) sink.inform(goOn())
}

const goOn = (): ResponseHead => ({
  status: 100,
  reason: 'Continue',
  fields: new Fields(''),
  end: 0,
  minor: 1,
  contentLength: -1,
  chunked: false,
  persistent: true,
  upgrade: null,
  dated: true,
})
