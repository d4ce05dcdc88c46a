/** Rows for dns-01: who sets the TXT records, and when they count as seen. */

import { shape } from '../engine/kinds.ts'
import { base64Key, dnsName, dnsServer, secretText, webUrl } from '../forms-acme.ts'

const tsigShape = shape({
  name: 'tsig',
  docs: 'The key that signs updates (RFC 8945). The replies of the server must be signed with it too.',
  rows: {
    name: {
      kind: { type: 'string', form: dnsName, write: 'name' },
      required: true,
      docs: 'The name of the key on the server.',
      example: 'acme-update',
    },
    algorithm: {
      kind: { type: 'choice', of: ['hmac-sha256', 'hmac-sha512'] },
      default: 'hmac-sha256',
      docs: 'The algorithm of the key on the server.',
      example: 'hmac-sha512',
    },
    secret: {
      kind: { type: 'string', form: base64Key, write: 'base64' },
      required: true,
      docs: 'The key, in base64, best from an environment variable.',
      example: '"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ=="',
    },
  },
})

const propagationShape = shape({
  name: 'propagation',
  docs: 'The CA is asked to validate only once all name servers of the zone (or the `resolvers`) return the record.',
  rows: {
    timeout: {
      kind: { type: 'duration', words: { none: 0 } },
      default: '2m',
      docs: 'How long that may take. `none` skips the check, for networks that cannot reach the name servers; set `wait` in that case.',
      example: '5m',
    },
    wait: {
      kind: { type: 'duration', words: { none: 0 } },
      default: 'none',
      docs: 'A pause between setting a record and checking for it.',
      example: '10s',
    },
  },
})

export const dnsShape = shape({
  name: 'dns',
  docs:
    'How TXT records at `_acme-challenge` are set. If there is a CNAME, it is followed, so that one small zone can have the records for many ' +
    'names. [acme.md](acme.md) lists the keys of each provider; any other key is an error.',
  rows: {
    provider: {
      kind: { type: 'choice', of: ['rfc2136', 'webhook', 'acme-dns', 'program'] },
      required: true,
      docs: '`rfc2136`: DNS UPDATE to BIND, Knot, PowerDNS and others. `webhook`: a POST to a URL. `acme-dns`: a joohoi/acme-dns server. `program`: a program of yours.',
      example: 'rfc2136',
    },
    server: {
      kind: { type: 'string', form: dnsServer, write: 'host:port' },
      docs: 'rfc2136: the primary name server; port 53 by default.',
      example: 'ns1.example.com:53',
    },
    zone: {
      kind: { type: 'string', form: dnsName, write: 'DNS name' },
      defaultDocs: 'found by asking the server',
      docs: 'rfc2136: the zone of the records.',
      example: 'example.com',
    },
    tsig: {
      kind: { type: 'object', shape: tsigShape },
      docs: 'rfc2136: the key that signs updates. Without one, the server has to authorize updates by address.',
      example: '{ name: acme-update, secret: "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ==" }',
    },
    url: {
      kind: { type: 'string', form: webUrl, write: 'URL' },
      docs: 'webhook: where to post. acme-dns: the API, without `/update`.',
      example: 'https://hooks.example/dns',
    },
    token: {
      kind: { type: 'string', form: secretText, write: 'token' },
      docs: 'webhook: sent as `Authorization: Bearer TOKEN`.',
      example: 'Y7hQ-token',
    },
    secret: {
      kind: { type: 'string', form: secretText, write: 'secret' },
      docs: 'webhook: signs the body with HMAC-SHA-256, in `X-Sallyport-Signature`.',
      example: 'Y7hQ-secret',
    },
    ca: {
      kind: { type: 'file' },
      docs: 'webhook, acme-dns: PEM file with CAs to trust for its TLS, in addition to the public ones.',
      example: 'hooks-ca.pem',
    },
    username: {
      kind: { type: 'string', form: secretText, write: 'user name' },
      docs: 'acme-dns: `username` of its registration.',
      example: '"eabcdb41-d89f-4580-826f-3e62e9755ef2"',
    },
    password: {
      kind: { type: 'string', form: secretText, write: 'password' },
      docs: 'acme-dns: `password` of its registration.',
      example: 'pbAXVjlIOE01xbut7YnAbkhMQIkcwoHO0ek2j4Q0',
    },
    subdomain: {
      kind: { type: 'string', form: dnsName, write: 'name' },
      docs: 'acme-dns: `subdomain` of its registration. `_acme-challenge` of each name must be a CNAME to it.',
      example: '"d420c923-bbd7-4056-ab64-c3ca54c9b3cf"',
    },
    program: {
      kind: { type: 'file' },
      docs: 'program: run without a shell as `PROGRAM set|unset FQDN VALUE`; exit code 0 is success.',
      example: './dns.sh',
    },
    timeout: {
      kind: { type: 'duration' },
      default: '1m',
      docs: 'How long setting or removing one record may take.',
      example: '2m',
    },
    resolvers: {
      kind: { type: 'list', of: { type: 'string', form: dnsServer, write: 'host:port' }, single: true },
      defaultDocs: "the system's for lookups, then the zone's own name servers",
      docs: 'DNS servers to query instead, for CNAMEs and to check whether a record is visible. Addresses, with a port if it is not 53.',
      example: '[192.0.2.53, "192.0.2.54:5353"]',
    },
    propagation: {
      kind: { type: 'object', shape: propagationShape },
      default: {},
      docs: 'When a record counts as visible.',
      example: '{ timeout: 5m }',
    },
  },
})
