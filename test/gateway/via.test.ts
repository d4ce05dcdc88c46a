/** Via toward backends: the gateway's own, unless `via: false` leaves it out; what proxies in front have sent stays. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { type H2Backend, h2Backend, respond } from '../harness/h2.ts'
import { ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend
let second: H2Backend
let last = ''

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    last = text.slice(text.lastIndexOf('GET /'))
    client.send(ok(''))
  })
  second = await h2Backend({ onRequest: request => respond(request, '') })
  const to = [backend.url]
  const overHttp2 = { endpoints: [`http://127.0.0.1:${second.port}`], http: 2 as const }
  gateway = await startGateway({
    defaults: { via: false },
    sites: [
      { host: 'off.test', certificate: 'local', ja4: { forward: true }, routes: [{ to }] },
      {
        host: 'on.test',
        certificate: 'local',
        via: true,
        routes: [
          { match: { path: '/off' }, via: false, to },
          { match: { path: '/h2' }, to: overHttp2 },
          { match: { path: '/h2-off' }, via: false, to: overHttp2 },
          { to },
        ],
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
  await second.close()
})

const viaOf = (text: string): string[] => [...text.matchAll(/^via: (.*)\r$/gm)].map(found => found[1] as string)

for (const version of versions) {
  const own = version === 'HTTP/2' ? '2.0 sallyport' : '1.1 sallyport'

  it(`the nearest setting decides (${version})`, async () => {
    // Twice: what a connection adds to every request is made once.
    for (const _ of [1, 2]) {
      await ask(version, gateway.port, { host: 'off.test' })
      assert.deepEqual(viaOf(last), [])
      await ask(version, gateway.port, { host: 'on.test' })
      assert.deepEqual(viaOf(last), [own])
      await ask(version, gateway.port, { host: 'on.test', path: '/off' })
      assert.deepEqual(viaOf(last), [])
    }
  })

  it(`a backend that speaks HTTP/2 sees none either (${version})`, async () => {
    await ask(version, gateway.port, { host: 'on.test', path: '/h2' })
    assert.equal(second.requests.at(-1)?.field('via'), own)
    await ask(version, gateway.port, { host: 'on.test', path: '/h2-off' })
    assert.equal(second.requests.at(-1)?.field('via'), undefined)
    assert.equal(second.requests.at(-1)?.field('x-forwarded-host'), 'on.test')
  })

  it(`everything else goes on, and a Via from in front too (${version})`, async () => {
    await ask(version, gateway.port, { host: 'off.test', fields: [['via', '1.1 cdn']] })
    assert.deepEqual(viaOf(last), ['1.1 cdn'])
    for (const name of ['x-forwarded-for', 'x-forwarded-port', 'x-forwarded-host', 'forwarded', 'x-ja4', 'x-ja3'])
      assert.equal([...last.matchAll(new RegExp(`^${name}: \\S+`, 'gm'))].length, 1, `${name} in ${last}`)
  })

  it(`answers have none (${version})`, async () => {
    for (const host of ['on.test', 'off.test'])
      assert.equal((await ask(version, gateway.port, { host })).field('via'), null)
  })
}

describe('requests of one connection', () => {
  it('have it or not by their own routes', async () => {
    const client = await rawTls(gateway.port, { servername: 'on.test' })
    for (const [path, expected] of [
      ['/', ['1.1 sallyport']],
      ['/off', []],
      ['/', ['1.1 sallyport']],
    ] as const) {
      const before = client.received().length
      client.send(`GET ${path} HTTP/1.1\r\nHost: on.test\r\n\r\n`)
      await client.until(text => text.slice(before).includes('\r\n\r\n'))
      assert.deepEqual(viaOf(last), expected)
    }
    client.destroy()
  })
})
