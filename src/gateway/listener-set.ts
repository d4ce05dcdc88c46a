/**
 * The listeners of a gateway: those that are bound, and those that a reload has closed but that still have open
 * connections. A plan describes what another configuration changes, and nothing changes before `use`.
 */
import { chmodSync } from 'node:fs'
import { nowMs } from '../base/deadlines.ts'
import { messageOf } from '../base/errors.ts'
import { CidrSet } from '../base/ip.ts'
import type { Log } from '../base/log.ts'
import { beginsWithTls, type ListenConfig } from '../config/config.ts'
import { SharedLimit, type ShareSource } from '../model/shared-limit.ts'
import { Listener } from '../proxy/accept/listener.ts'
import type { Drainable, ListenerOptions } from '../proxy/seam/holder.ts'
import type { Services } from '../proxy/seam/services.ts'
import { canonicalHost } from '../wire/host.ts'
import type { GatewayOptions } from './gateway-options.ts'
import { bindAll, changesTrust, type ListenerPlan, planListeners } from './listeners.ts'

export class ListenerSet {
  private bound: readonly Listener[] = []
  private wanted: readonly ListenConfig[] = []
  private retired: Listener[] = []
  /** Accepted by closed listeners */
  private acceptedBefore = 0
  private readonly services: Services
  private readonly log: Log
  private readonly reusePort: boolean
  private readonly unixListeners: boolean
  private readonly shares: ShareSource | null
  /** `limits.connections` for each address that ever had a listener: units are held under its name */
  private readonly rooms = new Map<string, SharedLimit>()

  constructor(
    services: Services,
    log: Log,
    { reusePort = false, shares = null, unixListeners = true }: GatewayOptions,
  ) {
    this.services = services
    this.log = log
    this.reusePort = reusePort
    this.unixListeners = unixListeners
    this.shares = shares
  }

  /** In the order of the configuration; ports that were 0 are known once they are bound. */
  get ports(): readonly number[] {
    return this.bound.map(listener => listener.port)
  }

  get accepted(): number {
    return this.all().reduce((sum, listener) => sum + listener.accepted, this.acceptedBefore)
  }

  get open(): number {
    return this.all().reduce((sum, listener) => sum + listener.open - listener.lingering, 0)
  }

  /** `:port` at which clients reach the TLS listener that redirects for a host lead to, or empty for 443 */
  httpsPort(host: string): string {
    const inTls = this.bound.filter(listener => beginsWithTls(listener.options))
    const name = canonicalHost(host)
    const serving = inTls.find(listener => {
      const sites = this.services.snapshot.sitesOf(listener.name)
      return (sites.site(name) ?? sites.defaultSite) !== null
    })
    const tls = serving ?? inTls[0]
    return tls === undefined || tls.publicPort === 443 ? '' : `:${tls.publicPort}`
  }

  plan(configured: readonly ListenConfig[]): ListenerPlan {
    return planListeners(
      this.own(configured),
      this.bound,
      listen => new Listener(this.services, optionsOf(listen, null, this.reusePort), this.roomOf(listen)),
    )
  }

  /** Binds new listeners. Throws UsageError if one cannot be bound; then none of them is. */
  bind({ fresh }: ListenerPlan): Promise<void> {
    return bindAll(fresh, this.bound, this.log)
  }

  /** Applies the plan: listeners that stay get their new options, and the others are closed. */
  use({ all, kept }: ListenerPlan, configured: readonly ListenConfig[]): void {
    const wanted = this.own(configured)
    const before = new Map(this.bound.map((listener, at) => [listener, this.wanted[at]]))
    for (const [listener, listen] of kept) {
      listener.options = optionsOf(listen, listener, this.reusePort)
      this.useMode(listener, before.get(listener)?.mode ?? null)
      if (changesTrust(before.get(listener), listen)) listener.distrust()
    }
    for (const listener of this.bound) {
      if (kept.has(listener)) continue
      listener.stopAccepting()
      listener.drain()
      this.retired.push(listener)
    }
    for (const { open, accepted } of this.retired) if (open === 0) this.acceptedBefore += accepted
    this.retired = this.retired.filter(listener => listener.open > 0)
    this.bound = all
    this.wanted = wanted
  }

  /** Of every listener, except those that only redirect */
  *connections(): Iterable<Drainable> {
    for (const listener of this.all()) yield* listener.heldConnections()
  }

  drain(): void {
    for (const listener of this.all()) {
      listener.stopAccepting()
      listener.drain()
    }
  }

  /** Resets connections that are still open. */
  cut(): void {
    for (const listener of this.all()) listener.cut()
  }

  /** Closes up to `most` idle connections. @returns how many */
  closeIdle(most: number): number {
    let closed = 0
    for (const listener of this.all()) closed += listener.closeIdle(most - closed)
    return closed
  }

  /** The listeners of this process */
  private own(configured: readonly ListenConfig[]): readonly ListenConfig[] {
    return this.unixListeners ? configured : configured.filter(({ unix }) => !unix)
  }

  /** Changes the permissions of the socket of a listener that stays. */
  private useMode({ options: { address, unixMode } }: Listener, before: number | null): void {
    if (unixMode === null || unixMode === before) return
    try {
      chmodSync(address, unixMode)
    } catch (error) {
      this.log.write('warn', `unix:${address}: listen.mode cannot be changed: ${messageOf(error)}`)
    }
  }

  private roomOf({ address, port }: ListenConfig): SharedLimit {
    const key = `connections ${address}:${port}`
    // Two listeners with port 0 get two different ports.
    if (port === 0) return new SharedLimit(key, null, nowMs)
    const room = this.rooms.get(key) ?? new SharedLimit(key, this.shares, nowMs)
    this.rooms.set(key, room)
    return room
  }

  private all(): readonly Listener[] {
    return [...this.bound, ...this.retired]
  }
}

/** @param bound the listener, if the system has chosen its port */
const optionsOf = (listen: ListenConfig, bound: Listener | null, reusePort: boolean): ListenerOptions => ({
  name: listen.name,
  address: listen.address,
  port: bound?.options.port ?? listen.port,
  unixMode: listen.unix ? listen.mode : null,
  backlog: listen.backlog,
  keepAliveMs: listen.keepAliveMs,
  publicPort: listen.public,
  cleartext: listen.cleartext,
  startTls: listen.startTls,
  proxyFrom: listen.proxyProtocol === null ? null : new CidrSet(listen.proxyProtocol.from),
  reusePort,
  trust: listen.trust === null ? null : { ...listen.trust, from: new CidrSet(listen.trust.from) },
  allowedFields: listen.fields === null ? null : new Set(listen.fields.allow),
})
