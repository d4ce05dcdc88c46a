/**
 * Connections to a backend are shared: clients who cancel their requests spend what the backend allows on them, and
 * nobody else's request may fail for it.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, get, h2Backend, h2Client, post, type RawH2, respond, type, uint32 } from '../harness/h2.ts'
import { ok, recordingBackend } from '../harness/raw.ts'

/** Each of ten clients cancels `rounds` requests in groups of `atOnce`, once the backend has them. */
async function cancelMany(
  gateway: Started,
  rounds: number,
  atOnce: number,
  arrived: (total: number) => Promise<void>,
) {
  const clients = await Promise.all(Array.from({ length: 10 }, () => h2Client(gateway.port)))
  for (let round = 1; round <= rounds; round++) {
    const streams = clients.map(client => Array.from({ length: atOnce }, () => client.request(get('/never'))))
    await arrived(round * 10 * atOnce)
    clients.forEach((client, index) => {
      for (const stream of streams[index] as number[]) client.frame(type.rst, 0, stream, uint32(8))
    })
  }
  for (const client of clients) {
    await client.ping()
    assert.equal(client.goaway, null)
    client.destroy()
  }
}

describe('cancels of ten clients', () => {
  it('Sallyport behind Sallyport: the connection of an innocent one lives', async () => {
    let asked = 0
    const waiting = new Set<() => void>()
    const backend = await recordingBackend((client, text) => {
      if (!text.endsWith('\r\n\r\n')) return
      if (!text.includes(' /never')) {
        client.send(ok('fine'))
        return
      }
      asked++
      for (const each of [...waiting]) each()
    })
    const inner = await startGateway({
      listen: [{ port: 0, address: '127.0.0.1', cleartext: 'serve' }],
      sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }],
    })
    const outer = await startGateway({
      sites: [
        {
          host: 'localhost',
          certificate: 'local',
          to: { endpoints: [`h2c://127.0.0.1:${inner.port}`] },
        },
      ],
    })
    const innocent = await h2Client(outer.port)
    const held = innocent.request(get('/never'))
    const arrived = (total: number) =>
      new Promise<void>(resolve => {
        const look = () => {
          if (asked <= total) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      })
    await arrived(0)
    await cancelMany(outer, 15, 10, arrived)
    for (let count = 0; count < 20; count++) assert.equal((await innocent.ask(get('/'))).body, 'fine')
    assert.deepEqual(
      inner.logs().filter(each => each['message'] === 'connection ended'),
      [],
    )
    const { reset, status } = innocent.message(held)
    assert.deepEqual([reset, status], [null, 0])
    innocent.destroy()
    await outer.stop()
    await inner.stop()
    await backend.close()
  })

  it('no connection is asked to bear more than a hundred, and none is cut off under a request', async () => {
    const backend = await h2Backend({
      settings: [[3, 1_000]],
      onRequest: request => {
        if (request.field(':path') === '/') respond(request, 'fine')
      },
    })
    const gateway = await startGateway({
      sites: [{ host: 'localhost', certificate: 'local', to: [`h2c://127.0.0.1:${backend.port}`] }],
    })
    const innocent = await h2Client(gateway.port)
    const held = innocent.request(get('/held'))
    const first = await backend.request(0)
    await cancelMany(gateway, 10, 15, async total => void (await backend.request(total)))
    assert.equal((await innocent.ask(get('/'))).body, 'fine')
    const resets = (connection: RawH2) => connection.count(type.rst)
    const all = backend.connections.map(resets)
    // Those of a second or two that the test takes come back.
    assert.ok(Math.max(...all) <= 120, all.join(' '))
    assert.equal(
      all.reduce((sum, each) => sum + each, 0),
      1_500,
    )
    respond(first, 'at last')
    assert.equal((await innocent.answer(held)).body, 'at last')
    await first.connection.closed()
    innocent.destroy()
    await gateway.stop()
    await backend.close()
  })

  it('uploads that Sallyport behind Sallyport refuses early do not add up either', async () => {
    const inner = await startGateway({
      listen: [{ port: 0, address: '127.0.0.1', cleartext: 'serve' }],
      sites: [
        {
          host: 'localhost',
          certificate: 'local',
          routes: [
            { match: { path: '/refused' }, respond: { status: 401, body: 'no' } },
            { respond: { body: 'fine' } },
          ],
        },
      ],
    })
    const outer = await startGateway({
      sites: [{ host: 'localhost', certificate: 'local', to: [`h2c://127.0.0.1:${inner.port}`] }],
    })
    const clients = await Promise.all(Array.from({ length: 10 }, () => h2Client(outer.port)))
    for (let round = 0; round < 60; round++) {
      const streams = clients.map(client => client.request(post('/refused'), END_HEADERS))
      for (const [index, client] of clients.entries()) {
        assert.equal((await client.answer(streams[index] as number)).status, 401)
      }
    }
    for (const client of clients) assert.equal((await client.ask(get('/'))).body, 'fine')
    assert.deepEqual(
      inner.logs().filter(each => each['message'] === 'connection ended'),
      [],
    )
    for (const client of clients) client.destroy()
    await outer.stop()
    await inner.stop()
  })
})
