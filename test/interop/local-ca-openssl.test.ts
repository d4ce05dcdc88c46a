/** What we issue is what OpenSSL accepts in its strictest mode; and processes that start together share one CA. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { openLocalCa } from '../../src/certs/ca/local-ca.ts'
import { openBundle } from '../../src/certs/files/bundle.ts'
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

const run = promisify(execFile)
const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed'

/** Standard output and error of openssl, whatever its exit code. */
function openssl(...args: string[]): { ok: boolean; text: string } {
  const done = spawnSync('openssl', args, { encoding: 'utf8' })
  return { ok: done.status === 0, text: done.stdout + done.stderr }
}

function verify(caFile: string, chainFile: string, ...more: string[]): { ok: boolean; text: string } {
  return openssl('verify', '-x509_strict', '-CAfile', caFile, '-untrusted', chainFile, ...more, chainFile)
}

describe('openssl verify -x509_strict', { skip }, () => {
  const state = temporaryFolder()
  const local = openLocalCa(state)
  const chainFile = path.join(state, 'leaf.pem')
  writeFileSync(chainFile, local.issue(['localhost', '*.shop.example.com', '127.0.0.1', '::1']).chainPem)
  const server = ['-purpose', 'sslserver']

  test('takes the local CA and its leaf, by each of its names and no other', () => {
    for (const name of [
      ['-verify_hostname', 'localhost'],
      ['-verify_hostname', 'a.shop.example.com'],
      ['-verify_ip', '127.0.0.1'],
      ['-verify_ip', '::1'],
    ]) {
      const { ok, text } = verify(local.file!, chainFile, ...server, ...name)
      assert.ok(ok, text)
    }
    for (const name of [
      ['-verify_hostname', 'shop.example.com'],
      ['-verify_hostname', 'a.b.shop.example.com'],
      ['-verify_ip', '127.0.0.2'],
    ]) {
      assert.match(verify(local.file!, chainFile, ...server, ...name).text, /mismatch/)
    }
    assert.ok(openssl('verify', '-x509_strict', '-CAfile', local.file!, local.file!).ok)
  })

  test('does not take the leaf for a client, nor below another CA', () => {
    assert.equal(verify(local.file!, chainFile, '-purpose', 'sslclient').ok, false)
    assert.equal(verify(testCa().file, chainFile, ...server).ok, false)
  })

  test('takes a leaf with an empty subject', () => {
    const file = path.join(state, 'long.pem')
    const name = `${'a'.repeat(60)}.example.com`
    writeFileSync(file, local.issue([name]).chainPem)
    const { ok, text } = verify(local.file!, file, ...server, '-verify_hostname', name)
    assert.ok(ok, text)
    assert.match(openssl('x509', '-in', file, '-noout', '-text').text, /Subject Alternative Name: critical/)
  })

  test("takes what the tests' own helpers make: RSA, Ed25519, an intermediate, a client", () => {
    const ca = testCa()
    const root = rootCa()
    const good: readonly [string, string, string][] = [
      [ca.file, issueFiles(ca, ['a.test'], { rsa: true }).chainFile, 'sslserver'],
      [ca.file, issueFiles(ca, ['a.test'], { ed25519: true }).chainFile, 'sslserver'],
      [root.file, issueFiles(intermediateCa(root), ['a.test']).chainFile, 'sslserver'],
      [ca.file, issueClientFiles(ca, 'robot').chainFile, 'sslclient'],
    ]
    for (const [caFile, file, purpose] of good) {
      const { ok, text } = verify(caFile, file, '-purpose', purpose)
      assert.ok(ok, text)
    }
    assert.match(verify(ca.file, expiredFiles(ca, ['a.test']).chainFile).text, /has expired/)
    assert.match(verify(ca.file, issueFiles(ca, ['a.test'], { future: true }).chainFile).text, /not yet valid/)
    assert.match(verify(ca.file, selfSignedFiles(['a.test']).chainFile).text, /self[- ]signed/)
  })

  test('openssl x509 -text shows what was meant', () => {
    const leaf = openssl('x509', '-in', chainFile, '-noout', '-text').text
    for (const pattern of [
      /Version: 3/,
      /Signature Algorithm: ecdsa-with-SHA256/,
      /Subject: CN ?= ?localhost/,
      /NIST CURVE: P-256/,
      /Basic Constraints: critical\s+CA:FALSE/,
      /Key Usage: critical\s+Digital Signature\n/,
      /Extended Key Usage:\s+TLS Web Server Authentication\n/,
      /DNS:localhost, DNS:\*\.shop\.example\.com, IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1/,
      /Serial Number:\s+[4-7][0-9a-f](:[0-9a-f]{2}){15}\n/,
    ]) {
      assert.match(leaf, pattern)
    }
    const root = openssl('x509', '-in', local.file!, '-noout', '-text').text
    assert.match(root, /CA:TRUE, pathlen:0/)
    assert.match(root, /Key Usage: critical\s+Certificate Sign, CRL Sign\n/)
    const shown = openssl('x509', '-in', local.file!, '-noout', '-fingerprint', '-sha256').text
    assert.ok(shown.includes(local.fingerprint256), shown)
  })

  test("openssl's own files load: SEC1 and PKCS #1 keys, and an encrypted one does as its error says", () => {
    const folder = temporaryFolder()
    const keyFile = path.join(folder, 'own.key')
    const file = path.join(folder, 'own.pem')
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-out', keyFile)
    openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      keyFile,
      '-subj',
      '/CN=a.test',
      '-addext',
      'subjectAltName=DNS:a.test',
      '-out',
      file,
    )
    assert.deepEqual(openBundle({ chainFile: file, keyFile }).load().bundle.names, ['a.test'])
    const encrypted = path.join(folder, 'encrypted key.pem')
    openssl('pkey', '-in', keyFile, '-aes256', '-passout', 'pass:x', '-out', encrypted)
    let command = ''
    try {
      openBundle({ chainFile: file, keyFile: encrypted })
    } catch (error) {
      command = /decrypt it with: (.*)$/.exec((error as Error).message)?.[1] ?? ''
    }
    const done = spawnSync('sh', ['-c', command.replace(' -in', ' -passin pass:x -in')], { encoding: 'utf8' })
    assert.equal(done.status, 0, done.stderr)
    assert.equal(openBundle({ chainFile: file, keyFile: `${encrypted}.plain` }).load().bundle.keyType, 'ecdsa')
  })
})

test('processes that start at once end up with the same CA, and leave no drafts behind', async () => {
  const folder = temporaryFolder()
  const module = path.resolve(import.meta.dirname, '../../src/certs/ca/local-ca.ts')
  const script = path.join(folder, 'open.mjs')
  // They wait for the same moment, so that most of them find no CA and try to make one.
  writeFileSync(
    script,
    `import { openLocalCa } from ${JSON.stringify(module)}
     while (Date.now() < Number(process.argv[3]));
     const ca = openLocalCa(process.argv[2])
     console.log(JSON.stringify([ca.fingerprint256, ca.warnings]))`,
  )
  for (let round = 0; round < 3; round++) {
    const state = path.join(folder, `state-${round}`)
    const moment = String(Date.now() + 1000)
    const starts = Array.from({ length: 8 }, () => run(process.execPath, [script, state, moment]))
    const seen = (await Promise.all(starts)).map(({ stdout }) => stdout.trim())
    const { fingerprint256 } = openLocalCa(state)
    assert.deepEqual(new Set(seen), new Set([JSON.stringify([fingerprint256, []])]))
    assert.deepEqual(readdirSync(state), ['local-ca'])
  }
})
