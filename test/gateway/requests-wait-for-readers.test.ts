/**
 * A client of HTTP/1.1 that pipelines requests and reads no answer: once its answers cannot leave, no further request is
 * taken, whether a backend or the gateway itself answers. When the client reads again, it gets all of its answers.
 */
import assert from 'node:assert/strict'
import type net from 'node:net'
import { after, before, describe, it } from 'node:test'
import { connected } from '../harness/floods.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, rawTcp, recordingBackend } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

const page = 'x'.repeat(20_000)
/** 40 MB of answers: more than the kernel holds for a connection */
const total = 2_000

let backend: RecordingBackend
let gateway: Started
let asked = 0

before(async () => {
  const answered = new WeakMap<object, number>()
  backend = await recordingBackend((client, received) => {
    const from = answered.get(client) ?? 0
    const end = received.lastIndexOf('\r\n\r\n') + 4
    const requests = received.slice(from, end).split('\r\n\r\n').length - 1
    answered.set(client, end)
    asked += requests
    client.send(ok(page).repeat(requests))
  })
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
      { port: 0, address: '127.0.0.1' },
    ],
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        routes: [
          { match: { path: '/honest' }, respond: { status: 404, body: 'fine' } },
          { match: { path: '/here' }, respond: { status: 200, body: page } },
          { match: { path: '/there' }, to: [backend.url] },
        ],
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

/** Requests that were answered with a page, as the metrics count them; what honest clients get is a 404. */
const answered = (): number =>
  gateway.gateway.metrics
    .families()
    .filter(family => family.name === 'sallyport_requests_total')
    .flatMap(family => family.samples)
    .filter(sample => sample.labels.includes('2xx'))
    .reduce((sum, sample) => sum + sample.value, 0)

/** Each one is a turn of the gateway in which it could have taken another of the hostile client's. */
const roundTrips = 50

async function honest(): Promise<void> {
  const client = await rawTcp(gateway.port)
  for (let at = 1; at <= roundTrips; at++) {
    client.send('GET /honest HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await client.until(received => received.split('fine').length > at)
  }
  client.destroy()
}

/** Resolves when `count` has not moved while others were served. @returns it */
async function standstill(count: () => number): Promise<number> {
  let then = -1
  await eventually('the requests stand still', async () => {
    then = count()
    await honest()
    return then > 0 && count() === then
  })
  return then
}

/** Reads until the gateway has closed the connection. */
async function readAll(socket: net.Socket): Promise<void> {
  await new Promise<void>(resolve => {
    socket.on('end', resolve)
    socket.on('close', resolve)
    socket.resume()
  })
}

const takers = { there: () => asked, here: answered }

describe('no further request is taken while an answer cannot leave', () => {
  for (const [path, count] of Object.entries(takers))
    for (const name of [null, 'localhost'])
      it(`of /${path}, over ${name === null ? 'TCP' : 'TLS'}`, async () => {
        const socket = await connected(gateway.ports[name === null ? 0 : 1] as number, name)
        socket.pause()
        const before = count()
        socket.write(`GET /${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(total - 1))
        socket.write(`GET /${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
        const taken = await standstill(() => count() - before)
        assert.ok(taken < total, `all ${taken} were taken`)
        await readAll(socket)
        assert.equal(count() - before, total)
        socket.destroy()
      })
})
