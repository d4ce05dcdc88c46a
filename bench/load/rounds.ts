/**
 * Runs a case: in every round each peer once, the order rotated, so that a drift of the machine meets all of them and
 * a ratio is always between two measurements that are seconds apart.
 */
import path from 'node:path'
import { messageOf } from '../../src/base/errors.ts'
import { type Case, metricOf, metricUnits } from './cases.ts'
import { LatencyClient } from './latency.ts'
import { type Bench, measureIdleConnections, measureLatency, measureLoad, warmUp } from './measure.ts'
import type { OpenLoopReport } from './open-loop.ts'
import { type RunningPeer, startPeer, supports, takesPart } from './peers.ts'
import { probe } from './probe.ts'
import { noisyShare, type PeerName, type Reading, type Sample } from './setup.ts'

/** Why a peer takes no part in a case */
export type Absence = { readonly caseId: string; readonly peer: PeerName; readonly reason: string }

export type Outcome = { readonly samples: Sample[]; readonly absences: Absence[] }

/** Compilers of the runtimes under test are quiet after this long; later rounds only need the connections warm. */
const firstWarmUpSeconds = 3
const warmUpSeconds = 1
const idleWarmUpSeconds = 0.2
const shareOfTopRate = 0.7

let folders = 0

async function startForCase(bench: Bench, one: Case, name: PeerName): Promise<RunningPeer> {
  const folder = path.join(bench.folder, `${folders++}-${name}`)
  const { certificates } = bench
  const base = { shape: one.shape, backend: bench.backend.ports, certificates, folder }
  const peer = await startPeer(name, bench.proxyCore, base, bench.peerOptions)
  const wrong = await probe({ ...one, port: peer.port, certificates }).catch(messageOf)
  if (wrong === null) return peer
  await peer.stop()
  throw new Error(`${name} does not do what is to be measured: ${wrong}`)
}

function rotate<T>(values: readonly T[], by: number): T[] {
  return values.map((_, at) => values[(at + by) % values.length])
}

function sayReading(bench: Bench, one: Case, name: PeerName, round: number, reading: Reading): void {
  const words = [`${one.id}  round ${round + 1}/${bench.rounds}  ${name.padEnd(9)}`]
  const figure = metricOf(reading, one.metric)
  if (reading.overloaded) words.push('overloaded')
  else if (figure !== undefined) words.push(`${figure.toFixed(2)} ${metricUnits[one.metric]}`)
  if (reading.perSecond !== undefined) words.push(`${Math.round(reading.perSecond)}/s`)
  if (reading.p50Us !== undefined) words.push(`p50 ${reading.p50Us} us  p99 ${reading.p99Us} us`)
  if (reading.proxyCoreBusy !== undefined && reading.loadCoreBusy !== undefined) {
    const percent = (share: number) => `${Math.round(share * 100)}%`
    words.push(`cores busy: proxy ${percent(reading.proxyCoreBusy)}, load ${percent(reading.loadCoreBusy)}`)
  }
  if ((reading.foreignShare ?? 0) > noisyShare)
    words.push(`NOISE: others used ${Math.round((reading.foreignShare ?? 0) * 100)}% of the proxy's core`)
  if (reading.remark !== undefined) words.push(reading.remark)
  bench.say(words.join('  '))
  for (const problem of reading.problems) bench.say(`!!! INVALID ${one.id} ${name}: ${problem}`)
}

export async function runCase(bench: Bench, one: Case, names: readonly PeerName[]): Promise<Outcome> {
  const outcome: Outcome = { samples: [], absences: [] }
  const absent = (peer: PeerName, reason: string) => {
    outcome.absences.push({ caseId: one.id, peer, reason })
    bench.say(`--- ${one.id}: without ${peer}: ${reason}`)
  }
  const able = names
    .filter(name => takesPart(name, one.shape))
    .filter(name => supports(name, one.shape) || absent(name, 'it has no such mode'))
  switch (one.load) {
    case 'idle':
      await runFresh(bench, one, able, outcome, absent)
      break
    default: {
      const peers: RunningPeer[] = []
      try {
        for (const name of able) {
          try {
            peers.push(await startForCase(bench, one, name))
          } catch (error) {
            absent(name, messageOf(error))
          }
        }
        if (one.load === 'constant-rate') await runConstantRate(bench, one, peers, outcome)
        else await runLoad(bench, one, peers, outcome)
      } finally {
        for (const peer of peers) await peer.stop()
      }
    }
  }
  return outcome
}

function keep(
  bench: Bench,
  one: Case,
  peer: PeerName,
  round: number,
  reading: Reading,
  { samples }: Outcome,
): void {
  sayReading(bench, one, peer, round, reading)
  samples.push({ caseId: one.id, peer, round, ...reading })
}

async function runLoad(bench: Bench, one: Case, peers: readonly RunningPeer[], outcome: Outcome): Promise<void> {
  for (let round = 0; round < bench.rounds; round++) {
    for (const peer of rotate(peers, round)) {
      await warmUp(bench, one, peer, round === 0 ? firstWarmUpSeconds : warmUpSeconds)
      const reading = await measureLoad(bench, one, peer, bench.seconds)
      keep(bench, one, peer.name, round, reading, outcome)
    }
  }
}

/** A new process for every measurement. */
async function runFresh(
  bench: Bench,
  one: Case,
  names: readonly PeerName[],
  outcome: Outcome,
  absent: (peer: PeerName, reason: string) => void,
): Promise<void> {
  const missing = new Set<PeerName>()
  // Only enough to load the code: the garbage of a real load would stay in a collected heap, hide the connections that
  // fill its place, and flatter every proxy that has a collector.
  const warming: Case = { ...one, load: 'handshakes', connections: 50 }
  for (let round = 0; round < bench.rounds; round++) {
    for (const name of rotate(names, round)) {
      if (missing.has(name)) continue
      let peer: RunningPeer
      try {
        peer = await startForCase(bench, one, name)
      } catch (error) {
        missing.add(name)
        absent(name, messageOf(error))
        continue
      }
      try {
        await warmUp(bench, warming, peer, idleWarmUpSeconds)
        keep(bench, one, name, round, await measureIdleConnections(bench, one, peer), outcome)
      } finally {
        await peer.stop()
      }
    }
  }
}

async function runConstantRate(
  bench: Bench,
  one: Case,
  peers: readonly RunningPeer[],
  outcome: Outcome,
): Promise<void> {
  const reference = peers.find(peer => peer.name === 'nginx')
  if (reference === undefined) {
    const reason = "nginx is not among the peers, and the rate is a share of nginx's"
    for (const { name: peer } of peers) outcome.absences.push({ caseId: one.id, peer, reason })
    bench.say(`--- ${one.id}: skipped: ${reason}`)
    return
  }
  const topRate: Case = { ...one, load: 'requests', metric: 'cpuUs' }
  const client = new LatencyClient(bench.loadCore)
  try {
    for (let round = 0; round < bench.rounds; round++) {
      await warmUp(bench, topRate, reference, warmUpSeconds)
      const top = await measureLoad(bench, topRate, reference, Math.max(2, bench.seconds / 2))
      const rate = Math.floor((top.perSecond ?? 0) * shareOfTopRate)
      bench.say(
        `${one.id}  round ${round + 1}/${bench.rounds}  nginx's top rate ${Math.round(top.perSecond ?? 0)}/s, so ${rate}/s`,
      )
      const floor = await measureFloor(bench, one, client, rate, round)
      for (const peer of rotate(peers, round)) {
        if (round === 0) await warmUp(bench, topRate, peer, firstWarmUpSeconds)
        const reading = await measureLatency(bench, one, peer, client, rate)
        const problems = [...reading.problems, ...top.problems, ...floor.errors]
        keep(bench, one, peer.name, round, { ...reading, problems }, outcome)
      }
    }
  } finally {
    client.stop()
  }
}

async function measureFloor(
  bench: Bench,
  one: Case,
  client: LatencyClient,
  rate: number,
  round: number,
): Promise<OpenLoopReport> {
  const { certificates, backend } = bench
  const { path: target, bytes, connections } = one
  const base = { port: backend.ports.tls, ca: certificates.ca, path: target, bytes, rate, connections }
  const job = { ...base, warmUpMs: 500, seconds: 2 }
  if (round === 0) await client.warmUp(job)
  const floor = await client.floor(job)
  const share = Math.round(floor.cpuShare * 100)
  bench.say(
    `${one.id}  round ${round + 1}/${bench.rounds}  no proxy   p50 ${floor.p50Us} us  p99 ${floor.p99Us} us  client uses ${share}% of its core`,
  )
  return floor
}
