/** One sweep for all deadlines: when they fire, and by which clock. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Deadlines, nowMs, type Timed } from '../../src/base/deadlines.ts'
import type { ProxyError } from '../../src/base/errors.ts'
import { faultLog } from '../../src/observe/fault-log.ts'
import { ExchangeDeadline } from '../../src/proxy/exchange/exchange-deadline.ts'
import type { RequestHead } from '../../src/wire/heads.ts'

type Watched = Timed & { fired: number[] }

function watched(act: () => void = () => {}): Watched {
  const timed: Watched = {
    deadlineAt: Number.POSITIVE_INFINITY,
    watchIndex: -1,
    fired: [],
    onDeadline(now) {
      timed.fired.push(now)
      timed.deadlineAt = Number.POSITIVE_INFINITY
      act()
    },
  }
  return timed
}

describe('deadlines', () => {
  it('are counted on a clock that starts far from zero, so that 0 is never near the present', () => {
    assert.ok(nowMs() > 365 * 86_400_000)
  })

  it('fire once they have passed on the clock that was given, and not before', () => {
    let now = 1_000_000
    const deadlines = new Deadlines(() => now)
    const fired: number[] = []
    const timed: Timed = {
      deadlineAt: deadlines.after(5_000),
      watchIndex: -1,
      onDeadline(at) {
        fired.push(at)
        timed.deadlineAt = Number.POSITIVE_INFINITY
      },
    }
    deadlines.watch(timed)
    now += 5_000
    deadlines.sweep(now)
    assert.deepEqual(fired, [])
    now += 200
    deadlines.sweep(now)
    deadlines.sweep(now)
    assert.deepEqual(fired, [1_005_200])
    deadlines.unwatch(timed)
  })

  it('are counted from the present after a silence, not from the last sweep', () => {
    let now = 1_000
    const deadlines = new Deadlines(() => now)
    const first = watched()
    deadlines.watch(first)
    deadlines.unwatch(first)
    now = 600_000
    assert.ok(deadlines.after(10_000) >= 610_000)
    assert.equal(deadlines.now, 600_000)
  })

  it('are not held against a peer while the process was held up: what it sent is read before the next sweep', () => {
    let now = 0
    const deadlines = new Deadlines(() => now)
    const timed = watched()
    deadlines.watch(timed)
    timed.deadlineAt = deadlines.after(1_000)
    now = 5_000
    deadlines.sweep(now)
    assert.deepEqual(timed.fired, [])
    deadlines.sweep(now + 100)
    assert.deepEqual(timed.fired, [5_100])
    deadlines.unwatch(timed)
  })

  it('of an exchange are worked out by the sweep that finds it, by the same rule', () => {
    let now = 0
    const deadlines = new Deadlines(() => now)
    const ended: string[] = []
    const peer = { peerReads: () => false }
    const owner = {
      downstream: peer,
      attempts: { ...peer, endpoint: null },
      timedOut: ({ code }: ProxyError) => ended.push(code),
    }
    const ms = 1_000
    const timeouts = { handshakeMs: ms, headMs: ms, keepAliveMs: ms, bodyGraceMs: ms, poolIdleMs: ms, idleMs: ms }
    const head = { grpc: false, chunked: false, contentLength: -1, expectContinue: false } as RequestHead
    const deadline = new ExchangeDeadline(deadlines, owner, timeouts, head)
    deadline.wait('challenge')
    now = 5_000
    deadlines.sweep(now)
    assert.deepEqual(ended, [])
    deadlines.sweep(now + 100)
    assert.deepEqual(ended, ['CHALLENGE_TIMEOUT'])
    deadline.stop()
    assert.equal(deadlines.size, 0)
  })

  it('fire whatever another handler throws, which is reported and called again a second later', () => {
    const faults: unknown[] = []
    const deadlines = new Deadlines(
      () => 0,
      (_where, error) => faults.push(error),
    )
    const throws = (): Watched =>
      watched(() => {
        throw new Error('no parent')
      })
    const all = [watched(), throws(), watched(), throws(), watched()]
    for (const each of all) {
      deadlines.watch(each)
      each.deadlineAt = 0
    }
    deadlines.sweep(100)
    assert.deepEqual(
      all.map(each => each.fired.length),
      [1, 1, 1, 1, 1],
    )
    assert.equal(faults.length, 2)
    deadlines.sweep(200)
    assert.equal(faults.length, 2)
    for (let at = 300; at <= 1_100; at += 100) deadlines.sweep(at)
    assert.equal(faults.length, 4)
    for (const each of all) deadlines.unwatch(each)
  })
})

describe('a fault that repeats', () => {
  it('is logged once in ten seconds, with the number of those left out', () => {
    const records: { message: string; fields: Record<string, unknown> }[] = []
    let now = 0
    const fault = faultLog(
      {
        level: 'info',
        write: (_level, message, fields = {}) => records.push({ message, fields }),
        record() {},
        recordText() {},
        line() {},
        use() {},
        flush() {},
      },
      () => now,
    )
    const fail = (from: number, to: number) => {
      for (let at = from; at < to; at++) fault('deadline', new Error(`a peer said ${at}\n    at one.ts:${at}`))
    }
    fail(0, 16_697)
    assert.equal(records.length, 1)
    fault('data', new Error('elsewhere'))
    fault('deadline', new Error('another place'))
    assert.equal(records.length, 3)
    now = 10_000
    fail(16_697, 16_698)
    assert.equal(records.length, 4)
    assert.equal(records[3]?.fields.unwritten, 16_696)
    assert.match(String(records[3]?.fields.stack), /said 16697/)
  })
})
