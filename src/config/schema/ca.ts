/** Rows for the internal CA and its ACME server. */
import { addressRange, ipAddress, serverName } from '../engine/forms.ts'
import { kind, shape } from '../engine/kinds.ts'
import { allowedName, caHost, dnsServer, hmacKey, keyIdentifier } from '../forms-ca.ts'

const names = kind({ type: 'list', of: { type: 'string', form: allowedName, write: 'name' }, single: true })

const listenShape = shape({
  name: 'ca.acme.listen',
  docs: 'Where the ACME server listens. It is not a listener of the gateway: its certificate comes from the CA itself, and it has no routes.',
  rows: {
    port: {
      kind: { type: 'integer', min: 0, max: 65_535 },
      required: true,
      docs: '0 lets the system choose a free port.',
      example: '9443',
    },
    address: {
      kind: { type: 'string', form: ipAddress, write: 'IP address' },
      default: '::',
      docs: 'Use one that only the internal network can reach.',
      example: '10.0.0.1',
    },
  },
})

const externalAccountShape = shape({
  name: 'external account',
  docs: 'What a team or a service needs to create its ACME accounts (external account binding): a key id, a key, and the names that it may have.',
  rows: {
    key: {
      kind: { type: 'string', form: hmacKey, write: 'base64url' },
      required: true,
      docs: 'HMAC key, base64url of at least 32 bytes: `openssl rand -base64 32 | tr +/ -_ | tr -d =`.',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: how a file names an environment variable
      example: '"${ORDERS_EAB_KEY}"',
    },
    allow: {
      kind: names,
      docs: 'Names for which accounts created with this key need no challenge. Other names need one of the challenges, if any are configured.',
      example: '["*.orders.internal"]',
    },
  },
})

export const acmeServerShape = shape({
  name: 'ca.acme',
  docs:
    'An ACME server (RFC 8555) that issues from the internal CA, for certbot, Caddy, acme.sh, another Sallyport, or anything ' +
    'else that speaks ACME. One process of the gateway serves it.',
  rows: {
    listen: {
      kind: { type: 'object', shape: listenShape },
      required: true,
      docs: 'Where to listen.',
      example: '{ port: 9443 }',
    },
    host: {
      kind: { type: 'string', form: caHost, write: 'host name' },
      required: true,
      docs: 'The name or IP address by which clients reach it; the directory is `https://HOST:PORT/directory`.',
      example: 'ca.internal',
    },
    challenges: {
      kind: {
        type: 'list',
        of: { type: 'choice', of: ['http-01', 'tls-alpn-01', 'dns-01'] },
        single: true,
        empty: true,
      },
      default: 'http-01',
      docs: 'How clients prove that they control a name. With `[]`, certificates are issued only for the names of external accounts.',
      example: '[]',
    },
    externalAccounts: {
      kind: {
        type: 'map',
        key: keyIdentifier,
        keyName: 'key identifier',
        of: { type: 'object', shape: externalAccountShape },
      },
      docs: 'Who may create accounts. Without this option, anyone who can reach the server may.',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: how a file names an environment variable
      example: '{ orders: { key: "${ORDERS_EAB_KEY}", allow: ["*.orders.internal"] } }',
    },
    http01Port: {
      kind: { type: 'integer', min: 1, max: 65_535 },
      default: 80,
      docs: 'The port from which http-01 answers are fetched. Redirects are not followed.',
      example: '8080',
    },
    tlsAlpn01Port: {
      kind: { type: 'integer', min: 1, max: 65_535 },
      default: 443,
      docs: 'The port for tls-alpn-01.',
      example: '8443',
    },
    networks: {
      kind: { type: 'list', of: { type: 'string', form: addressRange, write: 'address or range' }, single: true },
      defaultDocs: 'everything but loopback, link-local, multicast and unspecified addresses',
      docs:
        'Networks that http-01 and tls-alpn-01 may connect to: anyone who can place an order makes the server connect to the names in ' +
        'it.',
      example: '[10.0.0.0/8]',
    },
    resolve: {
      kind: {
        type: 'map',
        key: serverName,
        keyName: 'host name',
        of: { type: 'string', form: ipAddress, write: 'IP address' },
      },
      docs: 'Addresses of names for http-01 and tls-alpn-01, in place of DNS.',
      example: '{ orders.internal: 10.0.0.5 }',
    },
    resolvers: {
      kind: { type: 'list', of: { type: 'string', form: dnsServer, write: 'DNS server' }, single: true },
      defaultDocs: 'those of the system',
      docs: 'DNS servers to query for dns-01.',
      example: '[10.0.0.53]',
    },
  },
})

export const caShape = shape({
  name: 'ca',
  docs:
    'The internal CA: certificates for backends and their clients. Create it with `sallyport ca init`; docs/internal-ca.md ' +
    'continues from there.',
  rows: {
    chain: {
      kind: { type: 'file' },
      defaultDocs: 'the intermediate that `sallyport ca init` creates in the state folder',
      docs: 'PEM file with your own intermediate, followed by any certificates between it and its root.',
      example: 'issuing-ca.pem',
    },
    key: {
      kind: { type: 'file' },
      docs: 'The private key of `chain`, unencrypted.',
      example: 'issuing-ca.key',
    },
    lifetime: {
      kind: { type: 'duration' },
      default: '24h',
      docs: 'Lifetime of certificates from the ACME server; at least 5m. Clients renew after two thirds of it.',
      example: '12h',
    },
    maxLifetime: {
      kind: { type: 'duration' },
      defaultDocs: 'the same as `lifetime`',
      docs: 'The longest lifetime that an ACME client may request (`notAfter`).',
      example: '7d',
    },
    allow: {
      kind: names,
      defaultDocs: 'every name that the certificate of the CA permits',
      docs: 'Names for which the ACME server issues certificates; `*.internal` is everything below `internal`.',
      example: '["*.internal", 10.0.0.0/8]',
    },
    acme: {
      kind: { type: 'object', shape: acmeServerShape },
      docs: 'Serves ACME to clients.',
      example: '{ listen: { port: 9443 }, host: ca.internal }',
    },
  },
})
