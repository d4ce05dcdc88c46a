/**
 * Upstreams whose addresses change while they are in use: nothing fails, nothing is compiled anew, what is under way ends well, and
 * addresses that are gone are left.
 */
import assert from 'node:assert/strict'
import dns from 'node:dns'
import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { after, describe, it } from 'node:test'
import type { Lookup } from '../../src/proxy/upstream/dns-source.ts'
import { lookupThrough, type Resolving } from '../../src/proxy/upstream/system-lookup.ts'
import { classes } from '../../src/wire/dns-message.ts'
import { ask } from '../harness/ask.ts'
import { fakeDns } from '../harness/fake-dns.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { freePort } from '../harness/ports.ts'
import { rawTls } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

const open: { close(): unknown }[] = []
const gateways: Started[] = []

after(async () => {
  for (const gateway of gateways) await gateway.stop()
  for (const each of open) each.close()
})

async function started(config: object, lookup: Lookup): Promise<Started> {
  const gateway = await startGateway(config as never, { lookup })
  gateways.push(gateway)
  return gateway
}

type Place = { readonly address: string; readonly sockets: Set<net.Socket>; asked: number; close(): unknown }

/** A backend at an address that says which it is; `/slow` waits for `release`. */
async function place(address: string, port: number, release?: Promise<void>): Promise<Place> {
  const made: Place = { address, sockets: new Set(), asked: 0, close: () => server.close() }
  const server = http.createServer(async (request, response) => {
    made.asked++
    if (request.url === '/slow') await release
    response.end(address)
  })
  server.on('connection', (socket: net.Socket) => {
    made.sockets.add(socket)
    socket.once('close', () => made.sockets.delete(socket))
  })
  server.listen(port, address)
  await once(server, 'listening')
  open.push(made)
  return made
}

/** A resolver that answers what it is told to, each answer good for no time. */
function names(...first: string[]) {
  const state = { answer: first as readonly string[], asked: 0, fails: false }
  const lookup: Lookup = (_host, settled) => {
    state.asked++
    setImmediate(() => settled(state.fails ? new Error('SERVFAIL') : null, state.fails ? [] : state.answer))
  }
  return Object.assign(state, { lookup, move: (...to: string[]) => void (state.answer = to) })
}

const siteTo = (to: object) => ({
  sites: [{ host: 'a.test', certificate: 'local', to }],
  timeouts: { resolve: '50ms' },
})

const get = (gateway: Started, path = '/') => ask('HTTP/1.1', gateway.port, { host: 'a.test', path })

describe('a name whose addresses change under load', () => {
  it('fails no request, uses new addresses at once, closes what rests at old ones, and compiles nothing', async () => {
    const port = await freePort()
    const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']
    const places = await Promise.all(addresses.map(address => place(address, port)))
    const resolver = names('127.0.0.1', '127.0.0.2')
    const gateway = await started(siteTo({ endpoints: `http://backend.test:${port}` }), resolver.lookup)
    const version = gateway.gateway.snapshotVersion
    const answers: { status: number; body: string }[] = []
    let stop = false
    const client = async () => {
      const keptAlive = await rawTls(gateway.port, { servername: 'a.test' })
      for (let count = 1; !stop; count++) {
        keptAlive.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        const text = await keptAlive.until(
          received => received.split('HTTP/1.1 ').length > count && /127\.0\.0\.\d$/.test(received),
        )
        const last = text.split('HTTP/1.1 ').at(-1) as string
        answers.push({ status: Number(last.slice(0, 3)), body: last.slice(last.indexOf('\r\n\r\n') + 4) })
      }
      keptAlive.destroy()
    }
    const clients = Promise.all(Array.from({ length: 8 }, client))
    const steps = [
      ['127.0.0.2', '127.0.0.3'],
      ['127.0.0.4'],
      ['127.0.0.4', '127.0.0.1'],
      ['127.0.0.3', '127.0.0.1', '127.0.0.2'],
    ]
    for (const step of steps) {
      const before = places.map(each => each.asked)
      resolver.move(...step)
      await eventually(`requests at ${step.join(' and ')}`, () =>
        places.every((each, at) => !step.includes(each.address) || each.asked > (before[at] as number) + 5),
      )
      await eventually(`no connection to others than ${step.join(' and ')}`, () =>
        places.every(each => step.includes(each.address) || each.sockets.size === 0),
      )
    }
    stop = true
    await clients
    assert.ok(answers.length > 40, `${answers.length} answers`)
    assert.deepEqual([...new Set(answers.map(each => each.status))], [200])
    assert.deepEqual([...new Set(answers.map(each => each.body))].sort(), addresses)
    assert.equal(gateway.gateway.snapshotVersion, version)
    // One address of a name is one endpoint: each has had its turns.
    const attempts = gateway
      .logs()
      .filter(each => each['host'] === 'a.test')
      .map(each => each['attempts'])
    assert.deepEqual([...new Set(attempts)], [1])
  })

  it('lets an exchange and a connection of layer 4 under way there end', async () => {
    const port = await freePort()
    let release = () => {}
    const released = new Promise<void>(resolve => {
      release = resolve
    })
    const [old] = [await place('127.0.0.1', port, released), await place('127.0.0.2', port)]
    const resolver = names('127.0.0.1')
    const gateway = await started(
      {
        sites: [
          { host: 'a.test', certificate: 'local', to: `http://backend.test:${port}` },
          { host: 'tcp.test', certificate: 'local', tcp: { to: `backend.test:${port}` } },
        ],
        timeouts: { resolve: '50ms' },
      },
      resolver.lookup,
    )
    const slow = get(gateway, '/slow')
    const spliced = await rawTls(gateway.port, { servername: 'tcp.test' })
    spliced.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await spliced.until(text => text.endsWith('127.0.0.1'))
    await eventually('the slow request is there', () => old.asked === 2)
    resolver.move('127.0.0.2')
    await eventually('new requests go to the new address', async () => (await get(gateway)).body === '127.0.0.2')
    // The splice goes on where it began, and a new one begins elsewhere.
    spliced.send('GET /again HTTP/1.1\r\nHost: a\r\n\r\n')
    await spliced.until(text => text.split('127.0.0.1').length === 3)
    const other = await rawTls(gateway.port, { servername: 'tcp.test' })
    other.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await other.until(text => text.endsWith('127.0.0.2'))
    release()
    assert.equal((await slow).body, '127.0.0.1')
    spliced.destroy()
    other.destroy()
    await eventually('nothing is left at the old address', () => old.sockets.size === 0)
  })
})

describe('a name that cannot be looked up', () => {
  it('keeps its last addresses, with one line when it begins and one when it is over', async () => {
    const port = await freePort()
    await place('127.0.0.1', port)
    const resolver = names('127.0.0.1')
    const gateway = await started(siteTo({ endpoints: `http://backend.test:${port}` }), resolver.lookup)
    assert.equal((await get(gateway)).status, 200)
    resolver.fails = true
    await gateway.logged(each => each['message'] === 'the name of a backend cannot be looked up')
    const asked = resolver.asked
    await eventually('it was asked again', () => resolver.asked > asked + 2)
    assert.equal((await get(gateway)).status, 200)
    resolver.fails = false
    await gateway.logged(each => each['message'] === 'the name of a backend can be looked up again')
    const lines = gateway.logs().filter(each => String(each['message']).startsWith('the name of a backend'))
    assert.deepEqual(
      lines.map(each => [each['level'], each['host'], each['why']]),
      [
        ['warn', 'backend.test', 'SERVFAIL'],
        ['info', 'backend.test', undefined],
      ],
    )
  })

  it('and was never known is a 502 at once; beside an address that is known it is no error at all', async () => {
    const port = await freePort()
    await place('127.0.0.1', port)
    const resolver = names()
    resolver.fails = true
    const gateway = await started(
      {
        sites: [
          { host: 'a.test', certificate: 'local', to: `http://backend.test:${port}` },
          { host: 'b.test', certificate: 'local', to: [`http://backend.test:${port}`, `http://127.0.0.1:${port}`] },
          { host: 'tcp.test', certificate: 'local', tcp: { to: `backend.test:${port}` } },
        ],
        timeouts: { connect: '10m' },
      },
      resolver.lookup,
    )
    assert.equal((await get(gateway)).status, 502)
    const record = await gateway.logged(each => each['host'] === 'a.test')
    assert.deepEqual([record['error'], record['why']], ['NAME_NOT_RESOLVED', 'look up backend.test: SERVFAIL'])
    for (let times = 0; times < 4; times++)
      assert.equal((await ask('HTTP/1.1', gateway.port, { host: 'b.test' })).status, 200)
    const spliced = await rawTls(gateway.port, { servername: 'tcp.test' })
    await spliced.closed()
    const refused = await gateway.logged(each => each['sni'] === 'tcp.test' && each['message'] === 'tcp')
    assert.equal(refused['error'], 'NAME_NOT_RESOLVED')
  })

  it('is waited for until timeouts.connect, by requests and by connections of layer 4', async () => {
    const gateway = await started(
      {
        sites: [
          { host: 'a.test', certificate: 'local', to: 'http://backend.test:1' },
          { host: 'tcp.test', certificate: 'local', tcp: { to: 'backend.test:1' } },
        ],
        timeouts: { connect: '200ms' },
      },
      () => {},
    )
    const spliced = await rawTls(gateway.port, { servername: 'tcp.test' })
    assert.equal((await get(gateway)).status, 504)
    await spliced.closed()
    for (const [message, host] of [
      ['request', 'a.test'],
      ['tcp', 'tcp.test'],
    ]) {
      const record = await gateway.logged(each => each['message'] === message)
      assert.equal(record['error'], 'CONNECT_TIMEOUT', host)
    }
  })
})

describe('a reload', () => {
  it('that changes something else leaves addresses and connections of an upstream as they are', async () => {
    const port = await freePort()
    const backend = await place('127.0.0.1', port)
    const resolver = names('127.0.0.1')
    const config = { ...siteTo({ endpoints: `http://backend.test:${port}` }), timeouts: { resolve: '10m' } }
    const gateway = await started(config, resolver.lookup)
    assert.equal((await get(gateway)).status, 200)
    const [socket] = backend.sockets
    const { config: before } = gateway.gateway
    await gateway.gateway.apply({ ...before, limits: { ...before.limits, uriBytes: 4_000 } })
    assert.equal((await get(gateway)).status, 200)
    assert.deepEqual([[...backend.sockets], resolver.asked], [[socket], 1])
  })
})

describe('a TTL', () => {
  it('of a DNS server says when a name is looked up again', async () => {
    const port = await freePort()
    await place('127.0.0.1', port)
    await place('127.0.0.2', port)
    const server = await fakeDns()
    open.push(server)
    let address = [127, 0, 0, 1]
    server.answer = (name, type) =>
      type === 1 ? { records: [{ name, type, class: classes.IN, ttl: 1, rdata: Buffer.from(address) }] } : {}
    const resolver = new dns.Resolver()
    resolver.setServers([`${server.host}:${server.port}`])
    const resolving = {
      // As the system's own, which knows no TTL
      lookup: (host: string, _options: unknown, settled: (error: Error | null, found: object[]) => void) =>
        resolver.resolve4(host, (error, found = []) =>
          settled(
            error,
            found.map(each => ({ address: each, family: 4 })),
          ),
        ),
      resolve4: resolver.resolve4.bind(resolver),
      resolve6: resolver.resolve6.bind(resolver),
    }
    const gateway = await started(
      { ...siteTo({ endpoints: `http://backend.test:${port}` }), timeouts: { resolve: '1h' } },
      lookupThrough(resolving as unknown as Resolving),
    )
    assert.equal((await get(gateway)).body, '127.0.0.1')
    address = [127, 0, 0, 2]
    await eventually('the new address is used', async () => (await get(gateway)).body === '127.0.0.2')
    assert.ok(
      server.asked.every(each => each === 'udp backend.test 1'),
      `${server.asked}`,
    )
  })
})
