import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { buildCsr } from '../../src/certs/x509/csr.ts'

for (const [kind, key] of [
  ['ECDSA', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
  ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
] as const) {
  test(`openssl verifies a request with an ${kind} key and finds its names`, () => {
    const csr = buildCsr(['Shop.example.com', '*.shop.example.com', '192.0.2.7', '2001:db8::1'], key)
    const args = ['req', '-inform', 'DER', '-noout', '-verify', '-text']
    const { stdout, stderr, status } = spawnSync('openssl', args, { input: csr, encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    assert.match(stderr + stdout, /verify OK/)
    assert.match(
      stdout,
      /DNS:shop\.example\.com, DNS:\*\.shop\.example\.com, IP Address:192\.0\.2\.7, IP Address:2001:DB8/,
    )
  })
}
