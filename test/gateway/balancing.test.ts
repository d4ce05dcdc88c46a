/** Where requests go, with real backends: by weight, by a hash of what the request has, by latency, and to backups. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { ask, type Version, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { rawTls } from '../harness/raw.ts'

const names = ['a', 'b', 'c'] as const
const servers: (http.Server | net.Server)[] = []
const gateways: Started[] = []
/** What the answers of the backend `a` wait for */
let held = Promise.resolve()
const urls: string[] = []

before(async () => {
  for (const name of names) {
    const server = http.createServer(async (_request, response) => {
      if (name === 'a') await held
      response.end(name)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    servers.push(server)
    urls.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  }
})

after(async () => {
  for (const gateway of gateways) await gateway.stop()
  for (const server of servers) server.close()
})

async function started(site: object): Promise<Started> {
  const gateway = await startGateway({ sites: [{ host: 'a.test', certificate: 'local', ...site }] } as never)
  gateways.push(gateway)
  return gateway
}

const to = (upstream: object) => started({ to: upstream })

const answers = async (
  gateway: Started,
  count: number,
  fields: (at: number) => [string, string][],
  version: Version,
) => {
  const bodies: string[] = []
  for (let at = 0; at < count; at++)
    bodies.push(
      (await ask(version, gateway.port, { host: 'a.test', path: `/?tenant=${at}`, fields: fields(at) })).body,
    )
  return bodies
}

describe('balancing', () => {
  it('gives each endpoint its share by weight', async () => {
    const [a, b] = urls
    const gateway = await to({ endpoints: [{ url: a, weight: 3 }, b] })
    assert.deepEqual(await answers(gateway, 8, () => [], 'HTTP/1.1'), ['a', 'a', 'b', 'a', 'a', 'a', 'b', 'a'])
  })

  for (const version of versions)
    for (const balance of ['ring-hash', 'maglev']) {
      it(`${balance} sends the same cookie to the same endpoint, over ${version}`, async () => {
        const gateway = await to({ endpoints: urls, balance, hash: { cookie: 'sid' } })
        const first = await answers(gateway, 24, at => [['cookie', `x=${at}; sid=s${at}`]], version)
        assert.deepEqual([...new Set(first)].sort(), [...names])
        // Another gateway knows nothing of the first, and other cookies make no difference.
        const other = await to({ endpoints: [...urls].reverse(), balance, hash: { cookie: 'sid' } })
        assert.deepEqual(await answers(other, 24, at => [['cookie', `sid=s${at}`]], version), first)
      })
    }

  it('hashes a parameter of the query', async () => {
    const gateway = await to({ endpoints: urls, balance: 'maglev', hash: { query: 'tenant' } })
    const first = await answers(gateway, 12, () => [], 'HTTP/1.1')
    assert.ok(new Set(first).size > 1)
    assert.deepEqual(await answers(gateway, 12, () => [], 'HTTP/2'), first)
  })

  it('by fingerprint sends a client to one endpoint, whatever it asks for', async () => {
    const gateway = await to({ endpoints: urls, balance: 'ring-hash', hash: 'ja4' })
    assert.equal(new Set(await answers(gateway, 8, () => [], 'HTTP/1.1')).size, 1)
  })

  it('p2c passes by an endpoint that does not answer any more', async () => {
    const gateway = await to({ endpoints: urls.slice(0, 2), balance: 'p2c' })
    const get = async () => (await ask('HTTP/1.1', gateway.port, { host: 'a.test' })).body
    let release = () => {}
    held = new Promise(resolve => {
      release = resolve
    })
    // Of several at once some are for a, which keeps them.
    const early = Array.from({ length: 6 }, get)
    assert.equal(await Promise.race(early), 'b')
    for (let count = 0; count < 8; count++) assert.equal(await get(), 'b')
    release()
    assert.ok((await Promise.all(early)).includes('a'))
  })

  it('asks a backup where no other endpoint can be connected to', async () => {
    const closed = net.createServer()
    closed.listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const { port } = closed.address() as AddressInfo
    closed.close()
    await once(closed, 'close')
    const gateway = await to({ endpoints: [`http://127.0.0.1:${port}`, { url: urls[2], backup: true }] })
    assert.deepEqual(await answers(gateway, 3, () => [], 'HTTP/1.1'), ['c', 'c', 'c'])
    const both = await to({ endpoints: [urls[1], { url: urls[2], backup: true }] })
    assert.deepEqual(await answers(both, 3, () => [], 'HTTP/1.1'), ['b', 'b', 'b'])
  })

  it('sends connections of a client to the same endpoint at layer 4', async () => {
    const greeters = names.map(name => net.createServer(socket => socket.on('error', () => {}).end(name)))
    for (const greeter of greeters) {
      greeter.listen(0, '127.0.0.1')
      await once(greeter, 'listening')
      servers.push(greeter)
    }
    const places = greeters.map(each => `127.0.0.1:${(each.address() as AddressInfo).port}`)
    const gateway = await started({ tcp: { to: places, balance: 'maglev' } })
    const seen = new Set<string>()
    for (let count = 0; count < 4; count++) {
      const client = await rawTls(gateway.port, { servername: 'a.test', ALPNProtocols: [] })
      seen.add(await client.until(text => text.length > 0))
      client.destroy()
    }
    assert.equal(seen.size, 1)
  })
})
