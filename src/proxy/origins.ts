/** The origins of routes: an upstream, a redirect, a fixed response. */

import type { Reply } from '../model/filter.ts'
import { needsNoBody, type Origin, type StagedExchange } from '../model/stage.ts'
import type { Upstream } from '../model/upstream.ts'
import { atLastHop } from './max-forwards.ts'

export const upstreamOrigin =
  (upstream: Upstream): Origin =>
  (exchange, sink) =>
    exchange.askUpstream(upstream, sink)

/** Counts Max-Forwards down before it asks, and answers at the last hop: behind the stages, so that these decide first. */
export const withinHops =
  (origin: Origin): Origin =>
  (exchange, sink) => {
    const last = atLastHop(exchange.head, exchange.host)
    if (last === null) return origin(exchange, sink)
    exchange.replyThrough(sink, last)
    return needsNoBody
  }

export const redirectOrigin =
  (status: number, location: (exchange: StagedExchange) => string): Origin =>
  (exchange, sink) => {
    exchange.replyThrough(sink, { status, headers: { location: location(exchange) } })
    return needsNoBody
  }

export const replyOrigin =
  (reply: Reply): Origin =>
  (exchange, sink) => {
    exchange.replyThrough(sink, reply)
    return needsNoBody
  }
