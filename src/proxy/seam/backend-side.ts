/** The backends of one exchange, as the exchange sees them: what an origin that asks an upstream puts in its place. */
import type { ProxyError } from '../../base/errors.ts'
import type { AskedEndpoint } from '../../model/stage.ts'

export interface BackendSide {
  /** Tries so far */
  readonly count: number
  /** The one that is asked, or was asked last */
  readonly endpoint: AskedEndpoint | null
  readonly upstreamName: string | null
  /** The backend that gave the answer has a connection that carries others too */
  readonly shared: boolean
  /** Whether the backend has read something of the body since this was asked last */
  peerReads(): boolean
  /** The try under way took too long: another one, where that is safe. */
  backendFailed(error: ProxyError): void
  /** Cuts the try under way. */
  drop(): void
  /** The exchange is over. */
  done(): void
}

/** Of an exchange that asks nobody, or not yet */
export const nobodyAsked: BackendSide = {
  count: 0,
  endpoint: null,
  upstreamName: null,
  shared: false,
  peerReads: () => false,
  backendFailed() {},
  drop() {},
  done() {},
}
