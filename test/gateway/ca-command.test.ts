/** `sallyport ca` as a user types it. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { buildCsr } from '../../src/certs/x509/csr.ts'
import { readCertificate } from '../../src/certs/x509/x509-read.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { main } from '../harness/sallyport.ts'

describe('sallyport ca', () => {
  const folder = temporaryFolder()
  const state = path.join(folder, 'it is')
  const ca = (...words: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'ca', ...words], {
      cwd: folder,
      encoding: 'utf8',
    })
    return { code: status, out: stdout, err: stderr }
  }
  const here = ['--state', state]

  test('makes a CA, issues, lists, revokes, and writes the list', () => {
    assert.match(ca('issue', 'a.internal', ...here).err, /no internal CA yet; make one with: sallyport ca init/)
    const made = ca('init', '--name', 'Example', '--names', '*.internal', ...here)
    assert.equal(made.code, 0, made.err)
    assert.match(made.out, /'.*it is\/internal-ca\/root\.pem'/)
    assert.match(made.out, /names +internal and \*\.internal/)
    assert.match(ca('init', ...here).err, /never overwritten/)

    const issued = ca('issue', 'a.internal', '--hours', '48', '--out', 'out', ...here)
    assert.equal(issued.code, 0, issued.err)
    assert.equal(statSync(path.join(folder, 'out/a.internal.key')).mode & 0o777, 0o600)
    const leaf = new X509Certificate(readFileSync(path.join(folder, 'out/a.internal.pem')))
    assert.ok(Math.abs(leaf.validToDate.getTime() - Date.now() - 48 * 3_600_000) < 60_000)
    assert.match(ca('issue', 'a.internal', '--out', 'out', ...here).err, /already exists/)
    assert.match(ca('issue', 'a.example.com', ...here).err, /may not give a\.example\.com/)

    const client = ca('issue', 'b.internal', '--client', '--spiffe', 'spiffe://example.org/b', ...here)
    assert.match(client.out, /for +clients/)
    const fields = readCertificate(new X509Certificate(readFileSync(path.join(folder, 'b.internal.pem'))).raw)
    assert.deepEqual([fields.uris, fields.extendedKeyUsage], [['spiffe://example.org/b'], ['1.3.6.1.5.5.7.3.2']])

    writeFileSync(
      path.join(folder, 'c.csr'),
      buildCsr(['c.internal'], generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
    )
    assert.equal(ca('issue', '--csr', 'c.csr', ...here).code, 0)
    assert.match(ca('issue', 'x.internal', '--csr', 'c.csr', ...here).err, /names come from the request/)

    const listed = JSON.parse(ca('list', '--json', ...here).out)
    assert.deepEqual(listed.map((row: { names: string[] }) => row.names[0]).sort(), [
      'a.internal',
      'b.internal',
      'c.internal',
    ])
    assert.match(
      ca('revoke', 'a.internal', '--reason', 'keyCompromised', ...here).err,
      /did you mean keyCompromise\?/,
    )
    assert.match(
      ca('revoke', 'a.internal', '--reason', 'keyCompromise', ...here).out,
      /^revoked [0-9a-f]{32} \(a\.internal\)/,
    )
    assert.match(ca('revoke', 'a.internal', ...here).err, /no valid certificate/)
    assert.match(ca('revoke', listed[0].serial, ...here).out, /revoked/)
    assert.match(ca('list', ...here).out, /a\.internal +server +revoked: keyCompromise/)
    assert.match(ca('crl', ...here).out, /^-----BEGIN X509 CRL-----/)
    assert.match(ca('crl', '--out', 'ca.crl', ...here).out, /2 certificates revoked|1 certificate revoked/)

    const again = ca('issue', 'a.internal', '--hours', '2', '--out', 'out', '--replace', ...here)
    assert.equal(again.code, 0, again.err)
    const next = new X509Certificate(readFileSync(path.join(folder, 'out/a.internal.pem')))
    assert.ok(next.validToDate < leaf.validToDate)
    assert.ok(next.checkPrivateKey(createPrivateKey(readFileSync(path.join(folder, 'out/a.internal.key')))))
  })

  test('reads a configuration that names what is about to be made', () => {
    const file = path.join(folder, 'sallyport.yaml')
    writeFileSync(
      file,
      `listen: [{ port: 8443 }]
state: later
sites:
  - host: shop.test
    certificate: local
    to:
      endpoints: https://orders.internal:8443
      tls: { ca: later/internal-ca/root.pem, certificate: { chain: gw/gw.internal.pem, key: gw/gw.internal.key } }
`,
    )
    const check = () => {
      const words = [main, 'check', '-c', file]
      return spawnSync(process.execPath, words, { cwd: folder, encoding: 'utf8' })
    }
    assert.match(check().stderr, /root\.pem does not exist\n {2}sallyport ca init makes it; looked for /)
    for (const words of [['init'], ['issue', 'gw.internal', '--client', '--out', 'gw']]) {
      const done = ca(...words, '-c', file)
      assert.equal(done.code, 0, done.err)
    }
    assert.equal(check().status, 0, check().stderr)
    // Other mistakes are still errors.
    writeFileSync(file, 'listen: [{ port: 8443 }]\nstates: later\n')
    assert.match(ca('list', '-c', file).err, /did you mean state\?/)
  })

  test('needs no environment variable and no secret file but those of its own place', () => {
    const file = path.join(folder, 'variables.yaml')
    const text = (state: string) => `listen: [{ port: 8443 }]
state: ${state}
sites:
  - { host: a.test, certificate: acme, to: "http://127.0.0.1:1" }
acme: { email: "\${NO_SUCH_EMAIL}" }
admin: { listen: { port: 9090 }, token: "\${file:no/such/file}" }
ca:
  acme:
    listen: { port: 9443 }
    host: localhost
    challenges: []
    externalAccounts: { orders: { key: "\${NO_SUCH_KEY}", allow: [orders.internal] } }
`
    writeFileSync(file, text('variables'))
    const made = ca('init', '--names', '*.internal', '-c', file)
    assert.equal(made.code, 0, made.err)
    assert.equal(statSync(path.join(folder, 'variables/internal-ca/root.key')).mode & 0o777, 0o600)
    assert.equal(ca('issue', 'a.internal', '--out', 'variables', '-c', file).code, 0)
    // biome-ignore lint/suspicious/noTemplateCurlyInString: how a file names an environment variable
    writeFileSync(file, text('"${NO_SUCH_STATE}"'))
    const unknown = ca('list', '-c', file)
    assert.equal(unknown.code, 2)
    assert.match(unknown.err, /:2:8: the environment variable NO_SUCH_STATE is not set/)
    assert.doesNotMatch(unknown.err, /NO_SUCH_KEY/)
  })

  test('check and run say with its place that the CA may not give its server a name', () => {
    const file = path.join(folder, 'host.yaml')
    const text = (host: string) =>
      `listen: [{ port: 0 }]\nstate: host\nsites: [{ host: a.test, certificate: local, to: "http://127.0.0.1:1" }]\nca: { allow: ["*.internal"], acme: { listen: { port: 0 }, host: ${host} } }\n`
    const ask = (verb: string) =>
      spawnSync(process.execPath, [main, verb, '-c', file], { cwd: folder, encoding: 'utf8', timeout: 300_000 })
    writeFileSync(file, text('localhost'))
    const before = ask('check')
    assert.deepEqual([before.status, /warning: there is no internal CA in/.test(before.stderr)], [0, true])
    assert.equal(ca('init', '--names', '*.internal', '-c', file).code, 0)
    for (const verb of ['check', 'run']) {
      const { status, stderr } = ask(verb)
      assert.equal(status, 2)
      assert.match(
        stderr,
        /^\S*host\.yaml:4:65: ca\.acme\.host: the CA may not give localhost: its certificate is limited/m,
      )
    }
    writeFileSync(file, text('ca.internal'))
    assert.deepEqual([ask('check').status, ask('check').stderr], [0, ''])
  })

  test('refuses what it does not know, with exit code 2', () => {
    const cases: [string[], RegExp][] = [
      [[], /ca needs one of init, issue, list, revoke, crl/],
      [['isue'], /did you mean issue\?/],
      [['list', '--hours', '3', ...here], /--hours is not an option of ca list/],
      [['issue', ...here], /needs a name/],
      [['issue', 'a.internal', '--hours', '0', ...here], /--hours is a whole number/],
      [['issue', 'a.internal', '--spiffe', 'http://x', ...here], /not a SPIFFE id/],
      [['init', 'internal', '--state', 'other'], /names go into --names/],
      [['init', '--names', 'a.*.b', '--state', 'other'], /--names/],
      [['list', '-c', 'x.yaml', ...here], /not both/],
    ]
    for (const [words, wanted] of cases) {
      const done = ca(...words)
      assert.equal(done.code, 2, done.out)
      assert.match(done.err, wanted)
    }
  })
})
