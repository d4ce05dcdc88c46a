/** OCSP responses as OpenSSL makes them: what is believed, and what is not. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { describe, it } from 'node:test'
import {
  mostResponseBytes,
  OcspError,
  ocspRequest,
  ocspSubject,
  readOcspResponse,
} from '../../src/certs/x509/ocsp.ts'
import { readCertificate } from '../../src/certs/x509/x509-read.ts'
import {
  type IssuedFiles,
  intermediateCa,
  issueClientFiles,
  issueFiles,
  rootCa,
  testCa,
} from '../harness/certificates.ts'
import { opensslResponse, type ResponseOptions, type Signer } from '../harness/ocsp-responder.ts'

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed'

const ca = intermediateCa(rootCa())
const other = testCa('Other')
const leaf = issueFiles(ca, ['a.test'], { ocspUrl: 'http://ocsp.test/x', mustStaple: true })
const minute = 60_000

const certificateOf = (pem: string) => new X509Certificate(pem)
const subjectOf = (files: IssuedFiles) =>
  ocspSubject(certificateOf(files.chainPem), certificateOf(ca.certificatePem))
const subject = subjectOf(leaf)
const signerOf = (files: IssuedFiles): Signer => ({ certificatePem: files.chainPem, keyPem: files.keyPem })
const responder = { use: ['OCSPSigning'], subject: { commonName: 'Responder' } } as const
const appointed = signerOf(issueFiles(ca, [], responder))

const responseTo = (options: ResponseOptions = {}, about: IssuedFiles = leaf) =>
  opensslResponse(ca, about, ocspRequest(subjectOf(about)), options)
const read = (bytes: Buffer, now = Date.now()) => readOcspResponse(bytes, subject, now)

describe('an OCSP response', { skip }, () => {
  it('is good, with its times', async () => {
    const { status, thisUpdate, nextUpdate } = read(await responseTo({ minutes: 90 }))
    assert.equal(status, 'good')
    assert.ok(Math.abs(Date.now() - thisUpdate) < minute)
    assert.equal(nextUpdate - thisUpdate, 90 * minute)
  })

  it('is revoked', async () => assert.equal(read(await responseTo({ revoked: true })).status, 'revoked'))

  it('may be signed by a responder that the issuer has appointed, known by name or by key', async () => {
    for (const more of [[], ['-resp_key_id']])
      assert.equal(read(await responseTo({ signer: appointed, more })).status, 'good')
  })

  const about = issueFiles(ca, ['c.test'])
  const refused: Record<string, [() => Promise<Buffer> | Buffer, RegExp, number?]> = {
    'signed by another CA': [() => responseTo({ signer: other }), /not signed by the issuer/],
    "signed by another CA's responder": [
      () => responseTo({ signer: signerOf(issueFiles(other, [], responder)) }),
      /not signed by the issuer/,
    ],
    'signed by a responder of a CA with the same name and another key': [
      () => responseTo({ signer: signerOf(issueFiles(intermediateCa(rootCa()), [], responder)) }),
      /not signed by the issuer/,
    ],
    'signed by a CA with the same name and another key': [
      () => responseTo({ signer: intermediateCa(rootCa()) }),
      /not signed by the issuer/,
    ],
    'signed by a server of the CA': [
      () => responseTo({ signer: signerOf(issueFiles(ca, ['b.test'])) }),
      /not signed by the issuer/,
    ],
    'signed by a client of the CA': [
      () => responseTo({ signer: signerOf(issueClientFiles(ca, 'eve')) }),
      /not signed by the issuer/,
    ],
    'signed by a responder that has ended': [
      () => responseTo({ signer: signerOf(issueFiles(ca, [], { ...responder, expired: true })) }),
      /not signed by the issuer/,
    ],
    'signed by a responder that is not shown': [
      () => responseTo({ signer: appointed, more: ['-resp_no_certs'] }),
      /not signed by the issuer/,
    ],
    'with SHA-1': [() => responseTo({ more: ['-rmd', 'sha1'] }), /which is not supported/],
    'of a responder that does not know': [() => responseTo({ unknown: true }), /does not know the certificate/],
    'that has ended': [() => responseTo({ minutes: 1 }), /it has ended on/, 2 * minute],
    'that is not valid yet': [() => responseTo(), /not valid before/, -10 * minute],
    'about another certificate': [() => responseTo({}, about), /about another certificate/],
    'that says try later': [() => Buffer.from([0x30, 3, 0x0a, 1, 3]), /try later/],
    'that is a web page': [() => Buffer.from('<html>'), /not an OCSP response/],
    'that is empty': [() => Buffer.alloc(0), /not an OCSP response/],
    'that is too large': [() => Buffer.alloc(mostResponseBytes + 1), /more than/],
  }
  for (const [name, [make, why, later = 0]] of Object.entries(refused)) {
    it(`${name} is refused`, async () => {
      const bytes = await make()
      assert.throws(
        () => read(bytes, Date.now() + later),
        (error: unknown) => error instanceof OcspError && why.test(error.message),
      )
    })
  }

  it('says nothing else when a bit is changed, and nothing at all when it is cut off', async () => {
    for (const options of [{}, { signer: appointed }]) {
      const bytes = await responseTo(options)
      const { der: _, ...good } = read(bytes)
      for (let at = 0; at < bytes.length; at++) {
        assert.throws(() => read(bytes.subarray(0, at)), OcspError)
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at] as number) ^ (1 << (at % 8))
        try {
          const { der: _, ...said } = read(changed)
          // Outside of what is signed: parameters of the algorithm, bits that are not needed.
          assert.deepEqual(said, good)
        } catch (error) {
          assert.ok(error instanceof OcspError, String(error))
        }
      }
    }
  })
})

describe('a certificate', () => {
  it('says where its responder is, and that it must be stapled', () => {
    const fields = readCertificate(certificateOf(leaf.chainPem).raw)
    assert.deepEqual([fields.ocspUrls, fields.mustStaple], [['http://ocsp.test/x'], true])
    const plain = readCertificate(certificateOf(about.chainPem).raw)
    assert.deepEqual([plain.ocspUrls, plain.mustStaple], [[], false])
    for (const ocspUrl of ['ldap://ocsp.test', 'file:///etc/passwd', 'http://a b', 'http://']) {
      const odd = issueFiles(ca, ['a.test'], { ocspUrl })
      assert.deepEqual(readCertificate(certificateOf(odd.chainPem).raw).ocspUrls, [], ocspUrl)
    }
  })

  it('is not asked about where the one behind it has not issued it', () => {
    assert.throws(() => ocspSubject(certificateOf(leaf.chainPem), certificateOf(other.certificatePem)), OcspError)
  })

  const about = issueFiles(ca, ['d.test'])
})
