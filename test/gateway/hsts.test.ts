/** Strict-Transport-Security: on every answer over TLS, in place of the backend's, and never in cleartext. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, recordingBackend } from '../harness/raw.ts'
import { problemsOf, withFolder } from '../unit/config-folder.ts'

let gateway: Started
let backend: RecordingBackend

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n')) client.send(ok('fine', 'Strict-Transport-Security: max-age=1\r\n'))
  })
  const routes = [{ match: { path: '/own' }, respond: { body: 'own' } }, { to: [backend.url] }]
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
    ],
    sites: [
      { host: 'on.test', certificate: 'local', hsts: { maxAge: 3600, subdomains: true }, routes },
      { host: 'off.test', certificate: 'local', routes },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

describe('hsts', () => {
  for (const version of versions) {
    it(`is on every answer over TLS, the gateway's own and errors too (${version})`, async () => {
      for (const path of ['/', '/own', '/a%2fb']) {
        const answer = await ask(version, gateway.port, { host: 'on.test', path })
        const found = answer.fields.filter(([name]) => name === 'strict-transport-security')
        assert.deepEqual(found, [['strict-transport-security', 'max-age=3600; includeSubDomains']], path)
      }
    })

    it(`leaves the backend's alone where it is off, and says nothing in cleartext (${version})`, async () => {
      const field = 'strict-transport-security'
      assert.equal((await ask(version, gateway.port, { host: 'off.test' })).field(field), 'max-age=1')
      const plain = await ask(version, gateway.ports[1] as number, { host: 'on.test', path: '/own', plain: true })
      assert.equal(plain.field(field), null)
    })
  }

  it('warns of its traps', async () => {
    const yaml = (hsts: string, more = 'to: http://b.test, certificate: local') =>
      `listen: [{ port: 443 }]\nsites: [{ host: a.test, ${more}, hsts: ${hsts} }]`
    assert.match((await problemsOf(yaml('{ maxAge: 60, preload: true }'))).join(), /preload needs subdomains: true/)
    await withFolder(
      { 'sallyport.yaml': yaml('{ maxAge: 63072000, subdomains: true, preload: true }') },
      async cwd => {
        const { warnings } = await loadConfig({ cwd })
        assert.match(warnings.map(warning => warning.message).join(), /browsers will use only https/)
      },
    )
    assert.match(
      (await problemsOf(yaml('{ maxAge: 60 }', 'passthrough: { to: "b.test:1" }'))).join(),
      /serves no HTTP/,
    )
    assert.deepEqual(await problemsOf(yaml('{ maxAge: 60 }')), [])
  })
})
