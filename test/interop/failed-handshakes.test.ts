/** Every failed handshake is one record: a sentence that says what to do, the alert that was on the wire, and what was offered. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { alerts } from '../../src/wire/tls-alert.ts'
import {
  crlFile,
  type IssuedFiles,
  intermediateCa,
  issueClientFiles,
  issueFiles,
  rootCa,
  selfSignedFiles,
  testCa,
} from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'

const skip = spawnSync('openssl', ['version']).error === undefined ? false : 'not installed: openssl'

const ca = rootCa('Partners')
const between = intermediateCa(ca, 'Partners 2')
const carol = issueClientFiles(ca, 'carol')
const ended = issueClientFiles(ca, 'ended', { expired: true })
const early = issueClientFiles(ca, 'early', { future: true })
const mallory = issueClientFiles(testCa('Others'), 'mallory\u001b[31m')
const forServers = issueClientFiles(ca, 'a server', { use: ['serverAuth'] })
const own = selfSignedFiles(['self.test'], { use: ['clientAuth'] })
const below = issueClientFiles(between, 'below')
const rsa = issueFiles(ca, ['*.rsa.test'], { rsa: true })
let gateway: Started

before(async () => {
  const routes = [{ respond: { body: 'here' } }]
  const crl = crlFile(ca, [carol.chainPem])
  const clients = { ca: ca.file, crl }
  gateway = await startGateway({
    sites: [
      { host: '*.open.test', certificate: 'local', routes },
      { host: '*.modern.test', certificate: 'local', policy: 'modern', routes },
      { host: '*.twelve.test', certificate: 'local', policy: 'ELBSecurityPolicy-TLS-1-2-2017-01', routes },
      { host: '*.rsa.test', certificate: { chain: rsa.chainFile, key: rsa.keyFile }, routes },
      { host: '*.require.test', certificate: 'local', clients, routes },
      { host: '*.optional.test', certificate: 'local', clients: { ...clients, verify: 'optional' }, routes },
    ] as never,
  })
})

after(() => gateway?.stop())

let asked = 0

/** The record of a handshake that fails, and the alert that the client has seen, or null. */
async function failed(site: string, args: readonly string[]): Promise<[Record<string, unknown>, number | null]> {
  const name = `n${++asked}.${site}`
  const child = spawn('openssl', [
    's_client',
    '-connect',
    `127.0.0.1:${gateway.port}`,
    '-servername',
    name,
    ...args,
  ])
  let text = ''
  child.stdout.on('data', chunk => void (text += chunk))
  child.stderr.on('data', chunk => void (text += chunk))
  const gone = new Promise(resolve => child.on('close', resolve))
  child.stdin.on('error', () => {})
  child.stdin.write(`GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`)
  await gone
  const record = await gateway.logged(each => each['sni'] === name && each['message'] === 'handshake failed')
  const all = gateway.logs().filter(each => each['sni'] === name)
  assert.equal(all.length, 1, JSON.stringify(all))
  const seen = /SSL alert number (\d+)/.exec(text)?.[1]
  return [record, seen === undefined ? null : Number(seen)]
}

const shows = ({ chainFile, keyFile }: IssuedFiles) => ['-cert', chainFile, '-key', keyFile]
const weak = 'DEFAULT@SECLEVEL=0'

type Row = [what: string, site: string, args: string[], error: string, alert: string | null, why: RegExp]

const noCipher =
  /^client and policy \S+ have no cipher in common: the client offers only TLS_\w+(, TLS_\w+)*( and \d+ more)?; update it, or give/
const whoIs = (name: string) => `the client's certificate( \\(CN=${name}.*, issued by CN=.*\\))?`

const rows: Row[] = [
  [
    'an old version',
    'open.test',
    ['-tls1_1', '-cipher', weak],
    'TLS_VERSION',
    'protocol_version',
    /at most TLS 1\.1; policy intermediate needs TLS 1\.2$/,
  ],
  [
    'a version too new',
    'twelve.test',
    ['-tls1_3'],
    'TLS_VERSION',
    'protocol_version',
    /offers only TLS 1\.3; policy \S+ ends with TLS 1\.2$/,
  ],
  [
    'no cipher of TLS 1.2',
    'open.test',
    ['-tls1_2', '-cipher', 'AES128-SHA'],
    'TLS_HANDSHAKE',
    'handshake_failure',
    noCipher,
  ],
  [
    'no suite of TLS 1.3',
    'open.test',
    ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256'],
    'TLS_HANDSHAKE',
    'handshake_failure',
    noCipher,
  ],
  [
    'ciphers for another kind of key',
    'open.test',
    ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'],
    'TLS_HANDSHAKE',
    'handshake_failure',
    /need an RSA certificate .*the site's is ECDSA: give the site an RSA certificate beside it/,
  ],
  [
    'ciphers for another kind of key, the other way',
    'rsa.test',
    ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
    'TLS_HANDSHAKE',
    'handshake_failure',
    /need an ECDSA certificate .*the site's is RSA/,
  ],
  [
    'no group (1.2)',
    'open.test',
    ['-tls1_2', '-groups', 'P-521'],
    'TLS_HANDSHAKE',
    'handshake_failure',
    /no key exchange group in common: the client offers only secp521r1; the policy has x25519, secp256r1, secp384r1$/,
  ],
  [
    'no group (1.3)',
    'open.test',
    ['-tls1_3', '-groups', 'P-521'],
    'TLS_HANDSHAKE',
    'handshake_failure',
    /no key exchange group in common: the client offers only secp521r1; the policy has X25519MLKEM768, x25519/,
  ],
  [
    "not the certificate's curve",
    'open.test',
    ['-tls1_2', '-groups', 'P-384'],
    'TLS_HANDSHAKE',
    'handshake_failure',
    /has a key on secp256r1, and the client takes only secp384r1: /,
  ],
  [
    'no signature (ECDSA)',
    'open.test',
    ['-tls1_3', '-sigalgs', 'RSA+SHA256'],
    'TLS_HANDSHAKE',
    'handshake_failure',
    /site's ECDSA certificate can give \(ecdsa_secp256r1_sha256\); it offers only rsa_pkcs1_sha256: give/,
  ],
  [
    'no signature (RSA)',
    'rsa.test',
    ['-tls1_3', '-sigalgs', 'ECDSA+SHA256'],
    'TLS_HANDSHAKE',
    'handshake_failure',
    /site's RSA certificate can give \(rsa_pss_rsae_sha256/,
  ],
  [
    'a fallback',
    'open.test',
    ['-tls1_2', '-fallback_scsv'],
    'TLS_HANDSHAKE',
    'inappropriate_fallback',
    /TLS_FALLBACK_SCSV/,
  ],
]
for (const version of ['-tls1_2', '-tls1_3']) {
  const missing = version === '-tls1_3' ? 'certificate_required' : 'handshake_failure'
  rows.push([
    `no certificate (${version})`,
    'require.test',
    [version],
    'CLIENT_CERTIFICATE',
    missing,
    /^the client showed no certificate, and \*\.require\.test requires one: give the client one of a CA in clients\.ca$/,
  ])
  for (const site of ['require.test', 'optional.test']) {
    const no = (what: string, files: IssuedFiles, why: string): Row => [
      `${what} (${site}, ${version})`,
      site,
      [version, ...shows(files)],
      'CLIENT_CERTIFICATE',
      null,
      new RegExp(`^${why}`),
    ]
    rows.push(
      no('a certificate that has ended', ended, `${whoIs('ended')} has expired.*: have it renewed$`),
      no('one that is not valid yet', early, `${whoIs('early')} is not valid yet: `),
      no('one of another CA', mallory, `${whoIs('mallory')} is signed by no CA in clients\\.ca: add its CA there`),
      no(
        'one without the CA between',
        below,
        `${whoIs('below')} is signed by no CA in clients\\.ca: .*the client must send that too$`,
      ),
      no('one that signed itself', own, `${whoIs('self.test')} is self-signed`),
      no('one for servers', forServers, `${whoIs('a server')} is not for clients: `),
      no(
        'a revoked one',
        carol,
        'the certificate [0-9a-f]+ is revoked \\(CN=carol,O=Sallyport tests, issued by CN=Partners',
      ),
    )
  }
}

describe('the record of', { skip }, () => {
  for (const [what, site, args, error, alert, why] of rows) {
    it(what, async () => {
      const [record, onWire] = await failed(site, args)
      assert.match(String(record['why']), why)
      assert.equal(record['error'], error)
      assert.equal(record['alert'], alert)
      assert.equal(record['alertFrom'], alert === null ? null : 'gateway')
      assert.equal(onWire, alert === null ? null : alerts[alert as keyof typeof alerts], 'on the wire')
      // Nothing of the libraries, nothing that a terminal obeys, one line.
      assert.doesNotMatch(
        String(record['why']),
        /error:|routines|ERR_|OPENSSL|\.c:\d|[A-Z]{3,}_[A-Z]{3,}_[A-Z]{3,}(?<!TLS_\w+)|\p{Cc}/u,
      )
      const offered = record['ciphersOffered'] as string[]
      assert.ok(offered.length > 0 && offered.every(name => name.startsWith('TLS_')), offered.join())
      for (const list of ['versions', 'groupsOffered', 'signatureAlgorithms'])
        assert.ok(
          (record[list] as string[]).every(name => !name.startsWith('0x')),
          String(record[list]),
        )
    })
  }

  it('a client that does not trust us has its alert', async () => {
    const [record] = await failed('open.test', ['-tls1_2', '-verify_return_error', '-CAfile', ca.file])
    assert.deepEqual([record['alert'], record['alertFrom']], ['unknown_ca', 'client'])
    assert.match(String(record['why']), /^the client does not know the CA of our certificate: add the CA/)
  })

  it('all of them is kept for `sallyport handshakes`, and counted', () => {
    const {
      metrics,
      observation: { handshakes },
    } = gateway.gateway
    assert.equal(handshakes.total, asked)
    const failures = metrics.families().find(({ name }) => name === 'sallyport_handshakes_failed_total')
    const refused = failures?.samples.find(({ labels }) => labels[0] === 'CLIENT_CERTIFICATE')
    assert.ok((refused?.value ?? 0) >= 30)
  })
})
