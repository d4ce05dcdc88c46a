/** What the data plane is given by the gateway that runs it. One object, shared by every connection of a worker. */
import type { DateField } from '../../base/date-field.ts'
import type { Deadlines } from '../../base/deadlines.ts'
import type { ErrorCode, ProxyError } from '../../base/errors.ts'
import type { MemoryBudget } from '../../base/memory-budget.ts'
import type { Turn } from '../../base/turn.ts'
import type { ChallengeAnswers } from '../../model/challenge.ts'
import type { Connection } from '../../model/connection.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import type { Upstream } from '../../model/upstream.ts'
import type { ScratchPool } from '../../transport/scratch.ts'
import type { Transport } from '../../transport/transport.ts'
import type { ClientHello } from '../../wire/client-hello.ts'
import type { EndingAlert } from './handshake-failure.ts'

export interface Services {
  readonly transport: Transport
  /** What all connections of this process hold together */
  readonly budget: MemoryBudget
  readonly deadlines: Deadlines
  readonly turn: Turn
  /** For answers that have none */
  readonly date: DateField
  /** For frames that are put together within a turn */
  readonly scratch: ScratchPool
  /** The snapshot in force. A request takes it once; a splice keeps the one it began with. */
  snapshot: Snapshot
  draining: boolean
  /** Open ACME challenges, of this process and of others that share its storage */
  readonly challenges: ChallengeAnswers
  /** A request id: unique among the processes of a gateway, not guessable from the outside */
  nextId(): string
  /** `:port` of the TLS listener that redirects lead to, or empty for 443 */
  httpsPort(): string
  readonly events: Events
  readonly descriptors: DescriptorRoom
}

/** Room for connections under the limit on open files of the process. */
export interface DescriptorRoom {
  /** Whether the client that was just accepted may stay */
  client(): boolean
  /** Null where a connection may be opened, or why not */
  dial(): ProxyError | null
}

/** Where the data plane reports to. Nothing here may throw. */
export interface Events {
  /** An exchange has ended: the status of its answer, or 0 for none. Called whether or not a log is written */
  answered(status: number): void
  /** A client's TLS handshake is done */
  handshakeDone(ms: number): void
  /** Null when the access log is off: then nothing is measured for it either */
  exchange: ((exchange: ExchangeRecord) => void) | null
  splice(record: SpliceRecord): void
  /** A request that never became an exchange, answered with `status` */
  badRequest(connection: Connection, error: ProxyError, status: number, id: string): void
  /** A connection that was refused or failed before it carried anything */
  refused(connection: Connection, error: ProxyError, hello: ClientHello | null, alert: EndingAlert | null): void
  /** A client's connection that we have ended, for the rule that it broke */
  ended(connection: Connection, error: ProxyError): void
  /** The same of a backend's */
  backendViolated(endpoint: string, error: ProxyError): void
  /** A client's or a backend's that was reset because it held the most when the memory budget was spent */
  overBudget(remoteAddress: string, error: ProxyError): void
  /** A fault of ours: logged with its stack */
  fault(where: string, error: unknown): void
}

/** A finished exchange, for the log. Times are on the clock of `nowMs`, 0 where there was no such moment. */
export interface ExchangeRecord {
  readonly id: string
  readonly downstream: { readonly connection: Connection }
  readonly head: { readonly method: string; readonly version: number }
  readonly host: string
  readonly path: string
  readonly query: string
  readonly status: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly startedAt: number
  readonly sentAt: number
  readonly headAt: number
  readonly route: { readonly name: string } | null
  readonly attempts: { readonly count: number; readonly endpoint: { readonly label: string } | null }
  readonly errorCode: ErrorCode | null
  readonly errorWhy: string | null
}

/** A connection that was carried as bytes. */
export type SpliceRecord = {
  readonly kind: 'passthrough' | 'tcp'
  readonly connection: Connection
  readonly upstream: Upstream
  readonly endpoint: string
  readonly bytesIn: number
  readonly bytesOut: number
  readonly connectMs: number
  readonly totalMs: number
  readonly error: ErrorCode | null
  readonly why: string | null
}
