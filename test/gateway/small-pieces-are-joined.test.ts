/**
 * Bodies that come a byte at a time: chunks of one byte, DATA frames of one byte, and such frames of many streams by turns.
 * The content arrives whole and in order, and what was read together leaves together: on the other side there are few
 * frames, and not much more on the wire than the content.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { cleartextListener, localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import {
  END_HEADERS,
  END_STREAM,
  frameBytes,
  type H2Backend,
  h2Backend,
  h2Client,
  post,
  type,
} from '../harness/h2.ts'
import { type RecordingBackend, rawTcp, recordingBackend } from '../harness/raw.ts'

const bytes = 20_000
/** Not twice the same byte in a row, so that one that is lost, doubled or moved is seen */
const content = Array.from({ length: bytes }, (_, at) => 'abcdefghijklmnopqrstuvwxy'[at % 25]).join('')
const chunked = `${[...content].map(byte => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n`
const frames = (stream: number, text: string) =>
  Buffer.concat([
    ...[...text].map(byte => frameBytes(type.data, 0, stream, byte)),
    frameBytes(type.data, END_STREAM, stream),
  ])

let http1: RecordingBackend
let http2: H2Backend
let gateway: Started
let plain = 0

before(async () => {
  const answered = new WeakMap<object, number>()
  http1 = await recordingBackend((client, received) => {
    const from = answered.get(client) ?? 0
    if (!received.endsWith('0\r\n\r\n') && !received.slice(from).startsWith('GET')) return
    answered.set(client, received.length)
    client.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`)
  })
  http2 = await h2Backend({
    onRequest({ connection, stream, field }) {
      const answer = () => {
        connection.headers(stream, [[':status', '200']], END_HEADERS)
        connection.send(frames(stream, content))
      }
      if (field(':method') === 'GET') {
        answer()
        return
      }
      const next = connection.onFrame
      connection.onFrame = frame => {
        next(frame)
        if (frame.type === type.data && frame.stream === stream && (frame.flags & END_STREAM) !== 0) answer()
      }
    },
  })
  gateway = await startGateway({
    listen: cleartextListener,
    sites: localhostWith(
      { match: { path: '/1' }, to: [http1.url] },
      { match: { path: '/2' }, to: { endpoints: [`http://127.0.0.1:${http2.port}`], http: 2 } },
    ),
  })
  plain = gateway.port
})

after(async () => {
  await gateway.stop()
  await http1.close()
  await http2.close()
})

/** The content of a chunked body, and in how many chunks it came. */
function unchunked(text: string): { content: string; chunks: number } {
  let rest = text
  let content = ''
  for (let chunks = 0; ; chunks++) {
    const line = rest.indexOf('\r\n')
    const size = Number.parseInt(rest.slice(0, line), 16)
    if (!(size > 0)) return { content, chunks }
    content += rest.slice(line + 2, line + 2 + size)
    rest = rest.slice(line + 4 + size)
  }
}

/** A read takes what there is, which may be little; never a byte each. */
const fewAtMost = bytes / 50

describe('a body a byte at a time', () => {
  for (const backend of [1, 2]) {
    it(`from a client that speaks HTTP/1.1, to and from a backend that speaks HTTP/${backend}`, async () => {
      const before = backend === 1 ? http1.received().length : 0
      const client = await rawTcp(plain)
      client.send(
        `POST /${backend} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n${chunked}`,
      )
      const answer = await client.until(text => text.endsWith('0\r\n\r\n'))
      client.destroy()
      const down = unchunked(answer.slice(answer.indexOf('\r\n\r\n') + 4))
      assert.equal(down.content, content)
      assert.ok(down.chunks < fewAtMost, `${down.chunks} chunks down`)
      if (backend === 1) {
        const got = http1.received().slice(before)
        const up = unchunked(got.slice(got.indexOf('\r\n\r\n') + 4))
        assert.equal(up.content, content)
        assert.ok(up.chunks < fewAtMost, `${up.chunks} chunks up`)
      } else {
        const { connection, stream } = await http2.request(http2.requests.length - 1)
        const up = connection.frames.filter(frame => frame.type === type.data && frame.stream === stream)
        assert.equal(up.map(frame => frame.payload.toString('latin1')).join(''), content)
        assert.ok(up.length < fewAtMost, `${up.length} frames up`)
      }
    })

    it(`from a client that speaks HTTP/2, to and from a backend that speaks HTTP/${backend}`, async () => {
      const before = backend === 1 ? http1.received().length : 0
      const client = await h2Client(plain, { plain: true })
      const stream = client.request(post(`/${backend}`), END_HEADERS)
      client.send(frames(stream, content))
      const { body } = await client.answer(stream)
      assert.equal(body, content)
      const down = client.frames.filter(frame => frame.type === type.data).length
      assert.ok(down < fewAtMost, `${down} frames down`)
      if (backend === 1) {
        const got = http1.received().slice(before)
        const up = unchunked(got.slice(got.indexOf('\r\n\r\n') + 4))
        assert.equal(up.content, content)
        assert.ok(up.chunks < fewAtMost, `${up.chunks} chunks up`)
      }
      client.destroy()
    })
  }

  it('on forty streams of one connection by turns, to HTTP/1.1 backends', async () => {
    const before = http1.connections.map(each => each.received().length)
    const client = await h2Client(plain, { plain: true })
    const each = content.slice(0, 500)
    const streams = Array.from({ length: 40 }, () => client.request(post('/1'), END_HEADERS))
    client.send(
      ...[...each].map(byte => Buffer.concat(streams.map(stream => frameBytes(type.data, 0, stream, byte)))),
      ...streams.map(stream => frameBytes(type.data, END_STREAM, stream)),
    )
    for (const stream of streams) assert.equal((await client.answer(stream)).body, content)
    client.destroy()
    const bodies = http1.connections
      .map((connection, at) => connection.received().slice(before[at] ?? 0))
      .filter(text => text !== '')
      .map(text => unchunked(text.slice(text.indexOf('\r\n\r\n') + 4)))
    assert.equal(bodies.length, 40)
    assert.ok(bodies.every(body => body.content === each))
    const chunks = bodies.reduce((sum, body) => sum + body.chunks, 0)
    assert.ok(chunks < (40 * 500) / 5, `${chunks} chunks`)
  })
})
