/** The addresses of a name over time, with a clock, timers and a resolver that stand still until they are told to go on. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Destination } from '../../src/proxy/upstream/destination.ts'
import { DnsSource, type Lookup } from '../../src/proxy/upstream/dns-source.ts'
import { EndpointSet } from '../../src/proxy/upstream/endpoint-set.ts'
import { fixedSource } from '../../src/proxy/upstream/source.ts'

type Asked = { at: number; answer: (...addresses: string[]) => void; fail: () => void; holds: (ms: number) => void }

const spoken = () =>
  ({ label: 'name.test:80', authority: 'name.test:80', http: 1, lenient: null, tls: null, http1Tls: null }) as const

function world(resolveMs = 30_000) {
  let now = 0
  let timers: { at: number; act: () => void }[] = []
  const asked: Asked[] = []
  const told: (string | null)[] = []
  const lookup: Lookup = (_host, settled, holds) => {
    asked.push({
      at: now,
      answer: (...found) => settled(null, found),
      fail: () => settled(new Error('SERVFAIL'), []),
      holds,
    })
  }
  const clock = {
    now: () => now,
    start(act: () => void, ms: number) {
      const timer = { at: now + ms, act }
      timers.push(timer)
      return timer
    },
    stop: (timer: unknown) => void (timers = timers.filter(each => each !== timer)),
  }
  const report = (failure: string | null) => void told.push(failure)
  const destination = new Destination(
    spoken(),
    user => new DnsSource({ host: 'name.test', port: 80, resolveMs, report, lookup, timers: clock }, user),
  )
  const set = new EndpointSet([destination], [destination], [])
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
  /** What a request finds, which is a use of the name */
  const addresses = () => set.endpoints.map(({ place }) => place.address)
  /** One who waits for an address: how often the waiting came to an end */
  const waiter = () => {
    const calls = { count: 0, addressesCame: () => void calls.count++ }
    assert.equal(set.awaitMore(calls), true)
    return calls
  }
  return { destination, set, asked, told, advance, addresses, waiter, timers: () => timers.length, now: () => now }
}

/** Known, and used at this moment */
function known(resolveMs?: number, ...first: string[]) {
  const made = world(resolveMs)
  made.addresses()
  made.asked[0]?.answer(...(first.length > 0 ? first : ['192.0.2.1']))
  return made
}

describe('a name', () => {
  it('is looked up when it is first asked for, once for all who wait', () => {
    const { asked, addresses, waiter, set } = world()
    assert.equal(asked.length, 0)
    assert.deepEqual([addresses(), addresses(), asked.length], [[], [], 1])
    const waiting = [waiter(), waiter()]
    asked[0]?.answer('192.0.2.1', '192.0.2.2')
    assert.deepEqual(
      waiting.map(each => each.count),
      [1, 1],
    )
    assert.deepEqual(addresses(), ['192.0.2.1', '192.0.2.2'])
    assert.equal(asked.length, 1)
    assert.equal(set.awaitMore({ addressesCame() {} }), false)
  })

  it('that is in use is looked up again in the background, and requests find its last answer meanwhile', () => {
    const { asked, advance, addresses } = known()
    for (let round = 1; round <= 5; round++) {
      advance(30_000)
      assert.equal(asked.length, round + 1)
      assert.deepEqual(addresses(), [`192.0.2.${round}`])
      asked[round]?.answer(`192.0.2.${round + 1}`)
      assert.deepEqual(addresses(), [`192.0.2.${round + 1}`])
    }
  })

  for (const [ttl, after] of [
    [5_000, 5_000],
    [0, 1_000],
    [3_600_000, 30_000],
  ] as const)
    it(`with a TTL of ${ttl} ms is looked up again after ${after} ms`, () => {
      const { asked, advance } = known()
      asked[0]?.holds(ttl)
      advance(after - 1)
      assert.equal(asked.length, 1)
      advance(1)
      assert.equal(asked.length, 2)
    })

  it('with two TTLs goes by the soonest, and one that is told late counts from the answer', () => {
    const { asked, advance } = known()
    asked[0]?.holds(4_000)
    asked[0]?.holds(9_000)
    advance(4_000)
    assert.equal(asked.length, 2)
    asked[1]?.answer('192.0.2.1')
    advance(2_000)
    asked[1]?.holds(5_000)
    // Of an answer that was replaced
    asked[0]?.holds(1_000)
    advance(2_999)
    assert.equal(asked.length, 2)
    advance(1)
    assert.equal(asked.length, 3)
  })

  it('whose look-ups fail or bring nothing keeps its last answer, and one line says so', () => {
    const { asked, told, advance, addresses } = known()
    advance(30_000)
    asked[1]?.fail()
    assert.deepEqual(addresses(), ['192.0.2.1'])
    // Sooner than an answer would last, and ever less often.
    advance(1_000)
    assert.equal(asked.length, 3)
    asked[2]?.answer()
    advance(1_999)
    assert.equal(asked.length, 3)
    advance(1)
    asked[3]?.fail()
    assert.deepEqual(addresses(), ['192.0.2.1'])
    assert.deepEqual(told, ['SERVFAIL'])
    advance(4_000)
    asked[4]?.answer('192.0.2.7')
    assert.deepEqual(addresses(), ['192.0.2.7'])
    assert.deepEqual(told, ['SERVFAIL', null])
  })

  it('that has never had an address is an error for whoever waits, and is looked up again a second later at the soonest', () => {
    const { asked, told, advance, addresses, waiter, set, timers } = world()
    addresses()
    const waiting = waiter()
    asked[0]?.fail()
    assert.equal(waiting.count, 1)
    assert.deepEqual(addresses(), [])
    const problem = set.problem('x')
    assert.deepEqual(
      [problem.code, problem.message, asked.length],
      ['NAME_NOT_RESOLVED', 'look up name.test: SERVFAIL', 1],
    )
    assert.equal(timers(), 0)
    assert.equal(set.awaitMore({ addressesCame() {} }), false)
    advance(1_000)
    addresses()
    asked[1]?.answer('192.0.2.1')
    assert.deepEqual(addresses(), ['192.0.2.1'])
    assert.deepEqual(told, ['SERVFAIL', null])
  })

  it('that nobody uses for ten minutes is forgotten, and looked up as if it were new', () => {
    const { asked, advance, addresses, set } = known()
    for (let round = 1; asked.length > round; round++) asked[round]?.answer('192.0.2.1')
    const [old] = set.endpoints
    let answered = 1
    for (let passed = 0; passed < 660_000; passed += 30_000) {
      advance(30_000)
      for (; answered < asked.length; answered++) asked[answered]?.answer('192.0.2.1')
    }
    const before = asked.length
    advance(3_600_000)
    assert.equal(asked.length, before)
    assert.ok(before > 15 && before <= 23, `${before} look-ups`)
    assert.deepEqual([old?.gone, addresses()], [true, []])
    assert.equal(asked.length, before + 1)
  })

  it('with an exchange under way is in use, however long that takes', () => {
    const { asked, advance, set } = known()
    const [endpoint] = set.endpoints
    if (endpoint) endpoint.active = 1
    for (let round = 1; round <= 100; round++) {
      advance(30_000)
      assert.equal(asked.length, round + 1)
      asked[round]?.answer('192.0.2.1')
    }
    assert.equal(endpoint?.gone, false)
  })

  it('is not looked up in advance once no configuration has it', () => {
    const { destination, asked, advance, addresses, timers } = known()
    destination.stop()
    advance(100_000)
    assert.deepEqual([asked.length, timers()], [1, 0])
    assert.deepEqual(addresses(), ['192.0.2.1'])
  })

  it('has its families in turn, so that a second try is of the other', () => {
    const { addresses } = known(30_000, '2001:db8::1', '2001:db8::2', '2001:db8::3', '192.0.2.1', '192.0.2.1')
    assert.deepEqual(addresses(), ['2001:db8::1', '192.0.2.1', '2001:db8::2', '2001:db8::3'])
  })
})

describe('endpoints', () => {
  it('whose address stays are the same, with what they have; those whose address goes are drained', () => {
    const { asked, advance, set } = known(30_000, '192.0.2.1', '192.0.2.2')
    const [first, second] = set.endpoints
    const closed: string[] = []
    for (const each of [first, second])
      if (each) each.pool = { size: 0, closeIdle: () => 0, close: () => void closed.push(each.place.address) }
    advance(30_000)
    asked[1]?.answer('192.0.2.3', '192.0.2.2')
    const [third, same] = set.endpoints
    assert.deepEqual([third?.place.address, same, closed], ['192.0.2.3', second, ['192.0.2.1']])
    assert.deepEqual([first?.gone, second?.gone, third?.gone], [true, false, false])
    assert.equal(first?.where, 'name.test:80 (192.0.2.1)')
  })

  it('of an answer that is the same in another order stay in theirs', () => {
    const { asked, advance, set } = known(30_000, '192.0.2.1', '192.0.2.2')
    const before = set.endpoints
    advance(30_000)
    asked[1]?.answer('192.0.2.2', '192.0.2.1')
    assert.equal(set.endpoints, before)
  })

  it('of a fixed address are there while a name beside it is not known, and the name is waited for where they are not enough', () => {
    const { destination, asked } = world()
    const fixed = new Destination(spoken(), () => fixedSource({ address: '192.0.2.9', port: 80, unix: false }))
    const set = new EndpointSet([fixed, destination, fixed], [destination], [])
    const addresses = () => set.endpoints.map(({ place }) => place.address)
    assert.deepEqual(addresses(), ['192.0.2.9', '192.0.2.9'])
    assert.equal(set.awaitMore({ addressesCame() {} }), true)
    asked[0]?.answer('192.0.2.1')
    assert.deepEqual(addresses(), ['192.0.2.9', '192.0.2.1', '192.0.2.9'])
  })
})
