/** Rows for listeners: where connections come in. */
import { addressRange, ipAddress } from '../engine/forms.ts'
import { shape } from '../engine/kinds.ts'

const proxyProtocolShape = shape({
  name: 'proxyProtocol',
  docs: 'The PROXY protocol (v1 or v2) of a load balancer in front. From the peers listed a header is required, from others it is refused.',
  rows: {
    from: {
      kind: { type: 'list', of: { type: 'string', form: addressRange, write: 'address range' }, single: true },
      required: true,
      docs: 'The load balancers.',
      example: '[10.0.0.0/8]',
    },
  },
})

export const listenShape = shape({
  name: 'listen',
  docs: 'An address and port that takes connections: TLS, unless `cleartext` says otherwise. Every site is on every listener.',
  rows: {
    address: {
      kind: { type: 'string', form: ipAddress, write: 'IP address' },
      default: '::',
      docs: '`"::"` takes every IPv6 and IPv4 address.',
      example: '127.0.0.1',
    },
    port: {
      kind: { type: 'integer', min: 0, max: 65_535 },
      required: true,
      docs: '0 lets the system choose.',
      example: '443',
    },
    proxyProtocol: {
      kind: { type: 'object', shape: proxyProtocolShape },
      docs: 'Accept the PROXY protocol.',
      example: '{ from: [10.0.0.0/8] }',
    },
    cleartext: {
      kind: { type: 'choice', of: ['redirect', 'serve'] },
      defaultDocs: 'TLS',
      docs: 'HTTP without TLS: `redirect` answers 308 to https, `serve` serves the sites.',
      example: 'redirect',
    },
  },
})
