/** What is safe to try again: one table, which exchanges and connections of layer 4 go by. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ErrorCode, errorTable } from '../../src/base/errors.ts'
import { compileRetry } from '../../src/proxy/upstream/retry.ts'

const policy = compileRetry({ tries: 4, refusals: 8 })
const codes = Object.keys(errorTable) as ErrorCode[]

/** error, tries so far, method, replayable: what follows */
const cases: readonly (readonly [ErrorCode, number, string | null, boolean, 'no' | 'other' | 'same'])[] = [
  // Nothing has reached a backend: any method, and what has none
  ['CONNECT_REFUSED', 1, 'POST', true, 'other'],
  ['CONNECT_REFUSED', 1, null, true, 'other'],
  ['CONNECT_REFUSED', 7, 'POST', true, 'other'],
  ['CONNECT_TIMEOUT', 3, 'POST', true, 'other'],
  ['CONNECT_TIMEOUT', 4, 'POST', true, 'no'],
  ['UPSTREAM_TLS', 8, 'GET', true, 'no'],
  ['CONNECT_REFUSED', 1, 'GET', false, 'no'],
  // The backend said that it has not taken the request up
  ['STREAM_REFUSED', 3, 'POST', true, 'other'],
  ['STREAM_REFUSED', 4, 'POST', true, 'no'],
  ['UPSTREAM_GOAWAY', 1, 'POST', true, 'same'],
  // It may have been seen
  ['UPSTREAM_RESET', 1, 'GET', true, 'other'],
  ['UPSTREAM_RESET', 1, 'DELETE', true, 'other'],
  ['UPSTREAM_RESET', 1, 'POST', true, 'no'],
  ['UPSTREAM_RESET', 1, 'PATCH', true, 'no'],
  ['UPSTREAM_RESET', 1, 'get', true, 'no'],
  ['UPSTREAM_RESET', 1, null, true, 'no'],
  ['STALE_CONNECTION', 1, 'GET', true, 'same'],
  ['STALE_CONNECTION', 1, 'POST', true, 'no'],
  ['STALE_CONNECTION', 4, 'GET', true, 'no'],
  // Time is up, or the fault is ours
  ['RESPONSE_TIMEOUT', 1, 'GET', true, 'no'],
  ['TOTAL_TIMEOUT', 1, 'GET', true, 'no'],
  ['NO_DESCRIPTORS', 1, 'GET', true, 'no'],
  ['BAD_RESPONSE', 1, 'GET', true, 'no'],
]

describe('the retry policy', () => {
  for (const [code, count, method, replayable, again] of cases)
    it(`${code} of try ${count} of ${method ?? 'a connection'}${replayable ? '' : ', not replayable'}: ${again}`, () =>
      assert.equal(policy.again(code, count, method, replayable), again))

  it('follows the row of each error', () => {
    for (const code of codes) {
      const { retry } = errorTable[code]
      assert.equal(policy.again(code, 1, 'POST', true) !== 'no', retry === 'yes', code)
      assert.equal(policy.again(code, 1, 'GET', true) !== 'no', retry !== 'no', code)
      assert.equal(policy.again(code, 1, 'GET', false), 'no', code)
      assert.equal(policy.again(code, 8, 'GET', true), 'no', code)
    }
  })
})
