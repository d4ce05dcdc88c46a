/** What a gateway and its process say of themselves when metrics are asked for: all of it is known anyway. */
import { runtime } from '../base/runtime.ts'
import { ownVersion } from '../base/version.ts'
import { counter, gauge, type Metrics } from '../model/metrics.ts'

const buildInfo = gauge('sallyport_build_info', 'Version and runtime; always 1.', ['version', 'runtime'])
const connectionsOpen = gauge('sallyport_connections_open', 'Connections from clients that are open now.')
const connectionsAccepted = counter('sallyport_connections_accepted_total', 'Connections accepted from clients.')
const connectionsRefused = counter(
  'sallyport_connections_without_descriptor_total',
  'Connections from clients that were closed at once because no file descriptor was free.',
)
const draining = gauge(
  'sallyport_draining',
  '1 while the process is draining: it finishes its work and accepts no new connections.',
)
const snapshotVersion = gauge(
  'sallyport_snapshot_version',
  'Configurations applied since start, including the current one.',
)
const heldBytes = gauge('sallyport_held_bytes', 'Memory held for peers: bodies, responses and unread requests.')
const resetForMemory = counter(
  'sallyport_connections_reset_for_memory_total',
  'Connections reset because they held the most when half of limits.memory was in use.',
)
const encoders = gauge('sallyport_compress_encoders', 'Encoders that compress responses as streams now.')
const sentUncompressed = counter(
  'sallyport_compress_refused_total',
  'Responses that were sent uncompressed because all encoders were in use.',
)
const residentMemory = gauge('sallyport_process_resident_memory_bytes', 'Resident memory of the process.')
const cpuSeconds = counter('sallyport_process_cpu_seconds_total', 'User and system CPU time of the process.')
const startTime = gauge('sallyport_process_start_time_seconds', 'When the process started, in seconds since 1970.')

/** A gateway as these metrics read it. */
type Observed = {
  readonly connections: number
  readonly accepted: number
  readonly draining: boolean
  readonly snapshotVersion: number
  readonly descriptors: { readonly refused: number }
  readonly compressors: { readonly taken: number; readonly refused: number }
  readonly budget: { readonly total: number; readonly ended: number }
}

export function readOwnMetrics(metrics: Metrics, gateway: Observed): void {
  metrics.of(buildInfo, ownVersion, `${runtime.name} ${runtime.version}`).value = 1
  metrics.read(connectionsOpen, () => gateway.connections)
  metrics.read(connectionsAccepted, () => gateway.accepted)
  metrics.read(connectionsRefused, () => gateway.descriptors.refused)
  metrics.read(draining, () => Number(gateway.draining))
  metrics.read(snapshotVersion, () => gateway.snapshotVersion)
  metrics.read(heldBytes, () => gateway.budget.total)
  metrics.read(resetForMemory, () => gateway.budget.ended)
  metrics.read(encoders, () => gateway.compressors.taken)
  metrics.read(sentUncompressed, () => gateway.compressors.refused)
  metrics.read(residentMemory, () => process.memoryUsage.rss())
  metrics.read(cpuSeconds, () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  metrics.read(startTime, () => Math.round(Date.now() - process.uptime() * 1000) / 1000)
}
