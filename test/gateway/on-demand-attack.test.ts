/** On-demand certificates under attack: names that nobody has, by the thousand, beside names that are known. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { temporaryFolder } from '../harness/certificates.ts'
import { type FakeAcme, fakeAcme } from '../harness/fake-acme.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { fingerprintOf } from '../harness/kept-certificate.ts'

const attacks = 10_000
const atOnce = 40
const known = ['shop.customers.test', 'blog.customers.test']

let fake: FakeAcme
let gateway: Started
let asks = 0
let isDown = false
const state = temporaryFolder('sallyport-state-')
const server = http.createServer((request, response) => {
  asks++
  if (isDown) return request.socket.destroy()
  const domain = new URL(request.url!, 'http://x').searchParams.get('domain')!
  response.writeHead(known.includes(domain) ? 200 : 404).end()
})

before(async () => {
  fake = await fakeAcme()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const ask = `http://127.0.0.1:${(server.address() as AddressInfo).port}/may`
  gateway = await startGateway({
    state,
    log: { access: false, level: 'warn' },
    sites: [
      { host: '*.customers.test', certificate: 'acme', routes: [{ respond: { status: 200, body: 'hello' } }] },
    ],
    acme: { directory: fake.url, challenges: ['tls-alpn-01'], onDemand: { ask } },
  } as Parameters<typeof startGateway>[0])
})
after(async () => {
  await gateway.stop()
  server.close()
  server.closeAllConnections()
  await fake.close()
})

const shown = (name: string) => fingerprintOf(gateway.port, name, fake.ca)

test('ten thousand names that nobody has: no order, nothing kept, and known names are served all the while', async () => {
  const fingerprints = new Map<string, string>()
  for (const name of known) fingerprints.set(name, await shown(name))
  assert.equal(fake.orders.size, known.length)
  const storage = () => readdirSync(path.join(state, 'storage'), { recursive: true }).map(String).sort()
  const before = storage()
  const seen = fake.seen.length
  let next = 0
  let refused = 0
  let served = 0
  let heapBefore = 0
  const attacker = async () => {
    while (next < attacks) {
      const number = next++
      // Memory is counted once everything that is made once has been made.
      if (number === 2_000) heapBefore = process.memoryUsage().heapUsed
      if (number % 20 === 0) {
        const name = known[(number / 20) % known.length] as string
        assert.equal(await shown(name), fingerprints.get(name))
        served++
      } else {
        const random = Math.random().toString(36).slice(2)
        await assert.rejects(shown(`${random}.customers.test`))
        refused++
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, attacker))
  assert.deepEqual([served, refused], [attacks / 20, attacks - attacks / 20])
  assert.equal(fake.orders.size, known.length)
  assert.equal(fake.seen.length, seen)
  assert.deepEqual(storage(), before)
  // A name is asked about once at most.
  assert.ok(asks <= refused + known.length, `${asks} questions`)
  const grownMb = (process.memoryUsage().heapUsed - heapBefore) / 1e6
  // Without a bound each name would keep some kilobytes; both ends of all handshakes are in this process.
  assert.ok(grownMb < 100, `${grownMb} MB more`)
})

test('while nobody can be asked new names are refused, and known ones served', async () => {
  isDown = true
  await assert.rejects(shown('new.customers.test'))
  await shown(known[0] as string)
  const failed = gateway.gateway.handshakes.list().find(each => JSON.stringify(each).includes('new.customers.test'))
  assert.match(JSON.stringify(failed), /acme\.onDemand\.ask cannot be asked about new\.customers\.test/)
  assert.equal(fake.orders.size, known.length)
})
