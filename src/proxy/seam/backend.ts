/**
 * An exchange and its backend, as they see each other. The backend is one HTTP/1.1 connection or one stream of an
 * HTTP/2 connection; the exchange cannot tell which.
 */
import type { ProxyError } from '../../base/errors.ts'
import type { Link } from '../../model/link.ts'
import type { Fields } from '../../wire/fields.ts'
import type { RequestHead, ResponseHead } from '../../wire/heads.ts'

/** The exchange that a backend serves. */
export interface BackendUser {
  readonly head: RequestHead
  readonly forwardPath: string
  readonly forwardQuery: string
  /** Fields that say who the client is, each with its CRLF */
  readonly forwardText: string
  /** The upgrade that the backend is asked for, or null */
  readonly upgrade: string | null
  /** Gathers what is written to the client until `uncorkAnswer` */
  corkAnswer(): void
  uncorkAnswer(): void
  /** The backend can take more of the request body */
  backendDrained(): void
  backendInformation(head: ResponseHead): void
  backendHead(head: ResponseHead, bodyless: boolean): void
  backendData(bytes: Buffer, from: number, to: number): void
  /** The response is whole; the connection goes back to its pool by itself. */
  backendEnd(trailers: Fields | null): void
  backendFailed(error: ProxyError): void
  /** The upgrade was granted; `release` gives the link of the tunnel. */
  backendSwitched(head: ResponseHead): void
  switchedData(chunk: Buffer): void
}

/** What an exchange needs of a connection: that of any request, a WebSocket, or an upgrade that HTTP/1.1 alone is sure to have. */
export type Need = 'request' | 'websocket' | 'upgrade'

/** One try at one endpoint. */
export interface Backend {
  /** Its connection carries other exchanges too, and outlives one that is cut off. */
  readonly shared: boolean
  /** Sends the request's head. `host`: what the Host field says. The body follows, if the head announces one. */
  send(user: BackendUser, host: string): void
  /** `false`: wait for `backendDrained`. */
  body(bytes: Buffer, from: number, to: number): boolean
  endBody(trailers: Fields | null): void
  /** What was sent in this turn of the event loop leaves in one write. `false`: wait for `backendDrained`. */
  flush(): boolean
  pause(): void
  resume(): void
  /** Whether the backend has read something of the body that waits for it, since this was asked last */
  peerReads(): boolean
  /** The exchange is over for its own reasons, and the backend is told by being cut off. */
  abort(): void
  /** After `backendSwitched`: the tunnel, of which this object has no further part. */
  release(): Link
}

/** Whether a request has a body, known before it has begun. */
export const hasBody = (head: RequestHead): boolean => head.chunked || head.contentLength > 0
