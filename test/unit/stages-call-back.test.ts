/**
 * The rule for re-entrancy in model/stage.ts, held by exchanges without sockets: origins, stages and clients that call back
 * within the call, in every order, with every stage that is made of the parts of the house between them. Whatever the order,
 * the origin gets the whole request, the client the whole answer, everybody hears of the end once, and nothing is held any more.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { features } from '../../src/features/all.ts'
import { byPhase, type Filter } from '../../src/model/filter.ts'
import {
  compose,
  type Origin,
  type RequestSink,
  type Sink,
  type Stage,
  WrappedRequest,
  WrappedSink,
} from '../../src/model/stage.ts'
import { filterStage } from '../../src/proxy/exchange/filter-stage.ts'
import { holdBody } from '../../src/proxy/exchange/hold-body.ts'
import { type Bare, bareExchange } from '../harness/bare-exchange.ts'
import { nothingLasts, responseHead } from '../harness/stage-peers.ts'

const answering = ['within the call', 'at the first byte', 'at the end', 'a turn after the end'] as const
const taking = ['all', 'full and drained within', 'full and drained a turn later'] as const
const reading = ['all', 'full and drained within', 'full and drained a turn later'] as const
const sending = ['in one go', 'as it is let'] as const

type How = {
  readonly answers: (typeof answering)[number]
  readonly takes: (typeof taking)[number]
  readonly reads: (typeof reading)[number]
  readonly sends: (typeof sending)[number]
}

const table: How[] = answering.flatMap(answers =>
  taking.flatMap(takes => reading.flatMap(reads => sending.map(sends => ({ answers, takes, reads, sends })))),
)

/** An origin that answers `xyz` in three pieces, and is as slow as it is told to be. */
class Talker implements RequestSink {
  got = ''
  private readonly sink: Sink
  private readonly how: How
  private readonly pieces = ['x', 'y', 'z']
  private begun = false
  private open = true
  private speaking = false
  private over = false

  constructor(sink: Sink, how: How) {
    this.sink = sink
    this.how = how
    if (how.answers === 'within the call') this.begin()
  }

  data(bytes: Buffer, from: number, to: number): boolean {
    this.got += bytes.subarray(from, to)
    if (this.how.answers === 'at the first byte') this.begin()
    if (this.how.takes === 'all') return true
    if (this.how.takes === 'full and drained within') this.sink.requestDrained()
    else queueMicrotask(() => this.over || this.sink.requestDrained())
    return false
  }
  dataHeld(held: Parameters<RequestSink['dataHeld']>[0]): boolean {
    const open = held.each((bytes, from, to) => this.data(bytes, from, to))
    held.clear()
    return open
  }
  end(): void {
    this.got += '.'
    if (this.how.answers === 'at the end') this.begin()
    else if (this.how.answers === 'a turn after the end') queueMicrotask(() => this.begin())
  }
  flush(): boolean {
    return true
  }
  resumeAnswer(): void {
    this.open = true
    if (this.begun && !this.speaking) this.speak()
  }
  fail(): void {
    this.over = true
  }
  drop(): void {
    this.over = true
  }

  private begin(): void {
    if (this.begun) return
    this.begun = true
    this.sink.inform(responseHead(103))
    this.sink.answer(responseHead(200), false)
    this.speak()
  }
  private speak(): void {
    this.speaking = true
    while (this.open && !this.over) {
      const piece = this.pieces.shift()
      if (piece === undefined) {
        this.over = true
        this.sink.end(null)
        break
      }
      // It may be resumed before it has been told to wait.
      this.open = false
      if (this.sink.data(Buffer.from(piece), 0, 1)) this.open = true
    }
    this.speaking = false
  }
}

const later = <T>(value: T): Promise<T> => Promise.resolve(value)
const same = (bytes: Uint8Array) => Buffer.from(bytes)
const filtered = (filter: Omit<Filter, 'name'>): Stage => filterStage(byPhase([{ name: 'a filter', ...filter }]))
const where = { paths: [], hosts: [], isDefaultSite: false }

/** Every way in which a stage can stand between. */
const stages: Record<string, Stage> = {
  'no stage': inner => inner,
  'wrapped sinks': inner => (exchange, sink) => new WrappedRequest(inner(exchange, new WrappedSink(sink))),
  'a held body': inner => (exchange, sink) =>
    holdBody(exchange, sink, { limit: 100, past: 'refuse', who: 'a test', inspected: () => inner(exchange, sink) }),
  'the first bytes of a body': inner => (exchange, sink) =>
    holdBody(exchange, sink, { limit: 1, past: 'prefix', who: 'a test', inspected: () => inner(exchange, sink) }),
  'a body limit': features['limits.body'].compile([100], where, path => path, nothingLasts).outside as Stage,
  'compression that does not apply': features.compress.compile(
    [{ as: 'text', value: true }],
    where,
    path => path,
    nothingLasts,
  ).outside as Stage,
  'a filter that waits for the request': filtered({ request: () => later(null) }),
  'a filter that reads the body': filtered({ request: x => x.request.readBody(100).then(() => null) }),
  'a filter that waits for the response': filtered({ response: () => later(undefined) }),
  'transforms at once': filtered({ requestBody: () => ({ chunk: same }), responseBody: () => ({ chunk: same }) }),
  'transforms that wait': filtered({
    requestBody: () => ({ chunk: bytes => later(same(bytes)), end: () => later(null) }),
    responseBody: () => ({ chunk: bytes => later(same(bytes)), end: () => later(null) }),
  }),
  'transforms behind phases that wait': filtered({
    request: () => later(null),
    requestBody: () => ({ chunk: same }),
    response: () => later(undefined),
    responseBody: () => ({ chunk: bytes => later(same(bytes)) }),
  }),
}

/** What each does by itself, and in front of each of the others. */
const pairs: Record<string, Stage> = { ...stages }
for (const [outer, one] of Object.entries(stages))
  for (const [inner, two] of Object.entries(stages))
    if (outer !== 'no stage' && inner !== 'no stage') pairs[`${outer} and ${inner}`] = of => one(two(of))

async function run(stage: Stage, how: How): Promise<string> {
  let talker: Talker | null = null
  const origin: Origin = (_exchange, sink) => {
    talker = new Talker(sink, how)
    return talker
  }
  const bare = bareExchange(compose([stage], origin))
  const { client, exchange } = bare
  const ends: string[] = []
  exchange.onDone(error => void ends.push(`${error}`))
  if (how.reads !== 'all') client.room = 1
  client.drainsWithin = how.reads === 'full and drained within'
  exchange.start()
  sendBody(bare, how)
  for (let turns = 0; turns < 60; turns++) {
    await Promise.resolve()
    if (client.room <= 0) {
      client.drain()
      client.room = 1
    }
  }
  return [
    `request ${(talker as Talker | null)?.got}`,
    `answer ${client.calls
      .filter(call => call.startsWith('data'))
      .join('')
      .replaceAll('data ', '')}`,
    `heads ${client.calls.filter(call => !call.startsWith('data')).join()}`,
    `ends ${ends.join()}`,
    `events ${bare.events.join()}`,
    `held ${bare.budget.total}`,
  ].join('; ')
}

/** `abc` in three pieces, then its end: all of them whatever it is told, or each when it is let. */
function sendBody({ client, exchange }: Bare, { sends }: How): void {
  const pieces = ['a', 'b', 'c']
  let ended = false
  const go = () => {
    while (pieces.length > 0) {
      if (sends === 'as it is let' && client.paused) return
      client.send(pieces.shift() as string)
      if (pieces.length > 0 || ended) continue
      ended = true
      exchange.requestEnd(null)
    }
    exchange.flushRequest()
  }
  client.onResume = go
  go()
}

describe('whoever calls back before it returns', () => {
  for (const [name, stage] of Object.entries(pairs))
    it(`finds everything in order: ${name}`, async () => {
      for (const how of table) {
        const found = await run(stage, how)
        const all = 'answer xyz; heads inform 103,head 200,end; ends null; events answered 200; held 0'
        // An answer that is over before the request is leaves nobody for the rest of it.
        const early = how.answers === 'within the call' || how.answers === 'at the first byte'
        if (early) assert.match(found, new RegExp(`^request a?b?c?\\.?; ${all}$`), JSON.stringify(how))
        else assert.equal(found, `request abc.; ${all}`, JSON.stringify(how))
      }
    })
})
