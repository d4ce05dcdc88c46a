/** Rows for listeners: where connections come in. */
import { ownClientFields } from '../../wire/client-fields.ts'
import { gatewayNames } from '../../wire/field-names.ts'
import { addressRange, type Formed, headerName, ipAddress } from '../engine/forms.ts'
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

const listenFieldsShape = shape({
  name: 'listenFields',
  docs: 'What clients may send beside what is carried anyway. Decided before there is a route, so it stands on the listener.',
  rows: {
    allow: {
      kind: { type: 'list', of: { type: 'string', form: allowedField, write: 'field name' }, single: true },
      required: true,
      docs: 'Names in full, also with `_` or `.`. Not those that frame a message, belong to one connection, or are written by the gateway.',
      example: '[x-client-ip, api_key]',
    },
  },
})

/** A field name that may be let through. */
function allowedField(text: string): Formed<string> {
  const name = headerName(text)
  if (!('ok' in name)) return name
  const lower = name.ok
  // CGI-like backends read `x_real_ip` as `x-real-ip`.
  const read = lower.replace(/[^a-z0-9]/g, '-')
  if (gatewayNames.has(read) || read === 'host')
    return { wrong: `${lower} frames messages or belongs to one connection` }
  if (ownClientFields.has(read))
    return { wrong: `${lower} is written by the gateway itself`, hint: 'a backend could not tell the two apart' }
  return { ok: lower }
}

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
    fields: {
      kind: { type: 'object', shape: listenFieldsShape },
      docs: 'Fields that are dropped from what clients send (client-fields.md), and are not here.',
      example: '{ allow: [x-client-ip, api_key] }',
    },
    cleartext: {
      kind: { type: 'choice', of: ['redirect', 'serve'] },
      defaultDocs: 'TLS',
      docs: 'HTTP without TLS: `redirect` answers 308 to https, `serve` serves the sites.',
      example: 'redirect',
    },
  },
})
