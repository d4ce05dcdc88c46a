/** Backends whose name leads elsewhere, and endpoints that refuse: what is dialled, what is kept, and who is tried first. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { after, describe, it } from 'node:test'
import type { Lookup } from '../../src/proxy/upstream/dns-source.ts'
import { ask } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { freePort } from '../harness/ports.ts'
import { rawTls } from '../harness/raw.ts'

type Place = { server: http.Server | http2.Http2Server; sockets: net.Socket[] }
const open: { close(): unknown }[] = []
const gateways: Started[] = []

after(async () => {
  for (const gateway of gateways) await gateway.stop()
  for (const each of open) each.close()
})

/** A backend that says where it is; `/slow` waits for `release`. */
async function place(address: string, port: number, version: 1 | 2, release?: Promise<void>): Promise<Place> {
  const sockets: net.Socket[] = []
  const answer = async (path: string | undefined, end: (text: string) => void) => {
    if (path === '/slow') await release
    end(address)
  }
  const server =
    version === 1
      ? http.createServer((request, response) => void answer(request.url, text => response.end(text)))
      : http2.createServer((request, response) => void answer(request.url, text => response.end(text)))
  server.on('connection', (socket: net.Socket) => sockets.push(socket))
  server.listen(port, address)
  await once(server, 'listening')
  open.push(server)
  return { server, sockets }
}

/** A resolver whose answer is what the test says; `next` resolves when it has been asked once more. */
function resolver(first: string) {
  let answer: readonly string[] = [first]
  const told: (() => void)[] = []
  const lookup: Lookup = (_host, settled) => {
    setImmediate(() => {
      settled(null, answer)
      for (const each of told.splice(0)) each()
    })
  }
  return {
    lookup,
    move: (...to: string[]) => void (answer = to),
    next: () => new Promise<void>(resolve => told.push(resolve)),
  }
}

for (const version of [1, 2] as const) {
  describe(`a name that leads elsewhere, HTTP/${version}`, () => {
    it('is followed by new requests, and connections to the old address go', async () => {
      const port = await freePort()
      let release = () => {}
      const released = new Promise<void>(resolve => {
        release = resolve
      })
      const old = await place('127.0.0.1', port, version, released)
      await place('127.0.0.2', port, version)
      const names = resolver('127.0.0.1')
      const gateway = await startGateway(
        {
          sites: [
            {
              host: 'a.test',
              certificate: 'local',
              to: { endpoints: [`http://backend.test:${port}`], http: version },
            },
          ],
          timeouts: { resolve: '200ms' },
        } as never,
        { lookup: names.lookup },
      )
      gateways.push(gateway)
      const where = async (path = '/') => (await ask('HTTP/1.1', gateway.port, { host: 'a.test', path })).body
      assert.equal(await where(), '127.0.0.1')
      const slow = where('/slow')
      await names.next()
      assert.equal(await where(), '127.0.0.1')
      names.move('127.0.0.2')
      await names.next()
      assert.equal(await where(), '127.0.0.2')
      // What is under way ends well, and its connection is not kept.
      release()
      assert.equal(await slow, '127.0.0.1')
      for (const socket of old.sockets) if (!socket.destroyed) await once(socket, 'close')
      assert.equal(await where(), '127.0.0.2')
    })
  })
}

describe('an endpoint that refuses', () => {
  for (const balance of ['round-robin', 'least-requests']) {
    it(`is tried first by one request of many (${balance})`, async () => {
      const [port, dead] = [await freePort(), await freePort()]
      await place('127.0.0.1', port, 1)
      const endpoints = [`http://127.0.0.1:${dead}`, `http://127.0.0.1:${port}`]
      const gateway = await startGateway({
        sites: [{ host: 'a.test', certificate: 'local', to: { endpoints, balance, pool: { idle: 0 } } }],
      } as never)
      gateways.push(gateway)
      for (let requests = 0; requests < 40; requests++)
        assert.equal((await ask('HTTP/1.1', gateway.port, { host: 'a.test' })).status, 200)
      const records = gateway.logs().filter(each => each['host'] === 'a.test')
      assert.equal(records.length, 40)
      assert.equal(records.filter(each => each['attempts'] !== 1).length, 1)
    })
  }

  it('is asked where there is no other, and answers again as soon as it can', async () => {
    const port = await freePort()
    const gateway = await startGateway({
      sites: [{ host: 'a.test', certificate: 'local', to: `http://127.0.0.1:${port}` }],
    } as never)
    gateways.push(gateway)
    for (let times = 0; times < 3; times++)
      assert.equal((await ask('HTTP/1.1', gateway.port, { host: 'a.test' })).status, 502)
    await place('127.0.0.1', port, 1)
    assert.equal((await ask('HTTP/1.1', gateway.port, { host: 'a.test' })).status, 200)
  })

  it('is passed by at layer 4 too', async () => {
    const dead = await freePort()
    const live = net.createServer(socket => {
      socket.on('error', () => {})
      socket.end('live')
    })
    live.listen(0, '127.0.0.1')
    await once(live, 'listening')
    open.push(live)
    const livePort = (live.address() as net.AddressInfo).port
    const gateway = await startGateway({
      sites: [
        { host: 'a.test', certificate: 'local', tcp: { to: [`127.0.0.1:${dead}`, `127.0.0.1:${livePort}`] } },
      ],
    } as never)
    gateways.push(gateway)
    for (let times = 0; times < 6; times++) {
      const client = await rawTls(gateway.port, { servername: 'a.test' })
      assert.match(await client.until(text => text.includes('live')), /live/)
      client.destroy()
    }
  })
})
