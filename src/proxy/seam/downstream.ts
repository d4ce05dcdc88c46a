/** The client's side of one exchange: how an answer is given, and the request body stopped. Both versions implement it. */
import type { ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Link } from '../../model/link.ts'
import type { TunnelTimeouts } from '../../model/route.ts'
import type { Fields } from '../../wire/fields.ts'
import type { Forwarding } from './forward.ts'

/** An exchange that has become a tunnel. */
export interface Tunnelled {
  readonly timeouts: TunnelTimeouts
  readonly upgrade: string | null
  finish(error: ProxyError | null): void
  tunnelEnded(bytesIn: number, bytesOut: number, error: ProxyError | null): void
}

export interface Downstream {
  readonly connection: Connection
  readonly forwarding: Forwarding
  /** Gathers what is written until `uncork` */
  cork(): void
  uncork(): void
  /** A 1xx answer, where the client's version knows them. `false`: wait for `Exchange.downstreamDrained`. */
  inform(status: number, reason: string, text: string): boolean
  /**
   * The final head. `text`: field lines without framing. `length`: of the body that follows, -1 when not known.
   * `bodyless`: there is none, whatever the length says (HEAD, 204, 304).
   */
  head(status: number, reason: string, text: string, length: number, bodyless: boolean): void
  /** `false`: wait for `Exchange.downstreamDrained`. */
  data(bytes: Uint8Array, from: number, to: number): boolean
  end(trailers: Fields | null): void
  /** Cuts the answer off so that the client sees that it is not complete. */
  abort(error: ProxyError): void
  /** After this exchange's answer the connection carries no other. */
  closeAfter(): void
  pauseBody(): void
  resumeBody(): void
  /** Whether the client has read something of what waits for it, since this was asked last */
  peerReads(): boolean
  /** Answers 101 and joins the two links. `early`: what the backend has sent already. */
  switchTo(tunnelled: Tunnelled, text: string, backend: Link, early: readonly Buffer[]): void
}
