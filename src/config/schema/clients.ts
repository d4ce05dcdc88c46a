/** Rows for client certificates: who must show one, and who it may be. */
import { ja4Forward } from '../../features/ja4-forward/feature.ts'
import { forwardedForms } from '../../model/client-identity.ts'
import { clientName, clientSubject, fingerprint, ja4, spiffeId } from '../engine/forms.ts'
import { kind, shape } from '../engine/kinds.ts'

const clientMatchShape = shape({
  name: 'client',
  docs:
    'A client, by its certificate: all fields that are set must match. A value may end with `*` as a wildcard; a `*` elsewhere is ' +
    'not special.',
  rows: {
    san: {
      kind: { type: 'string', form: clientName, write: 'name' },
      docs: 'Any name of subjectAltName: a DNS name, an IP address, a URI or an e-mail address.',
      example: 'billing.internal',
    },
    dn: {
      kind: { type: 'string', form: clientSubject, write: 'distinguished name' },
      docs:
        'The whole subject in the form of RFC 4514, as `X-Client-DN` and the log show it: a comma within a value is written `\\,`. ' +
        'Trust it only as far as the CA restricts the subjects that clients may choose.',
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
    'Mutual TLS: clients present a certificate in the handshake. A connection opened under one set of these terms carries requests ' +
    'only for hosts with the same terms (421). Clients cannot present a certificate over a cleartext listener: there, a site with ' +
    '`verify: require` or a route with `clients: require` answers 403; other routes of a site with `verify: optional` are served.',
  rows: {
    ca: {
      kind: { type: 'list', of: { type: 'file' }, single: true },
      required: true,
      docs: 'PEM files with the CAs that may have issued client certificates. They are watched: changes take effect within seconds.',
      example: 'partners.pem',
    },
    verify: {
      kind: { type: 'choice', of: ['off', 'optional', 'require'] },
      default: 'require',
      docs:
        '`require`: the handshake fails without a certificate that verifies. `optional`: a certificate may be presented, and must then ' +
        'verify; routes can say `clients: require`. `off`: none is requested.',
      example: 'optional',
    },
    crl: {
      kind: { type: 'list', of: { type: 'file', url: true }, single: true },
      docs:
        'Revocation lists, PEM or DER, signed by one of the CAs: files, or URLs that are fetched again after half of their validity. A ' +
        'new list takes effect within a second, on open connections too; an older list never replaces a newer one. A certificate is ' +
        'refused if its issuer has no list here or an expired one, or if a URL has not been fetched yet. Intermediate CAs are checked ' +
        "against their issuers' lists, where those are given. Lists must be complete: delta lists and lists that leave certificates out " +
        'are refused.',
      example: 'partners.crl',
    },
    forward: {
      kind: { type: 'list', of: { type: 'choice', of: forwardedForms }, empty: true },
      docs:
        'How the backend learns who the client is: `client-cert` is `Client-Cert` and `Client-Cert-Chain` (RFC 9440), `xfcc` is ' +
        '`X-Forwarded-Client-Cert`, `x-client-cert` is the URL-encoded PEM, `x-client-dn` is the subject. Fields with these names are ' +
        'always dropped from what clients send.',
      example: '[client-cert, x-client-dn]',
    },
    allow: {
      kind: clientMatchKind,
      docs: 'Which clients may connect, out of those whose certificate verifies: any of these. By default all of them.',
      example: '[{ san: billing.internal }, { spiffe: "spiffe://example.org/ns/shop/*" }]',
    },
    weak: {
      kind: { type: 'choice', of: ['refuse', 'allow'] },
      default: 'refuse',
      docs:
        'Whether to accept a client certificate, or a CA above it, that is too weak to prove anything: an RSA key below 2048 bits, a ' +
        'DSA key, a curve below 224 bits, a signature with SHA-1 or MD5. The self-signature of a CA in `ca` does not count; its key ' +
        'does. `sallyport check` warns about `allow`.',
      example: 'allow',
    },
  },
})

export const ja4Shape = shape({
  name: 'ja4',
  docs: 'JA4 fingerprints identify programs by their TLS ClientHello. A client can imitate another: a fingerprint is a hint, not proof.',
  rows: {
    forward: ja4Forward.row,
    block: {
      kind: { type: 'list', of: { type: 'string', form: ja4, write: 'JA4' }, empty: true },
      docs: 'Fingerprints that are refused before the handshake, passthrough included; an entry may end with `*`.',
      example: '[t13d190900_9dc949149365_*]',
    },
  },
})
