/** Rows for upstreams: sets of backends, named or in place. */
import { algorithms, balanceNames } from '../../proxy/upstream/balance/all.ts'
import { leniencies, leniencyNames } from '../../wire/lenient-head.ts'
import { backendSpiffeId, cookieName, endpointUrl, queryName, serverName, target } from '../engine/forms.ts'
import { kind, row, shape } from '../engine/kinds.ts'
import { keyPairShape } from './certificate.ts'
import { requestField } from './request-field.ts'

export const balanceRow = row({
  kind: { type: 'choice', of: balanceNames },
  default: 'round-robin',
  docs: `How the next endpoint is chosen. ${Object.entries(algorithms)
    .map(([name, { docs }]) => `\`${name}\`: ${docs}.`)
    .join(
      ' ',
    )} One that has just refused a connection is tried last for ten seconds. Each address of a name counts as an endpoint.`,
  example: 'least-requests',
})

const upstreamTlsShape = shape({
  name: 'tls to backends',
  docs: 'TLS to `https://` endpoints. The certificate must match the name and a trusted CA unless you configure otherwise.',
  rows: {
    ca: {
      kind: { type: 'file' },
      defaultDocs: 'the CAs the runtime trusts',
      docs:
        "PEM file with the CAs that may have signed the backend's certificate; no others are trusted. The file is watched, like those " +
        'of `certificate`.',
      example: 'internal.pem',
    },
    serverName: {
      kind: { type: 'string', form: serverName, write: 'host name' },
      defaultDocs: "the endpoint's host",
      docs: 'The server name that is sent (SNI) and that the certificate must have.',
      example: 'pay.internal',
    },
    spiffe: {
      kind: { type: 'list', of: { type: 'string', form: backendSpiffeId, write: 'SPIFFE id' }, single: true },
      docs:
        'Verifies the backend by SPIFFE id: its certificate must be signed by one of the CAs in `ca`, which is required, and must have ' +
        'one of these ids as its only URI. An id may end with `/*`, which matches everything below. The host name is then not verified, ' +
        'unless `serverName` is set too.',
      example: '[spiffe://example.org/ns/shop/sa/pay, spiffe://example.org/ns/x/*]',
    },
    certificate: {
      kind: { type: 'object', shape: keyPairShape },
      docs:
        'The client certificate that the gateway presents if the backend asks for one. Replaced files are picked up within seconds, ' +
        'without a reload; see docs/certificates.md.',
      example: '{ chain: gw.pem, key: gw.key }',
    },
    verify: {
      kind: { type: 'boolean' },
      default: true,
      docs: 'With `false`, anyone on the network path can pose as the backend; `sallyport check` warns about it.',
    },
    weak: {
      kind: { type: 'choice', of: ['refuse', 'allow'] },
      default: 'refuse',
      docs:
        'Whether to accept a backend certificate, or a CA above it, that is too weak to prove anything: an RSA key below 2048 bits, a ' +
        'DSA key, a curve below 224 bits, a signature with SHA-1 or MD5. The self-signature of a trusted CA does not count; its key ' +
        'does. `sallyport check` warns about `allow`.',
      example: 'allow',
    },
    commonName: {
      kind: { type: 'choice', of: ['refuse', 'allow'] },
      default: 'refuse',
      docs:
        "Whether the backend's name may be taken from the common name of a certificate without a DNS name in subjectAltName (RFC 9525 " +
        'forbids it). `sallyport check` warns about `allow`.',
      example: 'allow',
    },
  },
})

const hashedField = requestField(
  'write hash: address to go by the address of the client, also where a trusted proxy names it',
)

const hashShape = shape({
  name: 'hash',
  docs: 'What of a request decides where it goes: one of these.',
  rows: {
    header: {
      kind: { type: 'string', form: hashedField, write: 'field name' },
      docs: 'The value of a field of the request.',
      example: 'x-user',
    },
    cookie: {
      kind: { type: 'string', form: cookieName, write: 'cookie name' },
      docs: 'The value of a cookie.',
      example: 'sid',
    },
    query: {
      kind: { type: 'string', form: queryName, write: 'name' },
      docs: 'A parameter of the query.',
      example: 'tenant',
    },
  },
})

const endpointShape = shape({
  name: 'endpoint',
  docs: 'An endpoint with terms of its own.',
  rows: {
    url: {
      kind: { type: 'string', form: endpointUrl, write: 'URL' },
      required: true,
      docs: 'The backend, as in a list of URLs.',
      example: 'http://10.0.4.2:80',
    },
    weight: {
      kind: { type: 'integer', min: 1, max: 256 },
      default: 1,
      docs: 'Its share of the requests: an endpoint with weight 2 gets twice as many as one with weight 1.',
      example: '2',
    },
    backup: {
      kind: { type: 'boolean' },
      default: false,
      docs: 'Gets requests only while no other endpoint can be connected to, or each of them was tried.',
      example: 'true',
    },
  },
})

const outlierShape = shape({
  name: 'outlier',
  docs:
    'Ejects endpoints that accept connections and then fail: such an endpoint is tried last for a while. Failures are connections that ' +
    'cannot be made, resets, timeouts, responses that are not valid HTTP or are cut off, and the `statuses`.',
  rows: {
    consecutive: {
      kind: { type: 'integer', min: 1, max: 1_000 },
      default: 5,
      docs: 'Failures in a row after which an endpoint is ejected. Each worker process counts what it sees itself.',
      example: '3',
    },
    ejection: {
      kind: { type: 'duration' },
      default: '30s',
      docs: 'How long an endpoint is ejected the first time; the second time twice as long, and so on, up to ten times.',
      example: '1m',
    },
    maxEjected: {
      kind: { type: 'percent', min: 0, max: 100 },
      default: '50%',
      docs:
        'The largest share of the endpoints that may be ejected at once. One of several may always be; the only endpoint of an upstream ' +
        'never is.',
      example: '30%',
    },
    statuses: {
      kind: { type: 'list', of: { type: 'integer', min: 400, max: 599 }, single: true },
      defaultDocs: '`[502, 503, 504]`',
      docs: 'Responses that count as failures.',
      example: '[500, 502, 503, 504]',
    },
  },
})

const poolShape = shape({
  name: 'pool',
  docs: 'Connections to backends are kept open and reused; `timeouts.poolIdle` limits for how long.',
  rows: {
    idle: {
      kind: { type: 'integer', min: 0, max: 1_000_000 },
      default: 2048,
      docs: 'Idle connections kept per endpoint, which means per address; 0 opens a new connection for every request.',
      example: '64',
    },
  },
})

export const upstreamShape = shape({
  name: 'upstream',
  docs: 'A set of interchangeable backends: under `upstreams` with a name, or inline in any `to` of a route or site.',
  rows: {
    endpoints: {
      kind: {
        type: 'list',
        of: {
          type: 'either',
          text: { type: 'string', form: endpointUrl, write: 'URL' },
          map: { type: 'object', shape: endpointShape },
        },
        single: true,
      },
      required: true,
      docs:
        'The backends, all `http://`, all `https://` or all `h2c://` (HTTP/2 without TLS), without a path. Each address of a ' +
        'name is an endpoint of its own; `timeouts.resolve` says when names are resolved again. A backend on a Unix socket is ' +
        '`http+unix:/run/app.sock`, or `https+unix:` or `h2c+unix:` and an absolute path; with `https+unix:` `tls.serverName` is ' +
        'required, unless the backend is verified by `tls.spiffe`. `{ url, weight, backup }` gives an endpoint another share of the ' +
        'requests, or makes it a backup.',
      example: '[http://10.0.4.1:80, { url: http://10.0.4.2:80, weight: 2 }]',
    },
    balance: balanceRow,
    hash: {
      kind: {
        type: 'either',
        text: { type: 'choice', of: ['address', 'ja4', 'client-certificate'] },
        map: { type: 'object', shape: hashShape },
      },
      defaultDocs: '`address`',
      docs:
        'For `balance: ring-hash` and `maglev`: requests with the same value go to the same endpoint, in every worker and after a ' +
        'restart. `address` is that of the client, `ja4` the fingerprint of its TLS library, and `client-certificate` the subject of ' +
        'its certificate. A request without the value goes by the address. Whoever chooses the value chooses the endpoint: clients can ' +
        'send what they like in a header, cookie or query.',
      example: '{ cookie: sid }',
    },
    outlier: {
      kind: { type: 'object', shape: outlierShape },
      docs: 'Ejects endpoints that fail again and again for a while; `{}` with the defaults. Off by default.',
      example: '{ consecutive: 5, ejection: 30s, maxEjected: 50% }',
    },
    tls: {
      kind: { type: 'object', shape: upstreamTlsShape },
      default: {},
      docs: 'How the TLS of `https://` endpoints is verified.',
      example: '{ ca: internal.pem, serverName: pay.internal }',
    },
    pool: { kind: { type: 'object', shape: poolShape }, default: {}, docs: 'How many idle connections are kept.' },
    host: {
      kind: { type: 'choice', of: ['preserve', 'endpoint'] },
      default: 'preserve',
      docs: 'The `Host` sent to backends: the one the client sent, or the name (and port) of the endpoint.',
      example: 'endpoint',
    },
    http: {
      kind: { type: 'choice', of: ['auto', 1, 2] },
      default: 'auto',
      docs:
        'The HTTP version used with the backends. `auto`: over `https://` HTTP/2 if the backend agrees to it (ALPN), otherwise ' +
        'HTTP/1.1; over `http://` HTTP/1.1. `2` over `http://` is HTTP/2 without TLS and without negotiation, the same as `h2c://`.',
      example: '2',
    },
    lenient: {
      kind: { type: 'list', of: { type: 'choice', of: leniencyNames }, single: true },
      docs:
        `Mistakes to accept in HTTP/1.1 response heads, for backends that cannot be fixed. ${Object.entries(
          leniencies,
        )
          .map(([name, accepts]) => `\`${name}\`: ${accepts}.`)
          .join(
            ' ',
          )} What the client gets is always valid HTTP. A connection that needed a leniency is closed after its response. ` +
        'See [lenient backends](lenient-backends.md).',
      example: '[duplicate-length, bare-lf]',
    },
  },
  unsupported: {
    health: {
      what: 'active health checks',
      hint: 'remove it; an endpoint that cannot be connected to is skipped for the next try',
    },
    proxyProtocol: {
      what: 'a PROXY header to HTTP backends',
      hint: 'remove it: HTTP backends see the client in X-Forwarded-For and Forwarded; passthrough and tcp sites can send it',
    },
  },
})

/** Any `to` that leads to HTTP backends. */
export const targetKind = kind({
  type: 'either',
  text: { type: 'string', form: target, write: 'URL or upstream name' },
  list: { type: 'list', of: { type: 'string', form: endpointUrl, write: 'URL' } },
  map: { type: 'object', shape: upstreamShape },
})
