/** The origins of routes that answer here: a redirect, a fixed response, a refusal. proxy/upstream has the other one. */
import type { ProxyError } from '../../base/errors.ts'
import type { Reply } from '../../model/filter.ts'
import type { Route } from '../../model/route.ts'
import { needsNoBody, type Origin, type RequestSink, type Sink, type StagedExchange } from '../../model/stage.ts'
import { atLastHop } from './max-forwards.ts'

export const redirectOrigin =
  (status: number, location: (exchange: StagedExchange) => string): Origin =>
  (exchange, sink) => {
    if (!lastHop(exchange, sink)) exchange.replyThrough(sink, { status, headers: { location: location(exchange) } })
    return needsNoBody
  }

export const replyOrigin =
  (reply: () => Reply): Origin =>
  (exchange, sink) => {
    if (!lastHop(exchange, sink)) exchange.replyThrough(sink, reply())
    return needsNoBody
  }

/** Counts Max-Forwards down, and answers at the last hop: behind the stages, so that these decide first. */
export function lastHop(exchange: StagedExchange, sink: Sink): boolean {
  const last = atLastHop(exchange.head, exchange.host)
  if (last !== null) exchange.replyThrough(sink, last)
  return last !== null
}

/** The page of the error for which a request is refused. */
export const refusalOrigin: Origin = (exchange, sink) => {
  exchange.failThrough(sink, exchange.refusal as ProxyError)
  return needsNoBody
}

/** Refuses a request with what its route puts around errors, or the fallback route of its site or listener. */
export function refuse(exchange: Refusable, error: ProxyError): RequestSink {
  exchange.refusal = error
  return exchange.refusing.refused(exchange, exchange)
}

type Refusable = StagedExchange & Sink & { refusal: ProxyError | null; readonly refusing: Pick<Route, 'refused'> }
