/**
 * Keeps the process from running out of file descriptors: then every accept, dial and open would fail, and clients would wait in
 * vain. Some are reserved for files and the control socket, some for dials. When clients use all the others, idle backend
 * connections and idle clients are closed to make room; a client that finds none is closed at once.
 */

import { nowMs } from '../base/deadlines.ts'
import { descriptorLimit, openDescriptors } from '../base/descriptors.ts'
import { ProxyError } from '../base/errors.ts'
import type { Level, Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import type { DescriptorRoom } from '../proxy/seam/services.ts'
import type { LinkCount } from '../transport/transport.ts'

type ConnectionTerms = Pick<Config, 'limits' | 'countsOnConnections'>

const between = (low: number, value: number, high: number) => Math.max(low, Math.min(high, Math.floor(value)))

/** How often idle connections are searched, and how many are closed at once: fewer than are reserved for files. */
const passMs = 100
const atOnce = 8
const quietMs = 10_000
/** Below this, a shortfall is a warning even if `limits.connections` is not set. */
const lowLimit = 4096

export class Descriptors implements DescriptorRoom {
  /** Connections that were closed at once because there was no room */
  refused = 0
  private readonly log: Log
  private readonly links: LinkCount
  private readonly limit: number | null
  private readonly closeIdle: (most: number) => number
  /** For files, the control socket, storage, lookups */
  private readonly forFiles: number
  private readonly forDials: number
  /** Files that are being sent, and their limit: clients that read slowly keep them open */
  private files = 0
  private readonly filesAtMost: number
  /** Limit on links and files */
  private most = Number.POSITIVE_INFINITY
  /** Descriptors other than links, listeners included */
  private others = 0
  private listeners = 0
  private passAt = 0
  private freed = 0
  private toldAt = 0
  private refusedThen = 0
  private lastSaid = ''

  /** @param closeIdle closes up to this many idle connections of backends and clients, and returns how many */
  constructor(log: Log, links: LinkCount, closeIdle: (most: number) => number, limit = descriptorLimit()) {
    this.log = log
    this.links = links
    this.closeIdle = closeIdle
    this.limit = limit
    this.forFiles = between(16, (limit ?? 0) / 16, 256)
    this.forDials = between(8, (limit ?? 0) / 8, 1024)
    this.filesAtMost = between(8, (limit ?? 4096) / 8, 8192)
  }

  /** Once the listeners are bound, at start and after each reload: compares the limit with the configured connections. */
  use({ limits: { connections }, countsOnConnections }: ConnectionTerms, listeners: number): void {
    const { limit, forFiles, forDials } = this
    if (limit === null) {
      this.say('info', 'the limit on open files is unknown on this system', 'unknown')
      return
    }
    // Counted here only: during a reload, sockets that are being closed are in neither number.
    if (this.listeners === 0) this.others = openDescriptors() - this.links.open
    else this.others += listeners - this.listeners
    this.listeners = listeners
    const { others } = this
    this.most = limit - others - forFiles
    const wanted = 2 * connections * listeners + others + forFiles
    if (wanted <= limit) {
      this.lastSaid = ''
      return
    }
    const level = countsOnConnections || limit < lowLimit ? 'warn' : 'info'
    const clients = Math.max(0, this.most - forDials)
    const message =
      `the limit on open files (${limit}) is too low for limits.connections (${connections}` +
      `${listeners === 1 ? '' : `, on ${listeners} listeners`}), which may take ${wanted}: there is room for ${clients} ` +
      'connections of clients and backends; raise it (ulimit -n, LimitNOFILE=), or lower limits.connections'
    this.say(level, message, `${level} ${connections} ${listeners}`)
  }

  /** @param about the same message is not logged twice in a row */
  private say(level: Level, message: string, about: string): void {
    if (about !== this.lastSaid) this.log.write(level, message)
    this.lastSaid = about
  }

  client(): boolean {
    // The new connection is already counted.
    if (this.inUse <= this.most - this.forDials || this.makeRoom()) return true
    this.refused++
    this.tell()
    return false
  }

  dial(): ProxyError | null {
    if (this.inUse < this.most || (this.makeRoom() && this.inUse < this.most + atOnce)) return null
    this.tell()
    const why = `no file descriptor is left for a connection: ${this.links.open} of ${this.limit} are connections`
    return new ProxyError('NO_DESCRIPTORS', why)
  }

  file(): ProxyError | null {
    if (this.files < this.filesAtMost && this.inUse < this.most) {
      this.files++
      return null
    }
    const why = `no file descriptor is left for a file: ${this.files} are being sent, and at most ${this.filesAtMost} may be`
    return new ProxyError('NO_DESCRIPTORS', why)
  }

  fileClosed(): void {
    this.files--
  }

  /** Open connections, of clients and to backends */
  get open(): number {
    return this.links.open
  }

  private get inUse(): number {
    return this.links.open + this.files
  }

  /** True while descriptors that the last pass has freed are still available. */
  private makeRoom(): boolean {
    const now = nowMs()
    if (now >= this.passAt + passMs) {
      this.passAt = now
      this.freed = this.closeIdle(atOnce)
    }
    if (this.freed === 0) return false
    this.freed--
    return true
  }

  private tell(): void {
    const now = nowMs()
    if (now < this.toldAt + quietMs) return
    this.toldAt = now
    // A socket that was missed by the counters would reduce the room forever: the descriptors that are really open count.
    this.links.open = Math.min(this.links.open, Math.max(0, openDescriptors() - this.others - this.files))
    const refused = this.refused - this.refusedThen
    this.refusedThen = this.refused
    this.log.write('warn', 'out of file descriptors: new connections are closed at once', {
      limit: this.limit,
      connections: this.links.open,
      refused,
    })
  }
}
