/**
 * Windows of a byte or two: h2load -w 1 -W 1 saw streams fail without a word in the log once the gateway was older than
 * timeouts.idle. An answer that is whole in the gateway waits for its client as any other does, and is cut off with a record.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import { get, h2Client, type RawH2, type, uint32 } from '../harness/h2.ts'
import { type RecordingBackend, recordingBackend } from '../harness/raw.ts'

const run = promisify(execFile)
let gateway: Started
let silent: RecordingBackend
const text = 'x'.repeat(20_000)

before(async () => {
  silent = await recordingBackend()
  gateway = await startGateway({
    sites: localhostWith(
      { match: { path: '/large' }, respond: { body: text } },
      // The answer comes when that much time has passed.
      { match: { path: '/later' }, timeouts: { total: '3500ms' }, to: [silent.url] },
      { respond: { body: 'small' } },
    ),
    timeouts: { idle: '1s' },
  })
})

after(async () => {
  await gateway.stop()
  await silent.close()
})

const bytesOf = (client: RawH2, stream: number) => client.message(stream).body.length

describe('answers of the gateway itself, of which the exchange is over', () => {
  it('are not cut off for longer than timeouts.idle while the client takes another, a few bytes at a time', async () => {
    const client = await h2Client(gateway.port, { polite: false, settings: [[4, 1_000_000]] })
    // What the connection still allows is taken by this one, and then by whom the client names as urgent.
    const full = Array.from({ length: 4 }, () => client.request(get('/large', [['priority', 'u=1']])))
    await client.until(
      () => client.count(type.data) > 0 && full.reduce((sum, each) => sum + bytesOf(client, each), 0) === 65_535,
    )
    const small = client.request(get('/', [['priority', 'u=6']]))
    const other = await h2Client(gateway.port)
    let over = false
    const later = other.ask(get('/later')).then(() => {
      over = true
    })
    let opened = 65_535
    while (!over) {
      client.frame(type.window, 0, 0, uint32(1))
      opened++
      await client.ping()
    }
    await later
    other.destroy()
    assert.ok(opened < 80_000)
    assert.equal(client.message(small).reset, null)
    client.frame(type.window, 0, 0, uint32(100_000))
    for (const stream of full) assert.equal((await client.answer(stream)).body, text)
    assert.equal((await client.answer(small)).body, 'small')
    client.destroy()
  })

  it('are cut off, with a record, when their own windows stay closed', async () => {
    const client = await h2Client(gateway.port, { polite: false, settings: [[4, 0]] })
    const stream = client.request(get('/'))
    assert.equal((await client.answer(stream)).reset, 8)
    const port = client.socket.localPort
    const record = await gateway.logged(each => each['error'] === 'CLIENT_STALLED' && each['clientPort'] === port)
    assert.match(String(record['why']), /read nothing for 1000 ms: 5 bytes/)
    client.destroy()
  })
})

it('h2load -w 1 -W 1: every stream is answered', async () => {
  const { stdout } = await run('h2load', [
    ...['-n100', '-c5', '-m10', '-w1', '-W1'],
    `--connect-to=127.0.0.1:${gateway.port}`,
    'https://localhost/small',
  ])
  assert.match(stdout, /100 done, 100 succeeded, 0 failed, 0 errored/)
})
