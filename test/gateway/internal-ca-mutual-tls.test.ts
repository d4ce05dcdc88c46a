/** Clients with certificates of the internal CA, and its revocation list, at the gateway: what `sallyport ca crl` says to write. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { ask } from '../harness/ask.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { startGateway } from '../harness/gateway.ts'
import { internalCa } from '../harness/internal-ca.ts'

test('a client of the internal CA gets in until it is revoked', async () => {
  const { authority } = internalCa(['internal', 'spiffe://example.org'])
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const client = (name: string) =>
    authority.issue({
      publicKey,
      names: [name],
      uris: [],
      use: ['client'],
      lifetimeMs: 3_600_000,
      requester: 'test',
    })
  const [good, bad] = [await client('a.internal'), await client('b.internal')]
  await authority.revoke(bad.serial, 1)
  const crl = path.join(temporaryFolder(), 'ca.crl')
  writeFileSync(crl, authority.crl(3_600_000).pem)
  const gateway = await startGateway({
    sites: [
      {
        host: 'in.test',
        certificate: 'local',
        clients: { ca: [authority.ca.rootFile as string, authority.ca.chainFile], crl },
        routes: [{ respond: { body: 'in' } }],
      },
    ],
  })
  try {
    const as = (cert: string) =>
      ask('HTTP/1.1', gateway.port, { host: 'in.test', tls: { ca: gateway.caPem, cert, key } })
    assert.equal((await as(good.chainPem)).status, 200)
    assert.notEqual((await as(bad.chainPem)).status, 200)
  } finally {
    await gateway.stop()
  }
})
