/**
 * A bound address: accepts connections within its limits, and knows them until they close, so that a drain reaches
 * each. Counts per client address live only as long as that client has a connection.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Link } from '../../model/link.ts'
import type { SharedLimit } from '../../model/shared-limit.ts'
import type { Listening } from '../../transport/transport.ts'
import type { Drainable, Holder, ListenerOptions } from '../seam/holder.ts'
import type { Services } from '../seam/services.ts'
import { ClientCounts } from './client-counts.ts'
import { Inbound } from './inbound.ts'

/** Connections that are looked at in one search for idle ones */
const lookedAt = 256

export class Listener implements Holder {
  /** Of connections that are accepted from now on */
  options: ListenerOptions
  readonly services: Services
  private listening: Listening | null = null
  private readonly perClient = new ClientCounts()
  /** Of the sites that have a limit of their own: the key has both */
  private readonly perSite = new ClientCounts()
  private readonly held = new Set<Drainable>()
  private ids = 0
  /** Where the search for idle connections goes on */
  private search: IterableIterator<Drainable> | null = null
  open = 0
  lingering = 0
  accepted = 0

  private readonly room: SharedLimit

  /** @param room keeps limits.connections, with other processes that listen at the same address */
  constructor(services: Services, options: ListenerOptions, room: SharedLimit) {
    this.services = services
    this.options = options
    this.room = room
  }

  get name(): string | null {
    return this.options.name
  }

  get port(): number {
    return this.listening?.port ?? this.options.port
  }

  /** Where clients connect to */
  get publicPort(): number {
    return this.options.publicPort ?? this.port
  }

  /** @param address that of the options, or one that takes its place on this machine */
  async bind(address: string): Promise<void> {
    const options = { ...this.options, address, keepAliveMs: () => this.options.keepAliveMs }
    this.listening = await this.services.transport.listen(options, link => this.accept(link))
  }

  stopAccepting(): void {
    this.listening?.close()
  }

  hold(held: Drainable): void {
    this.held.add(held)
  }

  letGo(held: Drainable): void {
    this.held.delete(held)
  }

  /** What is open, for as long as nothing else happens */
  heldConnections(): Iterable<Drainable> {
    return this.held
  }

  drain(): void {
    for (const held of [...this.held]) held.drain()
  }

  /**
   * The peers that may say who a client is are others from now on: who was believed goes on in no connection. One of which
   * it is not known yet what it wants has that decided by what was trusted when it was opened, so it ends at once.
   */
  distrust(): void {
    for (const held of [...this.held]) {
      if (held instanceof Inbound) held.cut()
      else held.drain()
    }
  }

  /** Closes up to `most` idle connections. @returns how many: it looks at so many only, and goes on with the next call */
  closeIdle(most: number): number {
    let closed = 0
    for (let looked = 0; closed < most && looked < lookedAt; looked++) {
      this.search ??= this.held.values()
      const { value, done } = this.search.next()
      if (done) {
        this.search = null
        break
      }
      if (value.closeIfIdle()) closed++
    }
    return closed
  }

  /** Resets what is still open. */
  cut(): void {
    for (const held of [...this.held]) held.cut()
  }

  closed(client: string | null, entered: boolean): void {
    this.open--
    if (entered) this.room.leave()
    if (client !== null) this.perClient.leave(client)
  }

  count(client: string): boolean {
    const { connectionsPerClient } = this.services.snapshot.limits
    return this.perClient.enter(client) < connectionsPerClient
  }

  enterSite(key: string, most: number): boolean {
    return this.perSite.enter(key) < most
  }

  leaveSite(key: string): void {
    this.perSite.leave(key)
  }

  private accept(link: Link): void {
    const { options, services } = this
    this.accepted++
    if (!services.descriptors.client()) {
      link.destroy()
      return
    }
    this.open++
    const connection: Connection = {
      id: ++this.ids,
      listener: this,
      link,
      clientAddress: link.remoteAddress,
      clientPort: link.remotePort,
      serverAddress: '',
      serverPort: this.port,
      cloud: null,
      listenerPort: this.port,
      publicPort: options.publicPort,
      secure: false,
      serverName: null,
      site: null,
      identity: null,
      fingerprint: null,
      trust: null,
      httpsOnly: options.cleartext === 'redirect',
      allowedFields: options.allowedFields,
      group: '',
      openedAt: Date.now(),
      handshakeMs: 0,
      leftBehind: 0,
      onNoneLeft: null,
      logText: null,
    }
    const inbound = new Inbound(this, connection)
    const entered = this.room.enter(services.snapshot.limits.connections)
    if (entered === true) this.enter(inbound, link, options)
    else if (entered === false) this.refuse(inbound)
    else {
      // The other processes are asked: nothing is read meanwhile.
      link.pause()
      entered
        .then(granted => this.decided(inbound, link, options, granted))
        .catch(error => services.events.fault('limits.connections', error))
    }
  }

  private decided(inbound: Inbound, link: Link, options: ListenerOptions, granted: boolean): void {
    if (inbound.isOver) {
      if (granted) this.room.leave()
      return
    }
    link.resume()
    if (granted) this.enter(inbound, link, options)
    else this.refuse(inbound)
  }

  private enter(inbound: Inbound, link: Link, { proxyFrom }: ListenerOptions): void {
    inbound.entered = true
    if (proxyFrom === null || !proxyFrom.contains(link.remoteAddress)) inbound.admit()
  }

  private refuse(inbound: Inbound): void {
    const { connections } = this.services.snapshot.limits
    const where = `limits.connections (${connections}) on port ${this.port}`
    inbound.refuse(new ProxyError('TOO_MANY_CONNECTIONS', where))
  }
}
