/** When a word about a certificate's end is due, and what a chain is warned about. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { describe, test } from 'node:test'
import tls from 'node:tls'
import { checkSignatures, missingIssuer, type Parsed, warningsOf } from '../../src/certs/files/chain-checks.ts'
import { knownRoots } from '../../src/certs/files/roots.ts'
import { dayMs, durationText, passed, thresholds } from '../../src/certs/x509/expiry.ts'
import { readCertificate } from '../../src/certs/x509/x509-read.ts'
import { nameWarnings } from '../../src/gateway/certificates/certificates.ts'
import { intermediateCa, issueFiles, rootCa, testCa } from '../harness/certificates.ts'

const hour = 3_600_000
const life = (ms: number) => ({ notBefore: 0, notAfter: ms })
const inDays = (times: readonly number[]) => times.map(ms => ms / dayMs)

describe('thresholds', () => {
  test('of long-lived certificates are the days, as far as they are at most a third of the life', () => {
    assert.deepEqual(inDays(thresholds(life(397 * dayMs))), [30, 14, 7, 3, 1, 0])
    // 90 days as Let's Encrypt writes it: renewed with 30 left.
    assert.deepEqual(inDays(thresholds(life(90 * dayMs - 1000))), [30, 14, 7, 3, 1, 0])
    assert.deepEqual(inDays(thresholds(life(47 * dayMs))), [14, 7, 3, 1, 0])
    assert.deepEqual(inDays(thresholds(life(397 * dayMs), [60, 5])), [60, 5, 0])
  })

  test('of short-lived ones are a sixth of the life, and the end', () => {
    assert.deepEqual(inDays(thresholds(life(6 * dayMs))), [1, 0])
    assert.deepEqual(thresholds(life(12 * hour)), [2 * hour, 0])
    assert.deepEqual(thresholds(life(-1)), [0, 0])
  })

  test('a six-day certificate that is renewed in time (two days left) never says a word', () => {
    const week = life(6 * dayMs)
    for (let left = 6 * dayMs; left >= 2 * dayMs; left -= hour)
      assert.equal(passed(week, week.notAfter - left), null)
    assert.equal(passed(week, week.notAfter - dayMs), dayMs)
  })

  test('pass one after the other, each for a whole stretch, and the last at the end', () => {
    const year = life(365 * dayMs)
    const at = (days: number) => passed(year, year.notAfter - days * dayMs)
    assert.deepEqual(
      [31, 30, 29, 14.5, 14, 7, 3, 2, 1, 0.5, 0].map(at).map(ms => (ms === null ? null : ms / dayMs)),
      [null, 30, 30, 30, 14, 7, 3, 3, 1, 1, 1],
    )
    assert.equal(passed(year, year.notAfter), dayMs)
    assert.equal(passed(year, year.notAfter + 1), 0)
  })

  test('durations are rounded down, in the unit that says something', () => {
    assert.equal(durationText(40 * dayMs - 1), '39 days')
    assert.equal(durationText(47 * hour), '47 hours')
    assert.equal(durationText(-90 * 60_000), '90 minutes')
  })
})

const parsed = (pem: string): Parsed => {
  const x509 = new X509Certificate(pem)
  return { x509, fields: readCertificate(x509.raw) }
}
const blocks = (pem: string): Parsed[] =>
  pem
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .filter(Boolean)
    .map(parsed)
const withFields = (one: Parsed, fields: Partial<Parsed['fields']>): Parsed => ({
  x509: one.x509,
  fields: { ...one.fields, ...fields },
})

describe('a chain that ends too soon', () => {
  const root = rootCa('Outer root')
  const inner = intermediateCa(root, 'R11')
  const [leaf, above] = blocks(issueFiles(inner, ['a.test']).chainPem) as [Parsed, Parsed]
  const issuerUrls = ['http://r11.i.example/']
  const withUrl = (one: Parsed) => withFields(one, { issuerUrls })
  const none = () => false

  test('is named, with where the missing one is', () => {
    const said = String(missingIssuer([withUrl(leaf)], none))
    assert.match(said, /lacks .*CN=R11, .*http:\/\/r11\.i\.example\/: append it/)
    assert.match(String(missingIssuer([withUrl(leaf), withUrl(above)], none)), /lacks .*CN=Outer root/)
  })

  test('is none where nobody says where the issuer is, as with private CAs', () => {
    assert.equal(missingIssuer([leaf], none), null)
    assert.equal(missingIssuer([withUrl(leaf), above], none), null)
  })

  test('is none where the issuer is a root, the last one is, or one of them is known under another signature', () => {
    const isRoot = (subject: Buffer) => subject.equals(root.subjectDer)
    assert.equal(missingIssuer([withUrl(leaf), withUrl(above)], isRoot), null)
    const self = parsed(root.certificatePem)
    assert.equal(missingIssuer([leaf, above, withUrl(self)], none), null)
    const crossed = withFields(self, { issuerUrls, issuerDer: leaf.fields.subjectDer })
    assert.equal(missingIssuer([leaf, above, crossed], isRoot), null)
  })

  test('is held against the roots that the runtime has', () => {
    const isRoot = knownRoots()
    const subjects = tls.rootCertificates.slice(0, 20).map(pem => parsed(pem).fields.subjectDer)
    assert.ok(subjects.length > 10 && subjects.every(isRoot))
    assert.equal(isRoot(root.subjectDer), false)
  })
})

describe('signatures', () => {
  const [leaf] = blocks(issueFiles(testCa(), ['a.test']).chainPem) as [Parsed]
  const root = parsed(testCa().certificatePem)
  const signed = (one: Parsed, signatureAlgorithm: string) => withFields(one, { signatureAlgorithm })

  test('with MD5 are refused, and with SHA-1 a warning', () => {
    assert.throws(
      () => checkSignatures([signed(leaf, '1.2.840.113549.1.1.4')], 'x.pem'),
      /x\.pem: .* signed with MD5/,
    )
    const sha1 = signed(leaf, '1.2.840.113549.1.1.5')
    checkSignatures([sha1], 'x.pem')
    assert.match(warningsOf([sha1], 'x.pem', {})[0] ?? '', /certificate 1 \(CN=a\.test\) is signed with SHA-1/)
    assert.match(warningsOf([leaf, signed(leaf, '1.2.840.10045.4.1')], 'x.pem', {})[0] ?? '', /certificate 2/)
  })

  test('of a root on itself do not matter', () => {
    const chain = [leaf, signed(root, '1.2.840.113549.1.1.4')]
    checkSignatures(chain, 'x.pem')
    assert.deepEqual(warningsOf(chain, 'x.pem', {}), [])
  })
})

test('a certificate for none of the hosts is a warning that names both; for one of them it is not', () => {
  const bundle = { source: 'x.pem', names: ['a.test', '*.b.test', '192.0.2.1'] }
  assert.match(
    nameWarnings(bundle, ['c.test', 'd.test'])[0] ?? '',
    /\(c\.test, d\.test\): it is for a\.test, \*\.b\.test/,
  )
  for (const host of ['a.test', 'x.b.test', '*.b.test', '192.0.2.1', '*.test'])
    assert.deepEqual(nameWarnings(bundle, ['c.test', host]), [], host)
  assert.equal(nameWarnings(bundle, ['b.test']).length, 1)
  assert.equal(nameWarnings(bundle, ['*.a.test']).length, 1)
})
