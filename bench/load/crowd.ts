/**
 * Requests on many connections while many more are open and carry nothing. A thousand handshakes would be a tenth of the
 * CPU time of such a load, so the window of the measurement begins when they are over, and its requests are counted by
 * the backend.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { backendCounters } from './backend.ts'
import type { Case } from './case.ts'
import { busyShare, coreTimes, treeCpuUs } from './cpu.ts'
import { openIdle } from './idle.ts'
import type { Bench } from './measure.ts'
import type { RunningPeer } from './peers.ts'
import type { Reading } from './setup.ts'
import { runWrk } from './wrk.ts'

/** For the handshakes of all the active connections */
const settleSeconds = 3

export async function measureCrowd(bench: Bench, one: Case, peer: RunningPeer, seconds: number): Promise<Reading> {
  const { loadCore: core, proxyCore, certificates, folder } = bench
  const { path, connections, bytes, idleBeside = 0 } = one
  const idle = await openIdle({ core, port: peer.port, ca: certificates.ca, path, connections: idleBeside })
  const url = `https://localhost:${peer.port}${path}`
  const load = { core, url, connections, bytes, folder, sendBytes: 0, gzip: false, env: bench.clientEnv }
  const driven = runWrk({ ...load, seconds: settleSeconds + seconds + 1 })
  await wait(settleSeconds * 1000)
  const sample = async () => ({
    cpuUs: treeCpuUs(peer.pid),
    core: coreTimes(proxyCore),
    load: coreTimes(core),
    at: performance.now(),
    counters: await backendCounters(bench.backend.ports.plain),
  })
  const before = await sample()
  await wait(seconds * 1000)
  const after = await sample()
  const { problems: found, p50Us, p99Us } = await driven
  const problems = [...found, ...(await idle.close())]
  const elapsed = (after.at - before.at) / 1000
  const requests = (after.counters?.requests ?? 0) - (before.counters?.requests ?? 0) - 1
  if (before.counters === null || after.counters === null || requests <= 0)
    problems.push('the backend saw no requests')
  const proxyCoreBusy = busyShare(before.core, after.core)
  const cpuUs = after.cpuUs - before.cpuUs
  return {
    requests,
    seconds: elapsed,
    cpuUs: requests > 0 ? cpuUs / requests : undefined,
    perSecond: requests / elapsed,
    p50Us,
    p99Us,
    proxyCoreBusy,
    loadCoreBusy: busyShare(before.load, after.load),
    foreignShare: Math.max(0, proxyCoreBusy - cpuUs / 1e6 / elapsed),
    problems,
  }
}
