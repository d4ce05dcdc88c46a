/** CAs, clocks, disks and values on bad days: the old certificate serves, and one record says what happens next and when. */

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import type { GatewayOptions } from '../../src/gateway/gateway-options.ts'
import { openFileStorage } from '../../src/storage/files.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { type FakeAcme, fakeAcme, type RequestKind, type Script } from '../harness/fake-acme.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { type GatewayProcess, spawnGateway } from '../harness/gateway-process.ts'
import { dueRecord, fingerprintOf, seedCertificate } from '../harness/kept-certificate.ts'
import { freePort } from '../harness/ports.ts'
import { until } from '../harness/until.ts'

const name = 'shop.test'
const value = `certificates/${name}.ecdsa`
const hour = 3_600_000
const day = 24 * hour
type LogRecord = Record<string, unknown>

let fake: FakeAcme
let state: string
const running: (Started | GatewayProcess)[] = []

before(async () => {
  fake = await fakeAcme()
})
after(() => fake.close())
beforeEach(() => {
  state = temporaryFolder('sallyport-state-')
})
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop()
  fake.script = () => null
  fake.validate = () => null
  fake.leafKey = null
  fake.seen.length = 0
})

const config = (acme: object = {}) => ({
  state,
  sites: [{ host: name, certificate: 'acme', routes: [{ respond: { status: 200, body: 'hello' } }] }],
  acme: { directory: fake.url, challenges: ['tls-alpn-01'], ...acme },
})

async function start(options: GatewayOptions = {}): Promise<Started> {
  const started = await startGateway(config() as Parameters<typeof startGateway>[0], options)
  running.push(started)
  return started
}

async function run(blocks?: number): Promise<GatewayProcess & { readonly port: number }> {
  const port = await freePort()
  const listen = [{ port, address: '127.0.0.1' }]
  const spawned = spawnGateway({ ...config(), listen }, blocks === undefined ? {} : { blocks })
  running.push(spawned)
  await spawned.ready
  return { ...spawned, port }
}

const end = async (one: Started | GatewayProcess) => {
  running.splice(running.indexOf(one), 1)
  await one.stop()
}

const says = (message: string) => (record: LogRecord) => record['message'] === message
const shown = (port: number) => fingerprintOf(port, name, fake.ca)
const only = (kind: RequestKind, script: Script) => {
  fake.script = seen => (seen.kind === kind ? script : null)
}

/** With a certificate whose renewal is due: the order fails as `kind`, and afterwards another one succeeds. */
async function renewalFails(kind: string, why: RegExp): Promise<{ record: LogRecord; at: number }> {
  await seedCertificate(state, fake.ca, fake.url, name)
  const started = await start()
  const old = await shown(started.port)
  const record = await started.logged(says('no new certificate'))
  const at = Date.now()
  assert.equal(record['kind'], kind)
  assert.match(String(record['why']), why)
  assert.ok(Date.parse(String(record['next'])) > at, `next is ${record['next']}`)
  assert.ok(Date.parse(String(record['servesUntil'])) > at + 9 * day)
  assert.equal(await shown(started.port), old)
  assert.equal(started.logs().filter(says('no new certificate')).length, 1)
  fake.script = () => null
  fake.validate = () => null
  fake.leafKey = null
  await started.gateway.managed.renew(name)
  assert.notEqual(await shown(started.port), old)
  const kept = readdirSync(path.join(state, 'storage'), { recursive: true }).map(String)
  assert.deepEqual(
    kept.filter(each => /^(pending|failures|challenges)\/./.test(each)),
    [],
  )
  return { record, at }
}

describe('a CA that answers', () => {
  const nextIs = ({ record, at }: { record: LogRecord; at: number }, ms: number) => {
    const wait = Date.parse(String(record['next'])) - at
    // What the CA asks for, and up to five seconds more by chance; a date has whole seconds.
    assert.ok(wait > ms - 3_000 && wait < ms + 6_000, `${wait} ms`)
  }

  for (const status of [429, 503]) {
    const kind = status === 429 ? 'rate-limited' : 'unavailable'

    test(`${status} with Retry-After in seconds is left alone for so long`, async () => {
      only('newOrder', { status, headers: { 'retry-after': '7200' } })
      nextIs(await renewalFails(kind, /newOrder/), 7_200_000)
    })

    test(`${status} with Retry-After as a date is left alone until then`, async () => {
      const date = new Date(Date.now() + 3 * hour).toUTCString()
      only('finalize', { status, headers: { 'retry-after': date } })
      nextIs(await renewalFails(kind, /finalize/), 3 * hour)
    })
  }

  test('429 is left alone by the next process as well', async () => {
    only('newOrder', { status: 429, headers: { 'retry-after': '7200' } })
    await seedCertificate(state, fake.ca, fake.url, name)
    const first = await start()
    await first.logged(says('no new certificate'))
    const { length } = fake.seen
    await end(first)
    const second = await start()
    await shown(second.port)
    assert.match(JSON.stringify(second.gateway.certificates()), /429/)
    assert.equal(fake.seen.slice(length).filter(seen => seen.kind === 'newOrder').length, 0)
  })

  for (const kind of ['directory', 'newNonce', 'newAccount', 'newOrder', 'authz', 'finalize', 'cert'] as const) {
    test(`garbage at ${kind} is worth another try later`, async () => {
      only(kind, { status: 200, headers: { 'replay-nonce': '' }, body: '\u0000<html>{"status":"valid"' })
      await renewalFails('unavailable', /./)
    })
  }

  test('with an order that becomes invalid', async () => {
    fake.script = seen => {
      if (seen.kind !== 'finalize') return null
      for (const order of fake.orders.values()) {
        if (order.status !== 'pending' && order.status !== 'ready') continue
        order.status = 'invalid'
        order.error = { type: 'urn:ietf:params:acme:error:rejectedIdentifier', detail: 'on a block list' }
      }
      return null
    }
    await renewalFails('rejected', /the order is invalid.*on a block list/)
  })

  test('that it could not validate the challenge', async () => {
    fake.validate = () => ({ type: 'urn:ietf:params:acme:error:connection', detail: 'connection refused' })
    await renewalFails('challenge', /tls-alpn-01 for shop\.test failed.*connection refused/)
  })

  test('nothing about a challenge, ever: the old one serves, and the answer goes with the process', async () => {
    fake.validate = () => 'never'
    await seedCertificate(state, fake.ca, fake.url, name)
    const started = await start()
    const old = await shown(started.port)
    const asked = () => fake.count('authz')
    await until(() => asked() >= 4)
    assert.equal(await shown(started.port), old)
    const answers = () =>
      readdirSync(path.join(state, 'storage', 'challenges')).filter(each => !each.startsWith('~'))
    assert.equal(answers().length, 1)
    await end(started)
    assert.ok(!readdirSync(path.join(state, 'storage')).includes('challenges') || answers().length === 0)
    // What it had begun is finished by the next.
    fake.validate = () => null
    for (const one of fake.authz.values()) if (one.status === 'pending') one.answered = null
    const next = await start()
    await next.logged(says('certificate obtained'))
    assert.equal(fake.count('newOrder'), 1)
  })

  test('with a certificate for another key', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    fake.leafKey = () => publicKey
    await renewalFails('wrong-certificate', /another key/)
  })
})

describe('a clock', () => {
  for (const hours of [-2, -1, 1, 2]) {
    test(`that is ${Math.abs(hours)} h ${hours < 0 ? 'behind' : 'ahead'} orders one certificate, and none when it is right again`, async () => {
      const wrong = await start({ now: () => Date.now() + hours * hour })
      await wrong.logged(says('certificate obtained'))
      const first = await shown(wrong.port)
      await end(wrong)
      const right = await start()
      assert.equal(await shown(right.port), first)
      await right.gateway.apply(right.gateway.config)
      await end(right)
      assert.equal(fake.count('newOrder'), 1)
    })
  }

  test('that was ahead when an order failed holds nothing back when it is right again', async () => {
    await seedCertificate(state, fake.ca, fake.url, name)
    fake.validate = () => ({ type: 'urn:ietf:params:acme:error:connection', detail: 'connection refused' })
    const wrong = await start({ now: () => Date.now() + 2 * day })
    await wrong.logged(says('no new certificate'))
    await end(wrong)
    fake.validate = () => null
    const right = await start()
    await right.logged(says('certificate obtained'))
  })

  test('is the one that decides when a certificate is renewed', async () => {
    const first = await start()
    await first.logged(says('certificate obtained'))
    const old = await shown(first.port)
    await end(first)
    const later = await start({ now: () => Date.now() + 65 * day })
    await later.logged(says('certificate obtained'))
    assert.notEqual(await shown(later.port), old)
  })
})

describe('a full disk', () => {
  test('that has no room for the certificate: it serves from memory, and the next process gets the same', async () => {
    // 1.5 kB: enough for keys and accounts, too little for a chain.
    const first = await run(3)
    const record = await first.logged(says('a new certificate cannot be stored'))
    assert.match(String(record['why']), /EFBIG|too large/i)
    assert.match(String(record['next']), /serves from memory.*every minute/)
    const fingerprint = await shown(first.port)
    await first.kill()
    const second = await run()
    await second.logged(says('certificate obtained'))
    assert.equal(await shown(second.port), fingerprint)
    assert.equal(fake.count('newOrder'), 1)
  })

  test('that has no room to take note of an order: the old one serves, and the CA is not bothered again', async () => {
    await seedCertificate(state, fake.ca, fake.url, name)
    // Enough for the key, too little for the URL of the order beside it.
    const first = await run(1)
    const old = await shown(first.port)
    const record = await first.logged(says('storage fails; the current certificate stays in use'))
    assert.match(String(record['why']), /EFBIG|too large/i)
    assert.ok(Date.parse(String(record['next'])) > Date.now())
    assert.equal(await shown(first.port), old)
    assert.deepEqual([fake.count('newOrder'), fake.count('finalize')], [1, 0])
    await first.kill()
    const second = await run()
    await second.logged(says('certificate obtained'))
    assert.notEqual(await shown(second.port), old)
    assert.equal(fake.count('finalize'), 1)
  })
})

describe('a damaged value', () => {
  const setAside = (record: LogRecord) => String(record['message']).startsWith(`${value} in files in`)

  test('is set aside at the start, and another certificate is ordered', async () => {
    await seedCertificate(state, fake.ca, fake.url, name)
    const file = path.join(state, 'storage', value)
    const half = readFileSync(file).subarray(0, 700)
    writeFileSync(file, half)
    const started = await start()
    const { message } = await started.logged(setAside)
    const [, place] = /it is kept as (\S+)$/.exec(String(message))!
    assert.deepEqual(readFileSync(place!), half)
    const ordering = await started.logged(says('ordering a certificate'))
    assert.equal(ordering['why'], 'there is none yet')
    await started.logged(says('certificate obtained'))
    await shown(started.port)
  })

  test('while the gateway runs: it is set aside, and what serves is put in its place', async () => {
    const started = await start()
    await started.logged(says('certificate obtained'))
    const fingerprint = await shown(started.port)
    const storage = await openFileStorage(path.join(state, 'storage'))
    const good = (await storage.get(value)) as Buffer
    for (const bad of [
      Buffer.alloc(0),
      good.subarray(0, good.length / 2),
      dueRecord(fake.ca, fake.url, name).reverse(),
    ]) {
      const count = (wanted: (record: LogRecord) => boolean) => started.logs().filter(wanted).length
      const [aside, stored] = [count(setAside), count(says('certificate stored'))]
      await storage.put(value, bad)
      await started.logged(() => count(setAside) > aside && count(says('certificate stored')) > stored)
      assert.ok(good.equals((await storage.get(value)) as Buffer))
    }
    assert.equal(await shown(started.port), fingerprint)
    assert.equal(fake.count('newOrder'), 1)
    await storage.close()
    rmSync(state, { recursive: true })
  })
})
