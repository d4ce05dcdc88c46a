/** A report that takes 20 minutes, and a WebSocket that is silent for two days: let through or ended as their routes say, on a clock that the test moves. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { nowMs } from '../../src/base/deadlines.ts'
import { acceptFor } from '../../src/proxy/seam/websocket.ts'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, get, h2Client } from '../harness/h2.ts'
import { ok, type RawClient, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

const minute = 60_000
const day = 86_400_000

let gateway: Started
let backend: RecordingBackend
let ahead = 0

before(async () => {
  backend = await recordingBackend((client, received) => {
    const request = received.slice(received.lastIndexOf('GET '))
    const key = /Sec-WebSocket-Key: (.*)\r/i.exec(request)?.[1]
    if (key !== undefined && request.endsWith('\r\n\r\n'))
      client.send(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`,
      )
    else if (received.endsWith('ping')) client.send('pong')
  })
  const to = [backend.url]
  gateway = await startGateway(
    {
      sites: localhostWith(
        { match: { path: '/report' }, timeouts: { response: '30m', idle: '30m' }, to },
        { match: { path: '/total' }, timeouts: { response: '30m', total: '10m' }, to },
        { match: { path: '/quiet' }, timeouts: { tunnelIdle: '3d' }, to },
        { match: { path: '/forever' }, timeouts: { idle: '1m', tunnelIdle: 'none' }, to },
        { to },
      ),
    },
    { clock: () => nowMs() + ahead },
  )
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

/** The last request of a path, at the backend. */
async function asked(path: string): Promise<RawClient> {
  for (let index = 0; ; index++) {
    const connection = await backend.connection(index)
    await connection.until(received => received.includes('\r\n\r\n'))
    if (connection.received().includes(`GET ${path} `)) return connection
  }
}

/** A request for a response that does not come by itself. */
async function waiting(path: string) {
  const client = await rawTls(gateway.port)
  client.send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  return { client, connection: await asked(path) }
}

/** An open WebSocket, over HTTP/1.1. */
async function socket(path: string): Promise<RawClient> {
  const client = await rawTls(gateway.port)
  client.send(
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  )
  await client.until(received => received.startsWith('HTTP/1.1 101 ') && received.endsWith('\r\n\r\n'))
  return client
}

describe('a report', () => {
  it('that begins after 20 minutes is delivered where its route allows it; others get a 504 meanwhile', async () => {
    const report = await waiting('/report')
    const other = await waiting('/other')
    ahead += 20 * minute
    assert.match(
      (await other.client.until(received => received.includes('</html>'))).slice(0, 13),
      /^HTTP\/1\.1 504/,
    )
    report.connection.send(ok('report'))
    assert.match(await report.client.until(received => received.endsWith('report')), /^HTTP\/1\.1 200 /)
    const record = await gateway.logged(({ path }) => path === '/other')
    assert.equal(record['error'], 'RESPONSE_TIMEOUT')
    for (const { client } of [report, other]) client.destroy()
  })

  it('that is longer silent than its route allows is ended', async () => {
    const { client } = await waiting('/report')
    ahead += 31 * minute
    assert.match(await client.until(received => received.includes('</html>')), /^HTTP\/1\.1 504/)
    client.destroy()
  })

  it('that takes longer than timeouts.total is ended', async () => {
    const { client } = await waiting('/total')
    ahead += 11 * minute
    assert.match(await client.until(received => received.includes('</html>')), /^HTTP\/1\.1 504/)
    await gateway.logged(({ path, error }) => path === '/total' && error === 'TOTAL_TIMEOUT')
    client.destroy()
  })
})

describe('a WebSocket', () => {
  it('silent for two days goes on with tunnelIdle, and is cut after that; others are cut by timeouts.idle', async () => {
    const [quiet, forever, other] = await Promise.all(['/quiet', '/forever', '/ws'].map(socket))
    ahead += 2 * day
    await other?.closed()
    await gateway.logged(({ path, error }) => path === '/ws' && error === 'CLIENT_STALLED')
    for (const client of [quiet, forever]) {
      client?.send('ping')
      await client?.until(received => received.endsWith('pong'))
    }
    ahead += 4 * day
    await quiet?.closed()
    const record = await gateway.logged(({ path }) => path === '/quiet')
    assert.equal(record['error'], 'CLIENT_STALLED')
    forever?.send('ping')
    await forever?.until(received => received.endsWith('pongpong'))
    forever?.destroy()
  })

  it('is the same over HTTP/2', async () => {
    const client = await h2Client(gateway.port)
    const open = (path: string) =>
      client.request([[':method', 'CONNECT'], [':protocol', 'websocket'], ...get(path).slice(1)], END_HEADERS)
    const streams = [open('/quiet'), open('/ws2')]
    const [quiet, other] = streams as [number, number]
    for (const stream of streams) await client.until(() => client.message(stream).status === 200, 'a tunnel')
    ahead += 2 * day
    await client.until(() => client.message(other).reset !== null, 'a reset')
    client.data(quiet, 'ping')
    await client.until(() => client.message(quiet).body === 'pong', 'an answer')
    ahead += 4 * day
    await client.until(() => client.message(quiet).reset !== null, 'a reset')
    client.destroy()
  })
})
