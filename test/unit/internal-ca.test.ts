/** The internal CA's folder, what it issues and takes back, and what a crash leaves of it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { internalAuthority } from '../../src/certs/ca/authority.ts'
import { initInternalCa, internalCaFolder, openInternalCa } from '../../src/certs/ca/internal-ca.ts'
import { readCrls } from '../../src/certs/x509/crl.ts'
import { buildCsr } from '../../src/certs/x509/csr.ts'
import { readCsr } from '../../src/certs/x509/csr-read.ts'
import * as der from '../../src/certs/x509/der.ts'
import {
  constraintOf,
  encodeNameConstraints,
  permits,
  readNameConstraints,
} from '../../src/certs/x509/name-constraints.ts'
import { alternativeNames, encodeName, extension, signSequence } from '../../src/certs/x509/x509-build.ts'
import { CsrError } from '../../src/model/authority.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { internalCa } from '../harness/internal-ca.ts'

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const hourMs = 3_600_000
const terms = (...names: string[]) => ({
  publicKey,
  names,
  uris: [],
  use: ['server' as const],
  lifetimeMs: hourMs,
  requester: 'test',
})

function openssl(...args: string[]): string {
  const { stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
  return stdout + stderr
}

describe('the internal CA', () => {
  test('is made once, with keys that nobody else reads, and never overwritten', () => {
    const { state, authority } = internalCa()
    const folder = internalCaFolder(state)
    for (const key of ['root.key', 'intermediate.key'])
      assert.equal(statSync(path.join(folder, key)).mode & 0o777, 0o600)
    const before = readFileSync(path.join(folder, 'root.pem'))
    assert.throws(() => initInternalCa(state, { name: 'x', names: [] }), /never overwritten/)
    assert.deepEqual(readFileSync(path.join(folder, 'root.pem')), before)
    assert.deepEqual(readdirSync(state), ['internal-ca'])
    assert.ok(authority.ca.chainPem.match(/BEGIN/g)?.length === 1)
  })

  test('works without the key of its root, and says what is missing of the rest', async () => {
    const { state } = internalCa()
    const folder = internalCaFolder(state)
    unlinkSync(path.join(folder, 'root.key'))
    await internalAuthority(openInternalCa(state, null)).issue(terms('a.internal'))
    unlinkSync(path.join(folder, 'intermediate.key'))
    assert.throws(() => openInternalCa(state, null), /intermediate\.key: does not exist/)
    assert.throws(() => openInternalCa(temporaryFolder(), null), /sallyport ca init/)
    writeFileSync(path.join(folder, 'intermediate.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
    assert.throws(() => openInternalCa(state, null), /does not belong/)
  })

  test('that was made while the clock ran ahead issues nothing that would not be valid, and says so', async () => {
    const state = temporaryFolder()
    initInternalCa(state, { name: 'Early', names: [], now: Date.now() + 30 * 86_400_000 })
    const ca = openInternalCa(state, null)
    assert.match(ca.warnings.join(), /not valid before .* the clock ran ahead/)
    await assert.rejects(internalAuthority(ca).issue(terms('a.internal')), /the CA itself is not valid before/)
    const later = () => Date.now() + 30 * 86_400_000
    await internalAuthority(ca, later).issue(terms('a.internal'))
  })

  test("may be an intermediate of one's own, below a root that is not here", async () => {
    const { state } = internalCa(['internal'])
    const folder = internalCaFolder(state)
    const own = {
      chainFile: path.join(temporaryFolder(), 'chain.pem'),
      keyFile: path.join(folder, 'intermediate.key'),
    }
    const root = readFileSync(path.join(folder, 'root.pem'), 'utf8')
    writeFileSync(own.chainFile, readFileSync(path.join(folder, 'intermediate.pem'), 'utf8') + root)
    const elsewhere = temporaryFolder()
    const authority = internalAuthority(openInternalCa(elsewhere, own))
    const issued = await authority.issue(terms('a.internal'))
    assert.equal(issued.chainPem.match(/BEGIN/g)?.length, 2, 'the root is left out')
    assert.equal(authority.records.list().records.length, 1)
    writeFileSync(own.chainFile, root + readFileSync(path.join(folder, 'intermediate.pem'), 'utf8'))
    assert.throws(() => openInternalCa(elsewhere, own), /does not belong/)
  })

  test('gives no name that its certificate does not permit, and OpenSSL agrees', async () => {
    const { state, authority } = internalCa(['*.internal', '10.0.0.0/8', 'spiffe://example.org'])
    const root = path.join(internalCaFolder(state), 'root.pem')
    const good = [['a.internal'], ['internal'], ['*.x.internal'], ['10.1.2.3'], ['a.internal', '10.0.0.1']]
    for (const names of good) {
      const file = path.join(temporaryFolder(), 'leaf.pem')
      writeFileSync(file, (await authority.issue(terms(...names))).chainPem)
      assert.match(openssl('verify', '-x509_strict', '-CAfile', root, '-untrusted', file, file), /: OK/)
    }
    const issued = await authority.issue({ ...terms(), uris: ['spiffe://example.org/ns/x'], use: ['client'] })
    const file = path.join(temporaryFolder(), 'client.pem')
    writeFileSync(file, issued.chainPem)
    assert.match(
      openssl('verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', root, '-untrusted', file, file),
      /: OK/,
    )
    for (const name of [
      'example.com',
      'ainternal',
      '*.example.com',
      '192.0.2.1',
      'fd00::1',
      'internal.example.com',
    ])
      await assert.rejects(authority.issue(terms(name)), /may not give/)
    await assert.rejects(authority.issue({ ...terms(), uris: ['spiffe://example.org.evil/x'] }), /may not give/)
    await assert.rejects(authority.issue(terms()), /at least one name/)
    await assert.rejects(
      authority.issue({ ...terms('a.internal'), lifetimeMs: 3000 * 24 * hourMs }),
      /CA itself ends/,
    )
    await assert.rejects(authority.issue({ ...terms('a.internal'), lifetimeMs: 1000 }), /at least 1m/)
    await assert.rejects(authority.issue(terms('a b.internal')), /neither a host name/)
    assert.equal(authority.records.list().records.length, good.length + 1)
  })
})

describe('name constraints', () => {
  test('close every form that is not named', () => {
    const only = (...permitted: string[]) => readNameConstraints(encodeNameConstraints({ permitted }))
    const dns = only('internal')
    assert.deepEqual(
      ['a.internal', '10.0.0.1', '::1'].map(name => permits(dns, name)),
      [true, false, false],
    )
    const four = only('10.0.0.0/8')
    assert.deepEqual(
      ['a.internal', '10.0.0.1', '11.0.0.1', 'fd00::1'].map(name => permits(four, name)),
      [false, true, false, false],
    )
    const six = only('fd00::/8', '10.0.0.1')
    assert.deepEqual(
      ['fd00::1', 'fe00::1', '10.0.0.1', '10.0.0.2'].map(name => permits(six, name)),
      [true, false, true, false],
    )
  })

  test('are written in a form that can be read in one way', () => {
    for (const bad of ['a.*.b', '10.0.0.1/8', '10.0.0.0/33', 'a b', '', '*', 'fd00::/129', '10.0.0.0/8/9'])
      assert.throws(() => constraintOf(bad), RangeError, bad)
  })
})

describe('records', () => {
  test('a process that is killed leaves the old record or the new one, and drafts that count for nothing', async () => {
    const { state, authority } = internalCa()
    const { serial } = await authority.issue(terms('a.internal'))
    const issued = path.join(internalCaFolder(state), 'issued')
    // What is left by a process that died while it wrote: half a file under another name.
    writeFileSync(path.join(issued, `.${serial}.json.1.2.new`), '{"serial":')
    const again = internalAuthority(openInternalCa(state, null))
    assert.deepEqual(again.records.list().damaged, [])
    assert.equal(again.records.list().records.length, 1)
    assert.equal(await again.revoke(serial, 4), true)
    assert.equal(await authority.revoke(serial, 1), false)
    assert.equal(authority.records.get(serial)?.revoked?.reason, 4)
    assert.equal(authority.records.prune(Date.now() + 700_000), 0)
    assert.equal(existsSync(path.join(issued, `.${serial}.json.1.2.new`)), false)
  })

  test('a damaged one is kept, reported, and counts as revoked', async () => {
    const { authority } = internalCa()
    const { serial } = await authority.issue(terms('a.internal'))
    await authority.issue(terms('b.internal'))
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"serial":"ff"}',
      readFileSync(authority.records.fileOf(serial), 'utf8').slice(0, 99),
    ]) {
      writeFileSync(authority.records.fileOf(serial), text)
      assert.deepEqual(authority.records.list().damaged, [serial])
      const [list] = readCrls(authority.crl(hourMs).der, [new X509Certificate(authority.ca.chainPem)], 'test')
      assert.equal(list?.revoked.size, 1)
      assert.ok(list?.revoked.has(serial))
      await assert.rejects(authority.revoke(serial, 0), /is damaged/)
      authority.records.prune(Date.now() + 9999 * 24 * hourMs)
      assert.equal(readFileSync(authority.records.fileOf(serial), 'utf8'), text)
      await authority.issue(terms('b.internal'))
    }
  })

  test('of certificates that ended a month ago are removed', async () => {
    const { authority } = internalCa()
    await authority.issue(terms('a.internal'))
    assert.equal(authority.records.prune(Date.now() + 20 * 24 * hourMs), 0)
    assert.equal(authority.records.prune(Date.now() + 40 * 24 * hourMs), 1)
    assert.deepEqual(authority.records.list().records, [])
  })
})

describe('a revocation list', () => {
  test('is signed, numbered upwards, and has what was revoked with its reason', async () => {
    const { state, authority } = internalCa()
    const empty = authority.crl(hourMs)
    const { serial } = await authority.issue(terms('a.internal'))
    const other = await authority.issue(terms('b.internal'))
    await authority.revoke(serial, 1)
    await authority.revoke(other.serial, 0)
    const list = authority.crl(hourMs)
    assert.ok(list.number > empty.number)
    for (const { pem, count } of [empty, list]) {
      const file = path.join(temporaryFolder(), 'ca.crl')
      writeFileSync(file, pem)
      const text = openssl(
        'crl',
        '-in',
        file,
        '-noout',
        '-text',
        '-CAfile',
        path.join(internalCaFolder(state), 'intermediate.pem'),
      )
      assert.match(text, /verify OK/)
      assert.match(text, /X509v3 CRL Number/)
      assert.equal(text.match(/Serial Number/g)?.length ?? 0, count)
      assert.equal(/Key Compromise/.test(text), count === 2)
    }
    const [read] = readCrls(list.der, [new X509Certificate(authority.ca.chainPem)], 'test')
    assert.equal(read?.revoked.size, 2)
    assert.ok([serial, other.serial].every(each => read?.revoked.has(each)))
  })
})

describe('a request', () => {
  const parts = (change: {
    subject?: Buffer
    extensions?: Buffer[]
    attributes?: Buffer
    key?: typeof privateKey
    spki?: Buffer
    version?: number
  }) => {
    const key = change.key ?? privateKey
    const list = der.sequence(...(change.extensions ?? [names('a.internal')]))
    const attribute = der.sequence(der.oid('1.2.840.113549.1.9.14'), der.set(list))
    const spki = change.spki ?? publicKey.export({ type: 'spki', format: 'der' })
    const body = der.sequence(
      der.integer(change.version ?? 0),
      change.subject ?? encodeName({}),
      spki,
      change.attributes ?? der.encode(0xa0, attribute),
    )
    return signSequence(body, key)
  }
  const names = (...dnsNames: string[]) =>
    extension('2.5.29.17', false, der.sequence(...alternativeNames({ dnsNames })))
  const refuses = (csr: Uint8Array, kind: CsrError['kind'], why: RegExp) =>
    assert.throws(
      () => readCsr(csr),
      error => error instanceof CsrError && error.kind === kind && why.test(error.message),
    )

  test('gives its names and key, whichever of the good kinds it has', () => {
    const keys = [
      privateKey,
      generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    ]
    for (const key of keys) {
      const csr = readCsr(buildCsr(['B.internal', '*.a.internal', '10.0.0.1', 'FD00::1'], key))
      assert.deepEqual(csr.names, ['b.internal', '*.a.internal', '10.0.0.1', 'fd00::1'])
    }
    assert.deepEqual(readCsr(parts({ subject: encodeName({ commonName: 'Old.internal' }) })).names, [
      'a.internal',
      'old.internal',
    ])
  })

  test('that is cut off, signed by another key, weak, or can be read in two ways is refused', () => {
    const good = parts({})
    assert.deepEqual(readCsr(good).names, ['a.internal'])
    for (let cut = 0; cut < good.length; cut++) assert.throws(() => readCsr(good.subarray(0, cut)), CsrError)
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good)
      bad[at] = (bad[at] as number) ^ 0x10
      assert.throws(() => readCsr(bad), CsrError, `byte ${at}`)
    }
    refuses(Buffer.concat([good, Buffer.alloc(1)]), 'bad', /cannot be read/)
    refuses(Buffer.alloc(40_000), 'bad', /at most|the most/)
    refuses(parts({ key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }), 'bad', /signature/)
    refuses(parts({ version: 1 }), 'bad', /version/)
    refuses(buildCsr(['a.internal'], generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey), 'key', /2048/)
    const { publicKey: small } = generateKeyPairSync('ec', { namedCurve: 'P-224' })
    refuses(parts({ spki: small.export({ type: 'spki', format: 'der' }) }), 'key', /P-256/)
    refuses(parts({ extensions: [names('a.internal'), names('b.internal')] }), 'bad', /twice/)
    refuses(
      parts({ extensions: [extension('2.5.29.19', true, der.sequence(der.boolean(true)))] }),
      'bad',
      /of a CA/,
    )
    refuses(parts({ extensions: [names('a\0.internal')] }), 'bad', /neither a host name/)
    refuses(
      parts({ extensions: [extension('2.5.29.17', false, der.sequence(der.implicit(1, Buffer.from('a@b'))))] }),
      'bad',
      /no DNS name/,
    )
    refuses(
      parts({ extensions: [names(...Array.from({ length: 101 }, (_, at) => `a${at}.internal`))] }),
      'bad',
      /101 names/,
    )
    const one = der.sequence(der.oid('1.2.840.113549.1.9.14'), der.set(der.sequence(names('a.internal'))))
    refuses(parts({ attributes: der.encode(0xa0, one, one) }), 'bad', /twice/)
  })
})
