/** What is measured: one row per figure that the project holds itself to. */
import { grpcMessage, smallBody } from './configs/backend.ts'
import type { Reading, Shape } from './setup.ts'

/** The figure of a Reading that a row compares. */
export type Metric = 'cpuUs' | 'idleKb' | 'p99Us'

export type Case = {
  readonly id: string
  readonly title: string
  readonly shape: Shape
  readonly path: string
  /** Of a response's body */
  readonly bytes: number
  readonly load: 'requests' | 'h2' | 'handshakes' | 'idle' | 'constant-rate'
  readonly connections: number
  /** Of each connection at once; loads over HTTP/2 */
  readonly streams?: number
  readonly metric: Metric
  /** Whom Sallyport is held against: nginx, the better one of nginx and HAProxy in the same round, or itself without the stages */
  readonly against?: 'nginx' | 'better' | 'plain'
  /** Sallyport's figure over theirs: must not be above `bar`, should not be above `aim` */
  readonly bar: number
  readonly aim: number | null
}

const small = { path: '/small', bytes: smallBody.length }
const large = { path: '/1m.bin', bytes: 1024 * 1024 }
const requests = { load: 'requests', connections: 50, metric: 'cpuUs' } as const
const h2 = { shape: 'edge', load: 'h2', connections: 10, metric: 'cpuUs', against: 'better', bar: 1.15 } as const
const idle = { load: 'idle', shape: 'edge', metric: 'idleKb', bar: 2.0, aim: 1.5 } as const

export const cases: readonly Case[] = [
  { id: 'h1-small', title: 'TLS to HTTP, 60 bytes', shape: 'edge', ...small, ...requests, bar: 1.0, aim: 0.9 },
  {
    id: 'bridge-small',
    title: 'TLS to verified TLS, 60 bytes',
    shape: 'bridge',
    ...small,
    ...requests,
    bar: 1.0,
    aim: 0.9,
  },
  {
    id: 'h1-16k',
    title: 'TLS to HTTP, 16 kB',
    shape: 'edge',
    path: '/16k.bin',
    bytes: 16 * 1024,
    ...requests,
    bar: 1.0,
    aim: null,
  },
  { id: 'h1-1m', title: 'TLS to HTTP, 1 MB', shape: 'edge', ...large, ...requests, bar: 1.05, aim: null },
  {
    id: 'handshake',
    title: 'Full TLS 1.3 handshake, one request',
    shape: 'edge',
    ...small,
    ...requests,
    load: 'handshakes',
    bar: 0.95,
    aim: 0.8,
  },
  {
    id: 'pass-small',
    title: 'Passthrough by SNI, 60 bytes',
    shape: 'passthrough',
    ...small,
    ...requests,
    bar: 1.25,
    aim: 1.05,
  },
  {
    id: 'pass-1m',
    title: 'Passthrough by SNI, 1 MB',
    shape: 'passthrough',
    ...large,
    ...requests,
    bar: 1.45,
    aim: 1.2,
  },
  { id: 'h2-10', title: 'HTTP/2, 10 x 10 streams, 60 bytes', ...small, ...h2, streams: 10, aim: 1.0 },
  { id: 'h2-100', title: 'HTTP/2, 10 x 100 streams, 60 bytes', ...small, ...h2, streams: 100, aim: 1.0 },
  { id: 'h2-1m', title: 'HTTP/2, 10 x 10 streams, 1 MB', ...large, ...h2, streams: 10, aim: null },
  {
    id: 'grpc',
    title: 'gRPC unary, HTTP/2 to HTTP/2',
    path: '/bench.Echo/Unary',
    bytes: grpcMessage.length,
    ...h2,
    shape: 'grpc',
    streams: 10,
    against: 'nginx',
    bar: 0.9,
    aim: null,
  },
  {
    id: 'stages-5',
    title: 'TLS to HTTP, 60 bytes, five stages',
    shape: 'stages',
    ...small,
    path: '/app/v1/small',
    ...requests,
    against: 'plain',
    bar: 1.05,
    aim: null,
  },
  { id: 'idle-2000', title: 'Idle TLS connection, 2,000 open', ...small, ...idle, connections: 2000 },
  { id: 'idle-5000', title: 'Idle TLS connection, 5,000 open', ...small, ...idle, connections: 5000 },
  {
    id: 'p99',
    title: "p99 at 70% of nginx's top rate",
    shape: 'edge',
    ...small,
    load: 'constant-rate',
    connections: 50,
    metric: 'p99Us',
    bar: 1.2,
    aim: null,
  },
]

export const metricUnits: Record<Metric, string> = { cpuUs: 'CPU us', idleKb: 'kB', p99Us: 'us' }

export function metricOf(reading: Reading, metric: Metric): number | undefined {
  return reading[metric]
}
