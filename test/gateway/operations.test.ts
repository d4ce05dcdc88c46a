/** Filters, reload, drain, slow peers, and faults that stay where they happen. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { createGateway } from '../../src/index.ts'
import type { FilterExchange } from '../../src/model/filter.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { heads, ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

let backend: RecordingBackend
let gateway: Started
const done: string[] = []

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n')) client.send(ok('from the backend', 'X-Inner: 1\r\n'))
  })
  const filters = [
    function early(x: FilterExchange) {
      return x.request.path === '/early' ? { status: 418, headers: { 'x-by': 'filter' }, body: 'teapot' } : null
    },
    {
      name: 'phases',
      async request(x: FilterExchange) {
        if (x.request.path === '/later') await new Promise(resolve => setImmediate(resolve))
        x.request.headers.set('x-from-filter', 'yes')
        return null
      },
      attempt(x: FilterExchange) {
        if (x.request.path === '/throws/attempt') throw new Error('attempt')
        x.request.headers.set('x-attempt', '1')
      },
      async response(x: FilterExchange) {
        if (x.request.path === '/throws/response') throw new Error('response')
        x.response?.headers.set('x-outer', '2')
        x.response?.headers.delete('x-inner')
      },
      done(x: FilterExchange) {
        done.push(x.request.path)
        if (x.request.path === '/throws/done') throw new Error('done')
      },
    },
    {
      name: 'injects',
      request(x: FilterExchange) {
        if (x.request.path === '/inject') x.request.headers.set('x-a', 'b\r\nx-evil: 1')
        if (x.request.path === '/throws/request') throw new Error('request')
        return null
      },
    },
  ]
  gateway = await startGateway({ sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }], filters })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

describe('filters', () => {
  it('answer, change both heads, and may be asynchronous', async () => {
    const client = await rawTls(gateway.port)
    client.send(get('/early'))
    assert.match(await client.until(text => text.endsWith('teapot')), /^HTTP\/1\.1 418 [\s\S]*x-by: filter/)
    client.send(get('/later'))
    const text = await client.until(received => received.endsWith('from the backend'))
    assert.match(text, /x-outer: 2\r\n/)
    assert.ok(!/x-inner/i.test(text))
    assert.match(backend.received(), /x-from-filter: yes\r\nx-attempt: 1\r\n/)
    assert.deepEqual(done.slice(0, 2), ['/early', '/later'])
    client.destroy()
  })

  for (const path of ['/throws/request', '/throws/attempt', '/throws/response', '/inject']) {
    it(`that throw (${path}) end their exchange with a 500 and nothing else`, async () => {
      const client = await rawTls(gateway.port)
      client.send(get(path))
      assert.match(await client.until(text => text.includes('</html>')), /^HTTP\/1\.1 500 /)
      client.send(get('/after'))
      await client.until(text => text.endsWith('from the backend'))
      assert.ok(!backend.received().includes('x-evil'))
      client.destroy()
    })
  }

  it('that throw at the end disturb nobody', async () => {
    const client = await rawTls(gateway.port)
    client.send(get('/throws/done'))
    await client.until(text => text.endsWith('from the backend'))
    client.send(get('/early'))
    await client.until(text => text.endsWith('teapot'))
    client.destroy()
  })
})

describe('a reload', () => {
  it('gives an open connection the new routes, and a broken one changes nothing', async () => {
    const own = await startGateway({
      sites: [{ host: 'localhost', certificate: 'local', routes: [{ respond: { body: 'old' } }] }],
    })
    const client = await rawTls(own.port)
    client.send(get('/'))
    await client.until(text => text.endsWith('old'))
    const value = {
      listen: [{ port: own.port, address: '127.0.0.1' }],
      state: own.gateway.config.state,
      sites: [{ host: 'localhost', certificate: 'local', routes: [{ respond: { body: 'new' } }] }],
    }
    await own.gateway.apply((await loadConfig({ value })).config)
    client.send(get('/'))
    await client.until(text => text.endsWith('new'))
    await assert.rejects(loadConfig({ value: { ...value, sites: [{ host: 'x', nonsense: 1 }] } }), /nonsense/)
    client.send(get('/'))
    await client.until(text => heads(text, 3))
    client.destroy()
    await own.stop()
  })
})

describe('a drain', () => {
  it('closes idle connections and ends the answer under way with Connection: close', async () => {
    const slow = await recordingBackend()
    const own = await startGateway({ sites: [{ host: 'localhost', certificate: 'local', to: [slow.url] }] })
    const idle = await rawTls(own.port)
    const busy = await rawTls(own.port)
    busy.send(get('/'))
    const connection = await slow.connection(0)
    if (!heads(connection.received(), 1)) await connection.until(text => heads(text, 1))
    const drained = own.gateway.drain(5_000)
    await idle.closed()
    connection.send(ok('last'))
    assert.match((await busy.closed()).received, /connection: close\r\n\r\nlast$/)
    assert.equal(await drained, 0)
    await slow.close()
  })
})

describe('a client that does not read', () => {
  it('stops the backend, and costs no more than what is in the pipes', async () => {
    let written = 0
    let stalled = () => {}
    const full = new Promise<void>(resolve => {
      stalled = resolve
    })
    const total = 256 * 1024 * 1024
    const block = Buffer.alloc(64 * 1024)
    const endless = await recordingBackend(client => {
      client.send(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
      const more = () => {
        while (written < total && client.socket.write(block)) written += block.length
        // Full, and still so after a while of turns: the gateway has stopped reading.
        const seen = written
        let turns = 0
        const look = () => {
          if (written !== seen) return
          if (++turns > 2_000) stalled()
          else setImmediate(look)
        }
        look()
      }
      client.socket.on('drain', more)
      more()
    })
    const own = await startGateway({ sites: [{ host: 'localhost', certificate: 'local', to: [endless.url] }] })
    const client = await rawTls(own.port)
    client.socket.pause()
    client.send(get('/'))
    await full
    assert.ok(written < 64 * 1024 * 1024, `${written} bytes were taken from the backend`)
    // Others are served meanwhile.
    client.destroy()
    await own.stop()
    await endless.close()
  })
})

describe('a configuration with mistakes', () => {
  it('is refused with all of them at once', async () => {
    await assert.rejects(
      createGateway({
        listen: [{ port: 70_000 }],
        sites: [{ host: '*', certificate: 'local', to: 'ftp://x' }],
      } as never),
      (error: Error & { problems?: readonly unknown[] }) => (error.problems?.length ?? 0) >= 3,
    )
  })
})

describe('a listener that a reload has removed', () => {
  it('still counts its open connections, and a drain waits for them and cuts them', async () => {
    const slow = await recordingBackend()
    const address = '127.0.0.1'
    const two = await startGateway({
      listen: [
        { port: 0, address },
        { port: 0, address },
      ],
      sites: [{ host: 'localhost', certificate: 'local', to: [slow.url] }],
    })
    const busy = await rawTls(two.ports[1] as number)
    busy.send(get('/'))
    await (await slow.connection(0)).until(text => heads(text, 1))
    const { config } = two.gateway
    await two.gateway.apply({ ...config, listen: config.listen.slice(0, 1) })
    assert.equal(two.gateway.connections, 1)
    assert.equal(two.gateway.accepted, 1)
    assert.equal(await two.gateway.drain(50), 1)
    await busy.closed()
    await slow.close()
  })
})
