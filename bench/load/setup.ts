/** The nouns of the load benchmark: what is compared, in which shape, and what one measurement says. */

/**
 * `node` is Sallyport on Node where Sallyport itself is on Bun, `plain` the same Sallyport without what a case adds to its
 * route, `two` the same with two workers, `base` another Sallyport (`--base`), an earlier one say. `bare` and
 * `bare-node` are the sockets of the runtimes with no gateway around them: what is left of Sallyport's cost after that is
 * Sallyport's own.
 */
export const peerNames = [
  ...(['sallyport', 'node', 'plain', 'two', 'base'] as const),
  ...(['bare', 'bare-node', 'nginx', 'haproxy', 'caddy'] as const),
] as const
export type PeerName = (typeof peerNames)[number]

/**
 * How TLS ends: in the proxy (edge; grpc has HTTP/2 behind it, stages has five stages on the route, gzip compresses, respond has no
 * backend), there and again towards the backend (bridge), or in the backend (passthrough).
 */
export type Shape = 'edge' | 'bridge' | 'passthrough' | 'grpc' | 'stages' | 'gzip' | 'respond'

/** All addresses are 127.0.0.1. `script` is the backend for what nginx cannot do: read an upload, speak WebSocket. */
export type BackendPorts = {
  readonly plain: number
  readonly tls: number
  readonly h2c: number
  readonly script: number
}

/** What a proxy shows for `localhost` */
export type Identity = {
  readonly chain: string
  readonly key: string
  /** Chain and key in one file, as HAProxy wants them */
  readonly bundle: string
}

export type KeyKind = 'ecdsa' | 'rsa'

export type CertificateFiles = {
  readonly ca: string
  /** ECDSA P-256, and RSA of 2048 bits */
  readonly proxy: Readonly<Record<KeyKind, Identity>>
  readonly backendChain: string
  readonly backendKey: string
}

/** The name in the backend's certificate that every bridging proxy must verify. */
export const backendName = 'backend.internal'

/** What a proxy's configuration is made from. */
export type Setup = {
  readonly shape: Shape
  readonly port: number
  /** Of the backend that the shape needs */
  readonly backendPort: number
  readonly ca: string
  readonly identity: Identity
  /** The proxy speaks cleartext to its clients */
  readonly cleartext: boolean
  /** Belongs to this one process: configuration, temporary files, logs */
  readonly folder: string
  /** The access log is on, into `accessLog(folder)`, or HAProxy's to the datagram socket of this port */
  readonly logPort: number | null
  /** Sites beside `localhost`, all with its certificate: `s0.bench.test` and so on, and what `localhost` answers */
  readonly many: { readonly sites: number; readonly answer: string } | null
}

/** Above this foreignShare a measurement is called noisy. */
export const noisyShare = 0.05

/** The figures that a row can compare. */
export type Metric =
  | 'cpuUs'
  | 'idleKb'
  | 'p99Us'
  | 'firstByteUs'
  | 'residentMb'
  | 'startMs'
  | 'reloadMs'
  | 'reloadCpuMs'
  | 'pauseMs'

/** One measurement of one peer in one round. What a case does not measure is left out. */
export type Reading = {
  readonly requests?: number
  readonly seconds?: number
  /** User and system time of all the proxy's processes, per request */
  readonly cpuUs?: number
  /** The same for full handshakes, where cpuUs is that of resumed ones */
  readonly fullCpuUs?: number
  readonly perSecond?: number
  readonly p50Us?: number
  readonly p99Us?: number
  /** From when a request was due to the first byte of its response, median */
  readonly firstByteUs?: number
  /** Growth of the resident set per idle connection */
  readonly idleKb?: number
  /** Of all the proxy's processes; shared pages count once */
  readonly residentMb?: number
  /** From the start of the process to the first response */
  readonly startMs?: number
  /** From the signal to the first response by the new configuration */
  readonly reloadMs?: number
  readonly reloadCpuMs?: number
  /** The longest that a request on an open connection took while the reload ran */
  readonly pauseMs?: number
  /** Share of the measurement that the proxy's and the load's core were busy, 0 to 1 */
  readonly proxyCoreBusy?: number
  readonly loadCoreBusy?: number
  /** Share of the proxy's core that went to processes other than the proxy, or was taken by the host: noise */
  readonly foreignShare?: number
  /** The proxy could not keep up with the rate of the case: it has no figure */
  readonly overloaded?: boolean
  /** For the progress line */
  readonly remark?: string
  /** Anything here makes the measurement invalid: it is reported and enters no median */
  readonly problems: readonly string[]
}

export type Sample = Reading & { readonly caseId: string; readonly peer: PeerName; readonly round: number }
