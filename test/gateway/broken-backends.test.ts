/**
 * A backend may be broken in any way: every client has its answer in time, over either version of HTTP, and the log says
 * what was wrong. One table for both runtimes; test/harness/broken-backends.mjs has what each name does.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { ask, versions } from '../harness/ask.ts'
import { expiredFiles, type IssuedFiles, issueFiles, testCa, wrongNameFiles } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { firstLine, nodeProcess } from '../harness/node-process.ts'
import { until } from '../harness/until.ts'

const handshake = /TLS handshake with 127\.0\.0\.1:\d+|closed before the TLS handshake was complete/
const silent = [504, 'CONNECT_TIMEOUT', /took longer than timeouts.connect \(400 ms\)/] as const
const failed = [502, 'UPSTREAM_TLS', handshake] as const
/** Which of several errors it is depends on how far the request got. */
const lost = [502, null, /closed|cut|reset|broke|alert|certificate/i] as const

const table: Readonly<Record<string, readonly [status: number, error: string | null, why: RegExp]>> = {
  'stays silent': silent,
  'answers TLS with plaintext': failed,
  'answers TLS with noise, and stays': failed,
  'sends half a record, and stays silent': silent,
  'cuts in the handshake': failed,
  'half-closes in the handshake': failed,
  'resets in the handshake': failed,
  'refuses with an alert': [502, 'UPSTREAM_TLS', /handshake failure/i],
  'refuses with an alert, and stays': [502, 'UPSTREAM_TLS', /handshake failure/i],
  'has a certificate that has ended': [502, 'UPSTREAM_TLS', /expired/i],
  'has the certificate of another': [502, 'UPSTREAM_TLS', /internal\.test/],
  'has the certificate of a CA that nobody knows': [502, 'UPSTREAM_TLS', /certificate|issuer/i],
  'refuses the client certificate (TLS 1.2)': [502, 'UPSTREAM_TLS', /./],
  'refuses the client certificate (TLS 1.3)': lost,
  'cuts behind the handshake': lost,
  'half-closes behind the handshake': lost,
  'cuts at the request': lost,
  'half-closes at the request': lost,
  'resets at the request': lost,
  'writes plaintext into the TLS stream': lost,
  'stays silent behind the request': [504, 'RESPONSE_TIMEOUT', /within timeouts\.response/],
}
const names = Object.keys(table)
const hostOf = (name: string) => `broken-${names.indexOf(name)}.test`

let gateway: Started
let backends: ChildProcess

before(async () => {
  const ca = testCa()
  const stranger = testCa('Stranger')
  const own = issueFiles(ca, ['internal.test'])
  const pem = ({ chainPem, keyPem }: IssuedFiles) => ({ cert: chainPem, key: keyPem })
  backends = nodeProcess('broken-backends.mjs', [
    JSON.stringify({
      own: pem(own),
      expired: pem(expiredFiles(ca, ['internal.test'])),
      wrongName: pem(wrongNameFiles(ca)),
      untrusted: pem(issueFiles(stranger, ['internal.test'])),
      strangerCa: stranger.certificatePem,
    }),
  ])
  const ports = JSON.parse(await firstLine(backends)) as Record<string, number>
  assert.deepEqual(Object.keys(ports), names)
  gateway = await startGateway({
    sites: names.map(name => ({
      host: hostOf(name),
      certificate: 'local' as const,
      to: {
        endpoints: [`https://127.0.0.1:${ports[name]}`],
        tls: {
          ca: ca.file,
          serverName: 'internal.test',
          certificate: { chain: own.chainFile, key: own.keyFile },
        },
      },
    })),
    timeouts: { connect: '400ms', response: '400ms' },
  })
})

after(async () => {
  await gateway.stop()
  backends.kill()
})

for (const version of versions)
  describe(`a client of ${version} has its answer from a backend that`, () => {
    for (const [name, [status, error, why]] of Object.entries(table))
      it(name, async () => {
        const path = `/${versions.indexOf(version)}`
        const answer = await ask(version, gateway.port, { host: hostOf(name), path })
        const record = await gateway.logged(each => each['host'] === hostOf(name) && each['path'] === path)
        assert.deepEqual([answer.status, record['status']], [status, status], String(record['why']))
        if (error !== null) assert.equal(record['error'], error, String(record['why']))
        assert.match(String(record['why']), why)
        assert.doesNotMatch(String(record['why']), /use-system-ca/)
      })
  })

it('none of it was a fault of ours, and every socket is gone', async () => {
  const faults = gateway.logs().filter(each => each['message'] === 'fault')
  assert.deepEqual(faults, [])
  await until(() => gateway.gateway.descriptors.open === 0)
})
