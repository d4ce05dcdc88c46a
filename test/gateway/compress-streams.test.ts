/**
 * Answers that are compressed as streams: an event reaches its client when the backend has sent it, a client that does not read
 * stops the backend, whoever leaves in the middle leaves nothing behind, a backend that is cut is a visible cut, and beyond the
 * bound on encoders answers go on as they are.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { after, afterEach, before, describe, it } from 'node:test'
import zlib from 'node:zlib'
import { codings } from '../../src/features/compress/codings.ts'
import { readChunks, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, END_STREAM, get, h2Client, type } from '../harness/h2.ts'
import { type RawClient, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

const decoders = {
  gzip: zlib.createGunzip,
  br: zlib.createBrotliDecompress,
  zstd: zlib.createZstdDecompress,
} as const

let backend: RecordingBackend
let gateway: Started
let asked = 0

/** Encoders that are in use now */
const encoders = (): number => gateway.gateway.compressors.taken

before(async () => {
  backend = await recordingBackend()
  gateway = await startGateway({
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        compress: { algorithms: ['zstd', 'br', 'gzip'] },
        to: backend.url,
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

afterEach(async () => {
  // Whatever became of them, nothing is kept.
  await eventually(
    () => `${encoders()} encoders, ${gateway.gateway.budget.total} bytes`,
    () => encoders() === 0 && gateway.gateway.budget.total === 0,
  )
})

type Client = {
  /** What has come of the body, as it is on the wire */
  body(): string
  field(name: string): string | undefined
  until(holds: () => boolean): Promise<unknown>
  /** It was cut off */
  cut(): Promise<void>
  ended(): boolean
  /** How many bytes have come */
  count(): number
  /** Reads nothing any more */
  pause(): void
  resume(): void
  destroy(): void
}

async function ask(version: (typeof versions)[number], accept: string): Promise<Client> {
  if (version === 'HTTP/2') {
    const client = await h2Client(gateway.port)
    const stream = client.request(get('/', [['accept-encoding', accept]]), END_HEADERS | END_STREAM)
    return {
      body: () => client.message(stream).body,
      field: name => client.message(stream).headers.find(([each]) => each === name)?.[1],
      until: holds => client.until(holds),
      cut: () => client.until(() => client.message(stream).reset !== null && !client.message(stream).ended),
      count: () => client.frames.reduce((sum, { payload }) => sum + payload.length, 0),
      ended() {
        const last = client.frames.findLast(frame => frame.stream === stream)
        return last !== undefined && last.type === type.data && (last.flags & END_STREAM) !== 0
      },
      pause: () => void client.socket.pause(),
      resume: () => void client.socket.resume(),
      destroy: () => client.destroy(),
    }
  }
  const client = await rawTls(gateway.port)
  client.send(`GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: ${accept}\r\n\r\n`)
  // Told by the last bytes: a long answer is not taken apart for each read.
  let tail = ''
  client.socket.prependListener('data', (bytes: Buffer) => {
    tail = (tail + bytes.subarray(-5).toString('latin1')).slice(-5)
  })
  const head = () => client.received().split('\r\n\r\n')[0] as string
  const chunks = () => readChunks(client.received().slice(head().length + 4))
  return {
    body: () => chunks().body,
    field: name => new RegExp(`^${name}: (.*)$`, 'im').exec(head())?.[1],
    until: holds => client.until(holds),
    async cut() {
      await client.closed()
      assert.equal(chunks().whole, false)
    },
    count: () => client.received().length,
    ended: () => tail === '0\r\n\r\n',
    pause: () => void client.socket.pause(),
    resume: () => void client.socket.resume(),
    destroy: () => client.destroy(),
  }
}

/** The backend's side of the request that was just sent, which has a connection of its own. */
async function answering(): Promise<RawClient> {
  const connection = await backend.connection(asked++)
  await connection.until(received => received.endsWith('\r\n\r\n'))
  return connection
}

const head = (more = 'Transfer-Encoding: chunked', type = 'text/event-stream') =>
  `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nConnection: close\r\n${more}\r\n\r\n`
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

/** What can be decoded of what has come. */
async function decoded(coding: keyof typeof decoders, body: string): Promise<string> {
  const decoder: Readable & NodeJS.WritableStream = decoders[coding]()
  let text = ''
  decoder.on('data', bytes => {
    text += bytes.toString('latin1')
  })
  decoder.on('error', () => {})
  await new Promise<void>(resolve => decoder.write(Buffer.from(body, 'latin1'), () => resolve()))
  await new Promise(resolve => setImmediate(resolve))
  decoder.removeAllListeners('data')
  return text
}

/** Bytes that no coding makes shorter: a window of gzip has half of them. */
const noise = randomBytes(65_536)
const pieces = 640

describe('answers that are compressed as streams', () => {
  for (const version of versions) {
    for (const coding of codings)
      it(`give each event to the client when it is sent: ${coding} (${version})`, async () => {
        const client = await ask(version, coding)
        const connection = await answering()
        connection.send(head())
        let sent = ''
        for (const event of ['data: one\n\n', 'data: two\n\n', `data: ${'three'.repeat(50)}\n\n`]) {
          connection.send(chunk(event))
          sent += event
          const wanted = sent
          await eventually(
            () => `${wanted}, but ${client.body().length} bytes`,
            async () => (await decoded(coding, client.body())) === wanted,
          )
        }
        assert.equal(client.field('content-encoding'), coding)
        assert.equal(client.ended(), false)
        assert.equal(encoders(), 1)
        connection.send('0\r\n\r\n')
        await client.until(() => client.ended())
        client.destroy()
      })

    it(`are whole and in order, however large (${version})`, async () => {
      const client = await ask(version, 'gzip')
      const connection = await answering()
      const text = Array.from({ length: 200_000 }, (_, at) => `${at} `).join('')
      connection.send(`${head(`Content-Length: ${text.length}`, 'text/plain')}${text}`)
      await client.until(() => client.ended())
      const body = zlib.gunzipSync(Buffer.from(client.body(), 'latin1')).toString('latin1')
      assert.ok(body === text, `${body.length} of ${text.length}`)
      client.destroy()
    })

    it(`stop their backend when the client does not read (${version})`, async () => {
      const client = await ask(version, 'gzip')
      const connection = await answering()
      connection.socket.write(head(`Content-Length: ${noise.length * pieces}`, 'text/plain'))
      let count = 0
      const more = () => {
        while (count < pieces) {
          count++
          if (!connection.socket.write(noise)) return
        }
      }
      connection.socket.on('drain', more)
      more()
      // It reads a while, in which it was full and drained more than once.
      await client.until(() => client.count() > 4_000_000)
      client.pause()
      // 40 MB are more than what the kernel and the gateway keep between the two: it stands still.
      let before = -1
      let looks = 0
      await eventually('the backend stands still', async () => {
        const other = await rawTls(gateway.port)
        for (let at = 1; at <= 20; at++) {
          other.send('GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n')
          await other.until(received => received.split('HTTP/1.1 ').length > at)
        }
        other.destroy()
        looks = count === before ? looks + 1 : 0
        before = count
        return looks === 20
      })
      assert.ok(count < pieces, 'all of it was taken')
      assert.ok(gateway.gateway.budget.total < 2_000_000, `${gateway.gateway.budget.total} bytes are held`)
      client.resume()
      await client.until(() => client.ended())
      assert.equal(zlib.gunzipSync(Buffer.from(client.body(), 'latin1')).length, noise.length * pieces)
      client.destroy()
    })

    it(`end for the backend when the client leaves (${version})`, async () => {
      const client = await ask(version, 'br')
      const connection = await answering()
      connection.send(head() + chunk('data: one\n\n'))
      await client.until(() => client.body() !== '')
      client.destroy()
      await connection.closed()
    })

    for (const coding of codings)
      it(`are cut where their backend is: ${coding} (${version})`, async () => {
        const client = await ask(version, coding)
        const connection = await answering()
        connection.send(head() + chunk('data: one\n\n'))
        await client.until(() => client.body() !== '')
        connection.socket.resetAndDestroy()
        await client.cut()
        client.destroy()
      })

    it(`are cut where a short body is, of which nothing was sent (${version})`, async () => {
      const client = await ask(version, 'gzip')
      const connection = await answering()
      connection.send(`${head('Content-Length: 5000', 'text/plain')}beginning`)
      await client.until(() => client.field('content-encoding') === 'gzip')
      connection.socket.resetAndDestroy()
      await client.cut()
      assert.equal(client.body(), '')
      client.destroy()
    })
  }

  it('are bounded: beyond that answers go on as they are', async () => {
    const { compressors, metrics } = gateway.gateway
    const { places } = compressors
    const taken = Array.from({ length: places }, () => compressors.take())
    assert.ok(taken.every(got => got))
    const client = await ask('HTTP/1.1', 'gzip')
    const connection = await answering()
    connection.send(`${head() + chunk('data: one\n\n')}0\r\n\r\n`)
    await client.until(() => client.ended())
    assert.equal(client.body(), 'data: one\n\n')
    assert.equal(client.field('content-encoding'), undefined)
    assert.equal(client.field('vary'), 'accept-encoding')
    assert.equal(encoders(), places)
    const metric = (name: string) => metrics.families().find(family => family.name === name)?.samples[0]?.value
    assert.equal(metric('sallyport_compress_encoders'), places)
    assert.equal(metric('sallyport_compress_refused_total'), 1)
    client.destroy()
    for (const _ of taken) compressors.leave()
  })
})
