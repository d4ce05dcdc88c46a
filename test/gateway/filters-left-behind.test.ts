/**
 * A filter that is still at work when its client leaves counts against that client: nobody gets more of them than requests
 * that may be open, by leaving and coming back. What settles makes room again (test/unit/left-behind.test.ts: so does what has had its time).
 */
import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import type { Filter } from '../../src/model/filter.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, get, h2Client, post, type, uint32 } from '../harness/h2.ts'
import { ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'
import { until } from '../harness/until.ts'

const most = 4
let gateway: Started
let backend: RecordingBackend
let called = 0
let settles: (() => void)[] = []

const waits = () =>
  new Promise<undefined>(resolve => {
    called++
    settles.push(() => resolve(undefined))
  })

before(async () => {
  backend = await recordingBackend(client => client.send(ok('fine')))
  const route = (path: string, filter: Omit<Filter, 'name'>) => ({
    match: { path },
    to: [backend.url],
    filters: [{ name: 'patient', ...filter }],
    timeouts: { filter: '10m' as const },
  })
  gateway = await startGateway({
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        routes: [
          route('/request', { request: waits }),
          route('/response', { response: waits }),
          route('/body', { requestBody: () => ({ chunk: () => waits().then(() => new Uint8Array(0)) }) }),
          { to: [backend.url] },
        ],
      },
    ],
    limits: { streams: most, connectionsPerClient: most },
  })
})

after(async () => {
  for (const settle of settles) settle()
  await gateway.stop()
  await backend.close()
})

for (const path of ['/request', '/response', '/body']) {
  it(`over HTTP/2, ${path}: a stream that is cancelled counts until the promise settles`, async () => {
    const client = await h2Client(gateway.port)
    settles = []
    const before = called
    for (let at = 0; at < most; at++) {
      const stream = path === '/body' ? client.request(post(path), END_HEADERS) : client.request(get(path))
      if (path === '/body') client.data(stream, 'x')
      await until(() => called === before + at + 1)
      client.frame(type.rst, 0, stream, uint32(8))
    }
    const refused = client.request(get('/fine'))
    await client.until(() => client.message(refused).reset !== null, 'REFUSED_STREAM')
    assert.equal(client.message(refused).reset, 7)
    assert.equal(called, before + most)
    ;(settles.pop() as () => void)()
    await new Promise(resolve => setImmediate(resolve))
    assert.equal((await client.ask(get('/fine'))).status, 200)
    for (const settle of settles.splice(0)) settle()
    client.destroy()
  })
}

it('over HTTP/1.1 a connection that is gone counts until the promise settles', async () => {
  await until(() => gateway.gateway.connections === 0)
  settles = []
  const before = called
  for (let at = 0; at < most; at++) {
    const client = await rawTls(gateway.port)
    client.send('GET /request HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await until(() => called === before + at + 1)
    client.destroy()
  }
  // They are no connections any more: a drain does not wait for them.
  await until(() => gateway.gateway.connections === 0)
  await assert.rejects(rawTls(gateway.port))
  await gateway.logged(record => record['error'] === 'TOO_MANY_CONNECTIONS')
  ;(settles.pop() as () => void)()
  await new Promise(resolve => setImmediate(resolve))
  const client = await rawTls(gateway.port)
  client.send('GET /fine HTTP/1.1\r\nHost: localhost\r\n\r\n')
  assert.match(await client.until(text => text.includes('fine')), /^HTTP\/1\.1 200 /)
  client.destroy()
})
