/**
 * How a configuration is applied. A start is a reload from nothing, so there is only one sequence of steps:
 *
 *     parse, validate   config/load.ts: text or object to Config, all mistakes at once
 *     diff              options that a reload cannot change are refused by name
 *     compile           files, keys, storage, issuers, OCSP: everything that can be wrong with them
 *     bind              new addresses, while the old ones stay bound
 *     switch            assignments that cannot fail
 *     retire            what only the previous configuration used is released
 *
 * If a step before the switch fails, everything that was opened so far is closed, and the current configuration stays: see
 * test/gateway/failed-apply.test.ts.
 */
import { UsageError } from '../base/errors.ts'
import { abilities } from '../base/runtime.ts'
import type { Config, SiteConfig } from '../config/config.ts'
import { selfTest } from '../tls/self-test.ts'
import { type AlertTarget, alertTarget } from './certificates/alerts.ts'
import type { CertificateSource } from './certificates/certificates.ts'
import type { Prepared } from './certificates/managed-certificates.ts'
import { interimOf, withInterim } from './certificates/managed-source.ts'
import { type Compiled, compile } from './compile.ts'
import { heldAtMost } from './held-at-most.ts'
import { type ListenerPlan, refuseChange } from './listeners.ts'
import { emptySnapshot, type Parts } from './parts.ts'

/** The current configuration, and what was made from it. */
export type InForce = {
  readonly config: Config
  readonly compiled: Compiled
  /** The certificates, by site */
  readonly sources: ReadonlyMap<string, CertificateSource>
  /** Warnings from when it was compiled */
  readonly warned: Set<string>
}

/** Everything the switch needs. */
type Ready = {
  readonly compiled: Compiled
  readonly alerts: AlertTarget | null
  readonly plan: ListenerPlan
  readonly accessLog: ReturnType<Parts['accessLog']['prepare']>
}

/**
 * Throws on failure, and then nothing has changed.
 *
 * @param before null if there is no current configuration. @param given null for the same one again, with its files as they are now
 */
export async function apply(parts: Parts, before: InForce | null, given: Config | null): Promise<InForce> {
  const config = given ?? (before as InForce).config
  // The same warnings are not repeated.
  const warned = given === null && before !== null ? before.warned : new Set<string>()
  if (parts.services.draining) throw drains()
  if (before !== null) refuseChange(before.config, config)
  const managed = await parts.managed.prepare(config)
  let ready: Ready
  try {
    ready = await prepare(parts, before, config, managed, warned)
  } catch (error) {
    await managed.discard()
    forget(parts, before)
    throw error
  }
  switchTo(parts, config, ready)
  managed.commit()
  retire(parts, ready.compiled)
  const { compiled } = ready
  return { config, compiled, warned, sources: sourcesOf(compiled) }
}

async function prepare(
  parts: Parts,
  before: InForce | null,
  config: Config,
  managed: Prepared,
  warned: Set<string>,
): Promise<Ready> {
  const { services, listeners, registries, options } = parts
  const compiled = compileWith(parts, before, config, managed, warned)
  const alerts = config.alerts === null ? null : alertTarget(config.alerts)
  await managed.load()
  if (before === null) {
    useTickets(parts, config)
    if (options.selfTested !== true) await selfTest(services.transport)
    // The first listener may accept connections while the last is still being bound.
    services.snapshot = compiled.snapshot
  }
  await registries.staples.prepare(compiled.staples)
  const accessLog = parts.accessLog.prepare(config.log.access)
  const plan = listeners.plan(config.listen)
  try {
    await listeners.bind(plan)
    if (services.draining) {
      for (const listener of plan.fresh) listener.stopAccepting()
      throw drains()
    }
  } catch (error) {
    accessLog.discard()
    throw error
  }
  return { compiled, alerts, plan, accessLog }
}

function switchTo(parts: Parts, config: Config, { compiled, alerts, plan, accessLog }: Ready): void {
  const { services, listeners, log, events, budget, trust, reports, options, descriptors } = parts
  services.snapshot = compiled.snapshot
  trust.use(compiled.clientCas)
  budget.limit = heldAtMost(config.limits, options.processes)
  useTickets(parts, config)
  log.use(config.log)
  events.use(config, accessLog.commit())
  listeners.use(plan, config.listen)
  descriptors.use(config, plan.all.length)
  reports.use(compiled.certificates, config.alerts, alerts)
}

/** Releases what this snapshot does not use, and starts to keep the rest up to date. */
function retire({ registries }: Parts, compiled: Compiled): void {
  registries.upstreams.keepOnly(compiled.upstreams)
  registries.crls.keepOnly(compiled.crls)
  registries.staples.start(compiled.staples)
  registries.lasting.keepOnly(compiled.lasting)
  keepWatched(registries, compiled)
}

/** Releases what a failed attempt has opened. */
function forget({ registries, services }: Parts, before: InForce | null): void {
  if (before === null) {
    services.snapshot = emptySnapshot(services.snapshot)
    registries.close()
    return
  }
  registries.upstreams.keepOnly(before.compiled.upstreams)
  registries.staples.keepOnly(before.compiled.staples)
  registries.lasting.keepOnly(before.compiled.lasting)
  keepWatched(registries, before.compiled)
}

function keepWatched(registries: Parts['registries'], { certificates, clientCas }: Compiled): void {
  const ofSites = certificates.flatMap(({ source }) => source.watched)
  registries.certificates.keepOnly(new Set([...ofSites, ...clientCas.keys(), ...registries.upstreams.watched()]))
}

function compileWith(
  { log, registries, services }: Parts,
  before: InForce | null,
  config: Config,
  managed: Prepared,
  warned: Set<string>,
): Compiled {
  let compiling = true
  const said = new Set(warned)
  const warn = (text: string) => {
    // Later warnings, such as those about revocation lists, have causes of their own.
    if (compiling && said.has(text)) return
    if (compiling) warned.add(text)
    log.write('warn', text)
  }
  // A site that moves from files to an issuer keeps its old certificate until the new one has been issued.
  const ordered = (site: SiteConfig) =>
    withInterim(managed.site(site), interimOf(site, before?.sources.get(site.name)))
  try {
    return compile(config, registries, services.snapshot.version + 1, warn, ordered)
  } finally {
    compiling = false
  }
}

const drains = () => new UsageError('the gateway is draining, and no longer accepts a configuration')

function useTickets({ tickets }: Parts, config: Config): void {
  if (abilities.ticketKeys) tickets.use(config.state, config.tickets)
}

const sourcesOf = ({ certificates }: Compiled) => new Map(certificates.map(({ site, source }) => [site, source]))
