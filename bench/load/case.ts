/** What a row of the benchmark is made of; the rows themselves are in cases.ts. */
import type { KeyKind, Metric, PeerName, Reading, Shape } from './setup.ts'

export type Load =
  | 'requests'
  | 'h2'
  | 'handshakes'
  | 'sessions'
  | 'websocket'
  | 'idle'
  | 'constant-rate'
  | 'start'
  | 'reload'

/**
 * Whose figure, in the same round, a subject's is divided by: the least of nginx, HAProxy and Caddy; the runtime without
 * a gateway, which is `bare` for Sallyport on Bun and `bare-node` on Node; Sallyport without the stages, with one worker, or of
 * another version; or its own full handshakes.
 */
export type Reference = 'best' | 'nginx' | 'bare' | 'plain' | 'one' | 'base' | 'full'

export type Goal = {
  readonly subject: 'sallyport' | 'node' | 'two'
  readonly of: Reference
  /** The median ratio must not be above it; null where nothing is promised and the ratio is only shown */
  readonly most: number | null
}

export type Case = {
  readonly id: string
  readonly title: string
  readonly shape: Shape
  readonly path: string
  /** Of a response's body */
  readonly bytes: number
  readonly load: Load
  readonly connections: number
  /** Of each connection at once; loads over HTTP/2 */
  readonly streams?: number
  readonly metric: Metric
  /** Further figures of the same measurements, shown in rows of their own */
  readonly also?: readonly Metric[]
  readonly goals: readonly Goal[]
  /** A row of the table that `--goals` prints */
  readonly inGoals?: boolean
  /** A row of docs/where-the-time-goes.md */
  readonly inLayers?: boolean
  /** What the runtime without a gateway does: join the client to the backend, TLS ended, or answer a constant */
  readonly bare?: 'pipe' | 'constant'
  /** Sallyport on Node takes part, and the runtime's own `node:tls` */
  readonly node?: boolean
  /** ECDSA where it is not said */
  readonly key?: KeyKind
  /** TLS 1.2 and not 1.3 */
  readonly tls12?: boolean
  /** The client speaks cleartext: what TLS costs is the difference */
  readonly cleartext?: boolean
  /** The access log is on */
  readonly accessLog?: boolean
  /** Of the body in each request, POSTed to the script backend */
  readonly sendBytes?: number
  /** Further connections that are open and carry nothing */
  readonly idleBeside?: number
  /** Of nginx's top rate; constant-rate loads */
  readonly rateShare?: number
}

export const metricUnits: Record<Metric, string> = {
  cpuUs: 'CPU us',
  idleKb: 'kB',
  p99Us: 'us',
  firstByteUs: 'us',
  residentMb: 'MB',
  startMs: 'ms',
  reloadMs: 'ms',
  reloadCpuMs: 'CPU ms',
  pauseMs: 'ms',
}

export function metricOf(reading: Reading, metric: Metric): number | undefined {
  return reading[metric]
}

const others: readonly PeerName[] = ['nginx', 'haproxy', 'caddy']

/** Who a case is for, of those that the command line allows. */
export function peersOf(one: Case, allowed: readonly PeerName[]): PeerName[] {
  const wanted = new Set<PeerName>(['sallyport'])
  const references = new Set(one.goals.map(({ of }) => of))
  if (references.has('plain')) wanted.add('plain')
  else if (references.has('one')) wanted.add('two')
  else if (one.shape === 'gzip') wanted.add('nginx').add('base')
  else for (const name of [...others, 'base' as const]) wanted.add(name)
  if (one.bare !== undefined) wanted.add('bare')
  if (one.node === true) wanted.add('node')
  if (one.node === true && one.bare !== undefined) wanted.add('bare-node')
  return allowed.filter(name => wanted.has(name))
}

/** The backend that a case needs */
export const usesScript = ({ load, sendBytes }: Pick<Case, 'load' | 'sendBytes'>): boolean =>
  load === 'websocket' || sendBytes !== undefined
