import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { asking, OnDemand, type OnDemandTerms } from '../../src/certs/managed/on-demand.ts'
import { Renewer } from '../../src/certs/managed/renewer.ts'
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
  const renewer = new Renewer({
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
  return { storage, issuer, renewer, demand: new OnDemand(full, renewer, known) }
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
    const { issuer, demand, renewer } = bench()
    const all = await Promise.all(Array.from({ length: 20 }, () => demand.bundles('good.test')))
    assert.equal(new Set(all.map(bundles => bundles[0]!.fingerprint256)).size, 1)
    assert.equal(issuer.orders.length, 1)
    assert.ok(!(demand.bundles('good.test') instanceof Promise))
    const names = renewer.names()
    assert.deepEqual(names, ['good.test'])
    assert.equal(renewer.names(), names)
    await demand.bundles('good.other.test')
    assert.deepEqual(renewer.names(), ['good.test', 'good.other.test'])
    renewer.forget('good.test')
    assert.deepEqual(renewer.names(), ['good.other.test'])
    renewer.stop()
  })

  test('leaves no trace after a no: no order, nothing in storage, and the next try is refused without asking', async () => {
    const { storage, issuer, demand, renewer } = bench()
    asked.length = 0
    assert.match(await failure(demand, 'bad.test'), /says no to bad\.test \(404\)/)
    assert.match(await failure(demand, 'bad.test'), /says no/)
    assert.deepEqual(asked, ['bad.test'])
    assert.equal(issuer.orders.length, 0)
    assert.equal(storage.values.size, 0)
    assert.deepEqual(renewer.names(), [])
    renewer.stop()
  })

  test('is refused when nobody can be asked, or a redirect comes', async () => {
    const { demand, renewer } = bench({ ask: 'http://127.0.0.1:1/' })
    assert.match(await failure(demand, 'good.test'), /cannot be asked about good\.test/)
    const saved = answer
    answer = () => 302
    assert.notEqual(await failure(bench().demand, 'good.test'), '')
    answer = saved
    renewer.stop()
  })

  test('is not even asked for when it is not on the list', async () => {
    const { demand, renewer } = bench({ allow: ['*.customers.test', 'one.test'], ask: null })
    asked.length = 0
    for (const name of ['customers.test', 'evilcustomers.test', 'a.b.customers.test', 'x.one.test', 'other.test']) {
      assert.match(await failure(demand, name), /not on the list/)
    }
    await demand.bundles('a.customers.test')
    await demand.bundles('one.test')
    assert.deepEqual(asked, [])
    renewer.stop()
  })

  test('is refused beyond the rate, which what storage has does not use up', async () => {
    const { demand, renewer, storage, issuer } = bench({ perMinute: 2, burst: 2 })
    await demand.bundles('good1.test')
    await demand.bundles('good2.test')
    assert.match(await failure(demand, 'good3.test'), /more than 2 new names a minute/)
    renewer.stop()
    const again = bench({ perMinute: 1, burst: 1 })
    for (const [key, value] of storage.values) again.storage.values.set(key, value)
    await again.demand.bundles('good1.test')
    await again.demand.bundles('good2.test')
    await again.demand.bundles('good4.test')
    assert.equal(again.issuer.orders.length, 1)
    assert.equal(issuer.orders.length, 2)
    again.renewer.stop()
  })

  test('waits in a bounded queue, and names that are known pass it by', async () => {
    const { demand, issuer, renewer } = bench({ maxPending: 2 })
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
    renewer.stop()
  })
})

test('a renewal is asked for too: when the customer has left, the certificate is not renewed', async () => {
  const { demand, renewer, issuer } = bench()
  await demand.bundles('good.test')
  const saved = answer
  answer = () => 403
  await assert.rejects(renewer.renew('good.test'), /says no to good\.test \(403\)/)
  answer = saved
  assert.equal(issuer.orders.length, 1)
  renewer.stop()
})

test('a hundred thousand names from the network leave no more than ten thousand in memory', async () => {
  const { demand, renewer } = bench({ allow: ['none.test'], ask: null })
  for (let at = 0; at < 100_000; at++) {
    try {
      demand.bundles(`n${at}.test`)
    } catch {}
  }
  assert.deepEqual(renewer.names(), [])
  renewer.stop()
})
