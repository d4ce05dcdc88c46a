/** Which endpoint is next: one table of what every algorithm holds to, and what each of them does of its own. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { algorithms } from '../../src/proxy/upstream/balance/all.ts'
import { avoiding, type Choose, type Pick } from '../../src/proxy/upstream/balance/avoid.ts'
import { random } from '../../src/proxy/upstream/balance/random.ts'
import { avoidMs, Endpoint } from '../../src/proxy/upstream/endpoint.ts'
import type { Picked } from '../../src/proxy/upstream/picked.ts'

const endpoint = (label: string) =>
  new Endpoint(
    { address: '127.0.0.1', port: 1, unix: false },
    { label, authority: label, http: 'auto', lenient: null, tls: null, http1Tls: null },
  )
const three = () => [endpoint('a'), endpoint('b'), endpoint('c')] as const
const request: Picked = { clientAddress: '192.0.2.1', host: 'a.test', path: '/', query: '', field: () => null }

type World = {
  readonly all: readonly [Endpoint, Endpoint, Endpoint]
  now: number
  /** @param from all three where left out */
  pick(excluded?: readonly Endpoint[], from?: readonly Endpoint[]): Endpoint | null
}

function world(choose: Choose): World {
  const all = three()
  const made: World = {
    all,
    now: 1_000,
    pick: (excluded = [], from = all) => picker(from, request, excluded),
  }
  const picker: Pick = avoiding(choose, () => made.now)
  return made
}

const labels = (count: number, pick: () => Endpoint | null) =>
  Array.from({ length: count }, () => pick()?.label ?? 'none')

/** What each algorithm that is registered holds to; a new one is held to it by its line in the registry. */
const rules: Readonly<Record<string, (world: World) => void>> = {
  'picks nothing from nothing': ({ pick }) => assert.equal(pick([], []), null),
  'picks none that is excluded': ({ all, pick }) => {
    for (let times = 0; times < 50; times++) assert.equal(pick([all[0], all[2]]), all[1])
    assert.equal(pick(all), null)
  },
  'gives each a share': ({ pick }) =>
    assert.deepEqual([...new Set(labels(200, () => pick()))].sort(), ['a', 'b', 'c']),
  'follows a set that grows and shrinks': ({ all, pick }) => {
    const [first, second] = all
    assert.deepEqual([...new Set(labels(50, () => pick([], [first])))], ['a'])
    assert.deepEqual([...new Set(labels(200, () => pick()))].sort(), ['a', 'b', 'c'])
    assert.deepEqual([...new Set(labels(200, () => pick([], [first, second])))].sort(), ['a', 'b'])
  },
  'gives one that is listed twice twice the share': ({ all: [first, second], pick }) => {
    const twice = labels(3_000, () => pick([], [first, second, first])).filter(label => label === 'a').length
    assert.ok(twice > 1_500, `${twice} of 3000`)
  },
  'tries one that has refused last for ten seconds, then by one request at a time': made => {
    const [dead, second, third] = made.all
    dead.avoidUntil = made.now + avoidMs
    // Where nothing else is left, it is tried.
    assert.equal(made.pick([second, third]), dead)
    dead.avoidUntil = made.now + avoidMs
    for (; made.now < 11_000; made.now += 100) assert.notEqual(made.pick(), dead)
    let tries = 0
    for (; made.now < 41_000; made.now += 10) if (made.pick() === dead) tries++
    assert.equal(tries, 3)
    // A connection has come about.
    dead.avoidUntil = 0
    assert.ok(labels(200, () => made.pick()).includes('a'))
  },
  'tries each where all have refused': made => {
    for (const each of made.all) each.avoidUntil = made.now + avoidMs
    const tried: Endpoint[] = []
    for (let next = made.pick(tried); next !== null; next = made.pick(tried)) tried.push(next)
    assert.equal(tried.length, 3)
  },
  'gives one with living connections its share back when the time is over': made => {
    const [first] = made.all
    first.avoidUntil = made.now - 1
    first.pool = { size: 1, closeIdle: () => 0, close() {} }
    assert.equal(made.pick([], [first]), first)
    assert.equal(first.avoidUntil, 0)
  },
}

for (const [name, { choose }] of Object.entries(algorithms))
  describe(name, () => {
    for (const [rule, holds] of Object.entries(rules)) it(rule, () => holds(world(choose())))
  })

describe('what an algorithm does of its own', () => {
  it('round robin takes each in its turn, whose turn is spread when one is passed by', () => {
    const made = world(algorithms['round-robin'].choose())
    assert.deepEqual(
      labels(4, () => made.pick()),
      ['a', 'b', 'c', 'a'],
    )
    assert.equal(made.pick([made.all[1]])?.label, 'c')
  })

  it('least requests takes the one with the fewest, equals in turn', () => {
    const made = world(algorithms['least-requests'].choose())
    assert.deepEqual(
      labels(3, () => made.pick()),
      ['a', 'b', 'c'],
    )
    for (const each of made.all) each.active = 2
    made.all[1].active = 1
    assert.equal(made.pick()?.label, 'b')
    assert.notEqual(made.pick([made.all[1]])?.label, 'b')
  })

  for (const name of ['round-robin', 'least-requests'] as const)
    it(`${name}: a retry takes nobody's turn`, () => {
      const made = world(algorithms[name].choose())
      const first: string[] = []
      for (let requests = 0; requests < 6; requests++) {
        const next = made.pick() as Endpoint
        first.push(next.label)
        made.pick([next])
      }
      assert.deepEqual(first, ['a', 'b', 'c', 'a', 'b', 'c'])
    })

  it('random takes each as often as another', () => {
    // The middles of equal thirds: each is hit once. The last is of what is left.
    const draws = [0.17, 0.5, 0.83, 0.75]
    const made = world(random(() => draws.shift() as number))
    assert.deepEqual(
      labels(3, () => made.pick()),
      ['a', 'b', 'c'],
    )
    assert.equal(made.pick([made.all[2]])?.label, 'b')
  })

  it('one that hashes sees what it needs of the request, and nothing is read for one that does not ask', () => {
    const asked: string[] = []
    const seen: Picked = {
      get clientAddress() {
        asked.push('address')
        return '192.0.2.1'
      },
      get host() {
        asked.push('host')
        return 'a.test'
      },
      path: '/',
      query: '',
      field(name) {
        asked.push(name)
        return 'session=2'
      },
    }
    const all = three()
    const byCookie: Choose = (endpoints, { field }) => endpoints[Number(field('cookie')?.slice(-1))] ?? null
    assert.equal(avoiding(byCookie)(all, seen, [])?.label, 'c')
    assert.deepEqual(asked, ['cookie'])
    avoiding(algorithms.random.choose())(all, seen, [])
    assert.deepEqual(asked, ['cookie'])
  })
})
