/** The exchange that attempts are made for, as they see it. */
import type { ProxyError } from '../../base/errors.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { RouteTimeouts } from '../../model/route.ts'
import type { Sink } from '../../model/stage.ts'
import type { RequestHead } from '../../wire/heads.ts'
import type { ExchangeDeadline } from '../exchange/exchange-deadline.ts'
import type { Services } from '../seam/services.ts'
import type { Endpoint } from './endpoint.ts'
import type { Upstream } from './upstream.ts'

export interface AttemptsOwner {
  readonly services: Services
  /** Of the client's connection */
  readonly share: Share
  readonly head: RequestHead
  readonly client: { readonly clientAddress: string }
  readonly host: string
  readonly path: string
  readonly query: string
  readonly forwardPath: string
  readonly forwardQuery: string
  readonly forwardText: string
  /** The Host field that a stage or filter has set, or null */
  readonly hostField: string | null
  /** The upgrade that the backend is asked for, or null */
  readonly upgrade: string | null
  readonly timeouts: RouteTimeouts
  readonly deadline: ExchangeDeadline
  readonly downstream: {
    readonly connection: {
      readonly serverName: string | null
      readonly fingerprint: { readonly ja4: string } | null
      readonly identity: { readonly subject: string } | null
    }
    cork(): void
    uncork(): void
  }
  readonly finished: boolean
  /** 0 where nobody measures */
  readonly startedAt: number
  headAt: number
  /** Runs the attempt filters. @returns why one has ended the exchange, or null */
  beforeAttempt(): ProxyError | null
  upstreamSwitches(): void
  pauseBody(): void
  failThrough(sink: Sink, error: ProxyError): void
}

/** HTTP/1.0 may come without a Host, and HTTP/1.1 may not be sent without one. */
export function hostFor({ host, downstream }: AttemptsOwner, { terms }: Upstream, { spoken }: Endpoint): string {
  if (terms.hostHeader !== 'preserve') return spoken.authority
  return host === '' ? (downstream.connection.serverName ?? spoken.authority) : host
}
