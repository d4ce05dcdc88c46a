import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { plan, retryAt, type Standing } from '../../src/certs/managed/plan.ts'

const day = 86_400_000
const begin = Date.UTC(2026, 0, 1)

function standing(overrides: Partial<Standing> = {}, lifetimeDays = 90): Standing {
  return {
    certificate: {
      notBefore: begin,
      notAfter: begin + lifetimeDays * day,
      obtainedAt: begin,
      fingerprint256: 'AA:BB',
      elsewhere: false,
    },
    failures: null,
    renewal: null,
    askAt: Number.POSITIVE_INFINITY,
    ...overrides,
  }
}

const window = (start: number, end: number, renewAt: number) => ({
  certificateId: 'x',
  start,
  end,
  renewAt,
  askAgainAt: begin + 400 * day,
  explanation: null,
})

describe('a certificate is ordered', () => {
  test('when it was made while the clock ran ahead; not where it is this clock that is behind', () => {
    const made = standing().certificate as NonNullable<Standing['certificate']>
    const corrected = begin - 3 * day
    assert.equal(plan(standing(), corrected, null).kind, 'order')
    const obtainedSince = standing({ certificate: { ...made, obtainedAt: corrected } })
    assert.equal(plan(obtainedSince, corrected, null).kind, 'wait')
  })

  test('when there is none', () => {
    assert.equal(plan(standing({ certificate: null }), begin, null).kind, 'order')
  })

  test('with a third of its life left, spread over a sixtieth of it', () => {
    for (const [days, third] of [
      [90, 60],
      [6, 4],
      [0.25, 1 / 6],
    ] as const) {
      const step = plan(standing({}, days), begin, null)
      assert.equal(step.kind, 'wait')
      const until = (step as { until: number }).until
      assert.ok(until <= begin + third * day && until >= begin + third * day - (days * day) / 60, `${days} days`)
      assert.equal(plan(standing({}, days), until, null).kind, 'order')
    }
  })

  test('at renewBefore, but never so early that it would be ordered for ever', () => {
    const waits = plan(standing({}, 6), begin, 30 * day)
    assert.equal(waits.kind, 'wait')
    assert.ok((waits as { until: number }).until >= begin + 0.8 * day)
  })

  test('when the issuer says so, whatever is left of its life', () => {
    const asked = standing({ renewal: window(begin + 20 * day, begin + 22 * day, begin + 21 * day) })
    assert.deepEqual(plan(asked, begin + 20 * day, null).kind, 'wait')
    const step = plan(asked, begin + 21 * day, null)
    assert.equal(step.kind, 'order')
    assert.match((step as { why: string }).why, /issuer asks/)
  })

  test('at renewBefore, or when the issuer says so: whichever comes first', () => {
    const at = (renewAt: number) => standing({ renewal: window(renewAt, renewAt + day, renewAt) })
    const until = (renewAt: number) => plan(at(renewAt), begin + 5 * day, 40 * day)
    assert.equal((until(begin + 20 * day) as { until: number }).until, begin + 20 * day)
    const own = (until(begin + 60 * day) as { until: number }).until
    assert.ok(own <= begin + 50 * day && own >= begin + 48.5 * day)
    assert.match((plan(at(begin + 60 * day), own, 40 * day) as { why: string }).why, /renewBefore/)
  })

  test('with a tenth of its life left, though the issuer says later', () => {
    const late = standing({ renewal: window(begin + 100 * day, begin + 101 * day, begin + 100 * day) })
    assert.equal(plan(late, begin + 80 * day, null).kind, 'wait')
    assert.equal(plan(late, begin + 81 * day, null).kind, 'order')
  })

  test('when it is of an issuer that is no longer the one', () => {
    const certificate = { ...standing().certificate!, elsewhere: true }
    assert.equal(plan(standing({ certificate }), begin, null).kind, 'order')
  })

  test('not at once again when it is new and yet due: a clock that runs ahead orders no certificate after another', () => {
    const certificate = { ...standing({}, 6).certificate!, obtainedAt: begin + 5.9 * day }
    const step = plan(standing({ certificate }, 6), begin + 5.91 * day, null)
    assert.equal(step.kind, 'wait')
    assert.match((step as { why: string }).why, /clock/)
  })

  test('not while failures hold it back', () => {
    const failures = { count: 2, at: 0, nextAt: begin + 10, why: 'x' }
    assert.deepEqual(plan(standing({ certificate: null, failures }), begin + 9, null).kind, 'wait')
    assert.deepEqual(plan(standing({ certificate: null, failures }), begin + 10, null).kind, 'order')
  })

  test('whatever a failure says that was noted by a clock that ran ahead', () => {
    const hour = 3_600_000
    const failures = { count: 2, at: begin + hour, nextAt: begin + 7 * hour, why: 'x' }
    assert.equal(plan(standing({ certificate: null, failures }), begin, null).kind, 'order')
    assert.equal(plan(standing({ certificate: null, failures }), begin + hour - 60_000, null).kind, 'wait')
  })
})

test('the issuer is asked before the certificate is due, and again when its answer has aged', () => {
  assert.equal(plan(standing({ askAt: 0 }), begin, null).kind, 'ask')
  const later = plan(standing({ askAt: begin + day }), begin, null)
  assert.deepEqual({ ...later, why: '' }, { kind: 'wait', until: begin + day, why: '' })
})

describe('after a failure the next try', () => {
  const failure = { kind: 'unavailable', retryAt: null } as const

  test('comes ever later, up to six hours, with a quarter by chance', () => {
    const waits = Array.from({ length: 14 }, (_, at) => retryAt(failure, at + 1, 0, null, 0.5) / 60_000)
    assert.deepEqual(waits, [1, 2, 5, 10, 20, 30, 60, 120, 240, 360, 360, 360, 360, 360])
    assert.equal(retryAt(failure, 1, 0, null, 0), 45_000)
    assert.equal(retryAt(failure, 1, 0, null, 1), 75_000)
  })

  test('of a short-lived certificate comes eight times in its last third', () => {
    assert.equal(retryAt(failure, 20, 0, 6 * 3_600_000, 0.5), 15 * 60_000)
    assert.equal(retryAt(failure, 20, 0, 1_000, 0.5), 10_000)
  })

  test('is when the issuer says, within eight days', () => {
    assert.equal(retryAt({ kind: 'rate-limited', retryAt: 3_600_000 }, 1, 0, null, 0), 3_600_000)
    assert.equal(retryAt({ kind: 'rate-limited', retryAt: 1e15 }, 1, 0, null, 0), 8 * day)
    assert.equal(retryAt({ kind: 'rate-limited', retryAt: -5 }, 1, 1_000, null, 0), 2_000)
    // At its word, twice: an issuer that says "in a second" and goes on failing is asked as seldom as any.
    for (const kind of ['unavailable', 'rate-limited', 'rejected'] as const) {
      const waits = [1, 2, 3, 10, 1_000].map(
        count => retryAt({ kind, retryAt: 1_000 }, count, 0, null, 0.5) / 1_000,
      )
      assert.deepEqual(waits, [3.5, 3.5, 5 * 60, 360 * 60, 360 * 60])
    }
    assert.equal(retryAt({ kind: 'unavailable', retryAt: 3_600_000 }, 3, 0, null, 0), 3_600_000)
  })
})
