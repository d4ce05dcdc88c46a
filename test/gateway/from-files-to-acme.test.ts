/** A site that moves from files to an issuer by a reload shows what it had until the first order is done. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import tls from 'node:tls'
import { loadConfig } from '../../src/config/load.ts'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'

const ca = testCa()

describe('a site that moves from files to ACME', () => {
  const running: Started[] = []
  after(async () => {
    for (const each of running) await each.stop()
  })

  const acmeConfig = async (state: string, hosts: string) => {
    const file = path.join(temporaryFolder(), 'sallyport.yaml')
    writeFileSync(
      file,
      `listen: [{ port: 0, address: 127.0.0.1 }]
state: ${state}
sites: [{ host: ${hosts}, certificate: acme, routes: [{ respond: { body: hello } }] }]
acme: { email: ops@example.com, directory: "https://127.0.0.1:1/dir" }
`,
    )
    return (await loadConfig({ file })).config
  }

  const fingerprintOf = (port: number, servername: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = tls.connect({ host: '127.0.0.1', port, servername, ca: ca.certificatePem }, () => {
        resolve(socket.getPeerCertificate().fingerprint256)
        socket.end()
      })
      socket.on('error', reject)
    })

  test('keeps its certificate through reloads while the CA is down, and says what is wrong', async () => {
    const files = issueFiles(ca, ['a.test', '*.b.test'])
    const certificate = { chain: files.chainFile, key: files.keyFile }
    const gateway = await startGateway({
      sites: [{ host: ['a.test', 'x.b.test'], certificate, routes: [{ respond: { body: 'hello' } }] }],
    })
    running.push(gateway)
    const before = await fingerprintOf(gateway.port, 'a.test')
    const config = await acmeConfig(gateway.gateway.config.state, '[a.test, x.b.test, c.test]')
    const moved = { ...config, listen: gateway.gateway.config.listen }
    await gateway.gateway.apply(moved)
    assert.equal(await fingerprintOf(gateway.port, 'a.test'), before)
    assert.equal(await fingerprintOf(gateway.port, 'x.b.test'), before)
    await gateway.logged(record => record['message'] === 'no new certificate' && record['name'] === 'a.test')
    // What the old certificate is not good for has none.
    await assert.rejects(fingerprintOf(gateway.port, 'c.test'), /internal error|INTERNAL_ERROR|alert/i)
    await gateway.gateway.apply(moved)
    assert.equal(await fingerprintOf(gateway.port, 'a.test'), before)
    const states = gateway.gateway.certificates().map(row => [row.state, row.problem !== null])
    // One certificate, for two names.
    assert.deepEqual(states.toSorted(), [
      ['missing', true],
      ['not renewed', true],
    ])
  })
})
