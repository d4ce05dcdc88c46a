/** What a running gateway answers over its control socket. */

import { runtime } from '../base/runtime.ts'
import type { CertificateRow } from '../certs/files/list.ts'
import type { Controls } from '../control/socket.ts'
import type { CertificateCount } from '../gateway/certificates/certificate-list.ts'
import type { Gateway, Readiness } from '../gateway/gateway.ts'
import type { Bundle } from '../model/certificate.ts'
import type { FailedHandshake } from '../observe/handshake-log.ts'

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

/** What is shown to clients of one host */
export type Chain = { readonly chainPem: string; readonly source: string }

/** A certificate that has come into force */
export type Renewed = { readonly names: readonly string[]; readonly notAfter: number; readonly issuer: string }

const renewed = (bundles: readonly Bundle[]): Renewed[] =>
  bundles.map(({ names, notAfter, issuer }) => ({ names, notAfter, issuer }))

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
      certificates: gateway.certificateCount(),
      readiness: gateway.readiness(),
    }),
    handshakes: (): Handshakes => ({ total: gateway.handshakes.total, last: gateway.handshakes.list() }),
    certificates: (): CertificateRow[] => gateway.certificates(),
    chains: (host): Chain[] => gateway.bundlesFor(host).map(({ chainPem, source }) => ({ chainPem, source })),
    renew: async (host): Promise<Renewed[]> => renewed(await gateway.managed.renew(host)),
    /** Of `HOST REASON`, the reason as a number of RFC 5280 section 5.3.1 */
    revoke: async (of): Promise<Renewed[]> => {
      const [host = '', reason = '0'] = of.split(' ')
      return renewed(await gateway.managed.revoke(host, Number(reason)))
    },
    rollOver: () => gateway.managed.rollOver(),
    reload,
    drain,
  }
}
