/** Rows for sites: a host name and how its TLS ends. */

import { featureRows } from '../../features/all.ts'
import { policyName, siteHost } from '../engine/forms.ts'
import { shape } from '../engine/kinds.ts'
import { certificateKind } from './certificate.ts'
import { clientsShape, ja4Shape } from './clients.ts'
import { passthroughShape, tcpShape } from './layer4.ts'
import { listenerName } from './listen.ts'
import { routeLimitsShape, routeShape, routeTimeoutsShape } from './route.ts'
import { targetKind } from './upstream.ts'
import { useRow } from './use.ts'

export const siteShape = shape({
  name: 'site',
  docs:
    'A host name and how its TLS is handled: exactly one of `to`, `routes`, `passthrough` and `tcp`. A client that sends no server ' +
    'name, or one that no site has, is refused with the alert `unrecognized_name` unless one site is the default.',
  rows: {
    host: {
      kind: { type: 'list', of: { type: 'string', form: siteHost, write: 'host name' }, single: true },
      required: true,
      docs:
        'One or more host names. `*.example.com` matches exactly one label; an exact name takes precedence. A name can belong to only ' +
        'one site.',
      example: '[shop.example.com, "*.shop.example.com"]',
    },
    use: useRow,
    default: {
      kind: { type: 'boolean' },
      default: false,
      docs: 'Also serves clients that send no server name, or one that no site has. At most one site can be the default.',
      example: 'true',
    },
    listeners: {
      kind: { type: 'list', of: { type: 'string', form: listenerName, write: 'name of a listener' }, single: true },
      defaultDocs: 'all',
      docs: 'The listeners that serve this site, by name. On all others it does not exist.',
      example: '[public]',
    },
    certificate: {
      kind: certificateKind,
      docs:
        '`{ chain, key }`, a list of those (ECDSA and RSA side by side), `{ directory }` for a folder of them, `acme` or `vault` for a ' +
        'certificate that is ordered and renewed automatically, or `local` for one from the built-in CA. Required wherever the gateway ' +
        'terminates TLS, so not for passthrough.',
      example: '{ chain: shop.pem, key: shop.key }',
    },
    policy: {
      kind: { type: 'string', form: policyName, write: 'policy' },
      defaultDocs: 'the `policy` of the file',
      docs: 'The name of the TLS policy: versions, ciphers and groups. `sallyport policies` lists them.',
      example: 'modern',
    },
    ocsp: {
      kind: { type: 'choice', of: ['off', 'staple'] },
      default: 'off',
      docs:
        "`staple`: the CA's OCSP response is sent with the certificate; it is fetched from the responder named in the certificate, and " +
        'the issuer must be in the chain. A must-staple certificate is refused without it. Node only.',
      example: 'staple',
    },
    clients: {
      kind: { type: 'object', shape: clientsShape },
      docs: 'Client certificates: who must present one. By default none is requested.',
      example: '{ ca: partners.pem, verify: require }',
    },
    ja4: {
      kind: { type: 'object', shape: ja4Shape },
      default: {},
      docs: 'What to do with client fingerprints. The access log always has them.',
      example: '{ forward: true }',
    },
    to: {
      kind: targetKind,
      docs: 'The backends of the whole site: shorthand for `routes` with a single route.',
      example: 'http://10.0.0.7:8080',
    },
    routes: {
      kind: { type: 'list', of: { type: 'object', shape: routeShape } },
      docs: 'The routes.',
      example: '[{ match: { path: /api/* }, to: http://10.0.0.5:3000 }, { to: http://10.0.0.7:8080 }]',
    },
    passthrough: {
      kind: { type: 'object', shape: passthroughShape },
      docs: 'Connections are forwarded by server name without being decrypted: the backend has the certificate.',
      example: '{ to: [10.0.2.9:443], proxyProtocol: v2 }',
    },
    tcp: {
      kind: { type: 'object', shape: tcpShape },
      docs: 'The gateway terminates TLS and forwards the content as raw TCP.',
      example: '{ to: [10.0.3.4:5432], alpn: [postgresql] }',
    },
    timeouts: {
      kind: { type: 'object', shape: routeTimeoutsShape },
      default: {},
      docs: 'Timeouts of all routes of this site; a route overrides them.',
      example: '{ response: 5m }',
    },
    limits: {
      kind: { type: 'object', shape: routeLimitsShape },
      default: {},
      docs: 'Limits of all routes of this site; a route overrides them.',
      example: '{ body: 100mb }',
    },
    ...featureRows,
  },
})
