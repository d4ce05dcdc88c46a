/**
 * What honest peers do that looks like abuse when it is counted alone: frames that steer DATA, and the small change of
 * each request. None of them is cut off, in either role, however long it goes on.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import {
  END_HEADERS,
  END_STREAM,
  type Frame,
  frameBytes,
  get,
  type H2Backend,
  h2Backend,
  h2Client,
  post,
  type RawH2,
  respond,
  type,
  uint32,
} from '../harness/h2.ts'

const PRIORITY_UPDATE = 0x10
const chunk = Buffer.alloc(16_384, 'd')
/** Twice the largest burst that the guard allows */
const many = 2_000
const ping = frameBytes(type.ping, 0, 0, 'bandwidt')

let gateway: Started
let backend: H2Backend
/** What the backend does with a DATA frame that it has received */
let answeredPings = 0
let onData: (connection: RawH2) => void = () => {}

before(async () => {
  const watched = new WeakSet<RawH2>()
  backend = await h2Backend({
    onRequest: request => {
      const { connection } = request
      if (request.field(':method') === 'GET') respond(request, 'fine')
      if (watched.has(connection)) return
      watched.add(connection)
      const { onFrame } = connection
      connection.onFrame = frame => {
        onFrame(frame)
        if (frame.type === type.ping) answeredPings++
        if (frame.type !== type.data) return
        connection.frames.length = 0
        onData(connection)
        if ((frame.flags & END_STREAM) !== 0) respond({ ...request, stream: frame.stream }, 'taken')
      }
    },
  })
  gateway = await startGateway({
    sites: localhostWith(
      { match: { path: '/large' }, respond: { body: 'x'.repeat(many * 16_384) } },
      { to: [`h2c://127.0.0.1:${backend.port}`] },
    ),
    limits: { body: 'none' },
    log: { access: false, level: 'info' },
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

/** Sends `count` DATA frames as the windows allow, each followed by `more`. */
async function upload(client: RawH2, count: number, more: Buffer): Promise<void> {
  let settle: (frame: Frame) => void = () => {}
  const stream = client.request(post('/upload'), END_HEADERS)
  let connectionWindow = 65_535
  let streamWindow = 65_535
  let left = count
  // The window of the connection was opened with SETTINGS, before anybody looked.
  for (const frame of client.frames)
    if (frame.type === type.window && frame.stream === 0) connectionWindow += frame.payload.readUInt32BE()
  // What has come is of no more use: looking through it again and again would take longer than the upload.
  client.frames.length = 0
  const done = new Promise<Frame>(resolve => {
    settle = resolve
  })
  client.onFrame = frame => {
    if (frame.type === type.goaway || frame.stream === stream) {
      if (frame.type === type.goaway || frame.type === type.rst || (frame.flags & END_STREAM) !== 0) settle(frame)
    } else client.frames.length = 0
    if (frame.type === type.window) {
      if (frame.stream === 0) connectionWindow += frame.payload.readUInt32BE()
      else if (frame.stream === stream) streamWindow += frame.payload.readUInt32BE()
    }
    pump()
  }
  const pump = () => {
    while (left > 0 && Math.min(connectionWindow, streamWindow) >= chunk.length) {
      left--
      connectionWindow -= chunk.length
      streamWindow -= chunk.length
      client.send(frameBytes(type.data, left === 0 ? END_STREAM : 0, stream, chunk), more)
    }
  }
  pump()
  const last = await done
  assert.equal(last.payload.toString(), 'taken')
}

describe('an honest client is not cut off', () => {
  it('that sends WINDOW_UPDATE, PRIORITY_UPDATE, PING and an empty DATA frame with each request', async () => {
    const client = await h2Client(gateway.port)
    for (let count = 0; count < many; count += 50) {
      const streams = Array.from({ length: 50 }, () => {
        const stream = client.request(post('/'), END_HEADERS)
        client.send(
          frameBytes(type.window, 0, stream, uint32(1_000_000)),
          frameBytes(PRIORITY_UPDATE, 0, 0, Buffer.concat([uint32(stream), Buffer.from('u=2')])),
          ping,
          frameBytes(type.data, 0, stream),
          frameBytes(type.data, END_STREAM, stream),
        )
        return stream
      })
      for (const stream of streams) assert.equal((await client.answer(stream)).status, 200)
      client.frames.length = 0
    }
    assert.equal(client.goaway, null)
    client.destroy()
  })

  it('that sends PING for each DATA frame it receives, and two WINDOW_UPDATEs', async () => {
    const client = await h2Client(gateway.port)
    let bytes = 0
    client.onFrame = frame => {
      client.frames.length = 0
      if (frame.type === type.goaway) client.frames.push(frame)
      if (frame.type !== type.data) return
      bytes += frame.payload.length
      client.send(ping)
    }
    client.request(get('/large'))
    await client.until(() => bytes === many * 16_384 || client.goaway !== null)
    assert.equal(client.goaway, null)
    client.destroy()
  })

  const readInPieces = (stream: number, bytes: number) =>
    Buffer.concat(
      Array.from({ length: bytes / 4_096 }, () => [
        frameBytes(type.window, 0, 0, uint32(4_096)),
        frameBytes(type.window, 0, stream, uint32(4_096)),
      ]).flat(),
    )

  // Go's net/http sends one for the stream and one for the connection whenever its program has read 4 kB.
  it('that reads nothing for a while, and then sends all its WINDOW_UPDATEs at once', async () => {
    const window = 16_777_216
    const client = await h2Client(gateway.port, { polite: false, settings: [[4, window]] })
    client.frame(type.window, 0, 0, uint32(window - 65_535))
    const stream = client.request(get('/large'))
    let bytes = 0
    client.onFrame = frame => {
      if (frame.type === type.data) bytes += frame.payload.length
    }
    await client.until(() => bytes === window)
    client.frames.length = 0
    client.send(readInPieces(stream, window), ping)
    await client.until(() => client.count(type.ping) > 0 || client.goaway !== null)
    assert.equal(client.goaway, null)
    client.destroy()
  })

  it('that sends PING for each DATA frame it sends', async () => {
    const client = await h2Client(gateway.port)
    await upload(client, many, ping)
    assert.equal(client.goaway, null)
    client.destroy()
  })
})

describe('an honest backend is not cut off', () => {
  let sent = 0
  before(() => {
    answeredPings = 0
  })
  const backends: Record<string, (connection: RawH2) => void> = {
    'that measures bandwidth with one PING at a time, as grpc-go does': connection => {
      if (answeredPings < sent) return
      sent++
      connection.send(ping)
    },
    'that sends PING for each DATA frame it receives': connection => connection.send(ping),
    'that opens the window of the connection for each 2 kB it receives': connection =>
      connection.send(...Array(8).fill(frameBytes(type.window, 0, 0, uint32(2_048)))),
  }
  for (const [name, act] of Object.entries(backends)) {
    it(name, async () => {
      onData = act
      const client = await h2Client(gateway.port)
      await upload(client, many, Buffer.alloc(0))
      client.destroy()
      assert.equal(backend.connections.length, 1)
      assert.equal(backend.connections[0]?.goaway, null)
      onData = () => {}
    })
  }
})
