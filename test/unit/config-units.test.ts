/** Durations and sizes: what is read, what is refused, and that printing one reads back. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/base/units.ts'

describe('durations', () => {
  it('have one whole number and one unit', () => {
    const read = ['250ms', '30s', '5m', '12h', '1d', '0s'].map(parseDuration)
    assert.deepEqual(read, [250, 30_000, 300_000, 43_200_000, 86_400_000, 0])
  })
  it('are refused without a unit, with a fraction, a sign, spaces or two units', () => {
    for (const text of [
      '30',
      '1.5s',
      '-1s',
      '+1s',
      '1 s',
      ' 1s',
      '1h30m',
      '1w',
      '1S',
      's',
      '',
      '1e3s',
      '9999999999999s',
    ]) {
      assert.equal(parseDuration(text), null, text)
    }
  })
  it('read back as they are printed', () => {
    assert.deepEqual([0, 1, 1500, 90_000, 3_600_000, 172_800_000].map(formatDuration), [
      '0ms',
      '1ms',
      '1500ms',
      '90s',
      '1h',
      '2d',
    ])
    for (const ms of [1, 999, 1000, 61_000, 86_400_000]) assert.equal(parseDuration(formatDuration(ms)), ms)
  })
})

describe('sizes', () => {
  it('are bytes, or a number and a unit of either case', () => {
    const read = ['512', '512b', '16kb', '16KB', '1mb', '2gb', '1tb', '0'].map(parseSize)
    assert.deepEqual(read, [512, 512, 16_384, 16_384, 1_048_576, 2_147_483_648, 1_099_511_627_776, 0])
  })
  it('are refused with other units, fractions, signs, and past what a number holds exactly', () => {
    for (const text of ['16k', '16kib', '1.5mb', '-1', '1 kb', '', 'kb', '999999999999tb'])
      assert.equal(parseSize(text), null, text)
  })
  it('read back as they are printed', () => {
    assert.deepEqual([0, 240, 1024, 1536, 1_048_576].map(formatSize), ['0b', '240b', '1kb', '1536b', '1mb'])
    for (const bytes of [1, 1023, 1024, 5_242_880]) assert.equal(parseSize(formatSize(bytes)), bytes)
  })
})
