/** Forks of exchanges, without sockets: what is asked beside a request neither slows it down nor ends with it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import {
  needsNoBody,
  type Origin,
  type RequestSink,
  type Sink,
  type Stage,
  type StagedExchange,
  WrappedRequest,
} from '../../src/model/stage.ts'
import { type Fork, forkExchange } from '../../src/proxy/exchange/fork.ts'
import { type Bare, bareExchange } from '../harness/bare-exchange.ts'
import { Asked, Noted, responseHead } from '../harness/stage-peers.ts'

/** Sends the body to both. */
class Copying extends WrappedRequest {
  private readonly fork: RequestSink
  constructor(request: RequestSink, fork: RequestSink) {
    super(request)
    this.fork = fork
  }
  override data(bytes: Buffer, from: number, to: number): boolean {
    this.fork.data(bytes, from, to)
    return this.request.data(bytes, from, to)
  }
  override end(trailers: Parameters<RequestSink['end']>[0]): void {
    this.fork.end(trailers)
    this.request.end(trailers)
  }
}

type Mirrored = Bare & {
  readonly asked: Asked
  readonly side: Asked
  readonly sink: Noted
  readonly of: () => StagedExchange
  readonly to: () => Sink
  readonly fork: () => Fork
}

/** A route whose requests are mirrored to `side`. */
function mirrored(options: { holdBytes?: number; totalMs?: number; origin?: Origin } = {}): Mirrored {
  const asked = new Asked()
  const side = new Asked()
  const sink = new Noted()
  let of: StagedExchange | null = null
  let to: Sink | null = null
  let fork: Fork | null = null
  const origin: Origin = (exchange, answerTo) => {
    of = exchange
    to = answerTo
    exchange.forwardPath += 'mirror'
    return side
  }
  const mirror: Stage = inner => (exchange, answer) => {
    fork = forkExchange(exchange, { holdBytes: 8, totalMs: 0, origin, sink, ...options })
    return new Copying(inner(exchange, answer), fork.request)
  }
  const bare = bareExchange(mirror(() => asked))
  bare.exchange.start()
  return {
    ...bare,
    asked,
    side,
    sink,
    of: () => of as unknown as StagedExchange,
    to: () => to as unknown as Sink,
    fork: () => fork as unknown as Fork,
  }
}

describe('a fork', () => {
  it('has a head and a target of its own, and gets the body', () => {
    const { exchange, of, client, asked, side } = mirrored()
    client.send('abc')
    exchange.requestEnd(null)
    of().head.fields.set('x-mirror', '1')
    assert.equal(exchange.head.fields.get('x-mirror'), null)
    assert.deepEqual([exchange.forwardPath, of().forwardPath], ['/', '/mirror'])
    assert.deepEqual(
      [asked.calls, side.calls],
      [
        ['data abc', 'end'],
        ['data abc', 'end'],
      ],
    )
    assert.equal(of().client.clientAddress, '192.0.2.1')
  })

  it('outlives the client, and its answer comes to its sink', () => {
    const made = mirrored()
    const [of, to] = [made.of(), made.to()]
    made.client.send('abc')
    made.exchange.clientGone(new ProxyError('CLIENT_GONE', ''))
    made.share.close()
    assert.deepEqual([made.asked.calls.at(-1), made.side.calls], ['drop', ['data abc']])
    to.inform(responseHead(103))
    to.answer(responseHead(200), false)
    to.data(Buffer.from('yes'), 0, 3)
    assert.equal(of.finished, false)
    to.end(null)
    assert.deepEqual(made.sink.calls, ['inform 103', 'answer 200', 'data yes', 'end'])
    assert.ok(of.finished)
    // Neither counted nor logged: there was one request.
    assert.deepEqual(made.events, ['answered 0'])
  })

  it('never stops the client: what it does not take is held, counted, and bounded', () => {
    const made = mirrored()
    made.side.open = false
    for (const piece of ['1234', 'abcd', 'efgh']) made.client.send(piece)
    assert.equal(made.client.paused, false)
    assert.deepEqual(made.side.calls, ['data 1234'])
    assert.ok(made.budget.total > 0)
    made.client.send('x')
    assert.deepEqual(made.sink.calls, ['abort BODY_TOO_LARGE'])
    assert.deepEqual(made.side.calls.at(-1), 'drop')
    assert.equal(made.budget.total, 0)
    made.client.send('y')
    made.exchange.requestEnd(null)
    assert.deepEqual(made.asked.calls, ['data 1234', 'data abcd', 'data efgh', 'data x', 'data y', 'end'])
  })

  it('takes what was held once it is drained, and then the end', () => {
    const made = mirrored()
    const { side } = made
    side.open = false
    made.client.send('12')
    made.client.send('34')
    made.exchange.requestEnd(null)
    assert.deepEqual(side.calls, ['data 12'])
    side.open = true
    made.to().requestDrained()
    assert.deepEqual(side.calls, ['data 12', 'data 34', 'end', 'flush'])
  })

  it('has a deadline of its own, which is no business of the client', () => {
    const made = mirrored({ totalMs: 1_000 })
    made.side.fail = error => made.of().failThrough(made.to(), error)
    made.pass(2_000)
    assert.deepEqual(made.sink.calls, ['abort TOTAL_TIMEOUT'])
    assert.ok(made.of().finished)
    assert.deepEqual(made.client.calls, [])
    assert.equal(made.exchange.finished, false)
  })

  it('fails without a page', () => {
    const made = mirrored({
      origin: (exchange, sink) => {
        exchange.failThrough(sink, new ProxyError('NO_ENDPOINT', ''))
        return needsNoBody
      },
    })
    assert.deepEqual(made.sink.calls, ['abort NO_ENDPOINT'])
    assert.deepEqual(made.client.calls, [])
  })

  it('is cancelled without a word', () => {
    const made = mirrored()
    made.fork().cancel()
    made.fork().cancel()
    assert.deepEqual([made.sink.calls, made.side.calls], [[], ['drop']])
    assert.ok(made.of().finished)
  })

  it('is told of its end once, and so is the other one', () => {
    const told: string[] = []
    const made = mirrored()
    made.exchange.onDone(error => void told.push(`request ${error?.code}`))
    made.of().onDone(error => void told.push(`fork ${error?.code}`))
    made.exchange.clientGone(new ProxyError('CLIENT_GONE', ''))
    made.fork().cancel()
    made.fork().cancel()
    assert.deepEqual(told, ['request CLIENT_GONE', 'fork CLIENT_GONE'])
  })

  it('of an upgrade there is none', () => {
    const sink = new Noted()
    const bare = bareExchange(() => needsNoBody, { upgrade: 'websocket', chunked: false })
    const origin: Origin = () => assert.fail('it was asked')
    forkExchange(bare.exchange, { origin, sink, holdBytes: 1, totalMs: 0 })
    assert.deepEqual(sink.calls, ['abort METHOD_NOT_SUPPORTED'])
  })
})
