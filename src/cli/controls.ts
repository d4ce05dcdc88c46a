/** What a running gateway answers over its control socket. */
import type { Controls } from '../admin/control-server.ts'
import { runtime } from '../base/runtime.ts'
import type { CertificateRow } from '../certs/list.ts'
import type { Gateway, Readiness } from '../gateway/gateway.ts'
import type { FailedHandshake } from '../gateway/handshake-log.ts'

export type Status = {
  readonly runtime: string
  /** Milliseconds since 1970 */
  readonly startedAt: number
  readonly ports: readonly number[]
  readonly sites: number
  /** Counts reloads */
  readonly snapshot: number
  readonly connections: number
  readonly accepted: number
  readonly failedHandshakes: number
  readonly rssBytes: number
  readonly certificates: CertificateCount
  readonly readiness: Readiness
}

export type CertificateCount = {
  readonly total: number
  readonly expired: number
  /** The one that ends next, of those that have not ended */
  readonly soonest: {
    readonly names: readonly string[]
    readonly notAfter: number
    readonly daysLeft: number
  } | null
}

/** What is shown to clients of one host */
export type Chain = { readonly chainPem: string; readonly source: string }

export type Handshakes = { readonly total: number; readonly last: readonly FailedHandshake[] }

export function controlsOf(gateway: Gateway, reload: () => Promise<void>, drain: () => void): Controls {
  const startedAt = Date.now()
  return {
    ping: () => null,
    status: (): Status => ({
      runtime: `${runtime.name} ${runtime.version}`,
      startedAt,
      ports: gateway.ports,
      sites: gateway.sites.length,
      snapshot: gateway.snapshotVersion,
      connections: gateway.connections,
      accepted: gateway.accepted,
      failedHandshakes: gateway.handshakes.total,
      rssBytes: process.memoryUsage().rss,
      certificates: countCertificates(gateway.certificates()),
      readiness: gateway.readiness(),
    }),
    handshakes: (): Handshakes => ({ total: gateway.handshakes.total, last: gateway.handshakes.list() }),
    certificates: (): CertificateRow[] => gateway.certificates(),
    chains: (host): Chain[] => gateway.bundlesFor(host).map(({ chainPem, source }) => ({ chainPem, source })),
    reload,
    drain,
  }
}

function countCertificates(rows: readonly CertificateRow[]): CertificateCount {
  const next = rows.find(row => row.state !== 'expired' && row.state !== 'superseded' && row.notAfter !== null)
  const { names, notAfter, daysLeft } = next ?? {}
  return {
    total: rows.length,
    expired: rows.filter(row => row.state === 'expired').length,
    soonest: names && notAfter && daysLeft != null ? { names, notAfter, daysLeft } : null,
  }
}
