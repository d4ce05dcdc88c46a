/** One sweep for all deadlines: when they fire, and by which clock. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Deadlines, nowMs, type Timed } from '../../src/base/deadlines.ts'

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
})
