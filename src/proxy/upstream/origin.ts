/** The origin that asks an upstream: its tries, with their retries and connections, are inside it. */
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
    const asking = exchange as Asking
    const attempts = new Attempts(asking, upstream, sink)
    asking.attempts = attempts
    attempts.begin()
    return attempts
  }
