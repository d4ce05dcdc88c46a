/**
 * Every state in which a connection can wait, and how long it may: one table for clients and backends, both versions and
 * layer 4. A state without a rule does not compile, and `deadlineAt` of a connection is set here and nowhere else
 * (test/unit/deadlines-in-one-place.test.ts). What an exchange waits for is in exchange-phase.ts; docs/deadlines.md has
 * both.
 */
import type { Deadlines, Timed } from '../../base/deadlines.ts'
import type { Timeouts } from '../../model/snapshot.ts'

type Rule =
  /** A timeout of the configuration */
  | { readonly by: 'timeout'; readonly ms: (timeouts: Timeouts) => number }
  /** Given by whoever enters the state: it is the route's or the site's own */
  | { readonly by: 'given' }
  /** A peer that was answered, or refused, has this long to close; a thing that is looked at is looked at this often */
  | { readonly by: 'constant'; readonly ms: number }
  /** An exchange runs on it: ExchangeDeadline watches over both of its ends */
  | { readonly by: 'exchange' }

export type ConnectionPhase =
  // A client's connection
  | 'opening'
  | 'startTls'
  | 'refused'
  | 'requestHead'
  | 'challenge'
  | 'unread'
  | 'keepAlive'
  | 'exchange'
  | 'lingering'
  | 'redirected'
  | 'preface'
  | 'headerBlock'
  | 'streams'
  | 'draining'
  | 'leaving'
  | 'closing'
  // A backend's
  | 'connecting'
  | 'greeting'
  | 'settings'
  | 'pooled'
  | 'firstHalf'
  | 'secondHalf'
  | 'carrying'
  | 'probed'
  // Both at once
  | 'tunnel'

export const connectionPhases: Readonly<Record<ConnectionPhase, Rule>> = {
  /** The PROXY header, the first message, a certificate that is ordered on demand and the handshake: all within one deadline */
  opening: { by: 'timeout', ms: timeouts => timeouts.handshakeMs },
  /** Cleartext commands, up to STARTTLS or SSLRequest; `opening` comes again behind it */
  startTls: { by: 'timeout', ms: timeouts => timeouts.handshakeMs },
  refused: { by: 'constant', ms: 1_000 },
  requestHead: { by: 'timeout', ms: timeouts => timeouts.headMs },
  challenge: { by: 'timeout', ms: timeouts => timeouts.handshakeMs },
  /** The answer is written, and the client does not take it */
  unread: { by: 'timeout', ms: timeouts => timeouts.idleMs },
  keepAlive: { by: 'timeout', ms: timeouts => timeouts.keepAliveMs },
  exchange: { by: 'exchange' },
  lingering: { by: 'constant', ms: 5_000 },
  redirected: { by: 'constant', ms: 2_000 },
  preface: { by: 'timeout', ms: timeouts => timeouts.headMs },
  headerBlock: { by: 'timeout', ms: timeouts => timeouts.headMs },
  /** Each of them has an exchange, or is looked at at every tick */
  streams: { by: 'constant', ms: 1_000 },
  draining: { by: 'constant', ms: 1_000 },
  /** The client has said GOAWAY, and has no stream left */
  leaving: { by: 'constant', ms: 1_000 },
  closing: { by: 'constant', ms: 1_000 },
  connecting: { by: 'given' },
  /** A mail server's, which the client has had from us */
  greeting: { by: 'given' },
  settings: { by: 'given' },
  pooled: { by: 'timeout', ms: timeouts => timeouts.poolIdleMs },
  /** An HTTP/2 connection without a stream is asked with a PING half way, and then kept for the other half */
  firstHalf: { by: 'timeout', ms: timeouts => timeouts.poolIdleMs / 2 },
  secondHalf: { by: 'timeout', ms: timeouts => timeouts.poolIdleMs / 2 },
  carrying: { by: 'exchange' },
  probed: { by: 'constant', ms: 5_000 },
  tunnel: { by: 'given' },
}

/** A connection, or two that were joined. */
export interface Waiting extends Timed {
  phase: ConnectionPhase
}

type Clocked = { readonly deadlines: Deadlines; readonly snapshot: { readonly timeouts: Timeouts } }

/** @param givenMs where the rule says so; 0 for none */
function deadlineOf(phase: ConnectionPhase, { deadlines, snapshot }: Clocked, givenMs = 0): number {
  const rule = connectionPhases[phase]
  switch (rule.by) {
    case 'timeout':
      return deadlines.after(rule.ms(snapshot.timeouts))
    case 'given':
      return deadlines.after(givenMs)
    case 'constant':
      return deadlines.after(rule.ms)
    case 'exchange':
      return Number.POSITIVE_INFINITY
  }
}

/** From now on it waits for this, for as long as that may take. */
export function enter(waiting: Waiting, phase: ConnectionPhase, clocked: Clocked, givenMs = 0): void {
  waiting.phase = phase
  waiting.deadlineAt = deadlineOf(phase, clocked, givenMs)
}
