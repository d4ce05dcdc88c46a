/**
 * Whatever the network or a configuration feeds costs linear time. Every parser, matcher and log path is fed its worst
 * input at n and at 4n; the work may grow by 4, and by 8 at most with what a machine adds. A new parser registers itself
 * in one of the lists (test/unit/layers.test.ts finds it otherwise). See docs/linear-work.md.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { registered } from './linear-work/registered.ts'

/** Twice what linear work grows by, half of what quadratic work does */
const mostGrowth = 8
/** A busy machine only ever adds to a measurement: the least of several counts, of three at least. */
const [fewest, most] = [3, 12]
/** CPU time; work that has taken this long is not tried again. */
const mostMs = 10_000
/** What is measured lasts at least this long, so that the clock is exact enough. */
const leastMs = 2
const mostRepeats = 100_000

describe('linear work', () => {
  for (const { file, what, n, prepare } of registered) {
    it(`${file.replace('src/', '')}: ${what}`, () => {
      const growth = growthOf(prepare(n), prepare(4 * n))
      assert.ok(growth <= mostGrowth, `four times the input costs ${growth.toFixed(1)} times the work`)
    })
  }
})

/** How many times the work of `small` that of `large` is, by the least that several counts of each saw. */
function growthOf(small: () => unknown, large: () => unknown): number {
  const none = Number.POSITIVE_INFINITY
  let least = { small: none, large: none }
  let growth = none
  let repeats = 1
  let spent = 0
  for (let count = 0; count < fewest || (count < most && growth > mostGrowth && spent < mostMs); count++) {
    const before = cpuMs(small, repeats)
    spent += before
    if (before < leastMs && repeats < mostRepeats) {
      // Too short to measure: from the start, or from when the runtime has compiled it better.
      repeats *= 2
      least = { small: none, large: none }
      count = -1
      continue
    }
    const after = cpuMs(large, repeats)
    spent += after
    least = { small: Math.min(least.small, before), large: Math.min(least.large, after) }
    growth = least.large / Math.max(least.small, 0.1)
  }
  return growth
}

/** Of this process: what others do on the machine does not count. A thread's own time has the grain of the kernel's tick. */
function cpuMs(work: () => unknown, repeats: number): number {
  const before = process.cpuUsage()
  for (let at = 0; at < repeats; at++) work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
