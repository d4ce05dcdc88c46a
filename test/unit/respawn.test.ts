/** When a worker that has ended is started again. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { respawnAfter } from '../../src/process/supervisor.ts'

it('a worker that served is replaced at once, or after a second where it had just been started', () => {
  assert.equal(respawnAfter(0, false), 0)
  assert.equal(respawnAfter(0, true), 1_000)
})

it('one that ends before it is ready is given twice the time with each try, up to a minute', () => {
  const tries = Array.from({ length: 9 }, (_, at) => respawnAfter(at + 1, false))
  assert.deepEqual(tries, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
})
