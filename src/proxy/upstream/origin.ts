/** The origin that asks an upstream: its tries, with their retries and connections, are inside it. */
import { ProxyError } from '../../base/errors.ts'
import { needsNoBody, type Origin, type StagedExchange } from '../../model/stage.ts'
import { lastHop } from '../exchange/origins.ts'
import { Attempts } from './attempts.ts'
import type { AttemptsOwner } from './attempts-owner.ts'
import type { Upstream } from './upstream.ts'

/** Every exchange of the data plane is one: an origin is told of it by no more than a StagedExchange. */
type Asking = StagedExchange & AttemptsOwner & { attempts: Attempts }

export const upstreamOrigin =
  (upstream: Upstream): Origin =>
  (exchange, sink) => {
    if (lastHop(exchange, sink)) return needsNoBody
    const { head, upgrade } = exchange
    if (head.upgrade !== null && upgrade === null && head.version === 2) {
      // Over HTTP/1.1 an offer may be ignored. Over HTTP/2 there is nothing else to the request (RFC 8441 section 4).
      const why = `this route has no upgrade to ${head.upgrade}, which CONNECT asks for`
      exchange.failThrough(sink, new ProxyError('METHOD_NOT_SUPPORTED', why))
      return needsNoBody
    }
    const asking = exchange as Asking
    const attempts = new Attempts(asking, upstream, sink)
    asking.attempts = attempts
    attempts.begin()
    return attempts
  }
