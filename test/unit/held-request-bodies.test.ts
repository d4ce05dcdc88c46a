/**
 * Stages on the request side, with exchanges that have no sockets: a body that is held is let come, counted once, bounded,
 * and goes on as the same bytes.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import { HeldBytes } from '../../src/base/held-bytes.ts'
import type { Share } from '../../src/base/memory-budget.ts'
import { needsNoBody, type RequestSink, type Sink, WrappedRequest } from '../../src/model/stage.ts'
import { type BodyHold, type HeldBody, type HoldingExchange, holdBody } from '../../src/proxy/exchange/hold-body.ts'
import { Fields } from '../../src/wire/fields.ts'
import type { RequestHead } from '../../src/wire/heads.ts'
import { Asked, Noted, newShare, requestHead } from '../harness/stage-peers.ts'

type Made = {
  readonly sink: Noted
  readonly asked: Asked
  readonly share: Share
  readonly phases: string[]
  readonly seen: HeldBody[]
  readonly request: RequestSink
}

function hold(
  head: Partial<RequestHead>,
  wanted: Pick<BodyHold, 'limit' | 'past'>,
  then?: () => RequestSink,
): Made {
  const sink = new Noted()
  const asked = new Asked()
  const share = newShare()
  const phases: string[] = []
  const seen: HeldBody[] = []
  const exchange = {
    head: requestHead(head),
    share,
    deadline: { wait: (phase: string) => void phases.push(phase), continued: () => void phases.push('continued') },
    failThrough: (to: Sink, error: ProxyError) => to.abort(error),
  } as unknown as HoldingExchange
  const request = holdBody(exchange, sink, {
    ...wanted,
    who: 'a test',
    inspected(held) {
      seen.push({ ...held, bytes: Buffer.from(held.bytes) })
      return then?.() ?? asked
    },
  })
  return { sink, asked, share, phases, seen, request }
}

const send = (to: RequestSink, text: string): boolean => to.data(Buffer.from(text), 0, text.length)
const tooLong = new ProxyError('BODY_TOO_LARGE', '')

describe('a request body that a stage holds', () => {
  it('is let come until it is whole, and then goes on with its trailers', () => {
    const { asked, request, seen, phases, sink } = hold({}, { limit: 8, past: 'refuse' })
    assert.equal(send(request, 'abcd'), true)
    assert.equal(send(request, 'efgh'), true)
    assert.deepEqual(asked.calls, [])
    request.end(new Fields('x-t: 1\r\n'))
    assert.deepEqual(
      seen.map(({ bytes, complete }) => [`${bytes}`, complete]),
      [['abcdefgh', true]],
    )
    assert.deepEqual(asked.calls, ['data abcdefgh', 'end x-t: 1', 'flush'])
    assert.deepEqual(phases, ['requestBody'])
    assert.deepEqual(sink.calls, ['drained'])
  })

  it('is counted once, whoever has it, and the target gets the holder itself', () => {
    const { asked, request, share } = hold({}, { limit: 100_000, past: 'refuse' })
    for (let sent = 0; sent < 50; sent++) send(request, 'x'.repeat(1000))
    const before = share.bytes
    assert.ok(before >= 50_000 && before < 120_000, `${before}`)
    request.end(null)
    assert.ok(share.bytes <= before + 256)
    assert.equal(asked.held?.length, 50_000)
    asked.held?.clear()
    assert.equal(share.bytes, 0)
  })

  it('stops its source past the limit, and is refused', () => {
    const { asked, request, seen, sink, share } = hold({}, { limit: 4, past: 'refuse' })
    assert.equal(send(request, 'abcd'), true)
    send(request, 'e')
    assert.deepEqual(sink.calls, [`abort ${tooLong.code}`, 'drained'])
    assert.deepEqual([seen, asked.calls, share.bytes], [[], [], 0])
    assert.equal(send(request, 'what still comes is dropped'), true)
    assert.equal(share.bytes, 0)
  })

  it('is refused by its length before anything is sent', () => {
    const { sink, request, seen } = hold(
      { contentLength: 5, chunked: false, expectContinue: true },
      { limit: 4, past: 'refuse' },
    )
    assert.deepEqual(sink.calls, [`abort ${tooLong.code}`])
    assert.equal(request, needsNoBody)
    assert.deepEqual(seen, [])
  })

  it('shows its first bytes where the stage chose so, and all of it goes on', () => {
    const { asked, request, seen } = hold({ contentLength: 9 }, { limit: 4, past: 'prefix' })
    send(request, 'abc')
    assert.equal(send(request, 'def'), true)
    send(request, 'ghi')
    request.end(null)
    assert.deepEqual(
      seen.map(({ bytes, complete }) => [`${bytes}`, complete]),
      [['abcd', false]],
    )
    assert.deepEqual(asked.calls, ['data abcdef', 'flush', 'data ghi', 'end'])
  })

  it('stops its source where what it goes on to is full', () => {
    const made = hold({}, { limit: 2, past: 'prefix' })
    made.asked.open = false
    assert.equal(send(made.request, 'abc'), false)
    assert.deepEqual(made.sink.calls, [])
  })

  it('answers Expect: 100-continue once, and asks the origin for no other', () => {
    const head = { expectContinue: true }
    const { sink, phases, request } = hold(head, { limit: 4, past: 'refuse' })
    assert.deepEqual(sink.calls, ['inform 100'])
    assert.deepEqual(phases, ['requestBody', 'continued'])
    send(request, 'a')
    request.end(null)
    assert.deepEqual(sink.calls, ['inform 100', 'drained'])
  })

  it('that is not there costs nothing', () => {
    const { asked, request, seen, phases } = hold(
      { chunked: false, contentLength: 0 },
      { limit: 4, past: 'refuse' },
    )
    assert.equal(request, asked)
    assert.deepEqual([seen.length, seen[0]?.complete, phases], [1, true, []])
  })

  for (const how of ['fail', 'drop'] as const)
    it(`is let go of when the request ends early (${how})`, () => {
      const { asked, request, share, seen } = hold({}, { limit: 8, past: 'refuse' })
      send(request, 'abc')
      if (how === 'fail') request.fail(tooLong)
      else request.drop()
      assert.equal(share.bytes, 0)
      assert.deepEqual([seen, asked.calls], [[], []])
    })

  it('is held by a second stage without a second copy', () => {
    const inner = hold({}, { limit: 8, past: 'refuse' })
    const outer = hold({}, { limit: 8, past: 'refuse' }, () => inner.request)
    send(outer.request, 'abc')
    const held = outer.share.bytes
    outer.request.end(null)
    assert.deepEqual(inner.asked.calls, ['data abc', 'end', 'flush', 'flush'])
    assert.ok(outer.share.bytes <= held)
    assert.equal(inner.share.bytes, 0)
  })
})

it('a stage that looks at the body sees what was held before it as well', () => {
  class Upper extends WrappedRequest {
    override data(bytes: Buffer, from: number, to: number): boolean {
      const upper = Buffer.from(`${bytes.subarray(from, to)}`.toUpperCase())
      return this.request.data(upper, 0, upper.length)
    }
  }
  const asked = new Asked()
  const share = newShare()
  const held = new HeldBytes(share)
  held.add(Buffer.from('abc'))
  assert.equal(new Upper(asked).dataHeld(held), true)
  assert.deepEqual([asked.calls, share.bytes], [['data ABC'], 0])
})
