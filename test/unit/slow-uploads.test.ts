/** An upload of 5 GB at 64 kB/s takes 22 hours, on a clock that the test moves: it is let through, or ended by the option that says so. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import type { RouteTimeouts } from '../../src/model/route.ts'
import { needsNoBody, type Origin } from '../../src/model/stage.ts'
import type { Exchange } from '../../src/proxy/exchange/exchange.ts'
import { bareExchange } from '../harness/bare-exchange.ts'

const pieceBytes = 64 * 1024
const uploadBytes = 5 * 1024 ** 3
const secondsAll = uploadBytes / pieceBytes
const piece = Buffer.alloc(pieceBytes)

/** Defaults of the configuration, but for what is written */
type Own = { timeouts?: Partial<RouteTimeouts>; bodyRateBytes?: number }

/** Sends a piece a second, `seconds` of them. @returns in which second it was ended, 0 for never, and why */
function upload(own: Own, seconds = secondsAll, pausesAt = Number.POSITIVE_INFINITY) {
  let failed: ProxyError | null = null
  let taken = 0
  const taking: Origin = exchange => {
    ;(exchange as Exchange).deadline.wait('responseHead')
    return {
      ...needsNoBody,
      data: (_bytes, from, to) => {
        taken += to - from
        return true
      },
      fail: error => {
        failed = error
      },
    }
  }
  const { exchange, pass } = bareExchange(
    taking,
    { contentLength: uploadBytes, chunked: false },
    {
      bodyRateBytes: 240,
      ...own,
      timeouts: { bodyIdleMs: 30_000, idleMs: 300_000, responseMs: 60_000, ...own.timeouts },
    },
  )
  exchange.start()
  const ended = (second: number) => ({ second, taken, error: failed as ProxyError | null })
  for (let second = 1; second <= seconds; second++) {
    pass(1_000)
    if (failed !== null) return ended(second)
    if (second < pausesAt) exchange.requestData(piece, 0, pieceBytes)
  }
  exchange.clientGone(new ProxyError('CLIENT_GONE', 'done'))
  return ended(0)
}

describe('an upload of 5 GB at 64 kB/s', () => {
  it('goes through with the default timeouts', () => {
    const { second, taken } = upload({})
    assert.deepEqual([second, taken], [0, uploadBytes])
  })

  it('goes through where limits.bodyRate is just below that', () => {
    assert.equal(upload({ bodyRateBytes: 65_000 }, 10_000).second, 0)
  })

  it('is ended where limits.bodyRate is above that', () => {
    const { second, error } = upload({ bodyRateBytes: 100_000 }, 20_000)
    // Its hour of grace, in this harness
    assert.equal(second, 3_601)
    assert.deepEqual([error?.code, error?.row.status], ['REQUEST_TIMEOUT', 408])
    assert.match(String(error?.message), /limits\.bodyRate \(100000 bytes\/s\)/)
  })

  it('is ended after timeouts.total', () => {
    const { second, error } = upload({ timeouts: { totalMs: 3_600_000 } }, 20_000)
    assert.equal(second, 3_601)
    assert.equal(error?.code, 'TOTAL_TIMEOUT')
  })

  it('is ended after timeouts.bodyIdle, once it pauses', () => {
    const { second, error } = upload({}, 20_000, 5_000)
    assert.equal(second, 5_030)
    assert.equal(error?.code, 'REQUEST_TIMEOUT')
    assert.match(String(error?.message), /timeouts\.bodyIdle \(30000 ms\)/)
  })

  it('may pause for as long as its route says', () => {
    assert.equal(upload({ timeouts: { bodyIdleMs: 3_600_000 } }, 5_000, 2_000).second, 0)
  })
})
