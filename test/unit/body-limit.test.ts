/** The stage of `limits.body`, without sockets: a body is refused by its length, or once it has come to too much. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ProxyError } from '../../src/base/errors.ts'
import { HeldBytes } from '../../src/base/held-bytes.ts'
import { features } from '../../src/features/all.ts'
import { needsNoBody, type Sink, type StagedExchange } from '../../src/model/stage.ts'
import type { RequestHead } from '../../src/wire/heads.ts'
import { Asked, Noted, newShare, nothingLasts, requestHead } from '../harness/stage-peers.ts'

const { outside } = features['limits.body'].compile(
  [100, 4],
  { paths: [], hosts: [], isDefaultSite: false },
  path => path,
  nothingLasts,
)

function ask(head: Partial<RequestHead>) {
  const asked = new Asked()
  const sink = new Noted()
  const exchange = {
    head: requestHead(head),
    refusal: null,
    failThrough: (to: Sink, error: ProxyError) => to.abort(error),
  }
  const request = outside?.(() => asked)(exchange as unknown as StagedExchange, sink)
  assert.ok(request)
  return { asked, sink, request, send: (text: string) => request.data(Buffer.from(text), 0, text.length) }
}

describe('the limit of a request body', () => {
  it('refuses by the length that was announced, before the origin is asked', () => {
    const { asked, sink, request } = ask({ chunked: false, contentLength: 5 })
    assert.equal(request, needsNoBody)
    assert.deepEqual([asked.calls, sink.calls], [[], ['abort BODY_TOO_LARGE']])
  })

  it('is not in the way of a body that says how long it is, nor of none', () => {
    for (const head of [
      { chunked: false, contentLength: 4 },
      { chunked: false, contentLength: -1 },
    ]) {
      const { asked, request } = ask(head)
      assert.equal(request, asked)
    }
  })

  it('fails a body without a length once it has more, and passes nothing on from there', () => {
    const { asked, send } = ask({})
    assert.equal(send('abc'), true)
    send('d')
    assert.equal(send('e'), true)
    assert.equal(send('f'), true)
    assert.deepEqual(asked.calls, ['data abc', 'data d', 'fail BODY_TOO_LARGE'])
  })

  it('passes on what was held as it is, or lets go of it', () => {
    const share = newShare()
    const held = new HeldBytes(share)
    held.add(Buffer.from('abc'))
    const { asked, request } = ask({})
    assert.equal(request.dataHeld(held), true)
    assert.equal(asked.held, held)
    request.dataHeld(held)
    assert.deepEqual([asked.calls, share.bytes], [['data abc', 'fail BODY_TOO_LARGE'], 0])
  })

  it('that is none is no stage', () => {
    const where = { paths: [], hosts: [], isDefaultSite: false }
    assert.deepEqual(
      features['limits.body'].compile([4, Number.POSITIVE_INFINITY], where, path => path, nothingLasts),
      {},
    )
  })
})
