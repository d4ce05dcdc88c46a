/** What must never be in the log, whatever becomes of the request. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ask, versions } from '../harness/ask.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

let backend: RecordingBackend
let gateway: Started
let text = ''
const keyLog = path.join(temporaryFolder(), 'keys')

before(async () => {
  process.env['SSLKEYLOGFILE'] = keyLog
  backend = await recordingBackend((client, received) => {
    if (received.endsWith('BODYSECRET')) client.send(ok('ANSWERSECRET', 'Set-Cookie: a=SETSECRET\r\n'))
  })
  gateway = await startGateway({
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        routes: [
          { match: { path: '/refused' }, to: 'http://127.0.0.1:1' },
          { match: { path: '/small' }, to: backend.url, limits: { body: 1 } },
          {
            match: { path: '/filter' },
            to: backend.url,
            filters: [
              () => {
                throw new Error('a fault')
              },
            ],
          },
          { match: { path: '/found' }, to: backend.url },
        ],
      },
    ],
  })
})

after(async () => {
  delete process.env['SSLKEYLOGFILE']
  await gateway.stop()
  await backend.close()
})

describe('the log', () => {
  for (const version of versions) {
    it(`has no body, cookie or authorization field (${version})`, async () => {
      const fields = [
        ['cookie', 'a=COOKIESECRET'],
        ['authorization', 'Bearer AUTHSECRET'],
        ['proxy-authorization', 'Basic PROXYSECRET'],
        ['x-api-key', 'KEYSECRET'],
      ] as const
      for (const [target, status] of [
        ['/found', 200],
        ['/refused', 502],
        ['/small', 413],
        ['/filter', 500],
        ['/none', 404],
      ] as const) {
        const answer = await ask(version, gateway.port, {
          method: 'POST',
          path: target,
          fields,
          body: 'BODYSECRET',
        })
        assert.equal(answer.status, status)
        await gateway.logged(each => each['path'] === target && each['http'] === (version === 'HTTP/2' ? 2 : 1))
      }
      text = JSON.stringify(gateway.logs())
      assert.doesNotMatch(text, /SECRET/)
    })
  }

  it('has nothing of a request that could not be read', async () => {
    const client = await rawTls(gateway.port)
    client.send(
      'POST / HTTP/1.1\r\nHost: localhost\r\nCookie: a=COOKIESECRET\r\nBad Name: KEYSECRET\r\n\r\nBODYSECRET',
    )
    await client.closed()
    await gateway.logged(each => each['error'] === 'BAD_REQUEST')
    assert.doesNotMatch(JSON.stringify(gateway.logs()), /SECRET/)
  })

  it('SSLKEYLOGFILE in the environment is ignored', async () => {
    const client = await rawTls(gateway.port)
    client.destroy()
    assert.equal(existsSync(keyLog), false)
  })
})
