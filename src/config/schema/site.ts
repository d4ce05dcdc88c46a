/** Rows for sites: a host name and how its TLS ends. */

import { featureRows } from '../../features/all.ts'
import { policyName, siteHost } from '../engine/forms.ts'
import { shape } from '../engine/kinds.ts'
import { certificateKind } from './certificate.ts'
import { clientsShape, ja4Shape } from './clients.ts'
import { routeShape } from './route.ts'
import { layer4Shape, targetKind } from './upstream.ts'

export const siteShape = shape({
  name: 'site',
  docs:
    'A host name and how its TLS ends: exactly one of `to`, `routes`, `passthrough` and `tcp`. A client without a server name, or with ' +
    'one that no site has, is refused with the alert `unrecognized_name` unless a site is the default.',
  rows: {
    host: {
      kind: { type: 'list', of: { type: 'string', form: siteHost, write: 'host name' }, single: true },
      required: true,
      docs: 'The name, or several. `*.example.com` stands for one label; an exact name wins over it. Each name belongs to one site.',
      example: '[shop.example.com, "*.shop.example.com"]',
    },
    default: {
      kind: { type: 'boolean' },
      default: false,
      docs: 'Also serves clients without a server name, or with a name no site has. One site at most.',
      example: 'true',
    },
    certificate: {
      kind: certificateKind,
      docs:
        '`{ chain, key }`, a list of those (ECDSA and RSA side by side), `{ directory }` for a folder of them, `acme` or `vault` for one ' +
        'that is ordered and renewed by itself, or `local` for one from the built-in CA. ' +
        'Required wherever TLS ends, so not for passthrough.',
      example: '{ chain: shop.pem, key: shop.key }',
    },
    policy: {
      kind: { type: 'string', form: policyName, write: 'policy' },
      defaultDocs: 'the `policy` of the file',
      docs: 'TLS versions, ciphers and groups: the name of a policy. `sallyport policies` lists them.',
      example: 'modern',
    },
    ocsp: {
      kind: { type: 'choice', of: ['off', 'staple'] },
      default: 'off',
      docs:
        '`staple`: the OCSP response of the CA is sent with the certificate, fetched from the responder that the certificate names. ' +
        'The issuer must be in the chain. A must-staple certificate is refused without it. On Node only.',
      example: 'staple',
    },
    clients: {
      kind: { type: 'object', shape: clientsShape },
      docs: 'Client certificates: who must show one. None is asked for when this is left out.',
      example: '{ ca: partners.pem, verify: require }',
    },
    ja4: {
      kind: { type: 'object', shape: ja4Shape },
      default: {},
      docs: 'What is done with fingerprints of clients. The access log has them in any case.',
      example: '{ forward: true }',
    },
    to: {
      kind: targetKind,
      docs: 'The backends of the whole site: short for `routes` with one route.',
      example: 'http://10.0.0.7:8080',
    },
    routes: {
      kind: { type: 'list', of: { type: 'object', shape: routeShape } },
      docs: 'The routes.',
      example: '[{ match: { path: /api/* }, to: http://10.0.0.5:3000 }, { to: http://10.0.0.7:8080 }]',
    },
    passthrough: {
      kind: { type: 'object', shape: layer4Shape },
      docs: 'Connections go on by server name, never decrypted: the backend has the certificate.',
      example: '{ to: [10.0.2.9:443], proxyProtocol: v2 }',
    },
    tcp: {
      kind: { type: 'object', shape: layer4Shape },
      docs: 'TLS ends here, and what is inside goes on as raw TCP.',
      example: '{ to: [10.0.3.4:5432] }',
    },
    ...featureRows,
  },
})
