/**
 * Runs a case: in every round each peer once, the order rotated, so that a drift of the machine meets all of them and
 * a ratio is always between two measurements that are seconds apart.
 */
import path from 'node:path'
import { messageOf } from '../../src/base/errors.ts'
import { type Case, metricOf, metricUnits, peersOf, usesScript } from './case.ts'
import { measureCrowd } from './crowd.ts'
import { LatencyClient } from './latency.ts'
import { LineClient } from './line-client.ts'
import type { SinkReport } from './log-sink.ts'
import {
  type Bench,
  type Clients,
  measureIdleConnections,
  measureLatency,
  measureLoad,
  measureSessions,
  warmUp,
  warmUpFirst,
} from './measure.ts'
import type { OpenLoopReport } from './open-loop.ts'
import { type RunningPeer, startPeer, supports } from './peers.ts'
import { probe } from './probe.ts'
import { measureReload } from './reload.ts'
import { noisyShare, type PeerName, type Reading, type Sample } from './setup.ts'

/** Why a peer takes no part in a case */
export type Absence = { readonly caseId: string; readonly peer: PeerName; readonly reason: string }

export type Outcome = { readonly samples: Sample[]; readonly absences: Absence[] }

const freshWarmUpSeconds = 0.2
/** Of the reload's case */
const manySites = 10_000

let folders = 0

/** What starts a proxy for a case */
export type Stage = { readonly bench: Bench; readonly one: Case; readonly logPort: number | null }

/** What one case needs while it runs */
type Scene = Stage & {
  readonly clients: Clients
  readonly outcome: Outcome
  absent(peer: PeerName, reason: string): void
}

export async function startForCase({ bench, one, logPort }: Stage, name: PeerName) {
  const folder = path.join(bench.folder, `${folders++}-${name}`)
  const { ports } = bench.backend
  const { shape } = one
  const tlsBehind = shape === 'bridge' || shape === 'passthrough'
  const backendPort = usesScript(one)
    ? ports.script
    : tlsBehind
      ? ports.tls
      : shape === 'grpc'
        ? ports.h2c
        : ports.plain
  const { ca, proxy } = bench.certificates
  const peer = await startPeer(
    name,
    one,
    bench.proxyCore,
    {
      shape,
      backendPort,
      ca,
      identity: proxy[one.key ?? 'ecdsa'],
      cleartext: one.cleartext === true,
      folder,
      logPort,
      many: one.load === 'reload' ? { sites: manySites, answer: 'before' } : null,
    },
    bench.peerOptions,
  )
  if (one.cleartext === true) return peer
  const isBare = name === 'bare' || name === 'bare-node'
  const wrong = await probe({ ...one, port: peer.port, ca, isBare }).catch(messageOf)
  if (wrong === null) return peer
  await peer.stop()
  throw new Error(`${name} does not do what is to be measured: ${wrong}`)
}

function rotate<T>(values: readonly T[], by: number): T[] {
  return values.map((_, at) => values[(at + by) % values.length])
}

function sayReading(bench: Bench, one: Case, name: PeerName, round: number, reading: Reading): void {
  const words = [`${one.id}  round ${round + 1}/${bench.rounds}  ${name.padEnd(9)}`]
  if (reading.overloaded) words.push('overloaded')
  for (const metric of [one.metric, ...(one.also ?? [])]) {
    const figure = metricOf(reading, metric)
    if (figure !== undefined) words.push(`${figure.toFixed(2)} ${metricUnits[metric]}`)
  }
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

function startClients({ loadCore, peerOptions }: Bench, { load, accessLog }: Case): Clients {
  const node = peerOptions.node ?? 'node'
  return {
    sessions: load === 'sessions' ? new LineClient(loadCore, 'session-client.ts', node) : null,
    echo: load === 'websocket' ? new LineClient(loadCore, 'websocket-client.ts') : null,
    logSink: accessLog === true ? new LineClient(loadCore, 'log-sink.ts') : null,
  }
}

export async function runCase(bench: Bench, one: Case, allowed: readonly PeerName[]): Promise<Outcome> {
  const outcome: Outcome = { samples: [], absences: [] }
  const absent = (peer: PeerName, reason: string) => {
    outcome.absences.push({ caseId: one.id, peer, reason })
    bench.say(`--- ${one.id}: without ${peer}: ${reason}`)
  }
  const able = peersOf(one, allowed).filter(name => supports(name, one) || absent(name, 'it has no such mode'))
  if (one.load === 'sessions' && bench.peerOptions.node === null) {
    for (const name of able)
      absent(name, 'the client that resumes sessions needs Node 24 or later, and there is none')
    return outcome
  }
  const clients = startClients(bench, one)
  try {
    const sink = await clients.logSink?.ask<SinkReport>({})
    const scene: Scene = { bench, one, clients, logPort: sink?.port ?? null, outcome, absent }
    if (one.load === 'idle' || one.load === 'start' || one.load === 'reload') await runFresh(scene, able)
    else await runTogether(scene, able)
  } finally {
    for (const client of Object.values(clients)) client?.stop()
  }
  return outcome
}

function keep({ bench, one, outcome }: Scene, peer: PeerName, round: number, reading: Reading): void {
  sayReading(bench, one, peer, round, reading)
  outcome.samples.push({ caseId: one.id, peer, round, ...reading })
}

/** All peers run at once, and each is idle while another one is measured. */
async function runTogether(scene: Scene, names: readonly PeerName[]): Promise<void> {
  const peers: RunningPeer[] = []
  try {
    for (const name of names) {
      try {
        peers.push(await startForCase(scene, name))
      } catch (error) {
        scene.absent(name, messageOf(error))
      }
    }
    await (scene.one.load === 'constant-rate' ? runConstantRate(scene, peers) : runLoad(scene, peers))
  } finally {
    for (const peer of peers) await peer.stop()
  }
}

async function runLoad(scene: Scene, peers: readonly RunningPeer[]): Promise<void> {
  const { bench, one, clients } = scene
  const measure =
    one.load === 'sessions' ? measureSessions : one.idleBeside === undefined ? measureLoad : measureCrowd
  for (let round = 0; round < bench.rounds; round++) {
    for (const peer of rotate(peers, round)) {
      if (round === 0) await warmUpFirst(bench, one, peer, clients)
      else await warmUp(bench, one, peer, bench.warmUpSeconds, clients)
      keep(scene, peer.name, round, await measure(bench, one, peer, bench.seconds, clients))
    }
  }
}

/** A new process for every measurement. */
async function runFresh(scene: Scene, names: readonly PeerName[]): Promise<void> {
  const { bench, one, clients, absent } = scene
  const missing = new Set<PeerName>()
  // Only enough to load the code: the garbage of a real load would stay in a collected heap, hide the connections that
  // fill its place, and flatter every proxy that has a collector.
  const warming: Case = { ...one, load: 'handshakes', connections: 50 }
  for (let round = 0; round < bench.rounds; round++) {
    for (const name of rotate(names, round)) {
      if (missing.has(name)) continue
      let peer: Awaited<ReturnType<typeof startForCase>>
      try {
        peer = await startForCase(scene, name)
      } catch (error) {
        missing.add(name)
        absent(name, messageOf(error))
        continue
      }
      try {
        if (one.load === 'start') {
          keep(scene, name, round, { startMs: peer.startMs, problems: [] })
          continue
        }
        await warmUp(bench, warming, peer, freshWarmUpSeconds, clients)
        const reading =
          one.load === 'reload'
            ? await measureReload(peer, bench.certificates.ca, one.path, `after ${round}`)
            : await measureIdleConnections(bench, one, peer)
        keep(scene, name, round, reading)
      } finally {
        await peer.stop()
      }
    }
  }
}

async function runConstantRate(scene: Scene, peers: readonly RunningPeer[]): Promise<void> {
  const { bench, one, clients, outcome } = scene
  const reference = peers.find(peer => peer.name === 'nginx')
  if (reference === undefined) {
    const reason = "nginx is not among the peers, and the rate is a share of nginx's"
    for (const { name: peer } of peers) outcome.absences.push({ caseId: one.id, peer, reason })
    bench.say(`--- ${one.id}: skipped: ${reason}`)
    return
  }
  const topRate: Case = { ...one, load: 'requests', metric: 'cpuUs', also: [] }
  const client = new LatencyClient(bench.loadCore)
  try {
    for (let round = 0; round < bench.rounds; round++) {
      await warmUp(bench, topRate, reference, 1, clients)
      const top = await measureLoad(bench, topRate, reference, Math.max(2, bench.seconds / 2), clients)
      const rate = Math.floor((top.perSecond ?? 0) * (one.rateShare ?? 1))
      bench.say(
        `${one.id}  round ${round + 1}/${bench.rounds}  nginx's top rate ${Math.round(top.perSecond ?? 0)}/s, so ${rate}/s`,
      )
      const floor = await measureFloor(bench, one, client, rate, round)
      for (const peer of rotate(peers, round)) {
        if (round === 0) await warmUpFirst(bench, topRate, peer, clients)
        const reading = await measureLatency(bench, one, peer, client, rate)
        keep(scene, peer.name, round, {
          ...reading,
          problems: [...reading.problems, ...top.problems, ...floor.errors],
        })
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
  const job = { ...base, warmUpMs: 500, seconds: 2, pid: process.pid }
  if (round === 0) await client.warmUp(job)
  const floor = await client.floor(job)
  const share = Math.round(floor.cpuShare * 100)
  bench.say(
    `${one.id}  round ${round + 1}/${bench.rounds}  no proxy   p50 ${floor.p50Us} us  p99 ${floor.p99Us} us  client uses ${share}% of its core`,
  )
  return floor
}
