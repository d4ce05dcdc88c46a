/** From a tree to a Config: reads by rows, then makes the checks that look at more than one row. All problems at once. */
import path from 'node:path'
import { abilities, runtime } from '../base/runtime.ts'
import { routeTimeouts } from '../model/route.ts'
import type { Config, LimitsConfig, SiteConfig, TimeoutsConfig } from './config.ts'
import type { Environment } from './engine/environment.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { readDefaults, readObject, startReader } from './engine/read.ts'
import { childOf, type Node, placeOf } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { servedOn } from './listen-address.ts'
import { limitsShape, timeoutsShape } from './schema/limits.ts'
import { configShape } from './schema.ts'
import { checkStages, stagesOf } from './stages.ts'
import { validateAcme } from './validate-acme.ts'
import { validateAdmin } from './validate-admin.ts'
import { validateAlerts } from './validate-alerts.ts'
import { validateCa } from './validate-ca.ts'
import { validateListeners, warnWithoutProxy } from './validate-listeners.ts'
import { validateLog } from './validate-log.ts'
import { Policies } from './validate-policies.ts'
import { type SiteChecks, validateSite } from './validate-sites.ts'
import { checkStartTls, warnUnreachable } from './validate-start-tls.ts'
import { validateStorage } from './validate-storage.ts'
import { validateTickets } from './validate-tickets.ts'
import { checkLists, validateTrust } from './validate-trust.ts'
import { Upstreams } from './validate-upstreams.ts'
import { validateVault } from './validate-vault.ts'

type Origin = {
  /** Absolute; null for code without a file */
  readonly file: string | null
  /** Relative paths begin here; absolute */
  readonly folder: string
  readonly environment: Environment
  /** Files that are named need not be there yet */
  readonly filesLater: boolean
}

/** undefined when there are errors among the problems. */
export function validate(tree: Node, origin: Origin, problems: Problems): Config | undefined {
  const { folder, filesLater } = origin
  const reader = startReader(problems, folder, filesLater)
  const raw = readObject(tree, configShape, reader) as Raw<typeof configShape> | undefined
  if (!raw) return undefined
  const lists = raw.lists ?? new Map()
  checkLists(lists, childOf(tree, 'lists'), problems)
  const trust = validateTrust(raw.trust, childOf(tree, 'trust'), lists, problems)
  const trustOf = (own: typeof raw.trust, node: Node | undefined) =>
    validateTrust(own, node, lists, problems) ?? trust
  const listen = validateListeners(raw.listen ?? [], childOf(tree, 'listen'), trustOf, problems)
  // Where something is wrong with them, the defaults stand in so that routes can still be checked.
  const limits = whole(limitsShape, raw.limits) ?? (readDefaults(limitsShape, reader) as LimitsConfig)
  const timeouts = whole(timeoutsShape, raw.timeouts) ?? (readDefaults(timeoutsShape, reader) as TimeoutsConfig)
  const filters = raw.filters ?? []
  const upstreams = new Upstreams(raw.upstreams ?? new Map(), childOf(tree, 'upstreams'), reader)
  const policies = new Policies(raw.policies ?? new Map(), childOf(tree, 'policies'), problems)
  const policyNode = childOf(tree, 'policy')
  if (raw.policy !== undefined && policyNode) policies.check(raw.policy, policyNode)
  const defaults = childOf(tree, 'defaults')
  const outer = [{ node: tree, raw }, ...(defaults && raw.defaults ? [{ node: defaults, raw: raw.defaults }] : [])]
  for (const level of outer) checkStages(level, problems)
  const state = raw.state ?? defaultState(origin)
  const checks: SiteChecks = {
    problems,
    policies,
    policy: raw.policy ?? 'intermediate',
    upstreams,
    base: {
      timeouts: routeTimeouts(timeouts),
      bodyRateBytes: limits.bodyRateBytes,
      filters,
    },
    listeners: new Set((raw.listen ?? []).flatMap(one => one?.name ?? [])),
    inTls: names =>
      (raw.listen ?? []).some(
        one => one?.cleartext === null && one.startTls === null && servedOn(names, one.name ?? null),
      ),
    owners: new Map(),
    filesLater,
    ownFiles: [...(origin.file === null ? [] : [origin.file]), state],
    defaults: [],
    outer,
    site: null,
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
        'certificate: vault needs vault, and it is missing',
        'add vault: { address: URL, role: NAME, auth: { tokenFile: FILE } }',
      )
  })
  if (listen.length > 0) warnUnreachable(nodes, listen, problems)
  if (!listen.some(({ proxyProtocol }) => proxyProtocol)) warnWithoutProxy(nodes, problems)
  checkStartTls(raw.listen ?? [], childOf(tree, 'listen'), sites, problems)
  const acme = validateAcme(raw.acme, tree, nodes, listen, reader)
  checkLimits(limits, tree, problems)
  const tickets = validateTickets(raw.tickets, tree, problems)
  const storage = validateStorage(raw.storage, tree, problems)
  const alerts = validateAlerts(raw.alerts, tree, problems)
  const all = upstreams.finish()
  const ca = validateCa(raw.ca, childOf(tree, 'ca'), listen, problems)
  const admin = validateAdmin(raw.admin, childOf(tree, 'admin'), listen, ca?.acme ?? null, problems)
  const vault = validateVault(raw.vault, childOf(tree, 'vault'), problems)
  const log = validateLog(raw.log, childOf(tree, 'log'), problems)
  if (problems.failed || !log || !tickets || raw.workers === undefined) return undefined
  if (ca === undefined || vault === undefined || alerts === undefined || admin === undefined) return undefined
  const sections = { listen, sites, upstreams: all, tickets, log, alerts, admin, state, acme, storage, ca, vault }
  return {
    ...sections,
    file: origin.file,
    policies: policies.all,
    limits,
    countsOnConnections: isWritten(tree, 'limits', 'connections'),
    timeouts,
    stages: stagesOf(outer),
    filters,
    workers: raw.workers,
  }
}

/** systemd gives a list when a unit has several folders; the first is ours. */
export function defaultState(origin: Pick<Origin, 'folder' | 'environment'>): string {
  const given = origin.environment['STATE_DIRECTORY']?.split(':')[0]
  return path.resolve(origin.folder, given || '.sallyport')
}

function isWritten(tree: Node, section: string, key: string): boolean {
  const node = childOf(tree, section)
  return node !== undefined && childOf(node, key) !== undefined
}

function checkLimits(limits: LimitsConfig, tree: Node, problems: Problems): void {
  if (limits.uriBytes > limits.headBytes) {
    problems.error(
      placeOf(tree, 'limits', 'uri'),
      'limits.uri is larger than limits.head, of which it is a part',
      'raise limits.head too',
    )
  }
  // The default is larger as well, but nobody counts on that.
  if (isWritten(tree, 'limits', 'hello') && limits.helloBytes > abilities.helloBytes) {
    problems.warn(
      placeOf(tree, 'limits', 'hello'),
      `limits.hello: ${runtime.name}'s TLS library accepts no ClientHello over 16kb, so a higher limit applies only to passthrough sites`,
      'write 16kb, or use --runtime node',
    )
  }
}
