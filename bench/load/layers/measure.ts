/** Profiles the proxies of a row, each under the row's own load: with TLS and, where TLS is inside a runtime, without. */
import path from 'node:path'
import type { Case } from '../case.ts'
import { processIds } from '../cpu.ts'
import { type Bench, type Clients, measureLoad, warmUpFirst } from '../measure.ts'
import { startForCase } from '../rounds.ts'
import { noisyShare, type PeerName } from '../setup.ts'
import { spread } from '../statistics.ts'
import { type Samples, sampleProcesses } from './perf.ts'
import { type LayerResult, type Profile, splitLayers } from './split.ts'

const noClients: Clients = { sessions: null, echo: null, logSink: null }
const runtimes: readonly PeerName[] = ['sallyport', 'node', 'bare', 'bare-node']

/** Of the peers that the picture shows, those that take part in a row */
function profiledPeers({ bare, node }: Case): PeerName[] {
  const peers: PeerName[] = ['sallyport']
  if (bare !== undefined) peers.push('bare')
  peers.push('nginx')
  if (node === true) peers.push('node', ...(bare === undefined ? [] : (['bare-node'] as const)))
  return peers
}

export async function profileRow(bench: Bench, one: Case, allowed: readonly PeerName[]): Promise<LayerResult[]> {
  const results: LayerResult[] = []
  for (const peer of profiledPeers(one).filter(name => allowed.includes(name))) {
    const isRuntime = runtimes.includes(peer)
    const profile = await profilePeer(bench, one, peer)
    // TLS of a passthrough is the backend's.
    const hasTwin = isRuntime && one.shape !== 'passthrough'
    const cleartext = hasTwin ? await profilePeer(bench, { ...one, cleartext: true }, peer) : null
    const isNoisy = profile.isNoisy || cleartext?.isNoisy === true
    results.push({ caseId: one.id, peer, layers: splitLayers(profile, cleartext, isRuntime), isNoisy })
  }
  return results
}

async function profilePeer(bench: Bench, one: Case, name: PeerName): Promise<Profile> {
  const { loadCore: core, folder, seconds } = bench
  const peer = await startForCase({ bench, one, logPort: one.accessLog === true ? 0 : null }, name)
  const file = path.join(folder, `perf-${name}-${one.cleartext === true ? 'clear' : 'tls'}.data`)
  const costs: number[] = []
  let isNoisy = false
  const sum = { kernel: 0, tlsLibrary: 0, compiled: 0, native: 0 }
  try {
    await warmUpFirst(bench, one, peer, noClients)
    for (let round = 0; round < bench.rounds; round++) {
      const [reading, samples] = await Promise.all([
        measureLoad(bench, one, peer, seconds, noClients),
        sampleProcesses({ core, pids: processIds(peer.pid), seconds: seconds * 0.9, file }),
      ])
      const where = one.cleartext === true ? 'cleartext' : 'TLS'
      bench.say(
        `${one.id}  ${name.padEnd(9)} ${where.padEnd(9)} ${reading.cpuUs?.toFixed(2)} CPU us  ${JSON.stringify(samples)}`,
      )
      if (reading.problems.length > 0) throw new Error(`${one.id} ${name}: ${reading.problems.join('; ')}`)
      costs.push(reading.cpuUs ?? 0)
      isNoisy ||= (reading.foreignShare ?? 0) > noisyShare
      for (const key of Object.keys(sum) as (keyof Samples)[]) sum[key] += samples[key]
    }
  } finally {
    await peer.stop()
  }
  return { cpuUs: spread(costs)?.median ?? 0, samples: sum, isNoisy }
}
