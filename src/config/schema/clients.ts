/** Rows for client certificates: who must show one, and who it may be. */
import { ja4Forward } from '../../features/ja4-forward/feature.ts'
import { forwardedForms } from '../../model/client-identity.ts'
import { clientName, clientSubject, fingerprint, ja4, spiffeId } from '../engine/forms.ts'
import { kind, shape } from '../engine/kinds.ts'

const clientMatchShape = shape({
  name: 'client',
  docs: 'A client by its certificate: all that is written must hold. A value may end with `*`; nowhere else does it stand for anything.',
  rows: {
    san: {
      kind: { type: 'string', form: clientName, write: 'name' },
      docs: 'Any name of subjectAltName: a DNS name, an IP address, a URI or an e-mail address.',
      example: 'billing.internal',
    },
    dn: {
      kind: { type: 'string', form: clientSubject, write: 'distinguished name' },
      docs:
        'The whole subject in the form of RFC 4514, as `X-Client-DN` and the log show it: a comma within a value is written `\\,`. It ' +
        'is as good as what the CA lets its clients choose.',
      example: '"CN=alice,O=Example"',
    },
    spiffe: {
      kind: { type: 'string', form: spiffeId, write: 'SPIFFE id' },
      docs: 'A SPIFFE id.',
      example: 'spiffe://example.org/ns/shop/*',
    },
    issuer: {
      kind: { type: 'string', form: fingerprint, write: 'SHA-256' },
      docs: 'The SHA-256 fingerprint of the certificate that issued it, with colons or without.',
      example: `"${'5f7c'.repeat(16)}"`,
    },
  },
})

export const clientMatchKind = kind({ type: 'list', of: { type: 'object', shape: clientMatchShape } })

export const clientsShape = shape({
  name: 'clients',
  docs:
    'Mutual TLS: clients show a certificate in the handshake. A connection that was opened under one set of these terms carries ' +
    'requests for hosts with the same terms and no others (421). Over a cleartext listener nobody can show a certificate: a site with ' +
    '`verify: require`, or a route with `clients: require`, answers 403 there; other routes of a site with `verify: optional` are served.',
  rows: {
    ca: {
      kind: { type: 'list', of: { type: 'file' }, single: true },
      required: true,
      docs: 'PEM files with the CAs that may have issued the certificates of clients. They are watched: new CAs count within seconds.',
      example: 'partners.pem',
    },
    verify: {
      kind: { type: 'choice', of: ['off', 'optional', 'require'] },
      default: 'require',
      docs:
        '`require`: no handshake without a certificate that verifies. `optional`: one may be shown, and then it must verify; ' +
        'routes may say `clients: require`. `off`: none is asked for.',
      example: 'optional',
    },
    crl: {
      kind: { type: 'list', of: { type: 'file', url: true }, single: true },
      docs:
        'Revocation lists, PEM or DER, signed by one of the CAs: files, or URLs that are fetched again when half of their time is ' +
        'over. A new list counts within a second, on open connections too; an older one never takes its place. A certificate ' +
        'whose issuer has no list here, or one that has ended, is refused; so all are until a URL has been fetched for the first ' +
        'time. CAs between it and the root are judged by the lists of theirs, where they are here. Complete lists, not deltas: ' +
        'one that leaves certificates out is refused.',
      example: 'partners.crl',
    },
    forward: {
      kind: { type: 'list', of: { type: 'choice', of: forwardedForms }, empty: true },
      docs:
        'How the backend is told who the client is: `client-cert` is `Client-Cert` and `Client-Cert-Chain` (RFC 9440), `xfcc` is ' +
        '`X-Forwarded-Client-Cert`, `x-client-cert` is the PEM in URL encoding, `x-client-dn` the subject. What clients send under ' +
        'these names is always dropped.',
      example: '[client-cert, x-client-dn]',
    },
    allow: {
      kind: clientMatchKind,
      docs: 'Who may connect, of all whose certificate verifies: any of these. Everybody, when left out.',
      example: '[{ san: billing.internal }, { spiffe: "spiffe://example.org/ns/shop/*" }]',
    },
    weak: {
      kind: { type: 'choice', of: ['refuse', 'allow'] },
      default: 'refuse',
      docs:
        'Certificates that prove nothing any more, of the client or of a CA above it: an RSA key below 2048 bits, a DSA key, a curve ' +
        'below 224 bits, a signature with SHA-1 or MD5. The own signature of a CA in `ca` does not count; its key does. ' +
        '`sallyport check` warns about `allow`.',
      example: 'allow',
    },
  },
})

export const ja4Shape = shape({
  name: 'ja4',
  docs: 'JA4 fingerprints tell programs apart by how they say hello in TLS. A client can imitate another: a hint, never a proof.',
  rows: {
    forward: ja4Forward.row,
    block: {
      kind: { type: 'list', of: { type: 'string', form: ja4, write: 'JA4' }, empty: true },
      docs: 'Fingerprints that are refused before the handshake, passthrough included; one may end with `*`.',
      example: '[t13d190900_9dc949149365_*]',
    },
  },
})
