/** A client that reads slowly gets all of a response that is the last on its connection, however late it is by then. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { nowMs } from '../../src/base/deadlines.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { writeTree } from '../harness/file-tree.ts'
import { cleartextListener, localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, END_STREAM, get, h2Client, type, uint32 } from '../harness/h2.ts'
import { type RecordingBackend, rawTcp, recordingBackend } from '../harness/raw.ts'

// More than a client's kernel takes for it
const bytes = 2_000_000

let gateway: Started
let backend: RecordingBackend
let ahead = 0

before(async () => {
  const root = temporaryFolder('sallyport-last-bytes-')
  writeTree(root, { 'large.bin': Buffer.alloc(bytes, 'x') })
  backend = await recordingBackend(() => {})
  gateway = await startGateway(
    {
      listen: cleartextListener,
      timeouts: { keepAlive: '30s' },
      sites: localhostWith(
        { match: { path: '/mute' }, timeouts: { response: '1s' }, to: backend.url },
        { files: { root } },
      ),
    },
    { clock: () => nowMs() + ahead },
  )
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

/** So much time passes, seen by a connection that is closed for it. */
async function passIdle(): Promise<void> {
  const idle = await rawTcp(gateway.port)
  idle.send('GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await idle.until(received => received.includes('</html>'))
  ahead += 31_000
  await idle.closed()
}

async function passShort(): Promise<void> {
  const client = await rawTcp(gateway.port)
  client.send('GET /mute HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await (await backend.connection(0)).until(received => received.endsWith('\r\n\r\n'))
  ahead += 1_500
  await client.until(received => received.includes('</html>'))
  client.destroy()
}

describe('a response that its client reads late is whole', () => {
  it('over HTTP/1.1, behind a request with connection: close', async () => {
    const client = await rawTcp(gateway.port)
    client.socket.pause()
    client.send('GET /large.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    await gateway.logged(({ http, bytesOut }) => http === 1 && bytesOut === bytes)
    // One time to close, and what a client has that does not even then.
    for (let times = 0; times < 3; times++) await passIdle()
    client.socket.resume()
    const { received, error, ended } = await client.closed()
    assert.deepEqual([error, ended], [null, true])
    assert.equal(received.length - received.indexOf('\r\n\r\n') - 4, bytes)
  })

  it('over HTTP/2, on a connection that has had no request for timeouts.keepAlive', async () => {
    const client = await h2Client(gateway.port, { plain: true, settings: [[4, bytes]] })
    client.frame(type.window, 0, 0, uint32(bytes))
    client.socket.pause()
    const stream = client.request(get('/large.bin?2'), END_HEADERS | END_STREAM)
    await gateway.logged(({ http, bytesOut }) => http === 2 && bytesOut === bytes)
    await passIdle()
    await passShort()
    client.socket.resume()
    await client.until(() => client.message(stream).ended, 'the whole response')
    assert.equal(client.message(stream).body.length, bytes)
    await client.closed()
  })
})
