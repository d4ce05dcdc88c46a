/** The nouns of the load benchmark: what is compared, in which shape, and what one measurement says. */

/** `plain` is the same Sallyport without what a case adds to its route, `base` another Sallyport (`--base`), an earlier one say. */
export const peerNames = ['sallyport', 'plain', 'base', 'nginx', 'haproxy', 'caddy'] as const
export type PeerName = (typeof peerNames)[number]

/** How TLS ends: in the proxy (edge; grpc has HTTP/2 behind it), there and again towards the backend (bridge), or in the backend; stages is edge with five stages on the route. */
export type Shape = 'edge' | 'bridge' | 'passthrough' | 'grpc' | 'stages'

/** All addresses are 127.0.0.1. */
export type BackendPorts = { readonly plain: number; readonly tls: number; readonly h2c: number }

export type CertificateFiles = {
  readonly ca: string
  /** What every proxy shows: ECDSA P-256, for `localhost` */
  readonly chain: string
  readonly key: string
  /** Chain and key in one file, as HAProxy wants them */
  readonly bundle: string
  readonly backendChain: string
  readonly backendKey: string
}

/** The name in the backend's certificate that every bridging proxy must verify. */
export const backendName = 'backend.internal'

/** What a proxy's configuration is made from. */
export type Setup = {
  readonly shape: Shape
  readonly port: number
  readonly backend: BackendPorts
  readonly certificates: CertificateFiles
  /** Belongs to this one process: configuration, temporary files, logs */
  readonly folder: string
}

/** Above this foreignShare a measurement is called noisy. */
export const noisyShare = 0.05

/** One measurement of one peer in one round. What a case does not measure is left out. */
export type Reading = {
  readonly requests?: number
  readonly seconds?: number
  /** User and system time of all the proxy's processes, per request */
  readonly cpuUs?: number
  readonly perSecond?: number
  readonly p50Us?: number
  readonly p99Us?: number
  /** Growth of the resident set per idle connection */
  readonly idleKb?: number
  /** Share of the measurement that the proxy's and the load's core were busy, 0 to 1 */
  readonly proxyCoreBusy?: number
  readonly loadCoreBusy?: number
  /** Share of the proxy's core that went to processes other than the proxy: noise */
  readonly foreignShare?: number
  /** The proxy could not keep up with the rate of the case: it has no figure */
  readonly overloaded?: boolean
  /** For the progress line */
  readonly remark?: string
  /** Anything here makes the measurement invalid: it is reported and enters no median */
  readonly problems: readonly string[]
}

export type Sample = Reading & { readonly caseId: string; readonly peer: PeerName; readonly round: number }
