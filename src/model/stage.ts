/**
 * What happens to a request on its way to an answer. An `Origin` takes an exchange and a `Sink` for its answer and gives back
 * where the request body goes; a `Stage` wraps an origin. Stages are composed once per route, when a configuration is
 * compiled: a route without stages is its plain origin.
 *
 * A stage may answer by itself, wait, change what the origin is asked for, wrap the sink (to see or change the answer) and
 * wrap the request side (to see, change or hold the body). A stage that does not apply to an exchange returns what the inner
 * origin returned, so that it costs nothing more.
 *
 * Re-entrancy. Whoever is called may call back before it returns:
 * - An origin may answer, in part or whole, before it has returned its request side. Whoever called it remembers what is asked of
 *   that side meanwhile (`resumeAnswer`, `drop`), and does it then.
 * - A sink may be drained within the call that answers `false`: the `false` means nothing then. Whoever stops a source for it
 *   notes first whether that has happened.
 * - A source that is let go on may send within the call that lets it. So pieces are handed on before their source is let go on, and
 *   what comes during a call is taken up behind it: nothing overtakes.
 * - After `end`, `abort`, `fail` or `drop` nothing more is written, and what comes late is dropped.
 * test/unit/stages-call-back.test.ts holds this with exchanges without sockets, for every order of calls.
 */
import type { ErrorCode, ProxyError } from '../base/errors.ts'
import type { HeldBytes } from '../base/held-bytes.ts'
import type { Fields } from '../wire/fields.ts'
import type { RequestHead, ResponseHead } from '../wire/heads.ts'
import type { Fingerprint } from '../wire/ja4.ts'
import type { CloudIds } from '../wire/proxy-header.ts'
import type { Client } from './client.ts'
import type { ClientIdentity } from './client-identity.ts'
import type { Reply } from './filter.ts'
import type { Link, TlsFacts } from './link.ts'

/** Takes one answer. The client's side is one; a stage that wants to see or change the answer makes another around it. */
export interface Sink {
  /** An interim answer (1xx). `false`: wait for `resumeAnswer`. */
  inform(head: ResponseHead): boolean
  /** The final head, once; it is the sink's to change. `bodyless`: nothing follows, whatever its length says (HEAD, 204, 304) */
  answer(head: ResponseHead, bodyless: boolean): void
  /** `false`: wait for `resumeAnswer`. */
  data(bytes: Uint8Array, from: number, to: number): boolean
  end(trailers: Fields | null): void
  /** The answer cannot be made whole: before `answer` the client gets the error's page, afterwards a visible cut. */
  abort(error: ProxyError): void
  /** An upgrade was granted: the links are joined, and no stage has any further part in it. `early`: sent behind the 101 */
  switched(head: ResponseHead, backend: Link, early: readonly Buffer[]): void
  /** The request side can take more. */
  requestDrained(): void
}

/** Where the request body goes. */
export interface RequestSink {
  /** `false`: wait for `Sink.requestDrained`. */
  data(bytes: Buffer, from: number, to: number): boolean
  /**
   * The same as `data`, for all that was held of the body before: from here on it is the callee's, to keep for another try or
   * to clear. Whoever looks at the body in `data` sees it there too (`WrappedRequest`).
   */
  dataHeld(held: HeldBytes): boolean
  end(trailers: Fields | null): void
  /** All that came in this turn of the event loop was given. `false`: wait for `Sink.requestDrained`. */
  flush(): boolean
  /** The sink can take more of the answer. */
  resumeAnswer(): void
  /** The request turned out to be bad, or something took too long: it is answered with the error through the sink. */
  fail(error: ProxyError): void
  /** The client is gone: nobody waits for an answer. */
  drop(): void
}

/** The endpoint that is asked. */
export interface AskedEndpoint {
  /** For logs */
  readonly label: string
  /** What the Host field says where it is the endpoint's */
  readonly authority: string
  /** IP address; of a Unix socket its path, and port 0 */
  readonly place: { readonly address: string; readonly port: number }
}

/** What is known of the connection: its peer is the client, or a trusted proxy. */
interface ConnectionFacts {
  /** TLS with the peer */
  readonly secure: boolean
  readonly serverName: string | null
  /** Who the client has proved to be with its certificate */
  readonly identity: ClientIdentity | null
  readonly fingerprint: Fingerprint | null
  readonly cloud: CloudIds | null
  /** Key exchange group; empty in cleartext */
  readonly group: string
  readonly link: { readonly tls: TlsFacts | null }
}

/** An exchange as origins and stages see it. */
export interface StagedExchange {
  /** In the log and in error answers; unique in this process, unless a stage has set what the client sent */
  id: string
  readonly connection: ConnectionFacts
  /** Whom the request comes from */
  readonly client: Client
  /** `fields` is what the origin is asked with: it may be changed before the inner origin is called */
  readonly head: RequestHead
  /** As asked for, without the changes of stages: the Host, and the target in normal form, which was routed on */
  readonly host: string
  readonly path: string
  readonly query: string
  /** What the origin is asked for: stages change these before they call the inner origin */
  forwardPath: string
  forwardQuery: string
  /** Fields that say who the client is, each with its CRLF */
  forwardText: string
  /** The Host field in place of the upstream's, or null */
  hostField: string | null
  /** The protocol that the backend is asked to switch to, or null: of those that the client offers */
  upgrade: string | null
  readonly siteName: string
  readonly route: { readonly name: string } | null
  /** What is asked, or was: nothing before there is an endpoint, or where the gateway answers by itself */
  readonly attempts: { readonly endpoint: AskedEndpoint | null; readonly upstreamName: string | null }
  readonly finished: boolean
  /** The error that it is answered with, once there is one */
  readonly errorCode: ErrorCode | null
  /** The answer is the gateway's own: an error's page, or a reply */
  readonly answersItself: boolean
  /** Set by a stage: the access log has no line for it */
  unlogged: boolean
  /** Why the request is refused before its origin is asked; null where it is not */
  readonly refusal: ProxyError | null
  /** Answers through a sink with the error's page: for an origin or stage that has not answered yet. */
  failThrough(sink: Sink, error: ProxyError): void
  /** Answers through a sink with a reply of the gateway's own. */
  replyThrough(sink: Sink, reply: Reply): void
  /** Called exactly once, when the exchange is over, or at once where it is; `error` is what ended it, or null. */
  onDone(done: (error: ProxyError | null) => void): void
}

export type Origin = (exchange: StagedExchange, sink: Sink) => RequestSink
export type Stage = (inner: Origin) => Origin

/** The first stage is the outermost. */
export function compose(stages: readonly Stage[], origin: Origin): Origin {
  return stages.reduceRight((inner, stage) => stage(inner), origin)
}

/** The request side of an origin that needs nothing of the request body. */
export const needsNoBody: RequestSink = {
  data: () => true,
  dataHeld(held) {
    held.clear()
    return true
  },
  end() {},
  flush: () => true,
  resumeAnswer() {},
  fail() {},
  drop() {},
}

/** A sink around another that changes nothing: what a stage does not override passes as it is. */
export class WrappedSink implements Sink {
  protected readonly sink: Sink

  constructor(sink: Sink) {
    this.sink = sink
  }

  inform(head: ResponseHead): boolean {
    return this.sink.inform(head)
  }

  answer(head: ResponseHead, bodyless: boolean): void {
    this.sink.answer(head, bodyless)
  }

  data(bytes: Uint8Array, from: number, to: number): boolean {
    return this.sink.data(bytes, from, to)
  }

  end(trailers: Fields | null): void {
    this.sink.end(trailers)
  }

  abort(error: ProxyError): void {
    this.sink.abort(error)
  }

  switched(head: ResponseHead, backend: Link, early: readonly Buffer[]): void {
    this.sink.switched(head, backend, early)
  }

  requestDrained(): void {
    this.sink.requestDrained()
  }
}

/**
 * A request side around another that changes nothing. What was held of the body goes through `data`, so that a stage that
 * looks at the body there misses none of it; one that does not overrides `dataHeld` to pass it on as it is.
 */
export class WrappedRequest implements RequestSink {
  protected readonly request: RequestSink

  constructor(request: RequestSink) {
    this.request = request
  }

  data(bytes: Buffer, from: number, to: number): boolean {
    return this.request.data(bytes, from, to)
  }

  dataHeld(held: HeldBytes): boolean {
    const open = held.each((bytes, from, to) => this.data(bytes, from, to))
    held.clear()
    return open
  }

  end(trailers: Fields | null): void {
    this.request.end(trailers)
  }

  flush(): boolean {
    return this.request.flush()
  }

  resumeAnswer(): void {
    this.request.resumeAnswer()
  }

  fail(error: ProxyError): void {
    this.request.fail(error)
  }

  drop(): void {
    this.request.drop()
  }
}
