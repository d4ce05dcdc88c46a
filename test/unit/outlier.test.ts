/** When endpoints that fail are ejected, for how long, and how many of them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { avoiding } from '../../src/proxy/upstream/balance/avoid.ts'
import { roundRobin } from '../../src/proxy/upstream/balance/round-robin.ts'
import { Endpoint } from '../../src/proxy/upstream/endpoint.ts'
import { Outlier, type OutlierTerms } from '../../src/proxy/upstream/outlier.ts'

const terms: OutlierTerms = { consecutive: 3, ejectionMs: 1_000, maxEjectedPercent: 50, statuses: [502, 503] }
const request = {
  clientAddress: '192.0.2.1',
  host: 'a.test',
  path: '/',
  query: '',
  ja4: null,
  clientSubject: null,
  field: () => null,
}

function world(count: number, changes: Partial<OutlierTerms> = {}) {
  const all = Array.from(
    { length: count },
    (_, at) =>
      new Endpoint(
        { address: `192.0.2.${at}`, port: 80, unix: false },
        { label: `${at}`, authority: `${at}`, http: 'auto', lenient: null, tls: null, http1Tls: null },
      ),
  )
  const told: [label: string, why: string, forMs: number][] = []
  // Far from 0, as the clock of a process is.
  const clock = { now: 1_000_000 }
  const outlier = new Outlier(
    { ...terms, ...changes },
    () => all,
    ({ label }, why, forMs) => told.push([label, why, forMs]),
    () => clock.now,
  )
  const pick = avoiding(roundRobin, () => clock.now)
  const picked = () => [...new Set(Array.from({ length: 20 }, () => pick([all], request, [])?.label))].sort()
  const fail = (at: number, times = 3) => {
    for (let time = 0; time < times; time++) outlier.failed(all[at] as Endpoint, 'UPSTREAM_RESET')
  }
  return { all, told, clock, outlier, picked, fail }
}

describe('an endpoint', () => {
  it('that fails so many times in a row is tried last for a while', () => {
    const { told, clock, picked, fail } = world(3)
    fail(0, 2)
    assert.deepEqual(picked(), ['0', '1', '2'])
    fail(0, 1)
    assert.deepEqual(told, [['0', 'UPSTREAM_RESET', 1_000]])
    assert.deepEqual(picked(), ['1', '2'])
    clock.now += 1_001
    assert.ok(picked().includes('0'))
  })

  it('that succeeds in between is not ejected', () => {
    const { all, told, outlier, fail } = world(3)
    fail(0, 2)
    outlier.answered(all[0] as Endpoint, 200)
    fail(0, 2)
    assert.deepEqual(told, [])
  })

  it('fails with the statuses that are listed, and with no others', () => {
    const { all, told, outlier } = world(3)
    const [first, second] = all as [Endpoint, Endpoint]
    for (const status of [503, 502, 503]) outlier.answered(first, status)
    for (const status of [500, 500, 500, 404, 500]) outlier.answered(second, status)
    assert.deepEqual(told, [['0', 'a response with status 503', 1_000]])
  })

  it('is not blamed for connections that have aged, nor for what the client did', () => {
    const { all, told, outlier } = world(3)
    for (const code of ['STALE_CONNECTION', 'UPSTREAM_GOAWAY', 'CLIENT_GONE', 'BODY_TOO_LARGE'] as const)
      for (let time = 0; time < 3; time++) outlier.failed(all[0] as Endpoint, code)
    assert.deepEqual(told, [])
  })

  it('is ejected for longer each time, at most ten times as long, and as at first after it was well for long', () => {
    const { told, clock, fail } = world(3)
    for (let time = 1; time <= 12; time++) {
      fail(0)
      clock.now += Math.min(10, time) * 1_000 + 1
    }
    assert.deepEqual(
      told.map(([, , forMs]) => forMs / 1_000),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10],
    )
    clock.now += 10_001
    fail(0)
    assert.equal(told.at(-1)?.[2], 1_000)
  })

  it('stays ejected although a connection to it comes about, or does not', () => {
    const { all, picked } = world(2)
    const [first] = all as [Endpoint]
    first.ejectedUntil = Number.POSITIVE_INFINITY
    first.avoidUntil = Number.POSITIVE_INFINITY
    first.wasConnected()
    first.avoid()
    assert.deepEqual(picked(), ['1'])
  })
})

describe('the share that may be ejected', () => {
  for (const [count, percent, most] of [
    [1, 100, 0],
    [2, 50, 1],
    [3, 10, 1],
    [4, 50, 2],
    [4, 100, 4],
    [10, 30, 3],
  ] as const)
    it(`is ${most} of ${count} at ${percent}%`, () => {
      const { told, clock, fail } = world(count, { maxEjectedPercent: percent })
      for (let at = 0; at < count; at++) fail(at)
      assert.equal(told.length, most)
      if (most === 0 || most === count) return
      // When the others are back, one that goes on failing takes a place.
      clock.now += 1_001
      fail(count - 1, 1)
      assert.equal(told.at(-1)?.[0], `${count - 1}`)
    })
})
