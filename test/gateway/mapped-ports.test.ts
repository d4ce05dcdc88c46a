/** `listen.public`: the port that clients connect to, where a port mapping makes it another than the listener's. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, rawTcp, recordingBackend } from '../harness/raw.ts'
import { problemsOf, withFolder } from '../unit/config-folder.ts'

const address = '127.0.0.1'
let gateway: Started
let backend: RecordingBackend
let last = ''

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    last = text.slice(text.lastIndexOf('GET /'))
    client.send(ok(''))
  })
  gateway = await startGateway(configuration())
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

function configuration(port: number | null = 443) {
  const mapped = port === null ? {} : { public: port }
  return {
    listen: [
      { port: 0, address, ...mapped },
      { port: 0, address, cleartext: 'redirect' as const, public: 80 },
      { port: 0, address, cleartext: 'serve' as const, public: 80, proxyProtocol: { from: [address] } },
    ],
    sites: [
      {
        host: 'localhost',
        certificate: 'local' as const,
        routes: [
          { match: { path: '/there' }, redirect: { to: 'https://{request.host}:{request.port}/here' } },
          { to: [backend.url] },
        ],
      },
    ],
  }
}

/** The Location that the listener for cleartext gives. */
async function location(of: Started, host = 'localhost:80'): Promise<string | undefined> {
  const client = await rawTcp(of.ports[1] as number)
  client.send(`GET /a?b HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  return /^location: (.*)\r$/m.exec((await client.closed()).received)?.[1]
}

describe('listen.public', () => {
  for (const version of versions) {
    it(`is what backends and redirects of routes are told (${version})`, async () => {
      await ask(version, gateway.port, { path: '/' })
      assert.match(last, /\r\nx-forwarded-port: 443\r\n/)
      const there = await ask(version, gateway.port, { path: '/there' })
      assert.equal(there.field('location'), 'https://localhost:443/here')
    })
  }

  it('is where redirects to https lead', async () => {
    assert.equal(await location(gateway), 'https://localhost/a?b')
    const other = await startGateway(configuration(8443))
    assert.equal(await location(other), 'https://localhost:8443/a?b')
    await other.stop()
    const unmapped = await startGateway(configuration(null))
    assert.equal(await location(unmapped, '[::1]:80'), `https://[::1]:${unmapped.port}/a?b`)
    await unmapped.stop()
  })

  it('counts for more than the port in a PROXY header', async () => {
    const client = await rawTcp(gateway.ports[2] as number)
    const proxy = 'PROXY TCP4 203.0.113.7 203.0.113.1 4711 8080\r\n'
    client.send(`${proxy}GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    await client.closed()
    assert.match(last, /\r\nx-forwarded-for: 203\.0\.113\.7\r\n/)
    assert.match(last, /\r\nx-forwarded-port: 80\r\n/)
  })

  it('is the port that a CA comes to', async () => {
    const yaml = (listen: string) =>
      `listen: [${listen}]\nacme: { email: a@b.test }\nsites: [{ host: a.example.org, certificate: acme, to: "http://b.test" }]`
    const warnings = (listen: string) =>
      withFolder({ 'sallyport.yaml': yaml(listen) }, async cwd =>
        (await loadConfig({ cwd })).warnings.map(({ message }) => message).join('\n'),
      )
    assert.match(await warnings('{ port: 8443 }'), /comes to port 443/)
    assert.doesNotMatch(await warnings('{ port: 8443, public: 443 }'), /comes to port/)
    assert.doesNotMatch(await warnings('{ port: 8080, public: 80, cleartext: redirect }'), /comes to port/)
  })

  it('is a port', async () => {
    for (const port of ['0', '65536', 'x'])
      assert.match(
        (
          await problemsOf(
            `listen: [{ port: 8443, public: ${port} }]\nsites: [{ host: a.test, certificate: local, to: "http://b.test" }]`,
          )
        ).join(),
        /public (is|takes)/,
      )
  })
})
