/** What the benchmark says of its figures: ratios are of paired rounds, and where the rounds do not agree it says so. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Case } from '../../bench/load/case.ts'
import { cases } from '../../bench/load/cases.ts'
import type { PeerName, Sample } from '../../bench/load/setup.ts'
import { summarize, verdictOf } from '../../bench/load/summary.ts'
import { goals } from '../../bench/load/table.ts'

const row: Case = {
  id: 'row',
  title: 'A row',
  shape: 'edge',
  path: '/',
  bytes: 1,
  load: 'requests',
  connections: 1,
  metric: 'cpuUs',
  goals: [{ subject: 'sallyport', of: 'best', most: 1 }],
}
const peers: readonly PeerName[] = ['sallyport', 'nginx', 'haproxy']

/** One sample of each peer a round */
function samplesOf(figures: Partial<Record<PeerName, readonly number[]>>, more: Partial<Sample> = {}): Sample[] {
  return Object.entries(figures).flatMap(([peer, values]) =>
    values.map(
      (cpuUs, round): Sample => ({
        caseId: 'row',
        peer: peer as PeerName,
        round,
        cpuUs,
        problems: [],
        ...more,
      }),
    ),
  )
}

describe('verdicts', () => {
  test('a goal holds, or is missed, if four of five rounds say so', () => {
    assert.equal(verdictOf([0.8, 0.9, 0.85, 0.9, 1.4], 1, false), 'holds')
    assert.equal(verdictOf([1.2, 1.1, 1.3, 1.2, 0.9], 1, false), 'MISS')
  })

  test('rounds that disagree are too noisy to tell, unless all are near the goal', () => {
    assert.equal(verdictOf([0.8, 0.9, 1.2, 1.3, 0.95], 1, false), 'too noisy')
    assert.equal(verdictOf([0.98, 0.99, 1.01, 1.02, 0.99], 1, false), 'holds')
    assert.equal(verdictOf([0.98, 1.01, 1.01, 1.02, 0.99], 1, false), 'MISS')
  })

  test('on a disturbed machine only a clear distance from the goal counts', () => {
    assert.equal(verdictOf([0.9, 0.92, 0.95, 0.91, 0.9], 1, true), 'too noisy')
    assert.equal(verdictOf([0.7, 0.72, 0.75, 0.71, 0.7], 1, true), 'holds')
    assert.equal(verdictOf([1.3, 1.4, 1.35, 1.5, 1.3], 1, true), 'MISS')
  })

  test('two rounds are too few, and without a goal there is none', () => {
    assert.equal(verdictOf([0.5, 0.5], 1, false), 'too few rounds')
    assert.equal(verdictOf([0.5, 0.5, 0.5], null, false), '-')
    assert.equal(verdictOf([], 1, false), '-')
  })
})

describe('ratios', () => {
  test('are taken within each round, to the best of the others in that round', () => {
    // A machine that is twice as slow in its second round: the ratio of the medians would be another.
    const samples = samplesOf({ sallyport: [10, 24, 10], nginx: [20, 30, 20], haproxy: [25, 24, 25] })
    const [{ judged }] = summarize(row, samples, peers)
    assert.deepEqual(judged[0].ratio, { median: 0.5, min: 0.5, max: 1, count: 3 })
    assert.deepEqual(judged[0].theirs, { peer: 'nginx', value: 20 })
  })

  test('leave out what is invalid', () => {
    const good = samplesOf({ sallyport: [10, 10], nginx: [20, 20] })
    const bad: Sample = { caseId: 'row', peer: 'haproxy', round: 0, cpuUs: 1, problems: ['no'] }
    const [{ judged }] = summarize(row, [...good, bad], peers)
    assert.equal(judged[0].ratio?.median, 0.5)
  })

  test('a resumed handshake is held against full ones of the same measurement', () => {
    const full: Case = { ...row, goals: [{ subject: 'sallyport', of: 'full', most: 0.7 }] }
    const [{ judged }] = summarize(full, samplesOf({ sallyport: [5, 5, 5] }, { fullCpuUs: 10 }), peers)
    assert.deepEqual([judged[0].ratio?.median, judged[0].verdict], [0.5, 'holds'])
  })

  test('Sallyport on Node is held against bare Node', () => {
    const onNode: Case = { ...row, goals: [{ subject: 'node', of: 'bare', most: null }] }
    const samples = samplesOf({ node: [30], bare: [1], 'bare-node': [20] })
    const [{ judged }] = summarize(onNode, samples, ['node', 'bare', 'bare-node'])
    assert.deepEqual(judged[0].theirs, { peer: 'bare-node', value: 20 })
  })

  test('a further metric gets a row of its own, without the goal', () => {
    const further: Case = { ...row, also: ['p99Us'] }
    const samples = samplesOf({ sallyport: [1, 1, 1], nginx: [2, 2, 2] }, { p99Us: 7 })
    const { rows } = goals(summarize(further, samples, peers))
    assert.deepEqual(
      rows.map(cells => [cells[0], cells[6], cells[7]]),
      [
        ['A row', '1.00', 'holds'],
        ['A row: p99', '-', '-'],
      ],
    )
  })
})

test('the rows have different names, and the table of goals has a goal in each of its rows', () => {
  assert.equal(new Set(cases.map(({ id }) => id)).size, cases.length)
  for (const { id, inGoals, goals: held } of cases) {
    if (inGoals === true)
      assert(
        held.some(({ most }) => most !== null),
        id,
      )
  }
})
