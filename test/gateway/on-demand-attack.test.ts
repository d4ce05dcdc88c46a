/** On-demand certificates under attack: names that nobody has, by the thousand, beside names that are known. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import path from 'node:path'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import { temporaryFolder } from '../harness/certificates.ts'
import { type FakeAcme, fakeAcme } from '../harness/fake-acme.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { fingerprintOf } from '../harness/kept-certificate.ts'
import { sized } from '../harness/scale.ts'

const attacks = sized(2_000, 10_000)
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
  hello = await record()
  assert.equal(hello.length, hello.readUInt16BE(3) + 5)
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

/** A whole ClientHello as a client sends it; what it asks for has room for a number. */
let hello: Buffer
const placeholder = 'name-of-nobody-00000.customers.test'

async function record(): Promise<Buffer> {
  const listener = net.createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const client = tls.connect({ port, host: '127.0.0.1', servername: placeholder })
  client.on('error', () => {})
  const [socket] = (await once(listener, 'connection')) as [net.Socket]
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  client.destroy()
  listener.close()
  return bytes
}

function helloFor(number: number): Buffer {
  const own = Buffer.from(hello)
  own.write(`name-of-nobody-${String(number).padStart(5, '0')}`, own.indexOf(placeholder))
  return own
}

/** What comes back until the connection is closed. */
async function answerTo(bytes: Buffer): Promise<Buffer> {
  const socket = net.connect(gateway.port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.write(bytes)
  await once(socket, 'close')
  return Buffer.concat(chunks)
}

const shown = (name: string) => fingerprintOf(gateway.port, name, fake.ca)

test(`${attacks} names that nobody has: no order, nothing kept, and known names are served all the while`, async () => {
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
      if (number === attacks / 5) heapBefore = process.memoryUsage().heapUsed
      if (number % 20 === 0) {
        const name = known[(number / 20) % known.length] as string
        assert.equal(await shown(name), fingerprints.get(name))
        served++
      } else {
        // An alert, and nothing of a handshake.
        assert.equal((await answerTo(helloFor(number)))[0], 21)
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
  const failed = gateway.gateway.observation.handshakes
    .list()
    .find(each => JSON.stringify(each).includes('new.customers.test'))
  assert.match(JSON.stringify(failed), /acme\.onDemand\.ask cannot be asked about new\.customers\.test/)
  assert.equal(fake.orders.size, known.length)
})
