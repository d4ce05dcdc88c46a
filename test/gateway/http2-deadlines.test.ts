/**
 * Time on an HTTP/2 connection: who waits behind others is not blamed for it, however old the process is, and half a
 * header block has the time that `timeouts.head` gives.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import { block, END_HEADERS, END_STREAM, get, h2Client, type RawH2, type, uint32 } from '../harness/h2.ts'
import { ok, type RecordingBackend, recordingBackend } from '../harness/raw.ts'

const size = 400_000
const body = 'x'.repeat(size)
let gateway: Started
let big: RecordingBackend
let silent: RecordingBackend

before(async () => {
  big = await recordingBackend((client, received) => {
    if (received.endsWith('\r\n\r\n')) client.send(ok(received.includes('/huge/') ? body.repeat(10) : body))
  })
  silent = await recordingBackend()
  gateway = await startGateway({
    sites: localhostWith(
      { match: { path: '/huge/*' }, to: [big.url] },
      { match: { path: '/ms/250' }, to: [silent.url], timeouts: { total: '250ms' } },
      { match: { path: '/ms/2500' }, to: [silent.url], timeouts: { total: '2500ms' } },
      { respond: { body: 'fine' } },
    ),
    timeouts: { head: '4s' },
  })
})

after(async () => {
  await gateway.stop()
  await big.close()
  await silent.close()
})

/** That much time has passed on the clock of the gateway. */
async function passed(ms: 250 | 2500): Promise<void> {
  const client = await h2Client(gateway.port)
  assert.equal((await client.ask(get(`/ms/${ms}`))).status, 504)
  client.destroy()
}

const stalled = () => gateway.logs().filter(record => record['error'] === 'CLIENT_STALLED')
const bytesOf = (client: RawH2, stream: number) => client.message(stream).body.length

describe('answers that wait behind others', () => {
  it('are whole after the connection was full for longer than the looks at it are apart', async () => {
    const client = await h2Client(gateway.port, { polite: false, settings: [[4, 2 ** 30]] })
    client.frame(type.window, 0, 0, uint32(2 ** 30))
    client.socket.pause()
    const streams = [client.request(get('/huge/0'))]
    // By now it has filled what the system holds for the connection: the others cannot send a byte.
    await passed(250)
    for (let index = 1; index < 4; index++) streams.push(client.request(get(`/huge/${index}`)))
    await passed(2500)
    client.socket.resume()
    const over = () => client.count(type.data, END_STREAM) + client.count(type.rst) === streams.length
    await client.until(over, 'the end of every stream')
    for (const stream of streams) {
      const { status, reset, body: got } = client.message(stream)
      assert.deepEqual({ status, reset, bytes: got.length }, { status: 200, reset: null, bytes: 10 * size })
    }
    assert.deepEqual(stalled(), [])
    client.destroy()
  })

  it('are not cut while an urgent one takes all that the client opens', async () => {
    const slow = await startGateway({
      sites: [{ host: 'localhost', certificate: 'local', to: [big.url] }],
      timeouts: { idle: '3s' },
    })
    const client = await h2Client(slow.port, { polite: false, settings: [[4, 1_000_000]] })
    const urgent = client.request(get('/', [['priority', 'u=0']]))
    await client.until(() => bytesOf(client, urgent) > 60_000)
    const patient = client.request(get('/', [['priority', 'u=7']]))
    for (let turn = 0; turn < 14; turn++) {
      await passed(250)
      client.frame(type.window, 0, 0, uint32(4096))
    }
    assert.equal(client.message(patient).reset, null)
    client.frame(type.window, 0, 0, uint32(2 * size))
    const { reset, body: got } = await client.answer(patient)
    assert.deepEqual({ reset, bytes: got.length }, { reset: null, bytes: size })
    assert.equal(bytesOf(client, urgent), size)
    client.destroy()
    await slow.stop()
  })

  it('are cut when their own window stays closed, whatever else moves', async () => {
    const slow = await startGateway({
      sites: localhostWith({ match: { path: '/big' }, to: [big.url] }, { respond: { body: 'fine' } }),
      timeouts: { idle: '600ms' },
    })
    const client = await h2Client(slow.port, { polite: false, settings: [[4, 10_000]] })
    const stuck = client.request(get('/big'))
    await client.until(() => bytesOf(client, stuck) === 10_000)
    while (client.message(stuck).reset === null) {
      const { body: got } = await client.ask(get('/'))
      assert.equal(got, 'fine')
      await passed(250)
    }
    const record = await slow.logged(each => each['error'] === 'CLIENT_STALLED')
    assert.match(String(record['why']), /timeouts\.idle \(600 ms\)/)
    client.destroy()
    await slow.stop()
  })
})

describe('half a header block', () => {
  it('has timeouts.head, also when nothing else is under way; GOAWAY does not name a stream that never began', async () => {
    const client = await h2Client(gateway.port)
    const head = block(get('/'))
    client.frame(type.headers, END_STREAM, 1, head.subarray(0, 5))
    await passed(2500)
    client.frame(type.continuation, END_HEADERS, 1, head.subarray(5))
    assert.equal((await client.answer(1)).body, 'fine')
    // Half a frame, this time.
    const frame = Buffer.concat([Buffer.from([0, 0, head.length, 1, 5, 0, 0, 0, 3]), head])
    client.send(frame.subarray(0, 12))
    await passed(2500)
    client.send(frame.subarray(12))
    assert.equal((await client.answer(3)).body, 'fine')
    client.frame(type.headers, END_STREAM, 5, head.subarray(0, 5))
    await client.closed()
    const goaway = client.frames.filter(each => each.type === type.goaway).at(-1)
    assert.equal(goaway?.payload.readUInt32BE(0), 3)
    const record = await gateway.logged(each => each['error'] === 'REQUEST_TIMEOUT')
    assert.match(String(record['why']), /timeouts\.head \(4000 ms\)/)
  })
})
