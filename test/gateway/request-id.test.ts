/** `requestId`: one id for the log, the backend and the client, taken from the client only where that is asked for and well-formed. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Ask, ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend
let last = ''

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    last = text.slice(text.lastIndexOf('GET /'))
    if (last.startsWith('GET /socket')) {
      client.send(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Request-Id: theirs\r\n\r\n',
      )
      client.socket.end()
    } else client.send(ok('here', 'X-Request-Id: theirs\r\nx-request-id: again\r\n'))
  })
  const to = [backend.url]
  gateway = await startGateway({
    sites: [
      {
        host: 'on.test',
        certificate: 'local',
        requestId: true,
        routes: [
          { match: { path: '/taken' }, requestId: { accept: true }, to },
          { match: { path: '/silent' }, requestId: { respond: false }, to },
          { match: { path: '/off' }, requestId: false, to },
          { match: { path: '/gone' }, requestId: { accept: true }, to: 'http://127.0.0.1:1' },
          { to },
        ],
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const toBackend = () => [...last.matchAll(/^x-request-id: (.*)\r$/gim)].map(([, id]) => id as string)
const logged = (id: string, path: string) =>
  gateway.logged(record => record['id'] === id && record['path'] === path)

for (const version of versions) {
  describe(`the id of a request (${version})`, () => {
    const send = (path: string, ...fields: [string, string][]) =>
      ask(version, gateway.port, { host: 'on.test', path, fields } satisfies Ask)
    const toClient = (fields: Awaited<ReturnType<typeof send>>['fields']) =>
      fields.filter(([name]) => name === 'x-request-id').map(([, id]) => id)

    it('is the same in the log, for the backend and for the client', async () => {
      const { fields } = await send('/a', ['x-request-id', 'client'])
      const [id = '', ...more] = toClient(fields)
      assert.match(id, /^[0-9a-f]{10}-[0-9a-z]+$/)
      assert.deepEqual(more, [])
      assert.deepEqual(toBackend(), [id])
      await logged(id, '/a')
    })

    it('is that of the client, where it is asked for', async () => {
      for (const id of ['x', '0af7651916cd43dd8448eb211c80319c', 'a.b_c~d:e+f/g=h@i-j', 'y'.repeat(128)]) {
        const { fields } = await send('/taken', ['x-request-id', id])
        assert.deepEqual([toClient(fields), toBackend()], [[id], [id]])
        await logged(id, '/taken')
      }
    })

    it('is our own, where that of the client is not well-formed', async () => {
      const bad: [string, string][][] = [
        [],
        [['x-request-id', '']],
        [['x-request-id', 'y'.repeat(129)]],
        [['x-request-id', 'a b']],
        [['x-request-id', '"a"']],
        [['x-request-id', '<script>']],
        [['x-request-id', 'caf\xe9']],
        [
          ['x-request-id', 'one'],
          ['x-request-id', 'two'],
        ],
      ]
      for (const fields of bad) {
        const answer = await send('/taken', ...fields)
        const [id = ''] = toClient(answer.fields)
        assert.match(id, /^[0-9a-f]{10}-[0-9a-z]+$/, JSON.stringify(fields))
        assert.deepEqual(toBackend(), [id])
      }
    })

    it('is in error pages, and stays out of responses where that is asked for', async () => {
      const answer = await send('/gone', ['x-request-id', 'mine-1'])
      assert.equal(answer.status, 502)
      assert.deepEqual(toClient(answer.fields), ['mine-1'])
      assert.match(answer.body, /mine-1/)
      const silent = await send('/silent')
      assert.deepEqual(toClient(silent.fields), ['theirs', 'again'])
      assert.match(String(toBackend()[0]), /^[0-9a-f]{10}-/)
    })

    it('is nothing to the gateway where it is off', async () => {
      const { fields } = await send('/off', ['x-request-id', 'client'])
      assert.deepEqual([toClient(fields), toBackend()], [['theirs', 'again'], ['client']])
    })
  })
}

it('the answer to an upgrade has the id too', async () => {
  const client = await rawTls(gateway.port, { servername: 'on.test', ALPNProtocols: ['http/1.1'] })
  client.send(
    'GET /socket HTTP/1.1\r\nHost: on.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
  const text = await client.until(received => received.includes('\r\n\r\n'))
  client.destroy()
  assert.match(text, /^HTTP\/1\.1 101 /)
  assert.deepEqual(
    [...text.matchAll(/^x-request-id: (.*)\r$/gim)].map(([, id]) => id),
    toBackend(),
  )
})
