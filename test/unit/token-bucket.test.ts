/** A rate as a bucket keeps it, whatever becomes of its clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenBucket } from '../../src/base/token-bucket.ts'

test('a bucket gives so many at once, then so many a second, and never more than it holds', () => {
  const bucket = new TokenBucket(3, 2, 0)
  const taken = (now: number) => bucket.take(now)
  assert.deepEqual([taken(0), taken(0), taken(0), taken(0)], [true, true, true, false])
  assert.deepEqual([taken(499), taken(500), taken(500), taken(1_000)], [false, true, false, true])
  assert.deepEqual([9e9, 9e9, 9e9, 9e9].map(taken), [true, true, true, false])
})

test('a clock that is set back costs nothing but the moment, and gives nothing away', () => {
  const day = 86_400_000
  const bucket = new TokenBucket(3, 1, day)
  const refused = Array.from({ length: 3_600 }, (_, at) => bucket.take(at * 1_000)).filter(ok => !ok)
  assert.equal(refused.length, 0)
  while (bucket.take(3_600_000)) {}
  for (let now = 3_600_000; now > 0; now -= 60_000) assert.equal(bucket.take(now), false)
  // Two sources that are a moment apart do not fill it either.
  const two = new TokenBucket(1, 1, 1_000)
  assert.ok(two.take(1_000))
  for (let at = 0; at < 1_000; at++) assert.equal(two.take(at % 2 === 0 ? 900 : 1_000), false)
})
