/** From what a TLS library says of a handshake to a sentence and an alert; the text of the library is neither. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { describe, it } from 'node:test'
import type { ErrorCode } from '../../src/base/errors.ts'
import type { ServerTls } from '../../src/model/tls-terms.ts'
import { certificateProblem } from '../../src/proxy/seam/certificate-problem.ts'
import { explainFailure } from '../../src/proxy/seam/handshake-failure.ts'
import { serverHandshakeError } from '../../src/transport/socket-errors.ts'
import { issueClientFiles, testCa } from '../harness/certificates.ts'

const terms: ServerTls = {
  chainPem: testCa().certificatePem,
  keyPem: '',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256',
  groups: 'X25519',
  alpn: [],
  serverOrder: true,
  clients: null,
  staple: null,
  sessionContext: '',
  native: null,
}

const explain = (error: Error & { code?: string }) => {
  const explained = explainFailure(serverHandshakeError(error), null, terms, 'intermediate', 'a.test')
  return [
    explained.error.code,
    explained.alert?.name ?? null,
    explained.alert?.from ?? null,
    explained.error.message,
  ]
}

const openssl = (reason: string): Error & { code?: string } =>
  Object.assign(
    new Error(
      `40D3F4A25F7F0000:error:0A0000C7:SSL routines:some_function:${reason}:../deps/openssl/ssl/statem_srvr.c:3765:\n`,
    ),
    { code: `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}` },
  )
const boring = (reason: string) => new Error(`error:100000c0:SSL routines:OPENSSL_internal:${reason}`)

const rows: [Error, ErrorCode, string | null, 'gateway' | 'client' | null, RegExp][] = [
  [
    openssl('peer did not return a certificate'),
    'CLIENT_CERTIFICATE',
    'handshake_failure',
    'gateway',
    /^the client showed no certificate, and a\.test requires one/,
  ],
  [
    boring('PEER_DID_NOT_RETURN_A_CERTIFICATE'),
    'CLIENT_CERTIFICATE',
    'handshake_failure',
    'gateway',
    /^the client showed no certificate/,
  ],
  [
    openssl('no suitable key share'),
    'TLS_HANDSHAKE',
    'handshake_failure',
    'gateway',
    /no key exchange group in common$/,
  ],
  [boring('NO_SHARED_GROUP'), 'TLS_HANDSHAKE', 'handshake_failure', 'gateway', /no key exchange group in common$/],
  [openssl('no shared cipher'), 'TLS_HANDSHAKE', 'handshake_failure', 'gateway', /no cipher in common$/],
  [boring('NO_SHARED_CIPHER'), 'TLS_HANDSHAKE', 'handshake_failure', 'gateway', /no cipher in common$/],
  [
    openssl('no suitable signature algorithm'),
    'TLS_HANDSHAKE',
    'handshake_failure',
    'gateway',
    /no signature algorithm in common$/,
  ],
  [
    boring('NO_COMMON_SIGNATURE_ALGORITHMS'),
    'TLS_HANDSHAKE',
    'handshake_failure',
    'gateway',
    /no signature algorithm in common$/,
  ],
  [openssl('unsupported protocol'), 'TLS_VERSION', 'protocol_version', 'gateway', /no TLS version in common$/],
  [
    openssl('tlsv1 alert unknown ca'),
    'TLS_HANDSHAKE',
    'unknown_ca',
    'client',
    /^the client does not know the CA of our certificate: add/,
  ],
  [
    openssl('ssl/tls alert certificate unknown'),
    'TLS_HANDSHAKE',
    'certificate_unknown',
    'client',
    /does not trust our certificate: add/,
  ],
  [
    boring('SSLV3_ALERT_CERTIFICATE_EXPIRED'),
    'TLS_HANDSHAKE',
    'certificate_expired',
    'client',
    /compare the clocks/,
  ],
  [
    boring('SSLV3_ALERT_HANDSHAKE_FAILURE'),
    'TLS_HANDSHAKE',
    'handshake_failure',
    'client',
    /its own log says more/,
  ],
  [
    Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }),
    'CLIENT_GONE',
    null,
    null,
    /^the client closed in the middle/,
  ],
]

describe('a failure that the library words as', () => {
  for (const [error, code, alert, from, why] of rows) {
    it(error.message.trim().slice(0, 90), () => {
      const [gotCode, gotAlert, gotFrom, message] = explain(error)
      assert.deepEqual([gotCode, gotAlert, gotFrom], [code, alert, from])
      assert.match(String(message), why)
    })
  }

  it('nobody has seen before is named as such, on one line', () => {
    const [, alert, , message] = explain(openssl('brand new\u001b trouble'))
    assert.equal(alert, null)
    assert.equal(
      message,
      'the handshake failed for a reason that only the TLS library has words for: brand new trouble',
    )
  })
})

describe('a client certificate that does not verify', () => {
  const leaf = (commonName: string, expired = false) =>
    new X509Certificate(issueClientFiles(testCa('Partners'), commonName, { expired }).chainPem).raw

  it('is named, with its issuer and what to do', () => {
    assert.match(
      certificateProblem('CERT_HAS_EXPIRED', leaf('alice', true), Date.now()),
      /^the client's certificate \(CN=alice,O=Sallyport tests, issued by CN=Partners,.*\) has expired on 20[\d-]+T[\d:.]+Z: have it renewed$/,
    )
    assert.match(
      certificateProblem('CERT_HAS_EXPIRED', leaf('alice'), Date.now()),
      /has a CA above it that has expired/,
    )
    assert.match(
      certificateProblem('UNABLE_TO_VERIFY_LEAF_SIGNATURE', leaf('bob'), Date.now()),
      /\(CN=bob,.*\) is signed by no CA in clients\.ca: add its CA there/,
    )
  })

  it('whatever is in its names, is one line of bounded length', () => {
    const text = certificateProblem('CERT_REVOKED', leaf(`\u001b[31m\u202e${'x'.repeat(900)}`), Date.now())
    assert.doesNotMatch(text, /[\p{Cc}\p{Cf}]/u)
    assert.ok(text.length < 600, `${text.length}`)
  })

  it('has a sentence where the runtime gives no certificate, the code is new, or of Object', () => {
    assert.equal(
      certificateProblem('CERT_HAS_EXPIRED', null, 0),
      "the client's certificate has expired: have it renewed",
    )
    for (const code of ['BRAND_NEW', 'constructor', '__proto__'])
      assert.match(
        certificateProblem(code, Buffer.from('not DER'), 0),
        /^the client's certificate does not verify \(\w+\): have/,
      )
  })
})
