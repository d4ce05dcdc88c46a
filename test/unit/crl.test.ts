/** What is read out of a revocation list, what is refused, and what it costs when nobody has signed it. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { describe, test } from 'node:test'
import { readCrls, readCrlsInSlices } from '../../src/certs/x509/crl.ts'
import { type CrlScope, covers } from '../../src/certs/x509/crl-scope.ts'
import * as der from '../../src/certs/x509/der.ts'
import { SerialSet } from '../../src/certs/x509/serial-set.ts'
import { extension } from '../../src/certs/x509/x509-build.ts'
import { issueClientFiles, testCa } from '../harness/certificates.ts'
import { type CrlOptions, crlOf, issuingPoint } from '../harness/crl.ts'

const ca = testCa('Staff')
const cas = [new X509Certificate(ca.certificatePem)]
const carol = issueClientFiles(ca, 'carol').chainPem
const serial = new X509Certificate(carol).serialNumber.toLowerCase()
const readOne = (revoked: readonly string[], options: CrlOptions = {}) => {
  const [list] = readCrls(crlOf(ca, revoked, options), cas, 'x.crl')
  assert.ok(list)
  return list
}
const refused = (options: CrlOptions, why: RegExp, revoked: readonly string[] = []) =>
  assert.throws(() => readOne(revoked, options), why)
const reason = (code: number, critical = false) =>
  extension('2.5.29.21', critical, der.encode(0x0a, Buffer.from([code])))

describe('a list', () => {
  test('gives serials, number and times, with reasons and without', () => {
    for (const entryExtensions of [
      [],
      [reason(1)],
      [reason(1, true), extension('2.5.29.24', false, der.time(0))],
    ]) {
      const list = readOne([carol], { number: 4711, entryExtensions })
      assert.equal(list.revoked.size, 1)
      assert.ok(list.revoked.has(serial))
      assert.ok(!list.revoked.has(`${serial}00`))
      assert.equal(list.scope.number, 4711n)
      assert.ok(list.thisUpdate < list.nextUpdate)
    }
    assert.equal(readOne([]).revoked.size, 0)
    assert.equal(readOne([]).scope.number, null)
  })

  test('is the same in slices, and in PEM with text around it', async () => {
    const bytes = crlOf(ca, [carol], { number: 1 })
    const pem = `text\n-----BEGIN X509 CRL-----\n${bytes.toString('base64')}\n-----END X509 CRL-----\n`
    const twice = Buffer.from(pem + pem)
    const lists = await readCrlsInSlices(twice, cas, 'x')
    assert.deepEqual(
      lists.map(list => list.revoked.has(serial)),
      [true, true],
    )
    assert.throws(() => readCrls(Buffer.from(pem.repeat(101)), cas, 'x'), /x: holds more than 100 CRLs/)
    assert.throws(() => readCrls(Buffer.from(pem.slice(0, -30)), cas, 'x'), /x: a CRL is cut off/)
  })

  test('that has another scope than all certificates, or all leaves, is refused, and it is said why', () => {
    refused({ extensions: [issuingPoint([2])] }, /x\.crl: the CRL is for certificates of CAs only/)
    refused({ extensions: [issuingPoint([3])] }, /for some reasons of revocation only/)
    refused({ extensions: [issuingPoint([4])] }, /an indirect list/)
    refused({ extensions: [issuingPoint([5])] }, /attribute certificates only/)
    refused({ extensions: [issuingPoint([1, 4], ['http://a/'])] }, /an indirect list/)
    for (const critical of [true, false])
      refused(
        { extensions: [extension('2.5.29.27', critical, der.integer(7))] },
        /x\.crl: the CRL is a delta list \(deltaCRLIndicator, 2\.5\.29\.27\)/,
      )
  })

  test('with what is critical and not understood is refused by name', () => {
    const unknown = (critical: boolean) => extension('1.2.3.4', critical, der.integer(7))
    refused({ extensions: [unknown(true)] }, /x\.crl: the CRL has the critical extension 1\.2\.3\.4/)
    readOne([], { extensions: [unknown(false)] })
    refused({ entryExtensions: [unknown(true)] }, /x\.crl: an entry has the critical extension 1\.2\.3\.4/, [carol])
    refused(
      { entryExtensions: [reason(1), extension('2.5.29.29', true, der.sequence())] },
      /2\.5\.29\.29 \(certificateIssuer/,
      [carol],
    )
    readOne([carol], { entryExtensions: [unknown(false)] })
    refused({ entryExtensions: [reason(8)] }, /removeFromCRL/, [carol])
  })

  test('covers leaves and not CAs, and the certificates of its distribution point or of none', () => {
    const leaf = (...points: string[]) => ({ isCa: false, points })
    const point = (url: string) => der.implicit(6, Buffer.from(url)).toString('hex')
    const scopeOf = (...parts: Parameters<typeof issuingPoint>): CrlScope =>
      readOne([], { extensions: [issuingPoint(...parts)] }).scope
    assert.deepEqual(
      [leaf(), { isCa: true, points: [] }].map(subject => covers(scopeOf([1]), subject)),
      [true, false],
    )
    const scope = scopeOf([], ['http://ca.test/1.crl', 'ldap://x/1'])
    const subjects = [
      leaf(),
      leaf(point('http://ca.test/1.crl')),
      leaf(point('http://other/'), point('ldap://x/1')),
      leaf(point('http://ca.test/2.crl')),
    ]
    assert.deepEqual(
      subjects.map(subject => covers(scope, subject)),
      [true, true, true, false],
    )
  })

  test('of the day after tomorrow is refused; one of a clock five minutes ahead is not', () => {
    refused({ begins: 0.01 }, /is not valid before/)
    readOne([], { begins: 4 / 1440 })
  })

  test('whose entries are damaged is refused', () => {
    const time = der.time(Date.now())
    const damaged: Buffer[] = [
      der.sequence(),
      der.sequence(der.integer(1)),
      der.sequence(time, der.integer(1)),
      der.sequence(der.encode(2), time),
      der.sequence(der.integer(Buffer.alloc(65, 1)), time),
      der.sequence(der.integer(1), der.integer(2)),
      der.sequence(der.integer(1), time, der.integer(1)),
      der.sequence(der.integer(1), time, der.sequence(der.integer(1))),
      der.sequence(der.integer(1), time, der.sequence(der.sequence(der.oid('1.2.3')))),
      der.sequence(der.integer(1), time, der.sequence(), time),
      Buffer.from([0x30, 0x80, 2, 1, 1, 0, 0]),
      Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x30, 5, 2, 9, 1, 1, 1]),
      Buffer.from([0x30]),
    ]
    for (const entries of damaged) refused({ entries }, /x\.crl: is not a CRL: /)
  })

  test('that nobody has signed is refused before anything in it is looked at', () => {
    const entries = Buffer.from('not even DER')
    refused({ entries, unsigned: true }, /was not signed by any/)
    refused({ extensions: [issuingPoint([4])], unsigned: true }, /was not signed by any/)
    // Millions of values where seven are allowed would each be an object.
    const many = Buffer.alloc(2 * 1024 * 1024, Buffer.from([5, 0]))
    for (const bytes of [
      der.encode(0x30, many),
      der.sequence(der.encode(0x30, many), der.sequence(), der.bitString(Buffer.alloc(64))),
    ])
      assert.throws(() => readCrls(bytes, cas, 'x'), /more than \d+ values/)
    const [list, , signature] = der.children(der.read(crlOf(ca, [])))
    const wide = der.sequence(list!.raw, der.encode(0x30, many), signature!.raw)
    assert.throws(() => readCrls(wide, cas, 'x'), /algorithm is too long/)
  })
})

test('serial numbers are found whatever their length and zeros, and no others', () => {
  const known = new Set<string>()
  const count = 20_000
  const serials = new SerialSet(count, count * 4)
  for (let index = 0; index < count; index++) {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE((index * 2_654_435_761) >>> (index % 30))
    serials.add(bytes, 0, 4)
    known.add(bytes.toString('hex').replace(/^(00)+(?=.)/, ''))
  }
  assert.equal(serials.size, known.size)
  for (const each of known) assert.ok(serials.has(each) && serials.has(`00${each}`))
  for (let index = 0; index < count; index++) {
    const hex = (index * 40_503 + 7).toString(16)
    const even = hex.length % 2 === 0 ? hex : `0${hex}`
    assert.equal(serials.has(hex), known.has(even))
  }
})
