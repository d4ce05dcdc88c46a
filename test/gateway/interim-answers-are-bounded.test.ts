/**
 * A backend may send at most 100 interim answers (1xx) for one request, and 64 kB of their fields. One more ends the
 * exchange with 502: with either version toward the client and toward the backend.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { cleartextListener, localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, get, type H2Backend, h2Backend, h2Client, respond } from '../harness/h2.ts'
import { ok, type RecordingBackend, rawTcp, recordingBackend } from '../harness/raw.ts'

/** A line `x: ...` of this many bytes; with its CRLF that is what counts */
const value = (bytes: number) => 'v'.repeat(bytes - 'x: \r\n'.length)
const cases: Readonly<Record<string, { count: number; bytes: number; status: number }>> = {
  '/100-short': { count: 100, bytes: 10, status: 200 },
  '/101-short': { count: 101, bytes: 10, status: 502 },
  '/64-of-1kB': { count: 64, bytes: 1_024, status: 200 },
  '/65-of-1kB': { count: 65, bytes: 1_024, status: 502 },
  '/endless': { count: 5_000, bytes: 10, status: 502 },
}

let http1: RecordingBackend
let http2: H2Backend
let gateway: Started

before(async () => {
  http1 = await recordingBackend((client, received) => {
    const path = [...received.matchAll(/GET \/1(\S*)/g)].at(-1)?.[1] ?? ''
    const { count, bytes } = cases[path] ?? { count: 0, bytes: 10 }
    client.send(`HTTP/1.1 103 Early Hints\r\nx: ${value(bytes)}\r\n\r\n`.repeat(count) + ok('fine'))
  })
  http2 = await h2Backend({
    onRequest(request) {
      const { count, bytes } = cases[(request.field(':path') ?? '').slice(2)] ?? { count: 0, bytes: 10 }
      for (let sent = 0; sent < count; sent++) {
        const fields = [
          [':status', '103'],
          ['x', value(bytes)],
        ] as const
        request.connection.headers(request.stream, fields, END_HEADERS)
      }
      respond(request, 'fine')
    },
  })
  gateway = await startGateway({
    listen: cleartextListener,
    sites: localhostWith(
      { match: { path: '/1/*' }, to: [http1.url] },
      { match: { path: '/2/*' }, to: { endpoints: [`http://127.0.0.1:${http2.port}`], http: 2 } },
    ),
  })
})

after(async () => {
  await gateway.stop()
  await http1.close()
  await http2.close()
})

type Answer = { readonly interim: number; readonly status: number }

const clients: Readonly<Record<string, (path: string) => Promise<Answer>>> = {
  async 'HTTP/1.1'(path) {
    const client = await rawTcp(gateway.port)
    client.send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    const { received } = await client.closed()
    const statuses = [...received.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status))
    return { interim: statuses.filter(status => status === 103).length, status: statuses.at(-1) ?? 0 }
  },
  async 'HTTP/2'(path) {
    const client = await h2Client(gateway.port, { plain: true })
    const { informational, status } = await client.ask(get(path))
    client.destroy()
    return { interim: informational.length, status }
  },
}

describe('interim answers', () => {
  for (const [version, ask] of Object.entries(clients))
    for (const backend of [1, 2])
      for (const [name, { count, bytes, status }] of Object.entries(cases))
        it(`${name.slice(1)}, from HTTP/${backend} to a client of ${version}: ${status}`, async () => {
          const path = `/${backend}${name}`
          const answer = await ask(path)
          assert.equal(answer.status, status)
          const allowed = Math.min(100, Math.floor(65_536 / bytes))
          assert.equal(answer.interim, Math.min(count, allowed))
          if (status === 200) return
          const record = await gateway.logged(
            each => String(each['target'] ?? each['path']).startsWith(path) && 'error' in each,
          )
          assert.equal(record['error'], 'BAD_RESPONSE')
        })
})
