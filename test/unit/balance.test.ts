/** Which endpoint is next: one table of what every algorithm holds to, and what each of them does of its own. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { algorithms, type BalanceName } from '../../src/proxy/upstream/balance/all.ts'
import { avoiding, type Choose, type KeyOf, type Pick, type Tiers } from '../../src/proxy/upstream/balance/avoid.ts'
import { p2c } from '../../src/proxy/upstream/balance/p2c.ts'
import { random } from '../../src/proxy/upstream/balance/random.ts'
import { avoidMs, Endpoint } from '../../src/proxy/upstream/endpoint.ts'
import { compileHash } from '../../src/proxy/upstream/hash-key.ts'
import { Latency } from '../../src/proxy/upstream/latency.ts'
import type { Picked } from '../../src/proxy/upstream/picked.ts'

const endpoint = (label: string) =>
  new Endpoint(
    { address: '127.0.0.1', port: 1, unix: false },
    { label, authority: label, http: 'auto', lenient: null, tls: null, http1Tls: null },
  )
const three = () => [endpoint('a'), endpoint('b'), endpoint('c')] as const
const from = (clientAddress: string): Picked => ({
  clientAddress,
  host: 'a.test',
  path: '/',
  query: '',
  ja4: null,
  clientSubject: null,
  field: () => null,
})
const byAddress: KeyOf = ({ clientAddress }) => clientAddress
const tiersOf = (endpoints: readonly Endpoint[]): Tiers => (endpoints.length === 0 ? [] : [endpoints])
const byName = (name: BalanceName): Choose => (algorithms[name].choose as (keyOf: KeyOf) => Choose)(byAddress)

type World = {
  readonly all: readonly [Endpoint, Endpoint, Endpoint]
  now: number
  /** @param from all three where left out */
  pick(excluded?: readonly Endpoint[], from?: readonly Endpoint[]): Endpoint | null
}

function world(choose: Choose): World {
  const all = three()
  let clients = 0
  // The array is the same for as long as its endpoints are.
  let tiers = tiersOf(all)
  const made: World = {
    all,
    now: 1_000,
    pick(excluded = [], among = all) {
      if (tiers[0] !== among) tiers = tiersOf(among)
      return picker(tiers, from(`192.0.2.${clients++ % 251}`), excluded)
    },
  }
  const picker: Pick = avoiding(
    () => choose,
    () => made.now,
  )
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
    const [one, two] = [[first], [first, second]]
    assert.deepEqual([...new Set(labels(50, () => pick([], one)))], ['a'])
    assert.deepEqual([...new Set(labels(200, () => pick()))].sort(), ['a', 'b', 'c'])
    assert.deepEqual([...new Set(labels(200, () => pick([], two)))].sort(), ['a', 'b'])
  },
  'gives one that is listed twice twice the share': ({ all: [first, second], pick }) => {
    const listed = [first, second, first]
    const twice = labels(3_000, () => pick([], listed)).filter(label => label === 'a').length
    assert.ok(twice > 1_500, `${twice} of 3000`)
  },
  'gives each a share by its weight': ({ all, pick }) => {
    all[1].weight = 3
    const picked = labels(5_000, () => pick())
    const heavy = picked.filter(label => label === 'b').length
    assert.ok(heavy > 2_500 && heavy < 3_500, `${heavy} of 5000, and 3000 are its share`)
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

for (const name of Object.keys(algorithms) as BalanceName[])
  describe(name, () => {
    for (const [rule, holds] of Object.entries(rules)) it(rule, () => holds(world(byName(name))))
  })

describe('what an algorithm does of its own', () => {
  it('round robin takes each in its turn, whose turn is spread when one is passed by', () => {
    const made = world(byName('round-robin'))
    assert.deepEqual(
      labels(4, () => made.pick()),
      ['a', 'b', 'c', 'a'],
    )
    assert.equal(made.pick([made.all[1]])?.label, 'c')
  })

  it('least requests takes the one with the fewest, equals in turn', () => {
    const made = world(byName('least-requests'))
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
      const made = world(byName(name))
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
      ja4: null,
      clientSubject: null,
      field(name) {
        asked.push(name)
        return 'session=2'
      },
    }
    const all = three()
    const byCookie: Choose = (endpoints, { field }) => endpoints[Number(field('cookie')?.slice(-1))] ?? null
    assert.equal(avoiding(() => byCookie)([all], seen, [])?.label, 'c')
    assert.deepEqual(asked, ['cookie'])
    avoiding(() => byName('random'))([all], seen, [])
    assert.deepEqual(asked, ['cookie'])
  })

  it('round robin with weights spreads the turns of the heavy one', () => {
    const made = world(byName('round-robin'))
    made.all[0].weight = 3
    assert.deepEqual(
      labels(5, () => made.pick()),
      ['a', 'b', 'a', 'c', 'a'],
    )
  })

  it('p2c takes the faster of two, and the other where that one is busy', () => {
    const draws = () => 0
    const now = 1_000
    const made = world(p2c(draws, () => now))
    const [slow, fast] = made.all
    slow.latency = measured([900, now])
    fast.latency = measured([990, now])
    assert.equal(made.pick(), fast)
    fast.active = 20
    assert.equal(made.pick(), slow)
  })
})

function measured(...tries: readonly (readonly [began: number, ended: number])[]): Latency {
  const latency = new Latency()
  for (const [began, ended] of tries) {
    latency.began(began)
    latency.ended(began, ended)
  }
  return latency
}

describe('latency', () => {
  it('rises at once with a slow response, and falls slowly with fast ones', () => {
    const latency = measured([0, 10], [10, 210])
    assert.equal(latency.at(210), 200)
    latency.began(300)
    latency.ended(300, 310)
    assert.ok(latency.at(310) > 190, `${latency.at(310)}`)
    for (let now = 400; now < 60_000; now += 100) {
      latency.began(now - 10)
      latency.ended(now - 10, now)
    }
    assert.ok(latency.at(60_000) < 11, `${latency.at(60_000)}`)
  })

  it('is forgotten where nothing is measured', () => {
    const latency = measured([0, 1_000])
    assert.ok(latency.at(60_000) < 3, `${latency.at(60_000)}`)
  })

  it('is at least what somebody has waited since the last answer', () => {
    const latency = measured([0, 10])
    latency.began(100)
    latency.began(150)
    assert.equal(latency.at(600), 500)
    latency.ended(150, 700)
    assert.equal(Math.round(latency.at(700)), 550)
    assert.equal(latency.at(2_000), 1_300)
    latency.ended(100, 2_000)
    assert.equal(latency.at(2_000), 1_900)
  })
})

const many = (count: number) => Array.from({ length: count }, (_, at) => endpoint(`10.0.0.${at}:80`))
const keys = Array.from({ length: 20_000 }, (_, at) => `client ${at}`)
const owners = (name: BalanceName, endpoints: readonly Endpoint[]) => {
  const choose = byName(name)
  return keys.map(key => choose(endpoints, from(key), [], 0)?.label ?? 'none')
}

describe('hashing', () => {
  for (const [name, spread, moved] of [
    ['ring-hash', 0.35, 0],
    ['maglev', 0.1, 0.02],
  ] as const) {
    it(`${name} gives each of ten about the same share`, () => {
      const shares = new Map<string, number>()
      for (const owner of owners(name, many(10))) shares.set(owner, (shares.get(owner) ?? 0) + 1)
      assert.equal(shares.size, 10)
      for (const [owner, share] of shares)
        assert.ok(Math.abs(share - 2_000) < 2_000 * spread, `${owner} has ${share} of 20000`)
    })

    it(`${name} moves the keys of an endpoint that goes, and at most ${moved * 100}% of the others`, () => {
      const all = many(10)
      const gone = all[3] as Endpoint
      const before = owners(name, all)
      const after = owners(
        name,
        all.filter(each => each !== gone),
      )
      const others = before.filter((owner, at) => owner !== gone.label && owner !== after[at]).length
      assert.ok(others <= keys.length * moved, `${others} of 20000`)
      assert.ok(!after.includes(gone.label))
    })

    it(`${name} does not depend on the order of the endpoints, and is the same again`, () => {
      const all = many(7)
      assert.deepEqual(owners(name, [...all].reverse()), owners(name, all))
    })

    it(`${name} sends a key elsewhere while its endpoint is left out, and always to the same one`, () => {
      const all = many(5)
      const choose = byName(name)
      const first = choose(all, from('somebody'), [], 0) as Endpoint
      const second = choose(all, from('somebody'), [first], 0)
      assert.notEqual(second, first)
      assert.equal(choose(all, from('somebody'), [first], 0), second)
    })
  }

  const request: Picked = {
    ...from('192.0.2.1'),
    host: 'shop.example.com',
    query: '?a=1&tenant=x%20y&tenant=z',
    ja4: 't13d',
    clientSubject: 'CN=alice',
    field: name => ({ cookie: 'other=1; sid=abc; sid=2', 'x-user': 'bob' })[name] ?? null,
  }
  for (const [hash, key] of [
    ['address', '192.0.2.1'],
    ['ja4', 't13d'],
    ['client-certificate', 'CN=alice'],
    ['header:x-user', 'bob'],
    ['header:x-none', '192.0.2.1'],
    ['header:host', 'shop.example.com'],
    ['cookie:sid', 'abc'],
    ['cookie:id', '192.0.2.1'],
    ['query:tenant', 'x y'],
    ['query:none', '192.0.2.1'],
  ] as const)
    it(`goes by ${key} for ${hash}`, () => assert.equal(compileHash(hash)(request), key))
})

describe('backups', () => {
  const [a, b, spare] = three()
  const tiers: Tiers = [[a, b], [spare]]
  const pick = (excluded: readonly Endpoint[] = []) =>
    avoiding(
      () => byName('round-robin'),
      () => 1_000,
    )(tiers, from('192.0.2.1'), excluded)?.label

  it('are asked where no other is left', () => {
    assert.notEqual(pick(), 'c')
    assert.equal(pick([a, b]), 'c')
    assert.equal(pick([a, b, spare]), undefined)
  })

  it('are asked before endpoints that could not be connected to', () => {
    a.avoidUntil = 5_000
    assert.equal(pick(), 'b')
    b.avoidUntil = 5_000
    assert.equal(pick(), 'c')
    assert.equal(pick([spare]), 'a')
  })
})
