/** When all connections together hold too much, those that hold the most are reset, and the others do not notice. */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, frameBytes, get, h2Client, post, type RawH2, type } from '../harness/h2.ts'
import { ok, type RecordingBackend, rawTcp, recordingBackend } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

let gateway: Started
let quick: RecordingBackend
let silent: RecordingBackend

before(async () => {
  quick = await recordingBackend(client => client.send(ok('fine')))
  silent = await recordingBackend()
  gateway = await startGateway({
    listen: [{ port: 0, address: '127.0.0.1', cleartext: 'serve' }],
    limits: { memory: '64mb' },
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        routes: [{ match: { path: '/silent' }, to: [silent.url] }, { to: [quick.url] }],
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await quick.close()
  await silent.close()
})

/** A hundred requests whose bodies wait for an answer of their backends: 6 MB. */
async function hold(client: RawH2, streams = 100): Promise<void> {
  const ids = Array.from({ length: streams }, () => client.request(post('/silent'), END_HEADERS))
  const piece = Buffer.alloc(16_000, 'x')
  for (let round = 0; round < 4; round++) client.send(...ids.map(id => frameBytes(type.data, 0, id, piece)))
  await client.ping()
}

describe('the memory budget', () => {
  it('resets the connections that hold the most, with a line in the log, and no other', async () => {
    const honest = await rawTcp(gateway.port)
    honest.send('POST /silent HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc')
    const hostile: RawH2[] = []
    while (!hostile.some(each => each.closedWith !== null)) {
      const next = await h2Client(gateway.port, { plain: true })
      hostile.push(next)
      await hold(next).catch(() => {})
      assert.ok(hostile.length < 20, 'twenty connections that hold 6 MB each were let be')
    }
    const { total, limit, ended } = gateway.gateway.budget
    assert.equal(limit, 32 * 1024 * 1024)
    assert.ok(total <= limit, `${total} of ${limit}`)
    assert.ok(ended >= 1)
    const line = await gateway.logged(record => record['message'] === 'connection reset')
    assert.equal(line['error'], 'MEMORY_BUDGET')
    assert.equal(line['address'], '127.0.0.1')
    const request = await gateway.logged(
      record => record['error'] === 'MEMORY_BUDGET' && record['message'] === 'request',
    )
    assert.equal(request['path'], '/silent')
    const other = await h2Client(gateway.port, { plain: true })
    assert.equal((await other.ask(get('/'))).status, 200)
    assert.equal(honest.socket.destroyed, false)
    for (const each of [...hostile, other]) each.destroy()
    honest.destroy()
    const metrics = gateway.gateway.metrics.families()
    const reset = metrics.find(family => family.name === 'sallyport_connections_reset_for_memory_total')
    assert.ok(reset !== undefined)
  })

  it('counts nothing any more once they are gone', async () => {
    const total = () => gateway.gateway.budget.total
    await eventually(
      () => `nothing is held, not ${total()} bytes`,
      () => total() === 0,
    )
  })
})
