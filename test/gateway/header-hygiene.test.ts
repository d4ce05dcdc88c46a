/** Fields that belong to one HTTP/1.1 connection end there, on TLS and in cleartext. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RawClient, type RecordingBackend, rawTcp, rawTls, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n'))
      client.send(ok('fine', 'Connection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\n'))
  })
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
    ],
    sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

async function sent(client: RawClient, fields: string): Promise<{ request: string; answer: string }> {
  const before = backend.received().length
  client.send(`GET /h HTTP/1.1\r\nHost: localhost:1234\r\n${fields}\r\n`)
  const answer = await client.until(text => text.endsWith('fine'))
  client.destroy()
  const all = backend.received()
  const request = all.length > before ? ((all.match(/GET \/h [\s\S]*?\r\n\r\n/g) ?? []).at(-1) ?? '') : ''
  return { request, answer }
}

for (const listener of ['TLS', 'cleartext'] as const) {
  const open = () => (listener === 'TLS' ? rawTls(gateway.port) : rawTcp(gateway.ports[1] as number))

  describe(`over ${listener}`, () => {
    it('removes hop-by-hop fields and those that Connection names, both ways', async () => {
      const fields =
        'Connection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\nTE: trailers\r\nX-Stays: 1\r\n'
      const { request, answer } = await sent(await open(), fields)
      assert.ok(!/x-mine|keep-alive|proxy-authorization|te:/i.test(request), request)
      assert.match(request, /x-stays: 1\r\n/i)
      assert.ok(!/x-secret|keep-alive/i.test(answer), answer)
      assert.match(answer, /x-kept: 1\r\n/i)
    })
  })
}
