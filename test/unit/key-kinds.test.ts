/** Private keys of every kind that people have: what is served on both runtimes, and what is said of the others. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { toPem } from '../../src/base/pem.ts'
import { parseBundle } from '../../src/certs/files/bundle.ts'
import { keyBlock } from '../../src/certs/files/pem.ts'
import * as der from '../../src/certs/x509/der.ts'
import { issueFiles, testCa } from '../harness/certificates.ts'

const ca = testCa()

/** PKCS #8 of some algorithm: what is in it does not count. */
const pkcs8 = (...algorithm: Buffer[]) =>
  toPem('PRIVATE KEY', der.sequence(der.integer(0), der.sequence(...algorithm), der.octetString(Buffer.alloc(8))))
const kind = (id: string) => pkcs8(der.oid(id))
const curve = (id: string) => pkcs8(der.oid('1.2.840.10045.2.1'), der.oid(id))
/** SEC 1, as openssl ecparam writes it */
const sec1 = (parameters: Buffer) =>
  `-----BEGIN EC PARAMETERS-----\nBgUrgQQACg==\n-----END EC PARAMETERS-----\n${toPem(
    'EC PRIVATE KEY',
    der.sequence(der.integer(1), der.octetString(Buffer.alloc(8)), der.explicit(0, parameters)),
  )}`
const numbers = der.sequence(der.integer(1), der.sequence(der.oid('1.2.840.10045.1.1')))

const refused: Record<string, [pem: string, said: RegExp]> = {
  'RSA-PSS': [kind('1.2.840.113549.1.1.10'), /an RSA-PSS key cannot be used/],
  DSA: [kind('1.2.840.10040.4.1'), /a DSA key cannot be used/],
  Ed448: [kind('1.3.101.113'), /an Ed448 key cannot be used/],
  X25519: [kind('1.3.101.110'), /an X25519 key, which can sign nothing/],
  'ML-DSA': [kind('2.16.840.1.101.3.4.3.18'), /an ML-DSA-65 key/],
  secp256k1: [curve('1.3.132.0.10'), /on the curve secp256k1 cannot be used/],
  'secp256k1, SEC 1': [sec1(der.oid('1.3.132.0.10')), /on the curve secp256k1 cannot be used/],
  'P-192': [curve('1.2.840.10045.3.1.1'), /P-192/],
  'P-224': [curve('1.3.132.0.33'), /P-224/],
  brainpool: [curve('1.3.36.3.3.2.8.1.1.7'), /brainpoolP256r1/],
  'a curve nobody knows': [curve('1.3.132.0.16'), /a key of the kind 1\.3\.132\.0\.16/],
  'a curve in numbers': [pkcs8(der.oid('1.2.840.10045.2.1'), numbers), /written out in numbers/],
  'a curve in numbers, SEC 1': [sec1(numbers), /written out in numbers/],
}

describe('private keys', () => {
  for (const [name, [pem, said]] of Object.entries(refused)) {
    it(`${name}: refused in our words, with what to do`, () => {
      assert.throws(
        () => keyBlock(pem, 'site.key'),
        (error: Error) => {
          assert.match(error.message, said)
          assert.match(error.message, /^site\.key: /)
          assert.match(error.message, /openssl /)
          assert.doesNotMatch(error.message, /error:|routines/)
          return true
        },
      )
      // Where a certificate is loaded too.
      const { chainPem } = issueFiles(ca, ['a.test'])
      const files = { chainFile: 'site.pem', keyFile: 'site.key' }
      assert.throws(() => parseBundle({ ...files, chainPem, keyPem: pem }), said)
    })
  }

  it('ECDSA on P-256, P-384 and P-521, RSA and Ed25519: taken, in every form', () => {
    const pairs = [
      ...['P-256', 'P-384', 'P-521'].map(namedCurve => generateKeyPairSync('ec', { namedCurve })),
      generateKeyPairSync('rsa', { modulusLength: 2048 }),
      generateKeyPairSync('ed25519'),
    ]
    for (const { privateKey } of pairs) {
      const type = privateKey.asymmetricKeyType
      const forms = type === 'ec' ? ['pkcs8', 'sec1'] : type === 'rsa' ? ['pkcs8', 'pkcs1'] : ['pkcs8']
      for (const form of forms) {
        const pem = privateKey.export({ type: form as 'pkcs8', format: 'pem' }).toString()
        assert.equal(keyBlock(pem, 'site.key').trim(), pem.trim(), form)
      }
    }
  })

  it("a damaged one is the runtime's to judge", () => {
    assert.equal(
      keyBlock('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', 'a').includes('AAAA'),
      true,
    )
  })
})
