/** How ACME names a certificate when it speaks of renewal (RFC 9773 section 4.1). */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { it } from 'node:test'
import { renewalId } from '../../src/certs/x509/renewal-id.ts'
import { issueFiles, testCa } from '../harness/certificates.ts'

/** RFC 9773 appendix A */
const example = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`

it('is that of the example of the RFC, with the zero in front of a high first bit', () => {
  assert.equal(renewalId(example), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')
})

it('holds the serial number as it stands in the certificate, whatever it begins with', () => {
  const ca = testCa()
  for (let count = 0; count < 30; count++) {
    const { chainPem } = issueFiles(ca, ['a.test'])
    const [keyId, serial] = (renewalId(chainPem) as string).split('.').map(part => Buffer.from(part, 'base64url'))
    assert.deepEqual(keyId, ca.keyId)
    const integer = Buffer.concat([Buffer.of(2, (serial as Buffer).length), serial as Buffer])
    assert.ok(new X509Certificate(chainPem).raw.includes(integer))
  }
})
