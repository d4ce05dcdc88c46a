/** Rows for certificates from an ACME CA: which CA, how names are proved, and on demand. */
import { challengeKinds } from '../../model/challenge.ts'
import { row, shape } from '../engine/kinds.ts'
import {
  base64UrlKey,
  directoryUrl,
  emailAddress,
  namePattern,
  plainText,
  profileName,
  secretText,
  webUrl,
} from '../forms-acme.ts'
import { dnsShape } from './acme-dns.ts'

const externalAccountShape = shape({
  name: 'externalAccount',
  docs: 'External account binding: what a CA gives its customers, so that it knows the account that is made (RFC 8555 section 7.3.4).',
  rows: {
    keyId: {
      kind: { type: 'string', form: secretText, write: 'key identifier' },
      required: true,
      docs: 'The key identifier (`kid`).',
      example: 'kid-1',
    },
    key: {
      kind: { type: 'string', form: base64UrlKey, write: 'base64url' },
      required: true,
      docs: 'The HMAC key, best from an environment variable. Only for making the account: later it is no longer looked at.',
      example: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajV',
    },
  },
})

const email = row({
  kind: { type: 'string', form: emailAddress, write: 'e-mail address' },
  docs: 'Where the CA writes to when something is wrong with the account. Not required by most; recommended.',
  example: 'ops@example.com',
})
const ca = row({
  kind: { type: 'file' },
  docs: 'PEM: CAs trusted for the TLS of a private directory, beside the public ones. It does not say whose certificates are issued.',
  example: 'acme-api-ca.pem',
})
const externalAccount = row({
  kind: { type: 'object', shape: externalAccountShape },
  docs: 'For CAs that make accounts for customers only.',
  example: '{ keyId: kid-1, key: zWNDZM6eQGHWpSRTPal5eIUYFTu7EajV }',
})
const profile = row({
  kind: { type: 'string', form: profileName, write: 'profile' },
  docs: "One of the CA's certificate profiles, as `tlsserver` or `shortlived` (six days) of Let's Encrypt. One that the CA does not have is an error of the order.",
  example: 'shortlived',
})

export const fallbackShape = shape({
  name: 'fallback',
  docs: 'Another CA, asked when those before it are down, rate-limited or refuse. A failed challenge is no reason: it would fail there as well.',
  rows: {
    directory: {
      kind: { type: 'string', form: directoryUrl, write: 'URL' },
      required: true,
      docs: 'Its directory.',
      example: 'https://acme.zerossl.com/v2/DV90',
    },
    email: { ...email, defaultDocs: '`acme.email`' },
    ca,
    externalAccount,
    profile,
  },
})

const onDemandShape = shape({
  name: 'onDemand',
  docs:
    'Certificates for names that a site does not list: those under its wildcard hosts, and for the default site any. One is ordered when ' +
    'a name first comes in a handshake, and only after `allow` or `ask` has said yes.',
  rows: {
    ask: {
      kind: { type: 'string', form: webUrl, write: 'URL' },
      docs: 'Asked with `?domain=NAME` for a name that `allow` does not have: 200 is yes, all else is no.',
      example: 'http://127.0.0.1:5555/may-have-certificate',
    },
    allow: {
      kind: { type: 'list', of: { type: 'string', form: namePattern, write: 'name' }, single: true, empty: true },
      docs: 'Names that may have one without being asked about; `*.` stands for one label.',
      example: '["*.customers.example.com"]',
    },
    perMinute: {
      kind: { type: 'integer', min: 1, max: 10_000 },
      default: 10,
      docs: 'Orders a minute, over all names, in the long run.',
      example: '2',
    },
    burst: {
      kind: { type: 'integer', min: 1, max: 10_000 },
      default: 20,
      docs: 'Orders at once, before `perMinute` counts.',
      example: '5',
    },
    maxPending: {
      kind: { type: 'integer', min: 1, max: 10_000 },
      default: 100,
      docs: 'Names that wait for their certificate at the same time; handshakes for further ones fail at once.',
      example: '20',
    },
  },
})

export const acmeShape = shape({
  name: 'acme',
  docs: 'Certificates for sites that say `certificate: acme`, ordered and renewed by themselves. See [acme.md](acme.md).',
  rows: {
    email,
    directory: {
      kind: { type: 'string', form: directoryUrl, write: 'URL' },
      default: 'https://acme-v02.api.letsencrypt.org/directory',
      docs: "The CA, by the URL of its directory; Let's Encrypt when left out.",
      example: 'https://acme.example/dir',
    },
    ca,
    challenges: {
      kind: { type: 'list', of: { type: 'choice', of: challengeKinds } },
      defaultDocs: '`[dns-01]` with `dns`, else `[tls-alpn-01, http-01]` as far as there are listeners for them',
      docs: 'How names are proved, best first. `http-01` is answered on cleartext listeners, `tls-alpn-01` on TLS listeners, `dns-01` by `dns`. A kind that has failed for a name is tried after the others.',
      example: '[http-01]',
    },
    dns: {
      kind: { type: 'object', shape: dnsShape },
      docs: 'How TXT records are set for `dns-01`, which wildcard certificates need.',
      example: '{ provider: program, program: ./dns.sh }',
    },
    profile,
    keys: {
      kind: { type: 'list', of: { type: 'choice', of: ['ecdsa', 'rsa'] } },
      defaultDocs: '`[ecdsa]`',
      docs: 'Keys of certificates: ECDSA P-256, and RSA 2048 beside it for clients that know no other. Each is an order of its own.',
      example: '[ecdsa, rsa]',
    },
    externalAccount,
    fallback: {
      kind: { type: 'list', of: { type: 'object', shape: fallbackShape } },
      docs: 'Further CAs, in the order in which they are asked.',
      example: '[{ directory: "https://acme.zerossl.com/v2/DV90" }]',
    },
    staging: {
      kind: { type: 'string', form: stagingUrl, write: 'URL' },
      defaultDocs: "Let's Encrypt's own for its directory, else none",
      docs: 'A directory for trials. After a failed challenge the next try goes there first, and to the real one only when it has succeeded: failures count against rate limits. `none`: no such trials.',
      example: 'none',
    },
    preferredChain: {
      kind: { type: 'string', form: plainText, write: 'common name' },
      docs: 'Where the CA offers several chains: the one whose last certificate was issued by this common name.',
      example: 'ISRG Root X1',
    },
    renewBefore: {
      kind: { type: 'duration', maxMs: 365 * 86_400_000 },
      defaultDocs: 'when the CA says so (ARI, RFC 9773), else with a third of the lifetime left',
      docs: 'How long before its end a certificate is renewed at the latest; sooner when the CA says so. Up to 365d.',
      example: '20d',
    },
    onDemand: {
      kind: { type: 'object', shape: onDemandShape },
      docs: 'Certificates for names that come first in a handshake.',
      example: '{ ask: "http://127.0.0.1:5555/may-have-certificate" }',
    },
  },
})

function stagingUrl(text: string) {
  return text === 'none' ? { ok: 'none' } : directoryUrl(text)
}
