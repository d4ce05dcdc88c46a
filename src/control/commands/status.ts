/** `sallyport status`: what each process of a running gateway is doing, and whether it is ready for traffic. */
import { runtime } from '../../base/runtime.ts'
import type { CertificateCount } from '../../gateway/certificates/certificate-list.ts'
import type { Readiness } from '../../gateway/gateway.ts'
import type { Command, Reply } from '../command.ts'
import { nothing } from '../input.ts'

type Status = {
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
  /** Sites, by their first hosts */
  readonly inMaintenance: readonly string[]
}

export const status: Command<null, Status, readonly Reply<Status>[]> = {
  name: 'status',
  role: 'view',
  asks: 'every',
  input: nothing,
  run: ({ gateway, startedAt }) => ({
    runtime: `${runtime.name} ${runtime.version}`,
    startedAt,
    ports: gateway.ports,
    sites: gateway.sites.length,
    snapshot: gateway.snapshotVersion,
    connections: gateway.connections,
    accepted: gateway.accepted,
    failedHandshakes: gateway.observation.handshakes.total,
    rssBytes: process.memoryUsage().rss,
    certificates: gateway.certificateCount(),
    readiness: gateway.readiness(),
    inMaintenance: gateway.maintenance().flatMap(({ site, on }) => (on ? [site] : [])),
  }),
  merge: replies => replies,
  verb: {
    usage: 'status',
    summary: 'what a running gateway is doing',
    details:
      'One line per process. If one is not ready, says why and exits with 1. The gateway is found by the state folder of ' +
      'its configuration.',
    show: replies => ({
      text: replies.map(({ pid, ok, error }) => (ok ? lineOf(pid, ok) : `${pid}  ${error}\n`)).join(''),
      exitCode: replies.every(({ ok }) => ok?.readiness.ready === true) ? 0 : 1,
    }),
  },
}

function lineOf(pid: number, of: Status): string {
  const minutes = Math.floor((Date.now() - of.startedAt) / 60_000)
  const up =
    minutes >= 2880
      ? `${Math.floor(minutes / 1440)} days`
      : minutes >= 120
        ? `${Math.floor(minutes / 60)} h`
        : `${minutes} min`
  return (
    `process ${pid} (${of.runtime}), up ${up}, ports ${of.ports.filter(port => port > 0).join(', ')}, ${of.sites} sites, ` +
    `${of.connections} connections open of ${of.accepted}, ${of.failedHandshakes} handshakes failed, ` +
    `${Math.round(of.rssBytes / 1024 / 1024)} MB\n` +
    certificatesLine(of.certificates) +
    of.inMaintenance.map(site => `  in maintenance: ${site}\n`).join('') +
    of.readiness.reasons.map(reason => `  not ready: ${reason}\n`).join('')
  )
}

function certificatesLine({ total, expired, broken, soonest }: CertificateCount): string {
  if (total === 0) return ''
  const next =
    soonest === null
      ? ''
      : `, the next to end is ${soonest.names[0] ?? 'one without names'}: ${soonest.daysLeft} days`
  return `  ${total} certificates, ${expired} expired, ${broken} with problems${next}\n`
}
