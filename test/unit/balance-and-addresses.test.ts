/** Which endpoint is next, and at which address it is. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { avoiding, type Choose } from '../../src/balance/avoid.ts'
import { leastRequests } from '../../src/balance/least-requests.ts'
import { random } from '../../src/balance/random.ts'
import { roundRobin } from '../../src/balance/round-robin.ts'
import { type AddressTerms, addressesOf, type Lookup } from '../../src/gateway/addresses.ts'
import { avoidMs, type Endpoint } from '../../src/model/upstream.ts'

const fixed: AddressTerms = { resolveMs: 1000, inUse: () => false, answered() {} }
const endpoint = (label: string): Endpoint => ({
  label,
  host: label,
  port: 1,
  tls: null,
  addresses: addressesOf('127.0.0.1', fixed),
  active: 0,
  avoidUntil: 0,
  http: 'auto',
  http1Tls: null,
  pool: null,
})
const three = () => [endpoint('a'), endpoint('b'), endpoint('c')] as [Endpoint, Endpoint, Endpoint]
const algorithms: Record<string, (endpoints: readonly Endpoint[]) => Choose> = { roundRobin, leastRequests }

describe('balancing', () => {
  it('round robin takes each in its turn, and none that was tried', () => {
    const all = three()
    const pick = avoiding(roundRobin(all))
    assert.deepEqual(
      [pick([]), pick([]), pick([]), pick([])].map(each => each?.label),
      ['a', 'b', 'c', 'a'],
    )
    assert.equal(pick([all[1]])?.label, 'c')
    assert.equal(pick(all), null)
  })

  it('least requests takes the one with the fewest, equals in turn', () => {
    const all = three()
    const pick = avoiding(leastRequests(all))
    assert.deepEqual(
      [pick([]), pick([]), pick([])].map(each => each?.label),
      ['a', 'b', 'c'],
    )
    for (const each of all) each.active = 2
    all[1].active = 1
    assert.equal(pick([])?.label, 'b')
    assert.equal(pick([all[1]])?.label !== 'b', true)
    assert.equal(pick(all), null)
  })

  it('random takes each as often as another, and none that was tried', () => {
    const all = three()
    // The middles of equal thirds: each is hit once.
    const draws = [0.17, 0.5, 0.83]
    const pick = avoiding(random(all, () => draws.shift() ?? 0.99))
    assert.deepEqual(
      [pick([]), pick([]), pick([])].map(each => each?.label),
      ['a', 'b', 'c'],
    )
    assert.equal(pick([all[2]])?.label, 'b')
    assert.equal(pick(all), null)
  })

  for (const [name, algorithm] of Object.entries(algorithms)) {
    it(`${name}: a retry does not take anybody's turn`, () => {
      const all = three()
      const pick = avoiding(algorithm(all))
      const first = []
      for (let requests = 0; requests < 6; requests++) {
        const endpoint = pick([]) as Endpoint
        first.push(endpoint.label)
        pick([endpoint])
      }
      assert.deepEqual(first, ['a', 'b', 'c', 'a', 'b', 'c'])
    })

    it(`${name}: one that has refused is tried last for ten seconds, then by one request at a time`, () => {
      let now = 1_000
      const all = three()
      const [dead] = all
      const pick = avoiding(algorithm(all), () => now)
      assert.equal(pick([]), dead)
      dead.avoidUntil = now + avoidMs
      // Where nothing else is left, it is.
      assert.equal(pick([all[1], all[2]]), dead)
      const counts = new Map<Endpoint | null, number>()
      for (; now < 11_000; now += 100) {
        const next = pick([])
        counts.set(next, (counts.get(next) ?? 0) + 1)
      }
      assert.equal(counts.has(dead), false)
      // Half and half: its share does not fall to its neighbour alone.
      assert.ok(
        Math.abs((counts.get(all[1]) as number) - (counts.get(all[2]) as number)) <= 2,
        `${[...counts.values()]}`,
      )
      let tries = 0
      for (; now < 41_000; now += 10) if (pick([]) === dead) tries++
      assert.equal(tries, 3)
      // A dial has come about.
      dead.avoidUntil = 0
      assert.ok([pick([]), pick([]), pick([])].includes(dead))
    })

    it(`${name}: where all have refused, each is tried`, () => {
      const all = three()
      const pick = avoiding(algorithm(all), () => 0)
      for (const each of all) each.avoidUntil = avoidMs
      assert.deepEqual([pick([]), pick([]), pick([])].map(each => each?.label).sort(), ['a', 'b', 'c'])
    })

    it(`${name}: one with living connections gets its share back when the time is over`, () => {
      const all = three()
      const pick = avoiding(algorithm(all), () => avoidMs)
      all[0].avoidUntil = avoidMs - 1
      all[0].pool = { size: 1, closeIdle: () => 0, retire() {}, close() {} }
      assert.equal(pick([]), all[0])
      assert.equal(all[0].avoidUntil, 0)
    })
  }
})

/** A clock, timers and a resolver that stand still until they are told to go on. */
function world(resolveMs = 30_000) {
  let now = 0
  let timers: { at: number; act: () => void }[] = []
  const asked: { at: number; answer: (...addresses: string[]) => void; fail: () => void }[] = []
  const lookup: Lookup = (_host, settled) => {
    asked.push({
      at: now,
      answer: (...found) => settled(null, found),
      fail: () => settled(new Error('SERVFAIL'), []),
    })
  }
  const state = { inUse: false, answers: 0 }
  const addresses = addressesOf('name.test', {
    resolveMs,
    inUse: () => state.inUse,
    answered: () => void state.answers++,
    lookup,
    timers: {
      now: () => now,
      start(act, ms) {
        const timer = { at: now + ms, act }
        timers.push(timer)
        return timer
      },
      stop: timer => void (timers = timers.filter(each => each !== timer)),
    },
  })
  const advance = (ms: number) => {
    for (const end = now + ms; ; ) {
      const next = timers.filter(each => each.at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) {
        now = end
        return
      }
      timers = timers.filter(each => each !== next)
      now = Math.max(now, next.at)
      next.act()
    }
  }
  /** What a dial gets: an address, the reason why there is none, or that it waits */
  const dial = () => {
    const got: { address: string | null; why: string | null } = { address: null, why: null }
    addresses.ready(error => {
      if (error === null) got.address = addresses.next()
      else got.why = error.message
    })
    return got
  }
  return { addresses, asked, state, advance, dial, timers: () => timers.length }
}

describe('addresses', () => {
  it('are looked up once for all who wait, and taken in turn', () => {
    const { asked, dial } = world()
    const [first, second] = [dial(), dial()]
    assert.deepEqual([asked.length, first.address], [1, null])
    asked[0]?.answer('192.0.2.1', '192.0.2.2')
    assert.deepEqual([first.address, second.address].sort(), ['192.0.2.1', '192.0.2.2'])
    assert.equal(asked.length, 1)
  })

  it('of a name that is in use are looked up again before the answer runs out, and no dial waits', () => {
    const { asked, state, advance, dial } = world()
    dial()
    asked[0]?.answer('192.0.2.1')
    state.inUse = true
    for (let round = 1; round <= 5; round++) {
      advance(22_500)
      assert.equal(asked.length, round + 1)
      asked[round]?.answer(`192.0.2.${round + 1}`)
      assert.equal(dial().address, `192.0.2.${round + 1}`)
    }
    assert.equal(state.answers, 6)
  })

  it('that have run out are not dialled while a fresh answer can be had', () => {
    const { asked, advance, dial } = world()
    dial()
    asked[0]?.answer('192.0.2.1')
    advance(22_500)
    // Somebody has dialled, so one more look-up comes; then nobody uses it.
    asked[1]?.answer('192.0.2.1')
    advance(600_000)
    assert.equal(asked.length, 2)
    const late = dial()
    assert.deepEqual([asked.length, late.address], [3, null])
    asked[2]?.answer('192.0.2.9')
    assert.equal(late.address, '192.0.2.9')
  })

  it('that have run out are used when the look-up fails, without waiting again at once', () => {
    const { asked, advance, dial } = world()
    dial()
    asked[0]?.answer('192.0.2.1')
    advance(22_500)
    asked[1]?.fail()
    advance(7_600)
    const during = asked.length
    const waits = dial()
    asked[during - 1]?.fail()
    asked.at(-1)?.fail()
    assert.equal(waits.address, '192.0.2.1')
    assert.equal(dial().address, '192.0.2.1')
  })

  it('that have run out are used when no answer comes for a second, and a later answer counts', () => {
    const { addresses, asked, advance, dial } = world()
    dial()
    asked[0]?.answer('192.0.2.1')
    advance(22_500)
    asked[1]?.answer('192.0.2.1')
    advance(100_000)
    const waits = dial()
    advance(999)
    assert.equal(waits.address, null)
    advance(1)
    assert.equal(waits.address, '192.0.2.1')
    assert.equal(dial().address, '192.0.2.1')
    asked.at(-1)?.answer('192.0.2.2')
    assert.equal(dial().address, '192.0.2.2')
    assert.deepEqual([addresses.has('192.0.2.1'), addresses.has('192.0.2.2')], [false, true])
  })

  it('of a name that has none are an error for whoever waits', () => {
    const { asked, dial } = world()
    const waits = dial()
    asked[0]?.fail()
    assert.deepEqual(waits, { address: null, why: 'SERVFAIL' })
    const again = dial()
    asked[1]?.answer('192.0.2.1')
    assert.equal(again.address, '192.0.2.1')
  })

  it('are not looked up in advance for an endpoint that is gone', () => {
    const { addresses, asked, state, advance, dial, timers } = world()
    dial()
    asked[0]?.answer('192.0.2.1')
    state.inUse = true
    addresses.stop()
    advance(100_000)
    assert.deepEqual([asked.length, timers()], [1, 0])
    const late = dial()
    asked[1]?.answer('192.0.2.2')
    assert.equal(late.address, '192.0.2.2')
    assert.equal(timers(), 0)
  })
})
