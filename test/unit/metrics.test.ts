/** The registry of metrics: cells, bounds, histograms, what is sent between workers, and how it is printed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { areFamilies, counter, gauge, histogram, Metrics } from '../../src/model/metrics.ts'
import { gatewayMetrics } from '../../src/observe/gateway-metrics.ts'
import { readExposition } from '../harness/exposition.ts'

const asked = counter('test_asked_total', 'Asked.', ['of'])
const open = gauge('test_open', 'Open.')
const seconds = histogram('test_seconds', 'Took.', [0.1, 1], ['of'])

describe('the registry of metrics', () => {
  it('gives the same cell for the same labels', () => {
    const metrics = new Metrics()
    metrics.of(asked, 'a').value++
    metrics.of(asked, 'a').value += 2
    metrics.of(asked, 'b').value++
    const [family] = metrics.families()
    assert.deepEqual(family?.samples, [
      { labels: ['a'], value: 3 },
      { labels: ['b'], value: 1 },
    ])
  })

  it('reads what is known anyway when it is asked', () => {
    const metrics = new Metrics()
    let connections = 1
    metrics.read(open, () => connections)
    connections = 7
    assert.deepEqual(metrics.families()[0]?.samples, [{ labels: [], value: 7 }])
  })

  it('is bounded, whatever label values come', () => {
    const metrics = new Metrics()
    for (let each = 0; each < 5_000; each++) metrics.of(asked, `name-${each}`).value++
    const samples = metrics.families()[0]?.samples ?? []
    assert.ok(samples.length <= 2_001, `${samples.length}`)
    assert.equal(samples.find(({ labels }) => labels[0] === 'other')?.value, 3_000)
  })

  it('has fewer sets of a histogram, which is a line for each bucket', () => {
    const metrics = new Metrics()
    for (let each = 0; each < 1_000; each++) metrics.of(seconds, `name-${each}`).observe(1)
    assert.equal(metrics.families()[0]?.samples.length, 501)
  })

  it('counts values that are shown alike in one sample: two would spoil the scrape', () => {
    const metrics = new Metrics()
    const long = 'x'.repeat(300)
    for (const value of [`${long}1`, `${long}2`, 'a\rb', 'a\u0000b', '\ud800', '\udc00'])
      metrics.of(asked, value).value++
    const page = readExposition(gatewayMetrics([{ worker: 1, pid: 1, parent: 0, families: metrics.families() }], 1))
    assert.deepEqual(
      page.all('test_asked_total').map(({ value }) => value),
      [2, 2, 2],
    )
  })

  it('knows what is defined before there is anything to count', () => {
    const metrics = new Metrics()
    metrics.declare(asked)
    metrics.of(open)
    assert.deepEqual(metrics.defined(), [asked, open])
  })

  it('refuses other labels than those of the definition, and two definitions of one name', () => {
    const metrics = new Metrics()
    assert.throws(() => metrics.of(asked), /test_asked_total has the labels of/)
    metrics.of(open)
    assert.throws(() => metrics.of(gauge('test_open', 'Another.')), /two metrics named test_open/)
  })

  it('counts observations in the first bucket that holds them', () => {
    const metrics = new Metrics()
    const cell = metrics.of(seconds, 'x')
    for (const value of [0, 0.1, 0.100_1, 1, 5]) cell.observe(value)
    assert.deepEqual(cell.counts, [2, 2, 1])
  })
})

describe('metrics of several workers', () => {
  const made = (worker: number, count: number) => {
    const metrics = new Metrics()
    metrics.of(asked, 'a"\\\n').value = count
    metrics.of(seconds, 'x').observe(0.5)
    metrics.of(seconds, 'x').observe(50)
    return { worker, pid: worker, parent: 1, families: metrics.families() }
  }

  it('are one family with a label for the worker, histograms cumulative', () => {
    const page = readExposition(gatewayMetrics([made(1, 2), made(2, 3)], 3))
    assert.equal(page.value('sallyport_workers_unreachable'), 1)
    assert.deepEqual(
      page.all('test_asked_total').map(({ labels, value }) => [labels['worker'], value]),
      [
        ['1', 2],
        ['2', 3],
      ],
    )
    const buckets = page.all('test_seconds_bucket').filter(({ labels }) => labels['worker'] === '2')
    assert.deepEqual(
      buckets.map(({ labels, value }) => [labels['le'], value]),
      [
        ['0.1', 0],
        ['1', 1],
        ['+Inf', 2],
      ],
    )
    assert.equal(page.value('test_seconds_sum', { worker: '1', of: 'x' }), 50.5)
    assert.equal(page.value('test_seconds_count', { worker: '1', of: 'x' }), 2)
  })

  it('survive JSON, and what is not of their form is recognised', () => {
    const { families } = made(1, 2)
    assert.ok(areFamilies(JSON.parse(JSON.stringify(families))))
    for (const wrong of [
      null,
      {},
      [null],
      [{ ...families[0], name: 'a b' }],
      [{ ...families[0], samples: [{ labels: [], value: 1 }] }],
      [{ ...families[1], samples: [{ labels: ['x'], value: 1, counts: [1] }] }],
      [{ ...families[0], type: 'summary' }],
    ])
      assert.equal(areFamilies(wrong), false, JSON.stringify(wrong))
  })
})
