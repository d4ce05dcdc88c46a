/** One measurement: drive one peer for some seconds, with the proxy's CPU time and the backend's counters around it. */
import { type Backend, backendCounters } from './backend.ts'
import type { Case } from './cases.ts'
import { busyShare, coreTimes, treeCpuUs } from './cpu.ts'
import { runHandshakes, runStreams } from './h2load.ts'
import { measureIdle } from './idle.ts'
import type { LatencyClient } from './latency.ts'
import type { PeerOptions, RunningPeer } from './peers.ts'
import type { CertificateFiles, Reading } from './setup.ts'
import { runWrk } from './wrk.ts'

export type Bench = {
  readonly proxyCore: number
  readonly loadCore: number
  readonly folder: string
  readonly certificates: CertificateFiles
  readonly backend: Backend
  readonly peerOptions: PeerOptions
  /** For wrk and h2load */
  readonly clientEnv: Record<string, string>
  /** Of one measurement */
  readonly seconds: number
  readonly rounds: number
  say(line: string): void
}

type Driven = Pick<Reading, 'p50Us' | 'p99Us' | 'remark' | 'problems'> & {
  readonly requests: number
  readonly seconds: number
}

function drive(bench: Bench, one: Case, port: number, seconds: number): Promise<Driven> {
  const common = { core: bench.loadCore, url: `https://localhost:${port}${one.path}`, connections: one.connections }
  const load = { ...common, seconds, env: bench.clientEnv }
  if (one.load === 'handshakes') return runHandshakes(load)
  if (one.load === 'h2')
    return runStreams({ ...load, streams: one.streams ?? 1, grpc: one.shape === 'grpc', folder: bench.folder })
  return runWrk({ ...load, bytes: one.bytes, folder: bench.folder })
}

/** The short load before a measurement; what fails here fails again in it. */
export async function warmUp(bench: Bench, one: Case, peer: RunningPeer, seconds: number): Promise<void> {
  await drive(bench, one, peer.port, seconds)
}

/** Cases of the loads 'requests' and 'handshakes' */
export async function measureLoad(bench: Bench, one: Case, peer: RunningPeer, seconds: number): Promise<Reading> {
  const { ports } = bench.backend
  const countersBefore = await backendCounters(ports)
  const proxyBefore = coreTimes(bench.proxyCore)
  const loadBefore = coreTimes(bench.loadCore)
  const cpuBefore = treeCpuUs(peer.pid)
  const {
    requests,
    seconds: elapsed,
    p50Us,
    p99Us,
    remark,
    problems: found,
  } = await drive(bench, one, peer.port, seconds)
  const cpuAfter = treeCpuUs(peer.pid)
  const proxyCoreBusy = busyShare(proxyBefore, coreTimes(bench.proxyCore))
  const loadCoreBusy = busyShare(loadBefore, coreTimes(bench.loadCore))
  const countersAfter = await backendCounters(ports)

  const foreignShare = Math.max(0, proxyCoreBusy - (cpuAfter - cpuBefore) / 1e6 / elapsed)

  const problems = [...found]
  if (peer.exited()) problems.push(`${peer.name} has exited`)
  if (countersBefore === null || countersAfter === null) problems.push('the backend does not answer')
  else {
    // Less one: asking for the counters is itself a request on a connection.
    const seen = countersAfter.requests - countersBefore.requests - 1
    const opened = countersAfter.connections - countersBefore.connections - 1
    // The load stops with requests under way, which the backend has counted and the client has not.
    if (Math.abs(seen - requests) > 2 * one.connections * (one.streams ?? 1) + 10) {
      problems.push(`${requests} requests were answered, but the backend saw ${seen}`)
    }
    if (one.shape !== 'passthrough' && opened > 4 * one.connections * (one.streams ?? 1) + requests / 100) {
      problems.push(`${opened} backend connections for ${requests} requests: they are not reused`)
    }
  }
  return {
    requests,
    seconds: elapsed,
    cpuUs: requests > 0 ? (cpuAfter - cpuBefore) / requests : undefined,
    // Batches of handshakes pause while h2load starts: their rate is not the proxy's.
    perSecond: one.load === 'handshakes' ? undefined : requests / elapsed,
    p50Us,
    p99Us,
    proxyCoreBusy,
    loadCoreBusy,
    foreignShare,
    remark,
    problems,
  }
}

/** The peer must be fresh: what an earlier load has left in its heap would be reused and not be seen. */
export async function measureIdleConnections(bench: Bench, one: Case, peer: RunningPeer): Promise<Reading> {
  const { kbPerConnection, remark, problems } = await measureIdle({
    core: bench.loadCore,
    port: peer.port,
    ca: bench.certificates.ca,
    path: one.path,
    connections: one.connections,
    pid: peer.pid,
  })
  return { idleKb: kbPerConnection, remark, problems }
}

export async function measureLatency(
  bench: Bench,
  one: Case,
  peer: RunningPeer,
  client: LatencyClient,
  perSecond: number,
): Promise<Reading> {
  const report = await client.run({
    port: peer.port,
    ca: bench.certificates.ca,
    path: one.path,
    bytes: one.bytes,
    rate: perSecond,
    connections: one.connections,
    warmUpMs: 500,
    seconds: bench.seconds,
  })
  if (report.overloaded)
    return { overloaded: true, remark: `cannot keep ${perSecond} requests/s`, problems: report.errors }
  return {
    requests: report.requests,
    seconds: bench.seconds,
    perSecond,
    p50Us: report.p50Us,
    p99Us: report.p99Us,
    remark: `p99.9 ${report.p999Us} us, client late by p99 ${report.lagP99Us} us`,
    problems: report.errors,
  }
}
