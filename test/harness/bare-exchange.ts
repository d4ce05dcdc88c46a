/** Exchanges of the data plane without sockets: a client that notes what it gets, and routes with any origin. */
import { DateField } from '../../src/base/date-field.ts'
import { Deadlines, nowMs } from '../../src/base/deadlines.ts'
import type { ProxyError } from '../../src/base/errors.ts'
import { type Ending, MemoryBudget, Share } from '../../src/base/memory-budget.ts'
import { Room } from '../../src/base/room.ts'
import { Turn } from '../../src/base/turn.ts'
import type { Connection } from '../../src/model/connection.ts'
import { byPhase } from '../../src/model/filter.ts'
import type { Route, RouteTimeouts } from '../../src/model/route.ts'
import type { Site } from '../../src/model/site.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import type { Origin } from '../../src/model/stage.ts'
import { Exchange } from '../../src/proxy/exchange/exchange.ts'
import { refusalOrigin } from '../../src/proxy/exchange/origins.ts'
import type { Downstream } from '../../src/proxy/seam/downstream.ts'
import { Forwarding } from '../../src/proxy/seam/forward.ts'
import type { Services } from '../../src/proxy/seam/services.ts'
import type { Fields } from '../../src/wire/fields.ts'
import type { RequestHead } from '../../src/wire/heads.ts'
import { requestHead } from './stage-peers.ts'

const ms = 3_600_000
const timeouts: RouteTimeouts = {
  connectMs: ms,
  responseMs: ms,
  bodyIdleMs: ms,
  idleMs: ms,
  filterMs: ms,
  totalMs: 0,
  tunnelIdleMs: null,
}

/** The client's side of one exchange. */
export class BareClient implements Downstream {
  readonly calls: string[] = []
  readonly connection: Connection
  readonly forwarding: Forwarding
  exchange: Exchange | null = null
  /** What it takes before it is full; drained within the call where `drainsWithin` */
  room = Number.POSITIVE_INFINITY
  drainsWithin = false
  /** The source of its request body is stopped */
  paused = false
  onResume = () => {}

  constructor(share: Share) {
    const link = { share, tls: null, remoteAddress: '192.0.2.1' }
    this.connection = {
      id: 1,
      link,
      clientAddress: '192.0.2.1',
      clientPort: 1,
      serverAddress: '192.0.2.2',
      serverPort: 80,
      cloud: null,
      publicPort: null,
      secure: false,
      serverName: null,
      site: null,
      identity: null,
      fingerprint: null,
      listener: { name: null },
      trust: null,
      httpsOnly: false,
      allowedFields: null,
      group: '',
      openedAt: 0,
      handshakeMs: 0,
    } as unknown as Connection
    this.forwarding = new Forwarding(this.connection)
  }

  cork(): void {}
  uncork(): void {}
  closeAfter(): void {}
  switchTo(): void {}
  inform(status: number): boolean {
    this.calls.push(`inform ${status}`)
    return true
  }
  head(status: number): void {
    this.calls.push(`head ${status}`)
  }
  data(bytes: Uint8Array, from: number, to: number): boolean {
    this.calls.push(`data ${Buffer.from(bytes.subarray(from, to))}`)
    if (--this.room > 0) return true
    if (this.drainsWithin) this.drain()
    return false
  }
  end(trailers: Fields | null): void {
    this.calls.push(trailers === null ? 'end' : `end ${trailers.text.trim()}`)
  }
  abort(error: ProxyError): void {
    this.calls.push(`abort ${error.code}`)
  }
  pauseBody(): void {
    this.paused = true
  }
  resumeBody(): void {
    if (!this.paused) return
    this.paused = false
    this.onResume()
  }
  peerReads(): boolean {
    return false
  }
  drain(): void {
    this.room = Number.POSITIVE_INFINITY
    this.exchange?.downstreamDrained()
  }
  send(text: string): void {
    this.exchange?.requestData(Buffer.from(text), 0, text.length)
  }
}

export type Bare = {
  readonly exchange: Exchange
  readonly client: BareClient
  readonly services: Services
  /** Of the client's connection, and of all */
  readonly share: Share
  readonly budget: MemoryBudget
  /** What was reported: `answered 200`, `fault ...` */
  readonly events: string[]
  /** As if so much time had passed */
  pass(passedMs: number): void
}

/** @param own of its route */
export function bareExchange(
  origin: Origin,
  head: Partial<RequestHead> = {},
  own: { timeouts?: Partial<RouteTimeouts>; bodyRateBytes?: number } = {},
): Bare {
  const events: string[] = []
  const budget = new MemoryBudget(1_000_000, () => {})
  const share = new Share(budget, { remoteAddress: '192.0.2.1', overBudget() {} } as Ending)
  let clock = nowMs()
  const deadlines = new Deadlines(() => clock)
  const match = { paths: [], methods: [], headers: [], query: [], clients: [], ja4: [], proxy: null }
  const base = { match, timeouts, bodyRateBytes: 0, filters: byPhase([]), requireClient: false }
  const fallback: Route = { ...base, name: 'fallback', origin: refusalOrigin, refused: refusalOrigin }
  const route: Route = {
    ...base,
    ...own,
    timeouts: { ...timeouts, ...own.timeouts },
    name: 'route',
    origin,
    refused: refusalOrigin,
  }
  const routes = { routes: [route], read: null, find: () => route }
  const action = { kind: 'http', routes, fallback, tls: null }
  const site = { name: 'a.test', hosts: ['a.test'], termsKey: '', clients: null, action } as unknown as Site
  const services = {
    budget,
    deadlines,
    turn: new Turn((where, error) => void events.push(`fault ${where} ${(error as Error).message}`)),
    compressors: new Room(64),
    date: new DateField(),
    challenges: { any: false },
    snapshot: {
      sitesOf: () => ({ site: () => site, defaultSite: null }),
      fallback,
      timeouts: { ...timeouts, headMs: ms, handshakeMs: ms, bodyGraceMs: ms },
    } as unknown as Snapshot,
    nextId: () => 'id',
    events: {
      timed: false,
      request: ({ status }: { status: number }) => void events.push(`answered ${status}`),
      fault: (where: string, error: unknown) => void events.push(`fault ${where} ${(error as Error).message}`),
    },
  } as unknown as Services
  const client = new BareClient(share)
  const exchange = new Exchange(services, client, requestHead(head))
  client.exchange = exchange
  const pass = (passedMs: number) => {
    // Nobody is ended for what the process itself was held up: time goes in steps.
    for (const until = clock + passedMs; clock < until; ) {
      clock = Math.min(until, clock + 100)
      deadlines.sweep(clock)
    }
  }
  return { exchange, client, services, share, budget, events, pass }
}
