/**
 * The rule for re-entrancy in model/stage.ts, for compressed answers: origins that answer within the call, or go on within the
 * call that lets them, and clients that are full and drained within. Whatever the order, the client gets the whole answer, the
 * end comes once, and nothing is held any more.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import zlib from 'node:zlib'
import { ProxyError } from '../../src/base/errors.ts'
import { compress } from '../../src/features/compress/feature.ts'
import { compose, needsNoBody, type RequestSink, type Sink } from '../../src/model/stage.ts'
import { Fields } from '../../src/wire/fields.ts'
import { type Bare, bareExchange } from '../harness/bare-exchange.ts'
import { nothingLasts, responseHead } from '../harness/stage-peers.ts'

const lengths = ['short, known', 'short, unknown', 'long, known', 'long, unknown', 'a piece a turn'] as const
const answering = ['within the call', 'a turn later'] as const
const taking = ['all', 'full and drained within', 'full and drained a turn later'] as const
const sending = ['in one go', 'as it is let'] as const

type How = {
  readonly length: (typeof lengths)[number]
  readonly answers: (typeof answering)[number]
  readonly reads: (typeof taking)[number]
  readonly sends: (typeof sending)[number]
}

const table: How[] = lengths.flatMap(length =>
  answering.flatMap(answers => taking.flatMap(reads => sending.map(sends => ({ length, answers, reads, sends })))),
)

const noise = (bytes: number) =>
  Buffer.from(Array.from({ length: bytes }, (_, at) => (Math.imul(at + 1, 2_654_435_761) >>> 13) & 255))
const long = Array.from({ length: 12 }, (_, at) => noise(30_000 + at))
const short = Array.from({ length: 3 }, (_, at) => noise(1000 + at))

const piecesOf = ({ length }: How) => (length.startsWith('long') ? long : short)

/** An origin that answers in pieces. */
class Talker implements RequestSink {
  readonly left: Buffer[]
  dropped = false
  failsAt = -1
  private readonly sink: Sink
  private readonly how: How
  private open = true
  private speaking = false

  constructor(sink: Sink, how: How, failsAt: number) {
    this.sink = sink
    this.how = how
    this.failsAt = failsAt
    this.left = [...piecesOf(how)]
    if (how.answers === 'within the call') this.begin()
    else setImmediate(() => this.begin())
  }

  data = needsNoBody.data
  dataHeld = needsNoBody.dataHeld
  end(): void {}
  flush = needsNoBody.flush
  fail(): void {}
  resumeAnswer(): void {
    this.open = true
    if (!this.speaking) this.speak()
  }
  drop(): void {
    this.dropped = true
  }

  private begin(): void {
    const known = this.how.length.endsWith(' known')
    const fields = new Fields('content-type: text/plain\r\n')
    const contentLength = known ? this.left.reduce((sum, each) => sum + each.length, 0) : -1
    this.sink.answer({ ...responseHead(200), fields, contentLength, chunked: !known }, false)
    this.speak()
  }

  private speak(): void {
    if (this.dropped) return
    this.speaking = true
    while (this.open || this.how.sends === 'in one go') {
      if (this.left.length === this.failsAt) {
        this.dropped = true
        this.sink.abort(new ProxyError('UPSTREAM_RESET', 'a test'))
        // What comes late is dropped.
        this.sink.data(short[0] as Buffer, 0, 1000)
        if (this.how.sends === 'in one go') this.sink.end(null)
        break
      }
      const piece = this.left.shift()
      if (piece === undefined) {
        this.dropped = true
        this.sink.end(null)
        break
      }
      // It may be resumed before it has been told to wait.
      this.open = false
      if (this.sink.data(piece, 0, piece.length)) this.open = true
      if (this.how.length !== 'a piece a turn') continue
      setImmediate(() => setImmediate(() => this.speak()))
      break
    }
    this.speaking = false
  }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

type Ran = { readonly bare: Bare; readonly body: Buffer; readonly ends: readonly string[]; readonly talker: Talker }

/** @param failsAt how many pieces the origin still has when it fails, or -1 @param leavesAt how many the client takes */
async function run(how: How, failsAt = -1, leavesAt = Number.POSITIVE_INFINITY): Promise<Ran> {
  let talker: Talker | null = null
  const where = { paths: [], hosts: [], isDefaultSite: false }
  const stage = compress.compile([{ as: 'text', value: true }], where, path => path, nothingLasts).outside
  const origin = compose(stage === undefined ? [] : [stage], (_exchange, sink) => {
    talker = new Talker(sink, how, failsAt)
    return talker
  })
  const fields = new Fields('accept-encoding: gzip\r\n')
  const bare = bareExchange(origin, { method: 'GET', chunked: false, fields })
  const { client, exchange } = bare
  const got: Buffer[] = []
  const take = client.data.bind(client)
  client.data = (bytes, from, to) => {
    got.push(Buffer.from(bytes.subarray(from, to)))
    return take(bytes, from, to)
  }
  const ends: string[] = []
  exchange.onDone(error => void ends.push(`${error?.code ?? 'whole'}`))
  if (how.reads !== 'all') client.room = 1
  client.drainsWithin = how.reads === 'full and drained within'
  exchange.start()
  // Encoders work in threads: a turn more or less says nothing.
  for (const until = performance.now() + 20_000; ends.length === 0 && performance.now() < until; ) {
    await turn()
    if (got.length >= leavesAt) exchange.clientGone(new ProxyError('CLIENT_GONE', 'a test'))
    else if (client.room <= 0) {
      client.drain()
      client.room = 1
    }
  }
  // What comes late is dropped.
  for (let turns = 0; turns < 5; turns++) await turn()
  return { bare, body: Buffer.concat(got), ends, talker: talker as unknown as Talker }
}

/** Encoders that were closed */
const closed = new Set<object>()
const { destroy } = zlib.Gzip.prototype
zlib.Gzip.prototype.destroy = function (this: zlib.Gzip, error?: Error) {
  closed.add(this)
  return destroy.call(this, error) as zlib.Gzip
}

const nothingLeft = ({ bare }: Ran, how: How): void => {
  assert.equal(bare.budget.total, 0, `held: ${JSON.stringify(how)}`)
  assert.equal(bare.services.compressors.taken, 0, `encoders: ${JSON.stringify(how)}`)
}

describe('a compressed answer', () => {
  it('is whole, whoever calls back before it returns', async () => {
    for (const how of table) {
      const ran = await run(how)
      assert.deepEqual(ran.ends, ['whole'], JSON.stringify(how))
      assert.deepEqual(zlib.gunzipSync(ran.body), Buffer.concat(piecesOf(how)), JSON.stringify(how))
      const others = ran.bare.client.calls.filter(call => !call.startsWith('data'))
      assert.deepEqual(others, ['head 200', 'end'], JSON.stringify(how))
      nothingLeft(ran, how)
    }
  })

  it('is cut, or replaced by the page of the error, where its origin fails, and holds nothing any more', async () => {
    for (const how of table) {
      const ran = await run(how, 1)
      assert.deepEqual(ran.ends, ['UPSTREAM_RESET'], JSON.stringify(how))
      const { calls } = ran.bare.client
      // In the turn in which it began nothing has gone to the client, which gets the error's page.
      const ends = calls[0] === 'head 502' ? 'end' : 'abort UPSTREAM_RESET'
      assert.equal(calls.at(-1), ends, JSON.stringify(how))
      nothingLeft(ran, how)
    }
  })

  it('tells its origin when the client leaves, and holds nothing any more', async () => {
    for (const how of table.filter(({ length }) => length.startsWith('long'))) {
      closed.clear()
      const ran = await run(how, -1, 1)
      assert.equal(closed.size, 1, JSON.stringify(how))
      assert.deepEqual(ran.ends, ['CLIENT_GONE'], JSON.stringify(how))
      assert.equal(ran.talker.dropped, true)
      nothingLeft(ran, how)
    }
  })
})
