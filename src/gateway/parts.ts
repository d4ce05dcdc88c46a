/**
 * The parts of a gateway, which live as long as it does: created once, before the first configuration is applied, and without
 * opening anything. apply.ts applies configurations to them.
 */
import { randomBytes } from 'node:crypto'
import { DateField } from '../base/date-field.ts'
import { Deadlines } from '../base/deadlines.ts'
import { createLog, type Log } from '../base/log.ts'
import { MemoryBudget } from '../base/memory-budget.ts'
import { Output, recordsDropped } from '../base/output.ts'
import { Room } from '../base/room.ts'
import { SizedCache } from '../base/sized-cache.ts'
import { Turn } from '../base/turn.ts'
import type { Config } from '../config/config.ts'
import { Metrics } from '../model/metrics.ts'
import type { SiteTable, Snapshot } from '../model/snapshot.ts'
import { AccessDestination } from '../observe/access/destination.ts'
import { Observation } from '../observe/observation.ts'
import type { Services } from '../proxy/seam/services.ts'
import { TicketKeyring } from '../tls/ticket-keys.ts'
import { currentTransport } from '../transport/current.ts'
import { ScratchPool } from '../transport/scratch.ts'
import { CertificateReports } from './certificates/certificate-reports.ts'
import { ManagedCertificates } from './certificates/managed-certificates.ts'
import { Descriptors } from './descriptor-room.ts'
import { plainFallback } from './fallback.ts'
import type { GatewayOptions } from './gateway-options.ts'
import { heldAtMost } from './held-at-most.ts'
import { openKeyLog } from './key-log.ts'
import { ListenerSet } from './listener-set.ts'
import { Registries } from './registries.ts'
import { TrustWatch } from './trust-watch.ts'

export type Parts = {
  readonly options: GatewayOptions
  readonly log: Log
  readonly metrics: Metrics
  readonly events: Observation
  readonly accessLog: AccessDestination
  readonly budget: MemoryBudget
  /** Room for connections under the limit on open files */
  readonly descriptors: Descriptors
  readonly services: Services
  readonly listeners: ListenerSet
  readonly registries: Registries
  readonly tickets: TicketKeyring
  /** Managed certificates */
  readonly managed: ManagedCertificates
  readonly reports: CertificateReports
  readonly trust: TrustWatch
}

/** For all `files` routes together */
const smallFilesBytes = 16 * 1024 * 1024

const noSites: SiteTable = { site: () => null, defaultSite: null, startTls: new Map() }

/** Used before the first configuration is applied: it has no sites. */
export const emptySnapshot = (of: Pick<Snapshot, 'fallback' | 'limits' | 'timeouts'>): Snapshot => ({
  version: 0,
  ...noSites,
  sitesOf: () => noSites,
  fallback: of.fallback,
  limits: of.limits,
  timeouts: of.timeouts,
})

/** @param again applies the current configuration again, because one of its files was replaced. @param changed is called when a certificate was */
export function makeParts(
  config: Config,
  options: GatewayOptions,
  again: () => Promise<void>,
  changed: () => void,
): Parts {
  const output = options.out ?? standardOutput(dropped => log.write('warn', recordsDropped, { dropped }))
  const log: Log = createLog({ ...config.log, out: output })
  const metrics = new Metrics()
  const events = new Observation(log, metrics, options.observers)
  const accessLog = new AccessDestination(log, metrics, options.reportsCertificates !== false)
  const registries = new Registries(options.now, options.lookup, log)
  const tickets = new TicketKeyring(text => log.write('warn', text), options.now)
  const reports = new CertificateReports(log, events, { silent: options.reportsCertificates === false })
  const trust = new TrustWatch(log, again)
  registries.certificates.onChange = change => {
    registries.upstreams.renew()
    reports.changed(change)
    changed()
  }
  registries.certificates.onCas = () => trust.changed()
  const managed = new ManagedCertificates(log, failure => reports.renewalFailed(failure), options.now)
  const links = { open: 0 }
  // Backend connections first: closing a client's would cost the client a new connection, closing a backend's only the gateway.
  const closeIdle = (most: number) => {
    const closed = registries.upstreams.closePooled(most)
    return closed + listeners.closeIdle(most - closed)
  }
  const descriptors = new Descriptors(log, links, closeIdle)
  const budget = new MemoryBudget(heldAtMost(config.limits, options.processes), events.overBudget)
  const prefix = randomBytes(5).toString('hex')
  let ids = 0
  const services: Services = {
    transport: currentTransport(events.fault, openKeyLog(options.tlsKeyLog, log), tickets, links, budget),
    budget,
    deadlines: new Deadlines(options.clock, events.fault),
    turn: new Turn(events.fault),
    date: new DateField(),
    scratch: new ScratchPool(64),
    // At most 0.7 MB each (features/compress/codings.ts).
    compressors: new Room(64),
    smallFiles: new SizedCache(smallFilesBytes),
    snapshot: emptySnapshot({ ...config, fallback: plainFallback(config) }),
    draining: false,
    descriptors,
    challenges: managed,
    events,
    nextId: () => `${prefix}-${(++ids).toString(36)}`,
    httpsPort: host => listeners.httpsPort(host),
  }
  const listeners: ListenerSet = new ListenerSet(services, log, options)
  return {
    options,
    log,
    metrics,
    events,
    accessLog,
    budget,
    descriptors,
    services,
    listeners,
    registries,
    tickets,
    managed,
    reports,
    trust,
  }
}

function standardOutput(recovered: (dropped: number) => void): (text: string) => void {
  const output = new Output(1)
  output.onRecovered = recovered
  return text => output.write(text)
}
