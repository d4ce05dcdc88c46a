import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Keeper } from '../../src/certs/kept/keeper.ts'
import { asking, OnDemand, type OnDemandTerms } from '../../src/certs/kept/on-demand.ts'
import { FakeIssuer } from '../harness/fake-issuer.ts'
import { MemoryStorage } from '../harness/memory-storage.ts'
import { until } from '../harness/until.ts'

const asked: string[] = []
let answer: (name: string) => number = name => (name.startsWith('good') ? 200 : 404)
const server = http.createServer((request, response) => {
  const name = new URL(request.url!, 'http://x').searchParams.get('domain')!
  asked.push(name)
  response.writeHead(answer(name)).end('whatever it says')
})
let url = ''

before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/may?from=gateway`
})
after(() => server.close())

function bench(terms: Partial<OnDemandTerms> = {}) {
  const storage = new MemoryStorage()
  const issuer = new FakeIssuer()
  const full = { ask: url, allow: [], perMinute: 100, burst: 100, maxPending: 10, ...terms }
  const keeper = new Keeper({
    storage,
    issuer: asking(issuer, full),
    keys: ['ecdsa'],
    renewBeforeMs: null,
    log: () => {},
    now: Date.now,
    random: Math.random,
    failed: () => {},
  })
  const known = async (name: string) => (await storage.get(`certificates/${name}.ecdsa`)) !== null
  return { storage, issuer, keeper, demand: new OnDemand(full, keeper, known) }
}

const failure = async (demand: OnDemand, name: string): Promise<string> => {
  try {
    await demand.bundles(name)
  } catch (error) {
    return (error as Error).message
  }
  return ''
}

describe('a name that is seen for the first time', () => {
  test('is ordered after a yes, once for all who ask meanwhile, and known from then on', async () => {
    const { issuer, demand, keeper } = bench()
    const all = await Promise.all(Array.from({ length: 20 }, () => demand.bundles('good.test')))
    assert.equal(new Set(all.map(bundles => bundles[0]!.fingerprint256)).size, 1)
    assert.equal(issuer.orders.length, 1)
    assert.ok(!(demand.bundles('good.test') instanceof Promise))
    const names = keeper.names()
    assert.deepEqual(names, ['good.test'])
    assert.equal(keeper.names(), names)
    await demand.bundles('good.other.test')
    assert.deepEqual(keeper.names(), ['good.test', 'good.other.test'])
    keeper.forget('good.test')
    assert.deepEqual(keeper.names(), ['good.other.test'])
    keeper.stop()
  })

  test('leaves no trace after a no: no order, nothing in storage, and the next try is refused without asking', async () => {
    const { storage, issuer, demand, keeper } = bench()
    asked.length = 0
    assert.match(await failure(demand, 'bad.test'), /says no to bad\.test \(404\)/)
    assert.match(await failure(demand, 'bad.test'), /says no/)
    assert.deepEqual(asked, ['bad.test'])
    assert.equal(issuer.orders.length, 0)
    assert.equal(storage.values.size, 0)
    assert.deepEqual(keeper.names(), [])
    keeper.stop()
  })

  test('is refused when nobody can be asked, or a redirect comes', async () => {
    const { demand, keeper } = bench({ ask: 'http://127.0.0.1:1/' })
    assert.match(await failure(demand, 'good.test'), /cannot be asked about good\.test/)
    const saved = answer
    answer = () => 302
    assert.notEqual(await failure(bench().demand, 'good.test'), '')
    answer = saved
    keeper.stop()
  })

  test('is not even asked for when it is not on the list', async () => {
    const { demand, keeper } = bench({ allow: ['*.customers.test', 'one.test'], ask: null })
    asked.length = 0
    for (const name of ['customers.test', 'evilcustomers.test', 'a.b.customers.test', 'x.one.test', 'other.test']) {
      assert.match(await failure(demand, name), /not on the list/)
    }
    await demand.bundles('a.customers.test')
    await demand.bundles('one.test')
    assert.deepEqual(asked, [])
    keeper.stop()
  })

  test('is refused beyond the rate, which what storage has does not use up', async () => {
    const { demand, keeper, storage, issuer } = bench({ perMinute: 2, burst: 2 })
    await demand.bundles('good1.test')
    await demand.bundles('good2.test')
    assert.match(await failure(demand, 'good3.test'), /more than 2 new names a minute/)
    keeper.stop()
    const again = bench({ perMinute: 1, burst: 1 })
    for (const [key, value] of storage.values) again.storage.values.set(key, value)
    await again.demand.bundles('good1.test')
    await again.demand.bundles('good2.test')
    await again.demand.bundles('good4.test')
    assert.equal(again.issuer.orders.length, 1)
    assert.equal(issuer.orders.length, 2)
    again.keeper.stop()
  })

  test('waits in a bounded queue, and names that are known pass it by', async () => {
    const { demand, issuer, keeper } = bench({ maxPending: 2 })
    await demand.bundles('good0.test')
    const held: (() => void)[] = []
    issuer.during = () => new Promise<void>(resolve => held.push(resolve))
    const first = demand.bundles('good1.test')
    const second = demand.bundles('good2.test')
    await until(() => held.length === 2)
    assert.match(await failure(demand, 'good3.test'), /2 names are being ordered/)
    assert.ok(!(demand.bundles('good0.test') instanceof Promise))
    for (const go of held) go()
    await Promise.all([first, second])
    keeper.stop()
  })
})

test('a renewal is asked for too: when the customer has left, the certificate is not renewed', async () => {
  const { demand, keeper, issuer } = bench()
  await demand.bundles('good.test')
  const saved = answer
  answer = () => 403
  await assert.rejects(keeper.renew('good.test'), /says no to good\.test \(403\)/)
  answer = saved
  assert.equal(issuer.orders.length, 1)
  keeper.stop()
})

test('a hundred thousand names from the network leave no more than ten thousand in memory', async () => {
  const { demand, keeper } = bench({ allow: ['none.test'], ask: null })
  for (let at = 0; at < 100_000; at++) {
    try {
      demand.bundles(`n${at}.test`)
    } catch {}
  }
  assert.deepEqual(keeper.names(), [])
  keeper.stop()
})
