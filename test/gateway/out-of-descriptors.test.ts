/**
 * A process at its limit on open files: the shortfall is said at start, idle connections make room, whoever finds none is
 * closed at once and counted, and a dial without a descriptor says so. Nobody hangs.
 */
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, describe, it } from 'node:test'
import { readExposition } from '../harness/exposition.ts'
import { type GatewayProcess, spawnGateway } from '../harness/gateway-process.ts'
import { freePort } from '../harness/ports.ts'
import { ok, type RawClient, type RecordingBackend, recordingBackend, wrap } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

const limit = 256
const many = 600

let gateway: GatewayProcess
let backend: RecordingBackend
let port: number
let admin: number

before(async () => {
  ;[port, admin] = [await freePort(), await freePort()]
  // Slow requests are answered when the test says so.
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n') && !text.includes('/slow')) client.send(ok('fine'))
  })
  gateway = spawnGateway(
    {
      listen: [{ port, address: '127.0.0.1', cleartext: 'serve' }],
      admin: { listen: { address: '127.0.0.1', port: admin } },
      sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }],
      log: { access: true, level: 'info' },
    },
    { descriptors: limit },
  )
  await gateway.ready
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

/**
 * So many clients at once; each is open, or was closed by the gateway, which may come before it has connected.
 * @param first what each sends as soon as it has connected
 */
async function crowd(count: number, first = ''): Promise<{ client: RawClient; closed: boolean }[]> {
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const each = { client: wrap(net.connect(port, '127.0.0.1')), closed: false }
      each.client.socket.on('close', () => {
        each.closed = true
      })
      const connected = new Promise(resolve => each.client.socket.once('connect', resolve))
      each.client.socket.once('connect', () => each.client.send(first))
      await Promise.race([connected, each.client.closed()])
      return each
    }),
  )
}

/** Whether a new client is answered. */
async function isServed(): Promise<boolean> {
  const [late] = await crowd(1)
  const { client } = late as { client: RawClient }
  client.send(get('/'))
  const served = await client.until(text => text.endsWith('fine')).catch(() => null)
  client.destroy()
  return served !== null
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
const messages = (text: string) => gateway.logs().filter(each => String(each['message']).includes(text))

describe(`a gateway that may open ${limit} files`, () => {
  it('says at start what it lacks', async () => {
    await gateway.logged(each => String(each['message']).includes('limit on open files'))
    const [said, ...more] = messages('limit on open files')
    assert.match(
      String(said?.['message']),
      /limit on open files \(256\) is too low for limits\.connections \(100000\)/,
    )
    assert.equal(more.length, 0)
  })

  it(`takes what it has room for of ${many} clients, closes the others at once, and still serves and is controlled`, async () => {
    const clients = await crowd(many)
    await eventually('the rest is closed', () => clients.filter(each => each.closed).length >= many - limit)
    const open = clients.filter(each => !each.closed)
    assert.ok(open.length >= limit / 2, `${open.length} are open`)
    // Dials have descriptors of their own. A client that has said nothing for a second may have made room for another.
    let served = false
    for (const { client } of open) {
      client.send(get('/'))
      served ||= await client
        .until(text => text.endsWith('fine'))
        .then(
          () => true,
          () => false,
        )
      if (served) break
    }
    assert.ok(served)
    const page = await fetch(`http://127.0.0.1:${admin}/metrics`)
    const { value } = readExposition(await page.text())
    assert.ok(Number(value('sallyport_connections_without_descriptor_total')) >= many - limit)
    assert.equal(messages('out of file descriptors').length, 1)
    // A second later those that have said nothing make room for others.
    await eventually('a new client is served', isServed)
    for (const each of clients) each.client.destroy()
  })

  it('answers requests for which it cannot dial with 503, and names what is missing', async () => {
    // Half a head: no client is idle, so none is closed to make room for the dials of the others.
    const [half, rest] = [get('/slow').slice(0, -2), '\r\n']
    const clients: RawClient[] = []
    const isRefused = () => gateway.logs().some(each => each['error'] === 'NO_DESCRIPTORS')
    await eventually('a dial without a descriptor', async () => {
      for (const client of clients.splice(0)) client.destroy()
      for (const { client, closed } of await crowd(limit, half)) if (!closed) clients.push(client)
      const all = backend.connections.length + clients.length
      for (const client of clients) client.send(rest)
      // On a machine that stood still for long, heads may have run out of time: then once more.
      await eventually('all are dialled', () => isRefused() || backend.connections.length >= all, 15_000).catch(
        () => {},
      )
      return isRefused()
    })
    const record = gateway.logs().find(each => each['error'] === 'NO_DESCRIPTORS')
    assert.equal(record?.['status'], 503)
    assert.match(String(record?.['why']), /no file descriptor is left/)
    assert.deepEqual(
      gateway.logs().filter(each => each['error'] === 'CONNECT_REFUSED'),
      [],
    )
    for (const client of clients) client.destroy()
    await eventually('it serves again', isServed)
  })
})
