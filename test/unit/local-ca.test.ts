/** The local CA: made once, read back the same, never overwritten, and its certificates verify. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { UsageError } from '../../src/base/errors.ts'
import { type CaPair, createCa, memoryCa, openLocalCa } from '../../src/certs/ca/local-ca.ts'
import { trustText } from '../../src/certs/ca/trust.ts'
import { buildCertificate } from '../../src/certs/x509/x509-build.ts'
import { readCertificate } from '../../src/certs/x509/x509-read.ts'
import { fromLocalCa } from '../../src/gateway/certificates/certificates.ts'
import type { Bundle } from '../../src/model/certificate.ts'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'

const dayMs = 86_400_000

/** A state folder with a CA in it. */
function made() {
  const state = temporaryFolder()
  openLocalCa(state)
  const folder = path.join(state, 'local-ca')
  return { state, folder, file: path.join(folder, 'ca.pem'), keyFile: path.join(folder, 'ca.key') }
}

/** Overwrites the first characters of the PEM's content. */
function spoil(file: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replace(/-\n.{8}/, '-\nAAAAAAAA'))
}

function replace({ file, keyFile }: ReturnType<typeof made>, pair: { chainPem: string; keyPem: string }): void {
  writeFileSync(file, pair.chainPem)
  writeFileSync(keyFile, pair.keyPem)
}

function pairOf(ca: CaPair): { chainPem: string; keyPem: string } {
  return { chainPem: ca.certificatePem, keyPem: ca.keyPem }
}

function refusal(state: string): string {
  let message = ''
  assert.throws(
    () => openLocalCa(state),
    error => {
      assert.ok(error instanceof UsageError, String(error))
      message = error.message
      return true
    },
  )
  return message
}

describe('the folder', () => {
  test('is made with its parents, closed to others, and holds two files and no drafts', () => {
    const state = path.join(temporaryFolder(), 'deep', 'state')
    const ca = openLocalCa(state)
    const folder = path.join(state, 'local-ca')
    assert.equal(ca.file, path.join(folder, 'ca.pem'))
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    assert.equal(statSync(path.join(folder, 'ca.key')).mode & 0o777, 0o600)
    assert.deepEqual(readdirSync(folder).sort(), ['ca.key', 'ca.pem'])
    assert.deepEqual(readdirSync(state), ['local-ca'])
    assert.deepEqual(ca.warnings, [])
  })

  test('gives the same CA the next time, and an empty one left over is used', () => {
    const state = temporaryFolder()
    mkdirSync(path.join(state, 'local-ca'))
    const first = openLocalCa(state)
    const second = openLocalCa(state)
    assert.equal(second.fingerprint256, first.fingerprint256)
    assert.equal(second.certificatePem, first.certificatePem)
    const leaf = new X509Certificate(second.issue(['localhost']).chainPem)
    assert.ok(leaf.verify(new X509Certificate(first.certificatePem).publicKey))
  })

  test('a key that others may read is a warning', () => {
    const { state, keyFile } = made()
    chmodSync(keyFile, 0o640)
    const [warning, ...rest] = openLocalCa(state).warnings
    assert.ok(warning.startsWith(`${keyFile}: others than its owner may read it (mode 0640)`), warning)
    assert.deepEqual(rest, [])
  })

  test('what is damaged or does not fit together is an error that names the file, and stays as it is', () => {
    type Place = ReturnType<typeof made>
    const damages: readonly [
      name: string,
      blamed: 'file' | 'keyFile',
      damage: (place: Place) => void,
      message: RegExp,
    ][] = [
      ['an empty certificate', 'file', ({ file }) => writeFileSync(file, ''), /is empty/],
      ['an empty key', 'keyFile', ({ keyFile }) => writeFileSync(keyFile, ''), /is empty/],
      ['a certificate cut short', 'file', ({ file }) => truncateSync(file, 300), /cut off/],
      ['a key cut short', 'keyFile', ({ keyFile }) => truncateSync(keyFile, 100), /cut off/],
      ['a damaged certificate', 'file', ({ file }) => spoil(file), /the certificate is damaged/],
      ['a damaged key', 'keyFile', ({ keyFile }) => spoil(keyFile), /the private key is damaged/],
      [
        "another CA's key",
        'keyFile',
        ({ keyFile }) => writeFileSync(keyFile, createCa().keyPem),
        /does not belong to .*ca\.pem/,
      ],
      ['a missing key', 'keyFile', ({ keyFile }) => rmSync(keyFile), /does not exist, though/],
      ['a missing certificate', 'file', ({ file }) => rmSync(file), /does not exist, though/],
      [
        'two certificates',
        'file',
        ({ file }) => appendFileSync(file, createCa().certificatePem),
        /holds 2 certificates/,
      ],
      ['a leaf', 'file', place => replace(place, issueFiles(testCa(), ['a.test'])), /not the certificate of a CA/],
      [
        'an expired CA',
        'file',
        place => replace(place, pairOf(createCa({ now: Date.now() - 3660 * dayMs }))),
        /expired on \d{4}-\d\d-\d\d; remove the folder/,
      ],
    ]
    for (const [name, blamed, damage, expected] of damages) {
      const place = made()
      damage(place)
      const before = [place.file, place.keyFile].map(file => (existsSync(file) ? readFileSync(file, 'utf8') : null))
      const message = refusal(place.state)
      assert.ok(message.startsWith(`${place[blamed]}: `), `${name}: ${message}`)
      assert.match(message, expected, name)
      const after = [place.file, place.keyFile].map(file => (existsSync(file) ? readFileSync(file, 'utf8') : null))
      assert.deepEqual(after, before, name)
    }
  })

  test('a state folder that cannot be made is an error that names it', () => {
    const file = path.join(temporaryFolder(), 'file')
    writeFileSync(file, '')
    assert.match(refusal(path.join(file, 'state')), /local-ca: cannot make the local CA: .*'state'/)
  })

  test('a folder with other files in it and neither of ours is an error, and no draft is left', () => {
    const state = temporaryFolder()
    mkdirSync(path.join(state, 'local-ca'))
    writeFileSync(path.join(state, 'local-ca', 'note'), '')
    assert.match(refusal(state), /cannot make the local CA/)
    assert.deepEqual(readdirSync(state), ['local-ca'])
  })
})

describe('a certificate it issues', () => {
  const pair = createCa()
  const ca = memoryCa(pair)
  const root = new X509Certificate(pair.certificatePem)

  test('verifies, fits its key, and lasts from an hour ago for 90 days', () => {
    const bundle = ca.issue(['localhost', '*.localhost', '127.0.0.1', '[::1]', 'LOCALHOST'])
    const leaf = new X509Certificate(bundle.chainPem)
    assert.ok(leaf.verify(root.publicKey))
    assert.ok(leaf.checkIssued(root))
    assert.deepEqual(bundle.names, ['localhost', '*.localhost', '127.0.0.1', '::1'])
    assert.equal(leaf.checkHost('localhost'), 'localhost')
    assert.equal(leaf.checkHost('a.localhost.example'), undefined)
    assert.equal(leaf.checkIP('127.0.0.1'), '127.0.0.1')
    assert.equal(leaf.checkIP('::1'), '::1')
    assert.ok(Math.abs(bundle.notBefore - (Date.now() - 3_600_000)) < 300_000)
    assert.ok(Math.abs(bundle.notAfter - (Date.now() + 90 * dayMs)) < 300_000)
    assert.equal(bundle.subject, 'CN=localhost')
    assert.equal(bundle.issuer, ca.subject)
    assert.equal(bundle.fingerprint256, leaf.fingerprint256)
    assert.match(leaf.serialNumber, /^[4-7][0-9A-F]{31}$/)
  })

  test('has a key and a serial number of its own each time', () => {
    const [first, second] = [ca.issue(['a.test']), ca.issue(['a.test'])]
    assert.notEqual(first.keyPem, second.keyPem)
    assert.notEqual(
      new X509Certificate(first.chainPem).serialNumber,
      new X509Certificate(second.chainPem).serialNumber,
    )
  })

  test('has an empty subject where the name is longer than a commonName may be', () => {
    const long = `${'a'.repeat(60)}.example.com`
    const bundle = ca.issue([long])
    assert.equal(bundle.subject, '')
    assert.deepEqual(bundle.names, [long])
  })

  test('does not outlive the CA', () => {
    const old = createCa({ now: Date.now() - 3640.5 * dayMs })
    const oldCa = memoryCa(old)
    assert.equal(
      oldCa.issue(['a.test']).notAfter,
      readCertificate(new X509Certificate(old.certificatePem).raw).notAfter,
    )
  })

  test('is refused for what is no name', () => {
    for (const name of [
      '',
      'a b',
      'a..b',
      '*',
      '*.',
      'a.*.b',
      '**.b',
      '-a.b',
      'ä.example',
      'a.b:80',
      '1.2.3',
      'fe80::1%eth0',
      'a\0.b',
    ]) {
      assert.throws(() => ca.issue([name]), RangeError, JSON.stringify(name))
    }
    assert.throws(() => ca.issue([]), RangeError)
  })

  test('is signed by a CA with an RSA key too, such as one made elsewhere', () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const { pem } = buildCertificate({
      subject: { country: 'DE', organization: 'Müller & Söhne', commonName: 'Own root' },
      issuer: { country: 'DE', organization: 'Müller & Söhne', commonName: 'Own root' },
      publicKey,
      signingKey: privateKey,
      notBefore: Date.now() - dayMs,
      notAfter: Date.now() + dayMs,
      isCa: true,
      subjectKeyId: Buffer.from('0102030405', 'hex'),
    })
    const own = memoryCa({
      certificatePem: pem,
      keyPem: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    })
    const leaf = new X509Certificate(own.issue(['a.test']).chainPem)
    assert.ok(leaf.verify(publicKey))
    assert.equal(own.subject, 'C=DE, O=Müller & Söhne, CN=Own root')
    // The issuer's identifier is taken from its certificate, not computed again.
    assert.equal(readCertificate(leaf.raw).authorityKeyId?.toString('hex'), '0102030405')
  })
})

test('two CAs differ in their names, so that one trust store can hold both', () => {
  assert.notEqual(memoryCa(createCa()).subject, memoryCa(createCa()).subject)
})

describe('a CA that was made while the clock ran ahead', () => {
  test('gets a certificate that is valid now, with the same name and key', () => {
    const state = temporaryFolder()
    const ahead = openLocalCa(state, () => Date.now() + 3 * dayMs)
    const corrected = openLocalCa(state)
    const [before, after] = [ahead, corrected].map(ca => new X509Certificate(ca.certificatePem)) as [
      X509Certificate,
      X509Certificate,
    ]
    assert.ok(before.validFromDate.getTime() > Date.now())
    assert.ok(after.validFromDate.getTime() <= Date.now())
    assert.equal(after.subject, before.subject)
    assert.ok(after.publicKey.equals(before.publicKey))
    assert.equal(readFileSync(corrected.file as string, 'utf8'), corrected.certificatePem)
    assert.equal(openLocalCa(state).fingerprint256, corrected.fingerprint256, 'made anew once')
    assert.deepEqual(corrected.warnings, [])
    const leaf = new X509Certificate(corrected.issue(['localhost']).chainPem)
    assert.ok(leaf.verify(after.publicKey) && leaf.checkIssued(after))
  })

  test('issues valid certificates in a process that lives through the correction', () => {
    let offset = 3 * dayMs
    const state = temporaryFolder()
    const ca = openLocalCa(state, () => Date.now() + offset)
    const source = fromLocalCa(ca, ['localhost'], () => Date.now() + offset)
    const shown = () => (source.for('localhost') as readonly Bundle[])[0] as Bundle
    assert.ok(shown().notBefore > Date.now())
    offset = 0
    const bundle = shown()
    assert.ok(bundle.notBefore <= Date.now())
    assert.equal(shown(), bundle, 'and keeps them')
    const root = new X509Certificate(readFileSync(ca.file as string))
    assert.ok(root.validFromDate.getTime() <= Date.now())
    assert.ok(new X509Certificate(bundle.chainPem).checkIssued(root))
  })

  test('is left as it is where it was made elsewhere, with a warning', () => {
    const place = made()
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const subject = { organization: 'Somebody', commonName: 'elsewhere' }
    const [notBefore, notAfter] = [Date.now() + dayMs, Date.now() + 90 * dayMs]
    const own = { subject, issuer: subject, publicKey, signingKey: privateKey, notBefore, notAfter }
    const { pem } = buildCertificate({ ...own, isCa: true, keyUsage: ['keyCertSign'] })
    replace(place, {
      chainPem: pem,
      keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    })
    assert.deepEqual(openLocalCa(place.state).warnings, [
      `${place.file}: the local CA is not valid yet; is the clock right?`,
    ])
    assert.equal(readFileSync(place.file, 'utf8'), pem)
  })
})

test('a CA near its end is a warning', () => {
  const place = made()
  replace(place, pairOf(createCa({ now: Date.now() - 3640.5 * dayMs })))
  assert.deepEqual(openLocalCa(place.state).warnings, [`${place.file}: the local CA expires in 9 days`])
})

test('the trust text has the path, the fingerprint, and a command for each place', () => {
  const ca = memoryCa(createCa())
  const text = trustText({ ...ca, file: '/var/lib/it is/ca.pem' })
  for (const part of [
    ca.fingerprint256,
    `curl --cacert '/var/lib/it is/ca.pem'`,
    'NODE_EXTRA_CA_CERTS=',
    'update-ca-certificates',
    'update-ca-trust',
    'security add-trusted-cert',
    'certutil -addstore',
    'certutil -d sql:',
  ]) {
    assert.ok(text.includes(part), part)
  }
})
