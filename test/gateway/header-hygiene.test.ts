/** What a client says about itself never reaches a backend; what the gateway says does, once. On TLS and in cleartext. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { identityNames } from '../../src/wire/field-names.ts'
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

const aliases = identityNames.flatMap(name => [
  name,
  name.toUpperCase(),
  name.replaceAll('-', '_'),
  name.replaceAll('-', '.'),
])
const spoofed = [...aliases, 'X_Auth_User', 'Remote.User'].map(name => `${name}: spoofed\r\n`).join('')

for (const listener of ['TLS', 'cleartext'] as const) {
  const open = () => (listener === 'TLS' ? rawTls(gateway.port) : rawTcp(gateway.ports[1] as number))

  describe(`over ${listener}`, () => {
    it('drops identity fields and their aliases', async () => {
      const { request } = await sent(await open(), spoofed)
      assert.ok(request.startsWith('GET /h HTTP/1.1\r\nhost: localhost:1234\r\n'), request)
      assert.ok(!request.includes('spoofed'), request)
    })

    it('says who the client is, each field once', async () => {
      const { request } = await sent(await open(), spoofed)
      const port = listener === 'TLS' ? gateway.port : gateway.ports[1]
      const proto = listener === 'TLS' ? 'https' : 'http'
      const expected = {
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-proto': proto,
        'x-forwarded-port': String(port),
        'x-forwarded-host': 'localhost:1234',
        forwarded: `for=127.0.0.1;host="localhost:1234";proto=${proto}`,
        via: '1.1 sallyport',
      }
      for (const [name, value] of Object.entries(expected)) {
        const found = request.split('\r\n').filter(line => line.toLowerCase().startsWith(`${name}:`))
        assert.deepEqual(found, [`${name}: ${value}`])
      }
    })

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
