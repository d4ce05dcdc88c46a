/** From a tree to a Config: reads by rows, then makes the checks that look at more than one row. All problems at once. */
import { isIP } from 'node:net'
import path from 'node:path'
import type { Filter } from '../model/filter.ts'
import type { Config, LimitsConfig, ListenConfig, LogConfig, SiteConfig, TimeoutsConfig } from './config.ts'
import type { Environment } from './environment.ts'
import type { Problems } from './problem.ts'
import { type Reader, readDefaults, readObject } from './read.ts'
import { limitsShape, timeoutsShape } from './schema/limits.ts'
import { configShape } from './schema.ts'
import { childOf, type Node, type Place, placeOf, placeOfKey } from './tree.ts'
import { type RawAcme, validateAcme } from './validate-acme.ts'
import { type RawAdmin, validateAdmin } from './validate-admin.ts'
import { type RawAlerts, validateAlerts } from './validate-alerts.ts'
import { type RawCa, validateCa } from './validate-ca.ts'
import { Policies, type RawPolicy } from './validate-policies.ts'
import { type RawSite, type SiteChecks, validateSite } from './validate-sites.ts'
import { type RawStorage, validateStorage } from './validate-storage.ts'
import { type RawTickets, validateTickets } from './validate-tickets.ts'
import { type RawUpstream, Upstreams } from './validate-upstreams.ts'
import { type RawVault, validateVault } from './validate-vault.ts'

export type Origin = {
  /** Absolute; null for code without a file */
  readonly file: string | null
  /** Relative paths begin here; absolute */
  readonly folder: string
  readonly environment: Environment
  /** Files that are named need not be there yet */
  readonly filesLater: boolean
}

type Raw = {
  listen: (RawListen | undefined)[] | undefined
  sites: (RawSite | undefined)[] | undefined
  upstreams: Map<string, RawUpstream | undefined> | undefined
  policy: string | undefined
  policies: Map<string, RawPolicy | undefined> | undefined
  tickets: RawTickets | undefined
  log: LogConfig | undefined
  alerts: RawAlerts | null | undefined
  admin: RawAdmin | null | undefined
  state: string | null | undefined
  acme: RawAcme | null | undefined
  storage: RawStorage | null | undefined
  ca: RawCa | null | undefined
  vault: RawVault | null | undefined
  limits: LimitsConfig | undefined
  timeouts: TimeoutsConfig | undefined
  filters: Filter[] | undefined
  workers: number | 'auto' | undefined
}

type RawListen = {
  address: string | undefined
  port: number | undefined
  proxyProtocol: { from: string[] | undefined } | null | undefined
  cleartext: 'redirect' | 'serve' | null | undefined
}

/** undefined when there are errors among the problems. */
export function validate(tree: Node, origin: Origin, problems: Problems): Config | undefined {
  const { folder, filesLater } = origin
  const reader: Reader = { problems, folder, filesLater, files: new Map(), defaults: new Map() }
  const raw = readObject(tree, configShape, reader) as Raw | undefined
  if (!raw) return undefined
  const listen = validateListeners(raw.listen ?? [], childOf(tree, 'listen'), problems)
  // Where something is wrong with them, the defaults stand in so that routes can still be checked.
  const limits = raw.limits ?? (readDefaults(limitsShape, reader) as LimitsConfig)
  const timeouts = raw.timeouts ?? (readDefaults(timeoutsShape, reader) as TimeoutsConfig)
  const filters = raw.filters ?? []
  const { connectMs, responseMs, bodyIdleMs, idleMs, totalMs } = timeouts
  const upstreams = new Upstreams(raw.upstreams ?? new Map(), childOf(tree, 'upstreams'), reader)
  const policies = new Policies(raw.policies ?? new Map(), childOf(tree, 'policies'), problems)
  const policyNode = childOf(tree, 'policy')
  if (raw.policy !== undefined && policyNode) policies.check(raw.policy, policyNode)
  const checks: SiteChecks = {
    problems,
    policies,
    policy: raw.policy ?? 'intermediate',
    upstreams,
    base: {
      timeouts: { connectMs, responseMs, bodyIdleMs, idleMs, totalMs },
      bodyBytes: limits.bodyBytes,
      filters,
    },
    tlsListener: (raw.listen ?? []).some(one => one?.cleartext === null),
    owners: new Map(),
    defaultSite: null,
  }
  const sites: SiteConfig[] = []
  const nodes: { site: SiteConfig; node: Node }[] = []
  const list = childOf(tree, 'sites')
  raw.sites?.forEach((one, index) => {
    if (!one || list?.kind !== 'list') return
    const site = validateSite(one, list.items[index]!, checks)
    if (!site) return
    sites.push(site)
    nodes.push({ site, node: list.items[index]! })
    if (site.certificate?.kind === 'vault' && !childOf(tree, 'vault'))
      problems.error(
        placeOf(list, index, 'certificate'),
        'certificate: vault, and there is no vault',
        'add vault: { address: URL, role: NAME, auth: { tokenFile: FILE } }',
      )
  })
  if (!checks.tlsListener && listen.length > 0) warnUnreachable(list, problems)
  const acme = validateAcme(raw.acme, tree, nodes, listen, problems)
  checkLimits(limits, tree, problems)
  const tickets = validateTickets(raw.tickets, tree, problems)
  const storage = validateStorage(raw.storage, tree, problems)
  const alerts = validateAlerts(raw.alerts, tree, problems)
  const all = upstreams.finish()
  const ca = validateCa(raw.ca, childOf(tree, 'ca'), listen, problems)
  const admin = validateAdmin(raw.admin, childOf(tree, 'admin'), listen, ca?.acme ?? null, problems)
  const vault = validateVault(raw.vault, childOf(tree, 'vault'), problems)
  if (problems.failed || !raw.log || !tickets || raw.workers === undefined) return undefined
  if (ca === undefined || vault === undefined || alerts === undefined || admin === undefined) return undefined
  const state = raw.state ?? defaultState(origin)
  return {
    file: origin.file,
    listen,
    sites,
    upstreams: all,
    policies: policies.all,
    tickets,
    log: raw.log,
    alerts,
    admin,
    state,
    acme,
    storage,
    ca,
    vault,
    limits,
    timeouts,
    filters,
    workers: raw.workers,
  }
}

/** systemd gives a list when a unit has several folders; the first is ours. */
export function defaultState(origin: Pick<Origin, 'folder' | 'environment'>): string {
  const given = origin.environment['STATE_DIRECTORY']?.split(':')[0]
  return path.resolve(origin.folder, given || '.sallyport')
}

function validateListeners(
  raw: readonly (RawListen | undefined)[],
  list: Node | undefined,
  problems: Problems,
): ListenConfig[] {
  const listen: ListenConfig[] = []
  const places: { one: ListenConfig; at: Place }[] = []
  raw.forEach((one, index) => {
    if (one?.address === undefined || one.port === undefined || one.cleartext === undefined || !list) return
    const from = one.proxyProtocol?.from
    const listener: ListenConfig = {
      address: one.address,
      port: one.port,
      proxyProtocol: from ? { from } : null,
      cleartext: one.cleartext,
    }
    const at = placeOf(list, index)
    const other = places.find(before => overlap(before.one, listener))
    if (other) {
      const name = `${bracketed(other.one.address)}:${other.one.port}`
      const line = other.at.source.position(other.at.offset).line
      const hint = line === null ? `the first is ${other.at.path}` : `the first is on line ${line}`
      problems.error(
        at,
        `another listener already has ${name}`,
        other.one.address === '::' ? `${hint}; "::" takes IPv4 too` : hint,
      )
    }
    if (one.cleartext === 'serve' && !isLoopback(one.address)) {
      problems.note(
        placeOf(list, index, 'cleartext'),
        'cleartext: serve: what clients send and get here can be read on the way',
      )
    }
    places.push({ one: listener, at })
    listen.push(listener)
  })
  return listen
}

/** Whether the second to bind would be refused. */
function overlap(a: ListenConfig, b: ListenConfig): boolean {
  if (a.port !== b.port || a.port === 0) return false
  if (a.address === b.address || a.address === '::' || b.address === '::') return true
  const bothFour = isIP(a.address) === 4 && isIP(b.address) === 4
  return bothFour && (a.address === '0.0.0.0' || b.address === '0.0.0.0')
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

/** tcp and passthrough are chosen by server name, which only a ClientHello has. */
function warnUnreachable(list: Node | undefined, problems: Problems): void {
  for (const site of list?.kind === 'list' ? list.items : []) {
    const kind = ['tcp', 'passthrough'].find(key => childOf(site, key))
    if (kind)
      problems.warn(
        placeOfKey(site, kind),
        `this site is never reached: ${kind} needs TLS, and every listener is cleartext`,
      )
  }
}

function checkLimits(limits: LimitsConfig, tree: Node, problems: Problems): void {
  if (limits.uriBytes > limits.headBytes) {
    problems.error(
      placeOf(tree, 'limits', 'uri'),
      'limits.uri is larger than limits.head, of which it is a part',
      'raise limits.head too',
    )
  }
}
