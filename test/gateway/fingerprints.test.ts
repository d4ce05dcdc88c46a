/** JA4 and JA3: in the log, to backends on request, in routes, and as a block list before the handshake. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend
let ja4 = ''

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n')) client.send(ok('fine'))
  })
  const first = await startGateway({ sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }] })
  await ask('HTTP/1.1', first.port, { tls: { ALPNProtocols: ['http/1.1'] } })
  const record = await first.logged(each => each['message'] === 'request')
  const tls = record['tls'] as Record<string, string>
  ja4 = tls['ja4'] as string
  assert.match(tls['ja3'] as string, /^[0-9a-f]{32}$/)
  await first.stop()
  const prefix = `${ja4.slice(0, 8)}*`
  gateway = await startGateway({
    sites: [
      { host: 'forward.test', certificate: 'local', ja4: { forward: true }, to: [backend.url] },
      {
        host: 'match.test',
        certificate: 'local',
        routes: [
          { match: { ja4: prefix }, respond: { body: 'known' } },
          { match: { ja4: 't00*' }, respond: { body: 'never' } },
          { respond: { body: 'unknown' } },
        ],
      },
      { host: 'block.test', certificate: 'local', ja4: { block: [prefix, 't13i*'] }, to: [backend.url] },
      { host: 'pass.test', ja4: { block: [prefix] }, passthrough: { to: [`127.0.0.1:${backend.port}`] } },
      { host: 'other.test', certificate: 'local', ja4: { block: ['t00*'] }, to: [backend.url] },
    ],
    log: { access: false, level: 'debug' },
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

describe('fingerprints', () => {
  it('look like JA4', () => assert.match(ja4, /^t13d\d{4}h1_[0-9a-f]{12}_[0-9a-f]{12}$/))

  for (const version of versions) {
    it(`are told to backends, and never taken from clients (${version})`, async () => {
      const fields: [string, string][] = [
        ['x-ja4', 'spoofed'],
        ['x-ja3', 'spoofed'],
      ]
      await ask(version, gateway.port, { host: 'forward.test', path: '/told', fields })
      const text = backend.received()
      const head = text.slice(text.lastIndexOf('GET /told'))
      assert.ok(!head.includes('spoofed'), head)
      assert.match(head, /\r\nx-ja4: t13d\d{4}h[12]_[0-9a-f]{12}_[0-9a-f]{12}\r\nx-ja3: [0-9a-f]{32}\r\n/)
    })
  }

  it('choose routes', async () => {
    assert.equal((await ask('HTTP/1.1', gateway.port, { host: 'match.test' })).body, 'known')
  })

  it('are blocked before the handshake, with an alert and a record, passthrough included', async () => {
    for (const host of ['block.test', 'pass.test']) {
      await assert.rejects(rawTls(gateway.port, { servername: host }), /access.denied|ACCESS_DENIED|49/i)
      const record = await gateway.logged(each => each['sni'] === host)
      assert.equal(record['error'], 'CLIENT_BLOCKED')
      assert.ok(String(record['why']).startsWith(String(record['ja4'])))
      assert.ok((record['signatureAlgorithms'] as string[]).length > 0)
      assert.ok((record['groupsOffered'] as string[]).length > 0)
    }
    assert.equal((await ask('HTTP/1.1', gateway.port, { host: 'other.test' })).status, 200)
  })
})
