/** One measurement: drive one peer for some seconds, with the proxy's CPU time and the backend's counters around it. */
import { type Backend, backendCounters } from './backend.ts'
import { type Case, usesScript } from './case.ts'
import { busyShare, coreTimes, cpuUsByProcess, treeCpuUs, treeMemoryMb } from './cpu.ts'
import { runHandshakes, runStreams } from './h2load.ts'
import { measureIdle } from './idle.ts'
import type { LatencyClient } from './latency.ts'
import type { LineClient } from './line-client.ts'
import { linesIn, missingRecords } from './log-check.ts'
import type { SinkReport } from './log-sink.ts'
import type { PeerOptions, RunningPeer } from './peers.ts'
import type { SessionJob, SessionReport } from './session-client.ts'
import { type CertificateFiles, noisyShare, type Reading } from './setup.ts'
import type { EchoJob, EchoReport } from './websocket-client.ts'
import { runWrk } from './wrk.ts'

export type Bench = {
  readonly proxyCore: number
  readonly loadCore: number
  readonly folder: string
  readonly certificates: CertificateFiles
  readonly backend: Backend
  readonly peerOptions: PeerOptions
  /** For wrk and h2load; the second one allows TLS 1.2 only */
  readonly clientEnv: Record<string, string>
  readonly clientEnv12: Record<string, string>
  /** Of one measurement */
  readonly seconds: number
  readonly rounds: number
  /** The first warm-up of a peer, in which its compiler finishes, and the later ones */
  readonly firstWarmUpSeconds: number
  readonly warmUpSeconds: number
  say(line: string): void
}

/** The load clients of a case that live as long as it does */
export type Clients = {
  readonly sessions: LineClient | null
  readonly echo: LineClient | null
  readonly logSink: LineClient | null
}

type Driven = Pick<Reading, 'p50Us' | 'p99Us' | 'remark' | 'problems'> & {
  readonly requests: number
  readonly seconds: number
}

async function runSessions(
  bench: Bench,
  one: Case,
  client: LineClient,
  { port, seconds, resume }: { readonly port: number; readonly seconds: number; readonly resume: boolean },
): Promise<Driven> {
  const { path, bytes, connections, tls12 = false } = one
  const job: SessionJob = { port, ca: bench.certificates.ca, path, bytes, connections, seconds, resume, tls12 }
  const { requests, resumed, protocol, errors, ...rest } = await client.ask<SessionReport>(job)
  const problems = [...errors]
  // The first of each lane has nothing to resume yet.
  const expected = resume ? requests - connections : 0
  if (errors.length === 0 && resumed !== expected)
    problems.push(`${resumed} of ${requests} handshakes were resumed, and ${expected} should be`)
  if (protocol !== (tls12 ? 'TLSv1.2' : 'TLSv1.3')) problems.push(`the protocol was ${protocol}`)
  return { requests, ...rest, remark: `${resumed} of ${requests} resumed`, problems }
}

async function runEcho(
  bench: Bench,
  one: Case,
  client: LineClient,
  port: number,
  seconds: number,
): Promise<Driven> {
  const { path, bytes, connections } = one
  const job: EchoJob = { port, ca: bench.certificates.ca, path, bytes, connections, seconds }
  const { messages, seconds: took, errors } = await client.ask<EchoReport>(job)
  return { requests: messages, seconds: took, problems: errors }
}

function drive(bench: Bench, one: Case, port: number, seconds: number, clients: Clients): Promise<Driven> {
  const { loadCore: core, folder } = bench
  const url = `http${one.cleartext === true ? '' : 's'}://localhost:${port}${one.path}`
  const env = one.tls12 === true ? bench.clientEnv12 : bench.clientEnv
  const load = { core, url, connections: one.connections, seconds, env }
  if (clients.sessions !== null)
    return runSessions(bench, one, clients.sessions, { port, seconds, resume: one.load === 'sessions' })
  if (clients.echo !== null) return runEcho(bench, one, clients.echo, port, seconds)
  if (one.load === 'handshakes') return runHandshakes(load)
  if (one.load === 'h2')
    return runStreams({ ...load, streams: one.streams ?? 1, grpc: one.shape === 'grpc', folder })
  return runWrk({ ...load, bytes: one.bytes, folder, sendBytes: one.sendBytes ?? 0, gzip: one.shape === 'gzip' })
}

/** The short load before a measurement; what fails here fails again in it. */
export async function warmUp(
  bench: Bench,
  one: Case,
  peer: RunningPeer,
  seconds: number,
  clients: Clients,
): Promise<void> {
  if (seconds > 0) await drive(bench, one, peer.port, seconds, clients)
}

/** Of the seconds of the first warm-up, which the proxy must have had as CPU time */
const warmShare = 0.4
/** On a machine so busy that it does not get them the warm-up ends after this many times its length. */
const longestWarmUp = 4

/**
 * The first warm-up of a process, in which its compiler finishes. It is counted in CPU time of the proxy: where others use its core, a
 * runtime would otherwise be measured while it compiles.
 */
export async function warmUpFirst(bench: Bench, one: Case, peer: RunningPeer, clients: Clients): Promise<void> {
  const { firstWarmUpSeconds: seconds } = bench
  const cpuBefore = treeCpuUs(peer.pid)
  for (let times = 0; times < longestWarmUp && !peer.exited(); times++) {
    await warmUp(bench, one, peer, seconds, clients)
    if (treeCpuUs(peer.pid) - cpuBefore > warmShare * seconds * 1e6) return
  }
}

/** What reached the backend must be what the client counted; a bare runtime that answers by itself has none. */
function backendProblems(
  one: Case,
  before: { readonly requests: number; readonly connections: number } | null,
  after: { readonly requests: number; readonly connections: number } | null,
  requests: number,
): string[] {
  if (before === null || after === null) return ['the backend does not answer']
  const problems: string[] = []
  const own = usesScript(one) ? 0 : 1
  // Asking nginx for its counters is itself a request on a connection.
  const seen = after.requests - before.requests - own
  const opened = after.connections - before.connections - own
  const atOnce = one.connections * (one.streams ?? 1)
  // The load stops with requests under way, which the backend has counted and the client has not.
  if (Math.abs(seen - requests) > 2 * atOnce + 10)
    problems.push(`${requests} requests were answered, but the backend saw ${seen}`)
  if (one.shape !== 'passthrough' && !usesScript(one) && opened > 4 * atOnce + requests / 100)
    problems.push(`${opened} backend connections for ${requests} requests: they are not reused`)
  return problems
}

/** Loads that end in a number of requests and the proxy's CPU time for them */
export async function measureLoad(
  bench: Bench,
  one: Case,
  peer: RunningPeer,
  seconds: number,
  clients: Clients,
): Promise<Reading> {
  const { ports } = bench.backend
  const hasBackend = one.shape !== 'respond' && !(isBare(peer) && one.bare === 'constant')
  const counters = () => (hasBackend ? backendCounters(usesScript(one) ? ports.script : ports.plain) : null)
  const logBefore = one.accessLog === true ? await recordsOf(peer, clients) : 0
  const countersBefore = await counters()
  const processesBefore = cpuUsByProcess(peer.pid)
  const proxyBefore = coreTimes(bench.proxyCore)
  const loadBefore = coreTimes(bench.loadCore)
  const cpuBefore = treeCpuUs(peer.pid)
  const driven = await drive(bench, one, peer.port, seconds, clients)
  const cpuAfter = treeCpuUs(peer.pid)
  const proxyCoreBusy = busyShare(proxyBefore, coreTimes(bench.proxyCore))
  const loadCoreBusy = busyShare(loadBefore, coreTimes(bench.loadCore))
  const countersAfter = await counters()
  const { requests, seconds: elapsed, p50Us, p99Us } = driven

  const problems = [...driven.problems]
  const remarks = [driven.remark]
  if (peer.exited()) problems.push(`${peer.name} has exited`)
  if (hasBackend) problems.push(...backendProblems(one, countersBefore, countersAfter, requests))
  if (one.accessLog === true) {
    const records = (await recordsOf(peer, clients)) - logBefore
    remarks.push(`${records} records of ${requests} requests`)
    problems.push(...missingRecords(records, requests, peer.accessLog === null))
  }
  if (peer.name === 'two') remarks.push(sharesOf(processesBefore, cpuUsByProcess(peer.pid)))
  return {
    requests,
    seconds: elapsed,
    cpuUs: requests > 0 ? (cpuAfter - cpuBefore) / requests : undefined,
    // Batches of handshakes pause while h2load starts, and the session client is slower than any proxy: their rate is not the proxy's.
    perSecond: one.load === 'handshakes' || one.load === 'sessions' ? undefined : requests / elapsed,
    p50Us,
    p99Us,
    residentMb: one.also?.includes('residentMb') ? treeMemoryMb(peer.pid) : undefined,
    proxyCoreBusy,
    loadCoreBusy,
    foreignShare: Math.max(0, proxyCoreBusy - (cpuAfter - cpuBefore) / 1e6 / elapsed),
    remark: remarks.filter(text => text !== undefined).join('; ') || undefined,
    problems,
  }
}

const isBare = ({ name }: RunningPeer) => name === 'bare' || name === 'bare-node'

async function recordsOf({ accessLog }: RunningPeer, { logSink }: Clients): Promise<number> {
  if (accessLog !== null) return linesIn(accessLog)
  return logSink === null ? 0 : (await logSink.ask<SinkReport>({})).records
}

/** How the work was spread over the processes that did any */
function sharesOf(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): string {
  const used = [...after].map(([pid, cpuUs]) => cpuUs - (before.get(pid) ?? 0))
  const all = used.reduce((total, cpuUs) => total + cpuUs, 0)
  const shares = used.filter(cpuUs => cpuUs > all * noisyShare).map(cpuUs => `${Math.round((cpuUs / all) * 100)}%`)
  return `processes did ${shares.join(', ')}`
}

/** Resumed handshakes, and full ones by the same client right after */
export async function measureSessions(
  bench: Bench,
  one: Case,
  peer: RunningPeer,
  seconds: number,
  clients: Clients,
): Promise<Reading> {
  const resumed = await measureLoad(bench, one, peer, seconds, clients)
  const full = await measureLoad(bench, { ...one, load: 'handshakes' }, peer, seconds, clients)
  return {
    ...resumed,
    fullCpuUs: full.cpuUs,
    foreignShare: Math.max(resumed.foreignShare ?? 0, full.foreignShare ?? 0),
    remark: `${resumed.remark}; full ones ${full.cpuUs?.toFixed(1)} CPU us`,
    problems: [...resumed.problems, ...full.problems],
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
  const proxyBefore = coreTimes(bench.proxyCore)
  const cpuBefore = treeCpuUs(peer.pid)
  const began = performance.now()
  const report = await client.run({
    port: peer.port,
    ca: bench.certificates.ca,
    path: one.path,
    bytes: one.bytes,
    rate: perSecond,
    connections: one.connections,
    warmUpMs: 500,
    seconds: bench.seconds,
    pid: peer.pid,
  })
  if (report.overloaded)
    return { overloaded: true, remark: `cannot keep ${perSecond} requests/s`, problems: report.errors }
  const own = (treeCpuUs(peer.pid) - cpuBefore) / 1000 / (performance.now() - began)
  return {
    requests: report.requests,
    seconds: bench.seconds,
    perSecond,
    cpuUs: report.cpuUs,
    p50Us: report.p50Us,
    p99Us: report.p99Us,
    firstByteUs: report.firstByteUs,
    foreignShare: Math.max(0, busyShare(proxyBefore, coreTimes(bench.proxyCore)) - own),
    remark: `p99.9 ${report.p999Us} us, client late by p99 ${report.lagP99Us} us`,
    problems: report.errors,
  }
}
