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
const [fewestAttempts, attempts] = [3, 12]
/** CPU time; work that has taken this long is not tried again. */
const mostMs = 10_000
/** What is measured lasts at least this long, so that the clock is exact enough. */
const leastMs = 4

describe('linear work', () => {
  for (const { file, what, n, prepare } of registered) {
    it(`${file.replace('src/', '')}: ${what}`, () => {
      const small = prepare(n)
      const large = prepare(4 * n)
      const repeats = repeatsOf(small)
      const least = { small: Number.POSITIVE_INFINITY, large: Number.POSITIVE_INFINITY }
      let growth = Number.POSITIVE_INFINITY
      let spent = 0
      for (
        let attempt = 0;
        attempt < fewestAttempts || (attempt < attempts && growth > mostGrowth && spent < mostMs);
        attempt++
      ) {
        const [before, after] = [cpuMs(small, repeats), cpuMs(large, repeats)]
        least.small = Math.min(least.small, before)
        least.large = Math.min(least.large, after)
        growth = least.large / Math.max(least.small, 0.1)
        spent += before + after
      }
      assert.ok(growth <= mostGrowth, `four times the input costs ${growth.toFixed(1)} times the work`)
    })
  }
})

/** How often the work is done to last long enough. This warms it up as well. */
function repeatsOf(work: () => unknown): number {
  for (let repeats = 1; ; repeats *= 2) if (cpuMs(work, repeats) >= leastMs || repeats >= 100_000) return repeats
}

/** Of this process: what others do on the machine does not count. */
function cpuMs(work: () => unknown, repeats: number): number {
  const before = process.cpuUsage()
  for (let at = 0; at < repeats; at++) work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
