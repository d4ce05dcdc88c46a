/**
 * Why a handshake with a client failed, as a sentence that somebody can act on, with the alert that it ended with. In this
 * order: what the client did (no certificate, an alert of its own), what its hello says against the terms of the site, and
 * last the words of the TLS library, which the table below turns into ours. Library text is never the sentence.
 */
import { ProxyError } from '../../base/errors.ts'
import type { EndingAlert } from '../../model/records.ts'
import type { ServerTls } from '../../model/tls-terms.ts'
import type { ClientHello } from '../../wire/client-hello.ts'
import type { AlertName } from '../../wire/tls-alert.ts'
import { certificateProblem } from './certificate-problem.ts'
import { alertWithoutCertificate, handshakeMismatch } from './handshake-mismatch.ts'

type Explained = { readonly error: ProxyError; readonly alert: EndingAlert | null }

type Cause = {
  /** In what the library says, lower case */
  readonly said: RegExp
  readonly why: string
  readonly alert: string | null
  readonly from?: 'client'
}

const trust =
  'add the CA of our certificate to its trust store, or give the site a certificate from a CA that it trusts'

/** Alerts that the client has sent. Both libraries write `tlsv1 alert unknown ca`, and say `alert` of none that they have sent. */
const fromClient: readonly Cause[] = (
  [
    [/alert unknown ca/, 'unknown_ca', `the client does not know the CA of our certificate: ${trust}`],
    [/alert certificate unknown/, 'certificate_unknown', `the client does not trust our certificate: ${trust}`],
    [/alert bad certificate/, 'bad_certificate', `the client rejected our certificate: ${trust}`],
    [
      /alert certificate expired/,
      'certificate_expired',
      'the client says that our certificate has expired: compare the clocks',
    ],
    [
      /alert certificate revoked/,
      'certificate_revoked',
      'the client says that our certificate is revoked: replace it',
    ],
    [
      /alert unsupported certificate/,
      'unsupported_certificate',
      'the client cannot use a certificate like ours (its kind of key, or its use)',
    ],
    [
      /alert decrypt error/,
      'decrypt_error',
      'the client could not verify our signature: does the key belong to the certificate?',
    ],
    [/alert protocol version/, 'protocol_version', 'the client does not take the TLS version that it has offered'],
    [/alert insufficient security/, 'insufficient_security', 'the client wants stronger ciphers than it was given'],
    [/alert access denied/, 'access_denied', 'the client took our certificate, and refuses to go on'],
    [/alert user cancell?ed/, 'user_canceled', 'the user of the client has stopped the handshake'],
    [
      /alert internal error/,
      'internal_error',
      'the client had an internal error in the handshake: its own log says more',
    ],
    [
      /alert illegal parameter/,
      'illegal_parameter',
      'the client takes our answer for invalid: is something between that changes it?',
    ],
    [
      /alert handshake failure/,
      'handshake_failure',
      'the client has ended the handshake, and says no reason: its own log says more',
    ],
  ] as const
).map(([said, alert, why]) => ({ said, why: `${why} (alert ${alert})`, alert, from: 'client' }))

/** Failures of our side, where the hello did not say it already. */
const fromUs: readonly Cause[] = [
  cause(/no shared cipher/, 'handshake_failure', 'client and policy have no cipher in common'),
  cause(
    /no shared group|no suitable key share|wrong curve|no suitable groups/,
    'handshake_failure',
    'client and policy have no key exchange group in common',
  ),
  cause(
    /no (?:common|suitable|shared) signature algorithms?/,
    'handshake_failure',
    "client and the site's certificate have no signature algorithm in common",
  ),
  cause(
    /unsupported protocol|version too low/,
    'protocol_version',
    'client and policy have no TLS version in common',
  ),
  cause(
    /inappropriate fallback/,
    'inappropriate_fallback',
    'the client retried with an older version than it supports (TLS_FALLBACK_SCSV)',
  ),
  cause(
    /decryption failed|bad record mac/,
    'bad_record_mac',
    "a record of the client could not be decrypted: it was changed on the way, or the client's keys are wrong",
  ),
  cause(
    /digest check failed|bad signature/,
    'decrypt_error',
    "the client's proof does not fit its keys: it does not hold the key of its certificate, or the handshake was changed on the way",
  ),
  cause(
    /no application protocol/,
    'no_application_protocol',
    'client and site have no application protocol in common',
  ),
  // An alert that a client sends before it has keys of its own; OpenSSL does when it does not trust the certificate.
  cause(
    /bad packet length/,
    null,
    `the client broke off when it saw our certificate: most likely it does not trust it; ${trust}`,
  ),
  cause(
    /socket disconnected before secure|closed the connection during|econnreset|epipe|hang up/,
    null,
    `the client closed in the middle of the handshake: most likely it does not trust our certificate; ${trust}`,
  ),
  cause(
    /unexpected message|excessive message size|decode error|length mismatch|bad extension|unexpected record|wrong version number|http request/,
    null,
    'the client sent what has no place in a handshake: its TLS is broken, or something between changes it',
  ),
]

function cause(said: RegExp, alert: AlertName | 'bad_record_mac' | null, why: string): Cause {
  return { said, why, alert }
}

/** @param policy its name */
export function explainFailure(
  error: ProxyError,
  hello: ClientHello | null,
  terms: ServerTls,
  policy: string,
  site: string,
): Explained {
  const explained = (why: string, name: string | null, from: 'gateway' | 'client' = 'gateway'): Explained => ({
    error: new ProxyError(error.code, why, error),
    alert: name === null ? null : { name, from },
  })
  const said = error.message.toLowerCase()
  if (error.code === 'CLIENT_CERTIFICATE') {
    return /did not return a certificate|certificate required/.test(said)
      ? explained(withoutCertificate(site), alertWithoutCertificate(hello, terms))
      : explained(certificateProblem(error.message, null, Date.now()), null)
  }
  const theirs = fromClient.find(each => each.said.test(said))
  if (theirs !== undefined) return explained(theirs.why, theirs.alert, 'client')
  const gone = error.code === 'CLIENT_GONE'
  const mismatch = hello === null || gone ? null : handshakeMismatch(hello, terms, policy)
  if (mismatch !== null) return explained(mismatch.why, mismatch.alert)
  const ours = fromUs.find(each => each.said.test(said))
  if (ours !== undefined) return explained(ours.why, ours.alert)
  return explained(
    `the handshake failed for a reason that only the TLS library has words for: ${oneLine(error.message)}`,
    null,
  )
}

export const withoutCertificate = (site: string): string =>
  `the client showed no certificate, and ${site} requires one: give the client one of a CA in clients.ca`

const oneLine = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, 200)
