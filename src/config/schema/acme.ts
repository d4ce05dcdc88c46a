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
  docs:
    'External account binding: credentials that a CA gives to its customers, to link the new account to theirs (RFC 8555 section ' +
    '7.3.4).',
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
      docs: 'The HMAC key, best from an environment variable. It is only used to create the account.',
      example: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajV',
    },
  },
})

const email = row({
  kind: { type: 'string', form: emailAddress, write: 'e-mail address' },
  docs: 'Where the CA can reach you when something is wrong with the account. Recommended; most CAs do not require it.',
  example: 'ops@example.com',
})
const ca = row({
  kind: { type: 'file' },
  docs:
    'PEM file with CAs to trust, in addition to the public ones, for the TLS connection to a private directory. It does not affect ' +
    'which certificates are issued.',
  example: 'acme-api-ca.pem',
})
const externalAccount = row({
  kind: { type: 'object', shape: externalAccountShape },
  docs: 'External account binding, for CAs that only create accounts for their customers.',
  example: '{ keyId: kid-1, key: zWNDZM6eQGHWpSRTPal5eIUYFTu7EajV }',
})
const profile = row({
  kind: { type: 'string', form: profileName, write: 'profile' },
  docs:
    "One of the CA's certificate profiles, such as Let's Encrypt's `tlsserver` or `shortlived` (six days). If the CA does not have " +
    'the profile, the order fails.',
  example: 'shortlived',
})

export const fallbackShape = shape({
  name: 'fallback',
  docs: 'Another CA, used if the ones before it are down, limit the rate or refuse. A failed challenge is not a reason to use it, because it would fail there as well.',
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
    'Certificates for names that a site does not list: names under its wildcard hosts, and any name for the default site. One is ordered when ' +
    'a name first appears in a handshake, and only if `allow` or `ask` permits it.',
  rows: {
    ask: {
      kind: { type: 'string', form: webUrl, write: 'URL' },
      docs: 'Called with `?domain=NAME` for a name that is not in `allow`: 200 means yes, anything else means no.',
      example: 'http://127.0.0.1:5555/may-have-certificate',
    },
    allow: {
      kind: { type: 'list', of: { type: 'string', form: namePattern, write: 'name' }, single: true, empty: true },
      docs: 'Names that get a certificate without a call of `ask`; `*.` matches one label.',
      example: '["*.customers.example.com"]',
    },
    perMinute: {
      kind: { type: 'integer', min: 1, max: 10_000 },
      default: 10,
      docs: 'Orders per minute, over all names, in the long run.',
      example: '2',
    },
    burst: {
      kind: { type: 'integer', min: 1, max: 10_000 },
      default: 20,
      docs: 'Orders at once, before `perMinute` applies.',
      example: '5',
    },
    maxPending: {
      kind: { type: 'integer', min: 1, max: 10_000 },
      default: 100,
      docs: 'Names that may wait for their certificate at the same time; handshakes for further names fail at once.',
      example: '20',
    },
  },
})

export const acmeShape = shape({
  name: 'acme',
  docs: 'Certificates for sites with `certificate: acme`, ordered and renewed automatically. See [acme.md](acme.md).',
  rows: {
    email,
    directory: {
      kind: { type: 'string', form: directoryUrl, write: 'URL' },
      default: 'https://acme-v02.api.letsencrypt.org/directory',
      docs: "The directory URL of the CA; Let's Encrypt by default.",
      example: 'https://acme.example/dir',
    },
    ca,
    challenges: {
      kind: { type: 'list', of: { type: 'choice', of: challengeKinds } },
      defaultDocs: '`[dns-01]` with `dns`, else `[tls-alpn-01, http-01]`, if there are listeners for them',
      docs:
        'How control of a name is proved, in order of preference. `http-01` is answered on cleartext listeners, `tls-alpn-01` on TLS ' +
        'listeners, `dns-01` through `dns`. A challenge that has failed for a name is tried after the others.',
      example: '[http-01]',
    },
    dns: {
      kind: { type: 'object', shape: dnsShape },
      docs: 'How TXT records are set for `dns-01`, which wildcard certificates require.',
      example: '{ provider: program, program: ./dns.sh }',
    },
    profile,
    keys: {
      kind: { type: 'list', of: { type: 'choice', of: ['ecdsa', 'rsa'] } },
      defaultDocs: '`[ecdsa]`',
      docs: 'Key types: ECDSA P-256, and optionally RSA 2048 beside it for clients that support nothing else. Each is ordered separately.',
      example: '[ecdsa, rsa]',
    },
    externalAccount,
    fallback: {
      kind: { type: 'list', of: { type: 'object', shape: fallbackShape } },
      docs: 'Further CAs, tried in this order.',
      example: '[{ directory: "https://acme.zerossl.com/v2/DV90" }]',
    },
    staging: {
      kind: { type: 'string', form: stagingUrl, write: 'URL' },
      defaultDocs: "Let's Encrypt's staging directory for Let's Encrypt, else none",
      docs:
        'A staging directory for trials. After a failed challenge the next attempt goes there first, and to the real directory only ' +
        'once it has succeeded, because failures count against rate limits. `none`: no trials.',
      example: 'none',
    },
    preferredChain: {
      kind: { type: 'string', form: plainText, write: 'common name' },
      docs: 'If the CA offers several chains: choose the one whose last certificate was issued by this common name.',
      example: 'ISRG Root X1',
    },
    renewBefore: {
      kind: { type: 'duration', maxMs: 365 * 86_400_000 },
      defaultDocs: 'when the CA says so (ARI, RFC 9773), else with a third of the lifetime left',
      docs: 'Renew at the latest this long before expiry; sooner if the CA says so. Up to 365d.',
      example: '20d',
    },
    onDemand: {
      kind: { type: 'object', shape: onDemandShape },
      docs: 'Certificates for names that are first seen in a handshake.',
      example: '{ ask: "http://127.0.0.1:5555/may-have-certificate" }',
    },
  },
})

function stagingUrl(text: string) {
  return text === 'none' ? { ok: 'none' } : directoryUrl(text)
}
