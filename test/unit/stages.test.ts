/**
 * The rules of origins, stages and sinks, with exchanges that have no sockets: what is called may call back before it
 * returns, a body that comes early is held, and whoever stops is let go on.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ProxyError } from '../../src/base/errors.ts'
import {
  compose,
  needsNoBody,
  type Origin,
  type Sink,
  type Stage,
  type StagedExchange,
  WrappedSink,
} from '../../src/model/stage.ts'
import { PendingRequest } from '../../src/proxy/exchange/pending-request.ts'
import { WhenDone } from '../../src/proxy/seam/when-done.ts'
import { Fields } from '../../src/wire/fields.ts'
import type { ResponseHead } from '../../src/wire/heads.ts'
import { Asked, responseHead as head, Noted } from '../harness/stage-peers.ts'

const exchange = { forwardPath: '/' } as StagedExchange

/** Answers whole before it returns, as a fixed response does. */
const atOnce: Origin = (_exchange, sink) => {
  sink.inform(head(103))
  sink.answer(head(200), false)
  sink.data(Buffer.from('body'), 0, 4)
  sink.end(new Fields('x-checksum: 1\r\n'))
  return needsNoBody
}

const marks =
  (name: string): Stage =>
  inner =>
  (of, sink) => {
    of.forwardPath += name
    return inner(of, new Marking(sink, name))
  }

class Marking extends WrappedSink {
  private readonly name: string
  constructor(sink: Sink, name: string) {
    super(sink)
    this.name = name
  }
  override answer(of: ResponseHead, bodyless: boolean): void {
    of.fields.append('x-by', this.name)
    this.sink.answer(of, bodyless)
  }
}

describe('stages around an origin', () => {
  it('see the request from the outside in, and the answer from the inside out', () => {
    const sink = new Noted()
    const of = { forwardPath: '/' } as StagedExchange
    compose([marks('a'), marks('b')], atOnce)(of, sink)
    assert.equal(of.forwardPath, '/ab')
    assert.deepEqual(sink.calls, ['inform 103', 'answer 200 x-by: b\r\nx-by: a', 'data body', 'end x-checksum: 1'])
  })

  it('without any are the origin itself', () => {
    assert.equal(compose([], atOnce), atOnce)
  })

  it('that do not apply give back what the inner origin gave', () => {
    const asked = new Asked()
    const stage: Stage = inner => (of, sink) => inner(of, sink)
    assert.equal(compose([stage, stage], () => asked)(exchange, new Noted()), asked)
  })

  it('may answer without asking the inner origin', () => {
    const refuse: Stage = () => (_of, sink) => {
      sink.answer(head(403), true)
      sink.end(null)
      return needsNoBody
    }
    const sink = new Noted()
    const inner: Origin = () => assert.fail('it was asked')
    assert.equal(compose([marks('a'), refuse], inner)(exchange, sink).data(Buffer.from('x'), 0, 1), true)
    assert.deepEqual(sink.calls, ['answer 403 x-by: a', 'end'])
  })
})

describe('a request side that is not known yet', () => {
  const failed: string[] = []
  const make = (sink: Sink) => new PendingRequest(null as never, sink, error => void failed.push(error.code))

  it('holds what comes and stops its source, then hands it on in order', () => {
    const sink = new Noted()
    const pending = make(sink)
    assert.equal(pending.data(Buffer.from('ab'), 0, 1), false)
    assert.equal(pending.data(Buffer.from('b'), 0, 1), false)
    pending.end(new Fields('x-t: 1\r\n'))
    const asked = new Asked()
    pending.flowInto(asked)
    assert.equal(
      asked.calls
        .filter(call => call.startsWith('data'))
        .join('')
        .replaceAll('data ', ''),
      'ab',
    )
    assert.deepEqual(asked.calls.slice(-2), ['end x-t: 1', 'flush'])
    assert.deepEqual(sink.calls, ['drained'])
  })

  it('lets the source go on only when the target can take more', () => {
    const sink = new Noted()
    const pending = make(sink)
    pending.data(Buffer.from('a'), 0, 1)
    const asked = new Asked()
    asked.open = false
    pending.flowInto(asked)
    assert.deepEqual(sink.calls, [])
    assert.equal(pending.data(Buffer.from('b'), 0, 1), false)
  })

  it('may be drained within the call that lets it flow', () => {
    const sink = new Noted()
    const pending = make(sink)
    pending.data(Buffer.from('a'), 0, 1)
    sink.drained = () => void pending.data(Buffer.from('b'), 0, 1)
    const asked = new Asked()
    pending.flowInto(asked)
    assert.deepEqual(
      asked.calls.filter(call => call.startsWith('data')),
      ['data a', 'data b'],
    )
  })

  it('answers a failure itself before there is a target, and passes it on afterwards', () => {
    const pending = make(new Noted())
    pending.fail({ code: 'FILTER_TIMEOUT' } as ProxyError)
    assert.deepEqual(failed, ['FILTER_TIMEOUT'])
    const asked = new Asked()
    pending.flowInto(asked)
    pending.fail({ code: 'REQUEST_TIMEOUT' } as ProxyError)
    pending.drop()
    pending.resumeAnswer()
    assert.deepEqual(asked.calls, ['fail REQUEST_TIMEOUT', 'drop', 'resume'])
    assert.equal(failed.length, 1)
  })
})

it('everybody is told of the end, whatever another one throws', () => {
  const when = new WhenDone()
  const told: string[] = []
  when.add(() => {
    throw new Error('one')
  })
  when.add(error => void told.push(`two ${error}`))
  when.tell(null, (where, thrown) => void told.push(`${where}: ${(thrown as Error).message}`))
  assert.deepEqual(told, ['stage: one', 'two null'])
})
