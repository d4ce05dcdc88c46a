/** What whoever makes a gateway decides beside its configuration, and what it hears of it. */
import type { Observer } from '../model/records.ts'
import type { ShareSource } from '../model/shared-limit.ts'
import type { Lookup } from '../proxy/upstream/dns-source.ts'

export type GatewayOptions = {
  /** Several processes bind the same ports */
  readonly reusePort?: boolean
  /** False where another process of this gateway has the listeners that only one can have: Unix sockets */
  readonly unixListeners?: boolean
  /** Where log lines go; standard output when left out */
  readonly out?: (text: string) => void
  /** Told what becomes of the gateway; what it throws is logged */
  readonly onEvent?: (event: GatewayEvent) => void
  /** Told of requests and more from the first on (docs/observability.md); what they throw is logged */
  readonly observers?: readonly Observer[]
  /**
   * A file to which the secrets of every TLS session are written, for looking into recorded traffic; on Node only. Never
   * taken from the environment.
   */
  readonly tlsKeyLog?: string
  /** The self-test of the TLS library was made by another process of this start */
  readonly selfTested?: boolean
  /** Processes that share `limits.memory`; one when left out */
  readonly processes?: number
  /** Hands out units of limits that hold for all of these processes together; each has them for itself when left out */
  readonly shares?: ShareSource | null
  /** The clock by which ticket keys, OCSP responses and certificates that are ordered here age, milliseconds since 1970; the system's when left out */
  readonly now?: () => number
  /** The clock of deadlines, milliseconds that never go backwards; the process's when left out */
  readonly clock?: () => number
  /** Looks up the names of backends; the system's resolver when left out */
  readonly lookup?: Lookup
  /** False where another process of this gateway says what becomes of certificates: this one only logs its swaps */
  readonly reportsCertificates?: boolean
}

export type GatewayEvent =
  /** A configuration came into force. `version` is 1 at the start and goes up with each reload, also one for a replaced file */
  | {
      readonly kind: 'applied'
      readonly version: number
      readonly ports: readonly number[]
      readonly sites: number
    }
  /** A reload failed: the configuration before stays in force */
  | { readonly kind: 'rejected'; readonly error: Error }
  /** A certificate file was replaced, added or removed, or cannot be used: `gateway.certificates()` has what is in force */
  | { readonly kind: 'certificates' }
  | { readonly kind: 'draining'; readonly connections: number }
  /** Everything is closed; `cut` connections had not ended by themselves */
  | { readonly kind: 'stopped'; readonly cut: number }
