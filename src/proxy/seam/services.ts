/** What the data plane is given by the gateway that runs it. One object, shared by every connection of a worker. */
import type { DateField } from '../../base/date-field.ts'
import type { Deadlines } from '../../base/deadlines.ts'
import type { ProxyError } from '../../base/errors.ts'
import type { MemoryBudget } from '../../base/memory-budget.ts'
import type { Room } from '../../base/room.ts'
import type { SizedCache } from '../../base/sized-cache.ts'
import type { Turn } from '../../base/turn.ts'
import type { ChallengeAnswers } from '../../model/challenge.ts'
import type { Events } from '../../model/records.ts'
import type { SmallFile } from '../../model/small-file.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import type { ScratchPool } from '../../transport/scratch.ts'
import type { Transport } from '../../transport/transport.ts'

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
  /** For bodies that are compressed as streams */
  readonly compressors: Room
  /** Files that were read whole and may be asked for again */
  readonly smallFiles: SizedCache<SmallFile>
  /** The snapshot in force. A request takes it once; a splice keeps the one it began with. */
  snapshot: Snapshot
  draining: boolean
  /** Open ACME challenges, of this process and of others that share its storage */
  readonly challenges: ChallengeAnswers
  /** A request id: unique among the processes of a gateway, not guessable from the outside */
  nextId(): string
  /** `:port` of the TLS listener that redirects for a host lead to, or empty for 443 */
  httpsPort(host: string): string
  readonly events: Events
  readonly descriptors: DescriptorRoom
}

/** Room for connections under the limit on open files of the process. */
export interface DescriptorRoom {
  /** Whether the client that was just accepted may stay */
  client(): boolean
  /** Null where a connection may be opened, or why not */
  dial(): ProxyError | null
  /** Null where a file may be opened, which `fileClosed` tells the end of, or why not */
  file(): ProxyError | null
  fileClosed(): void
}
