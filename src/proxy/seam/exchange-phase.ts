/**
 * Every state in which an exchange can wait, in either direction: for whom, how long, and the error that ends it. One
 * table for both versions, for clients and backends; a state without a rule does not compile. ExchangeDeadline keeps an
 * exchange's two states and finds the deadline that follows from them. docs/deadlines.md is held to this table by
 * test/unit/deadlines-in-one-place.test.ts.
 */
import type { ErrorCode } from '../../base/errors.ts'
import type { RouteTimeouts } from '../../model/route.ts'
import type { Timeouts } from '../../model/snapshot.ts'

/** Who is waited for, and so what has to be cut when the time is over */
export type WaitedFor = 'client' | 'reader' | 'backend' | 'gateway'

type Rule = {
  readonly whom: WaitedFor
  /** Of the configuration, for messages */
  readonly timeout: string
  /** 0 for none */
  readonly ms: (route: RouteTimeouts, all: Timeouts) => number
  readonly error: ErrorCode
  /** What did not happen; `who` is the endpoint or the filter */
  readonly why: (who: string) => string
}

/** What the answer waits for. */
export type AnswerPhase =
  | 'requestEnd'
  | 'challenge'
  | 'requestFilter'
  | 'requestBody'
  | 'connect'
  | 'responseHead'
  | 'responseFilter'
  | 'responseBody'
  | 'responseTransform'
  | 'unread'

export const answerPhases: Readonly<Record<AnswerPhase, Rule>> = {
  /** HTTP/2: a content-length of 0, and a stream that goes on: only its end says that this is true */
  requestEnd: {
    whom: 'client',
    timeout: 'timeouts.head',
    ms: (_route, all) => all.headMs,
    error: 'REQUEST_TIMEOUT',
    why: () => 'a request with a content-length of 0 did not end',
  },
  challenge: {
    whom: 'gateway',
    timeout: 'timeouts.handshake',
    ms: (_route, all) => all.handshakeMs,
    error: 'CHALLENGE_TIMEOUT',
    why: () => 'storage did not say whether this ACME challenge is open',
  },
  requestFilter: {
    whom: 'gateway',
    timeout: 'timeouts.filter',
    ms: route => route.filterMs,
    error: 'FILTER_TIMEOUT',
    why: who => `${who} did not settle its promise in the request phase`,
  },
  /** A stage or filter holds the body until it is whole: the states of the request say how long that may take */
  requestBody: {
    whom: 'client',
    timeout: 'timeouts.bodyIdle',
    ms: route => route.bodyIdleMs,
    error: 'REQUEST_TIMEOUT',
    why: who => `${who} waits for the request body, and no byte of it came`,
  },
  /** A pooled connection with room, a connection that others wait for as well, or one of its own */
  connect: {
    whom: 'backend',
    timeout: 'timeouts.connect',
    ms: route => route.connectMs,
    error: 'CONNECT_TIMEOUT',
    why: who => `no connection to ${who}`,
  },
  /** From the end of the request. An interim answer is no answer: it neither ends this nor begins it anew */
  responseHead: {
    whom: 'backend',
    timeout: 'timeouts.response',
    ms: route => route.responseMs,
    error: 'RESPONSE_TIMEOUT',
    why: who => `${who} sent no response head`,
  },
  responseFilter: {
    whom: 'gateway',
    timeout: 'timeouts.filter',
    ms: route => route.filterMs,
    error: 'FILTER_TIMEOUT',
    why: who => `${who} did not settle its promise in the response phase`,
  },
  /** Up to the end of the trailers */
  responseBody: {
    whom: 'backend',
    timeout: 'timeouts.idle',
    ms: route => route.idleMs,
    error: 'UPSTREAM_IDLE',
    why: who => `${who} sent nothing`,
  },
  /** The backend is stopped meanwhile */
  responseTransform: {
    whom: 'gateway',
    timeout: 'timeouts.filter',
    ms: route => route.filterMs,
    error: 'FILTER_TIMEOUT',
    why: who => `${who} did not settle its promise for a piece of the response body`,
  },
  unread: {
    whom: 'reader',
    timeout: 'timeouts.idle',
    ms: route => route.idleMs,
    error: 'CLIENT_STALLED',
    why: () => 'the client read nothing',
  },
}

/** What the request waits for. */
export type RequestPhase = 'sending' | 'expecting' | 'untaken' | 'requestTransform' | 'stream' | 'ended'

export const requestPhases: Readonly<Record<Exclude<RequestPhase, 'ended'>, Rule>> = {
  /** Up to the end of the trailers; limits.bodyRate counts as well */
  sending: {
    whom: 'client',
    timeout: 'timeouts.bodyIdle',
    ms: route => route.bodyIdleMs,
    error: 'REQUEST_TIMEOUT',
    why: () => 'no byte of the request body',
  },
  /** The client waits for a 100 (RFC 9110 section 10.1.1), and so does the gateway */
  expecting: {
    whom: 'backend',
    timeout: 'timeouts.response',
    ms: route => route.responseMs,
    error: 'RESPONSE_TIMEOUT',
    why: who => `${who} answered neither with 100 nor with a response head`,
  },
  /** The client is stopped, since the backend does not read */
  untaken: {
    whom: 'backend',
    timeout: 'timeouts.idle',
    ms: route => route.idleMs,
    error: 'UPSTREAM_IDLE',
    why: who => `${who} read nothing of the request body`,
  },
  /** The client is stopped meanwhile, if it has more to send */
  requestTransform: {
    whom: 'gateway',
    timeout: 'timeouts.filter',
    ms: route => route.filterMs,
    error: 'FILTER_TIMEOUT',
    why: who => `${who} did not settle its promise for a piece of the request body`,
  },
  /** A call of gRPC may say nothing for as long as it likes, as long as one of both sides says something */
  stream: {
    whom: 'client',
    timeout: 'timeouts.idle',
    ms: route => route.idleMs,
    error: 'STREAM_IDLE',
    why: who => `neither the client nor ${who} sent a byte of the call`,
  },
}
