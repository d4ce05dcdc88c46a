/** A chain and key from files: what is accepted, and that each refusal names the file and what to do. */
import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { UsageError } from '../../src/base/errors.ts'
import { openBundle, readBundle } from '../../src/certs/files/bundle.ts'
import { certificateRows, certificateTable } from '../../src/certs/files/list.ts'
import { covers } from '../../src/certs/x509/names.ts'
import {
  expiredFiles,
  intermediateCa,
  issueClientFiles,
  issueFiles,
  rootCa,
  selfSignedFiles,
  temporaryFolder,
  testCa,
} from '../harness/certificates.ts'

const ca = testCa()
const root = rootCa()
const intermediate = intermediateCa(root)

/** The UsageError's message, with the file's name at its front. */
function refusal(action: () => unknown, file: string): string {
  let message = ''
  assert.throws(action, error => {
    assert.ok(error instanceof UsageError, String(error))
    message = error.message
    return true
  })
  assert.ok(message.startsWith(`${file}: `), message)
  return message.slice(file.length + 2)
}

function file(name: string, text: string | Uint8Array): string {
  const target = path.join(temporaryFolder(), name)
  writeFileSync(target, text)
  return target
}

const keyText = (key: KeyObject, options = {}) => String(key.export({ type: 'pkcs8', format: 'pem', ...options }))

describe('reading a bundle', () => {
  test('gives names, times, key type, fingerprint, subject and issuer', () => {
    const files = issueFiles(ca, ['Shop.example.com', '*.shop.example.com', '192.0.2.1', '2001:db8::1'])
    const { bundle, warnings } = readBundle(files)
    assert.deepEqual(warnings, [])
    assert.deepEqual(bundle.names, ['shop.example.com', '*.shop.example.com', '192.0.2.1', '2001:db8::1'])
    assert.equal(bundle.keyType, 'ecdsa')
    assert.equal(bundle.subject, 'CN=Shop.example.com')
    assert.equal(bundle.issuer, 'O=Sallyport local CA, CN=Sallyport test CA')
    assert.equal(bundle.source, files.chainFile)
    assert.equal(bundle.chainPem, files.chainPem)
    assert.equal(bundle.keyPem, files.keyPem)
    assert.match(bundle.fingerprint256, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
    assert.ok(Math.abs(bundle.notAfter - (Date.now() + 30 * 86_400_000)) < 60_000)
    assert.ok(Math.abs(bundle.notBefore - (Date.now() - 3_600_000)) < 60_000)
  })

  test('takes RSA and Ed25519 keys', () => {
    assert.equal(readBundle(issueFiles(ca, ['a.test'], { rsa: true })).bundle.keyType, 'rsa')
    assert.equal(readBundle(issueFiles(ca, ['a.test'], { ed25519: true })).bundle.keyType, 'ed25519')
  })

  test('takes SEC1 and PKCS #1 keys, and EC PARAMETERS before a key', () => {
    const rsa = issueFiles(ca, ['a.test'], { rsa: true })
    const pkcs1 = String(createPrivateKey(rsa.keyPem).export({ type: 'pkcs1', format: 'pem' }))
    assert.match(pkcs1, /BEGIN RSA PRIVATE KEY/)
    assert.equal(readBundle({ ...rsa, keyFile: file('rsa.pem', pkcs1) }).bundle.keyPem, pkcs1)
    const { chainFile, ...ecdsa } = issueFiles(ca, ['a.test'])
    const keyPem = String(createPrivateKey(ecdsa.keyPem).export({ type: 'sec1', format: 'pem' }))
    assert.match(keyPem, /BEGIN EC PRIVATE KEY/)
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
    const keyFile = file('key.pem', parameters + keyPem)
    assert.equal(readBundle({ chainFile, keyFile }).bundle.keyPem, keyPem)
  })

  test('takes both from one file, in any order, with text around and CRLF', () => {
    const { chainPem, keyPem } = issueFiles(ca, ['a.test'])
    const both = file('both.pem', `Bag Attributes\n${keyPem}subject=x - y\n${chainPem}`.replaceAll('\n', '\r\n'))
    const { bundle } = readBundle({ chainFile: both, keyFile: both })
    assert.deepEqual(bundle.names, ['a.test'])
  })

  test('takes a chain with an intermediate, and with the root after it', () => {
    const files = issueFiles(intermediate, ['a.test'])
    assert.equal(readBundle(files).bundle.chainPem.match(/BEGIN/g)?.length, 2)
    const whole = file('chain.pem', files.chainPem + root.certificatePem)
    assert.equal(
      readBundle({ chainFile: whole, keyFile: files.keyFile }).bundle.chainPem.match(/BEGIN/g)?.length,
      3,
    )
  })

  test('warns of a leaf that has expired, is not valid yet, has no names, or is not for servers', () => {
    const expired = readBundle(expiredFiles(ca, ['a.test'])).warnings
    assert.equal(expired.length, 1)
    assert.match(expired[0], /chain\.pem: certificate 1 \(CN=a\.test\) expired on \d{4}-\d\d-\d\d /)
    assert.match(readBundle(issueFiles(ca, ['a.test'], { future: true })).warnings[0], /is not valid before/)
    const client = readBundle(issueClientFiles(ca, 'robot')).warnings
    assert.match(client[0], /no subjectAltName/)
    assert.match(client[1], /does not allow serverAuth/)
    assert.deepEqual(readBundle(issueClientFiles(ca, 'robot'), { purpose: 'client' }).warnings, [])
    const inTwoYears = Date.now() + 730 * 86_400_000
    assert.equal(readBundle(issueFiles(intermediate, ['a.test']), { now: inTwoYears }).warnings.length, 2)
  })
})

describe('refusing a bundle', () => {
  const good = issueFiles(ca, ['a.test'])
  const other = issueFiles(ca, ['b.test'])

  test('missing, empty, a folder, not PEM, DER', () => {
    const { keyFile, chainFile } = good
    const missing = path.join(good.folder, 'missing.pem')
    assert.equal(
      refusal(() => openBundle({ chainFile: missing, keyFile }), missing),
      'does not exist',
    )
    assert.equal(
      refusal(() => openBundle({ chainFile, keyFile: missing }), missing),
      'does not exist',
    )
    assert.match(
      refusal(() => openBundle({ chainFile: good.folder, keyFile }), good.folder),
      /is a folder/,
    )
    const empty = file('empty.pem', '')
    assert.equal(
      refusal(() => openBundle({ chainFile: empty, keyFile }), empty),
      'is empty',
    )
    const text = file('text.pem', 'hello')
    assert.match(
      refusal(() => openBundle({ chainFile: text, keyFile }), text),
      /no PEM certificate/,
    )
    assert.match(
      refusal(() => openBundle({ chainFile, keyFile: text }), text),
      /no PEM private key/,
    )
    const binary = file('chain.der', Buffer.from(good.chainPem.split('\n').slice(1, -2).join(''), 'base64'))
    assert.match(
      refusal(() => openBundle({ chainFile: binary, keyFile }), binary),
      /is DER .* openssl x509 -inform DER/,
    )
  })

  test('chain and key swapped', () => {
    const swapped = { chainFile: good.keyFile, keyFile: good.chainFile }
    assert.match(
      refusal(() => openBundle(swapped), good.keyFile),
      /private key and no certificate; .*swapped/,
    )
  })

  test('an encrypted key, with how to decrypt it', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const keyFile = file("it's.key", keyText(privateKey, { cipher: 'aes-256-cbc', passphrase: 'x' }))
    const message = refusal(() => openBundle({ chainFile: good.chainFile, keyFile }), keyFile)
    assert.match(message, /is encrypted/)
    assert.ok(message.includes(`openssl pkey -in '${keyFile.replace("'", "'\\''")}'`), message)
    const old = file(
      'old.key',
      '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n',
    )
    assert.match(
      refusal(() => openBundle({ chainFile: good.chainFile, keyFile: old }), old),
      /is encrypted/,
    )
  })

  test('the key of another certificate', () => {
    const message = refusal(() => readBundle({ chainFile: good.chainFile, keyFile: other.keyFile }), other.keyFile)
    assert.equal(
      message,
      `the private key does not belong to CN=a.test, the first certificate in ${good.chainFile}`,
    )
  })

  test('the leaf behind its issuer', () => {
    const files = issueFiles(intermediate, ['a.test'])
    const chainFile = file('chain.pem', intermediate.certificatePem + files.chainPem)
    const message = refusal(() => readBundle({ chainFile, keyFile: files.keyFile }), chainFile)
    assert.match(
      message,
      /is number 2 \(CN=a\.test\); the leaf must come first, before .*CN=Sallyport test intermediate/,
    )
  })

  test('root before intermediate, and a stranger in the chain', () => {
    const files = issueFiles(intermediate, ['a.test'])
    const [leaf] = files.chainPem.split(/(?<=END CERTIFICATE-----\n)/)
    const wrong = file('chain.pem', leaf + root.certificatePem + intermediate.certificatePem)
    const message = refusal(() => readBundle({ chainFile: wrong, keyFile: files.keyFile }), wrong)
    assert.match(
      message,
      /certificate 1 \(CN=a\.test\) is issued by .*intermediate, which is certificate 3, but certificate 2 is .*root/,
    )
    const stranger = file('chain.pem', good.chainPem + root.certificatePem)
    assert.match(
      refusal(() => readBundle({ chainFile: stranger, keyFile: good.keyFile }), stranger),
      /which is not in the file/,
    )
    const own = selfSignedFiles(['a.test'])
    const after = file('chain.pem', own.chainPem + root.certificatePem)
    assert.match(
      refusal(() => readBundle({ chainFile: after, keyFile: own.keyFile }), after),
      /self-signed and must come last/,
    )
  })

  test('an intermediate with the right name and another key', () => {
    const files = issueFiles(intermediate, ['a.test'])
    const [leaf] = files.chainPem.split(/(?<=END CERTIFICATE-----\n)/)
    const chainFile = file('chain.pem', leaf + intermediateCa(root).certificatePem)
    assert.match(
      refusal(() => readBundle({ chainFile, keyFile: files.keyFile }), chainFile),
      /but another key/,
    )
  })

  test('an RSA key under 2048 bits', () => {
    const files = issueFiles(ca, ['a.test'], { rsa: true, rsaBits: 1024 })
    assert.match(
      refusal(() => readBundle(files), files.keyFile),
      /1024 bits, and at least 2048 are needed/,
    )
  })

  test('a certificate or key that is cut off or damaged', () => {
    const { keyFile, chainFile } = good
    const cut = file('cut.pem', good.chainPem.slice(0, -40))
    assert.match(
      refusal(() => readBundle({ chainFile: cut, keyFile }), cut),
      /cut off/,
    )
    const bad = file('bad.pem', good.chainPem.replace(/\n[^-\n]{10}/, '\nAAAAAAAAAA'))
    assert.match(
      refusal(() => readBundle({ chainFile: bad, keyFile }), bad),
      /certificate 1 is damaged/,
    )
    const badKey = file('bad.key', good.keyPem.replace(/\n[^-\n]{10}/, '\nAAAAAAAAAA'))
    assert.match(
      refusal(() => readBundle({ chainFile, keyFile: badKey }), badKey),
      /damaged/,
    )
    const two = file('two.key', good.keyPem + other.keyPem)
    assert.match(
      refusal(() => readBundle({ chainFile, keyFile: two }), two),
      /2 private keys/,
    )
  })
})

describe('two stages', () => {
  test('opening checks markers only; loading fails the same way each time', () => {
    const good = issueFiles(ca, ['a.test'])
    const other = issueFiles(ca, ['b.test'])
    const opened = openBundle({ chainFile: good.chainFile, keyFile: other.keyFile })
    const errors = [0, 1].map(() => {
      try {
        return opened.load()
      } catch (error) {
        return error
      }
    })
    assert.ok(errors[0] instanceof UsageError)
    assert.equal(errors[0], errors[1])
  })

  test('loading happens once, and later changes of the files do not matter', () => {
    const files = issueFiles(ca, ['a.test'])
    const opened = openBundle(files)
    writeFileSync(files.keyFile, 'replaced')
    rmSync(files.chainFile)
    const loaded = opened.load()
    assert.deepEqual(loaded.bundle.names, ['a.test'])
    assert.equal(opened.load(), loaded)
    assert.equal(readFileSync(files.keyFile, 'utf8'), 'replaced')
  })
})

test('covers: exact names, one label for a wildcard, addresses by value', () => {
  const bundle = { names: ['example.com', '*.example.com', '192.0.2.1', '2001:db8::1', '*.co', '*'] }
  const yes = [
    'example.com',
    'EXAMPLE.com.',
    'a.example.com',
    '192.0.2.1',
    '[2001:DB8:0::1]',
    '2001:db8::1',
    'x.co',
    '::ffff:192.0.2.1',
  ]
  const no = [
    'a.b.example.com',
    '.example.com',
    'xexample.com',
    '192.0.2.2',
    '1.192.0.2.1',
    '::1',
    'co',
    '',
    'localhost',
    '*.example.com',
    '*',
    '*.co',
    '2001:db8::1%eth0',
  ]
  for (const host of yes) assert.equal(covers(bundle, host), true, host)
  for (const host of no) assert.equal(covers(bundle, host), false, host)
  // A wildcard inside a label, or of an address, is not one (RFC 9525 section 6.3).
  assert.equal(covers({ names: ['w*.example.com', '*.0.2.1'] }, 'www.example.com'), false)
  assert.equal(covers({ names: ['*.0.2.1'] }, '192.0.2.1'), false)
})

test('certs list: rows by end date with their state, and aligned columns', () => {
  const leaf = (names: string[], days: number) => () => ({
    keyType: 'ecdsa' as const,
    names,
    notBefore: 0,
    notAfter: days * 86_400_000,
    fingerprint256: '',
    serial: '1',
    subject: '',
    issuer: 'CN=R1',
  })
  const one = { validity: () => null, source: 'shop.pem', sites: ['shop'], problem: null, superseded: false }
  const now = 20_000 * 86_400_000
  const rows = certificateRows(
    [
      { ...one, leaf: leaf(['b.test', 'c', 'd', 'e', 'f'], 20_010.5) },
      { ...one, leaf: leaf(['a.test'], 19_999) },
      { ...one, leaf: leaf(['c.test'], 20_020), problem: 'shop.pem: is empty' },
      { ...one, leaf: () => null, problem: 'shop.pem: is empty' },
      { ...one, leaf: leaf(['d.test'], 19_998), superseded: true },
    ],
    now,
  )
  assert.deepEqual(
    rows.map(row => [row.daysLeft, row.state]),
    [
      [null, 'broken'],
      [-2, 'superseded'],
      [-1, 'expired'],
      [10, 'serving'],
      [20, 'broken'],
    ],
  )
  assert.equal(
    certificateTable(rows.slice(2, 5)),
    [
      'NAMES                    SITE  SOURCE    KEY    ISSUER  NOT AFTER         DAYS LEFT  STATE',
      'a.test                   shop  shop.pem  ecdsa  CN=R1   2024-10-03 00:00  expired    expired',
      'b.test, c, d and 2 more  shop  shop.pem  ecdsa  CN=R1   2024-10-14 12:00  10         serving',
      'c.test                   shop  shop.pem  ecdsa  CN=R1   2024-10-24 00:00  20         broken: shop.pem: is empty',
      '',
    ].join('\n'),
  )
  assert.equal(certificateTable([]), 'no certificates\n')
})
