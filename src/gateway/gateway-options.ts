/** Options of a gateway that are not in its configuration, and the events that it reports. */
import type { Observer } from '../model/records.ts'
import type { ShareSource } from '../model/shared-limit.ts'
import type { Lookup } from '../proxy/upstream/dns-source.ts'

export type GatewayOptions = {
  /** Whether several processes bind the same ports */
  readonly reusePort?: boolean
  /** False where another process of this gateway has the listeners that only one can have: Unix sockets */
  readonly unixListeners?: boolean
  /** Where log lines go; standard output when left out */
  readonly out?: (text: string) => void
  /** Called with the events of the gateway; what it throws is logged */
  readonly onEvent?: (event: GatewayEvent) => void
  /** Observers of requests and more, from the first one on (docs/observability.md); what they throw is logged */
  readonly observers?: readonly Observer[]
  /**
   * A file to which the secrets of every TLS session are written, to decrypt recorded traffic; on Node only. It is never
   * taken from the environment.
   */
  readonly tlsKeyLog?: string
  /** The self-test of the TLS library was made by another process of this start */
  readonly selfTested?: boolean
  /** Processes that share `limits.memory`; one when left out */
  readonly processes?: number
  /** Distributes limits that apply to all of these processes together; when left out, each process has them for itself */
  readonly shares?: ShareSource | null
  /** The clock for the age of ticket keys, OCSP responses and managed certificates, in milliseconds since 1970; the system's when left out */
  readonly now?: () => number
  /** The clock of deadlines, milliseconds that never go backwards; the process's when left out */
  readonly clock?: () => number
  /** Resolves the names of backends; the system's resolver when left out */
  readonly lookup?: Lookup
  /** False if another process of this gateway reports certificates: this one only logs its own swaps */
  readonly reportsCertificates?: boolean
}

export type GatewayEvent =
  /** A configuration was applied. `version` is 1 at the start and increases with each reload, including those for replaced files */
  | {
      readonly kind: 'applied'
      readonly version: number
      readonly ports: readonly number[]
      readonly sites: number
    }
  /** A reload failed: the current configuration stays */
  | { readonly kind: 'rejected'; readonly error: Error }
  /** A certificate file was replaced, added or removed, or cannot be used: `gateway.certificates()` has the current ones */
  | { readonly kind: 'certificates' }
  | { readonly kind: 'draining'; readonly connections: number }
  /** Everything is closed; `cut` connections had to be cut */
  | { readonly kind: 'stopped'; readonly cut: number }
