/** Rows for what is forwarded as bytes: passthrough and tcp sites. */
import { acmeProtocol } from '../../model/challenge.ts'
import { listenerProtocols, type StartTls } from '../../wire/start-tls/dialogs.ts'
import { type Formed, hostPort } from '../engine/forms.ts'
import { type Row, shape } from '../engine/kinds.ts'
import { balanceRow } from './upstream.ts'

const none = { none: 0 }

const layer4TimeoutsShape = shape({
  name: 'timeouts of passthrough and tcp',
  docs: 'Overrides the timeouts of the file for the connections of one site.',
  rows: {
    connect: {
      kind: { type: 'duration' },
      defaultDocs: '`timeouts.connect`',
      docs: 'Connecting to the backend.',
      example: '1s',
    },
    idle: {
      kind: { type: 'duration', words: none },
      defaultDocs: '`timeouts.idle`',
      docs: 'No data in either direction. Clients that keep connections open without using them, as database pools do, need more.',
      example: '8h',
    },
    lifetime: {
      kind: { type: 'duration', words: none },
      default: 'none',
      docs: 'A whole connection, however busy it is; then it is reset.',
      example: '24h',
    },
  },
})

const layer4LimitsShape = shape({
  name: 'limits of passthrough and tcp',
  docs: 'Limits on the connections of one site, beside those of the file.',
  rows: {
    connectionsPerClient: {
      kind: { type: 'integer', min: 1, max: 10_000_000, words: { none: Number.POSITIVE_INFINITY } },
      default: 'none',
      docs:
        'Open connections to this site per client address and listener, from the ClientHello on; further ones are refused with the ' +
        'alert `access_denied`. Each worker process counts its own.',
      example: '20',
    },
  },
})

const layer4Rows = {
  to: {
    kind: { type: 'list', of: { type: 'string', form: hostPort, write: 'host:port' }, single: true },
    required: true,
    docs: 'The backends.',
    example: '[10.0.2.9:443]',
  },
  balance: balanceRow,
  proxyProtocol: {
    kind: { type: 'choice', of: ['v1', 'v2'] },
    docs:
      'Start every connection with a PROXY header of this version, which tells the backend who the client is. The backend must expect ' +
      'it.',
    example: 'v2',
  },
  timeouts: {
    kind: { type: 'object', shape: layer4TimeoutsShape },
    default: {},
    docs: 'Timeouts of the connections.',
    example: '{ idle: 8h, lifetime: 24h }',
  },
  limits: {
    kind: { type: 'object', shape: layer4LimitsShape },
    default: {},
    docs: 'Limits on the connections.',
    example: '{ connectionsPerClient: 20 }',
  },
} as const satisfies Record<string, Row>

const unsupported = {
  health: {
    what: 'active health checks',
    hint: 'remove it; an endpoint that cannot be connected to is skipped for the next try',
  },
} as const

export const passthroughShape = shape({
  name: 'passthrough',
  docs: 'Where a site forwards the bytes of its clients without decrypting them.',
  rows: {
    ...layer4Rows,
    startTls: {
      kind: { type: 'choice', of: ['postgres'] },
      docs:
        'The backend is PostgreSQL, and clients may send it an SSLRequest: the gateway answers that on every TLS listener, and sends one of ' +
        'its own to the backend that the ClientHello names.',
      example: 'postgres',
    },
  },
  unsupported,
})

export const tcpShape = shape({
  name: 'tcp',
  docs: 'Where a site forwards the decrypted bytes of its clients. [tcp.md](tcp.md) has databases, mail and other protocols.',
  rows: {
    ...layer4Rows,
    alpn: {
      defaultDocs:
        'with `startTls` the name of that protocol; otherwise none is negotiated, whatever clients offer',
      kind: { type: 'list', of: { type: 'string', form: protocolName, write: 'protocol' }, single: true },
      docs:
        'Application protocols (ALPN) that the site speaks, the preferred one first. A client that offers protocols must offer one of ' +
        'them; one that offers none is served.',
      example: '[postgresql]',
    },
    startTls: {
      kind: { type: 'choice', of: ['postgres', ...listenerProtocols] },
      docs:
        'The protocol of the backend, if clients begin it in cleartext and change to TLS on request. `postgres`: clients may send ' +
        'an SSLRequest on every TLS listener. `smtp`, `imap`, `pop3`, `xmpp`: clients of a listener with the same `startTls`. Only such ' +
        'a site is served to them. A client that sends no server name gets the default site, if it speaks the protocol, or the only ' +
        'one that does.',
      example: 'postgres',
    },
  },
  unsupported,
})

/** Names of the protocols in ALPN, for a site that gives none: a browser, which always offers others, speaks to none of them. */
export const startTlsAlpn: Readonly<Record<StartTls, readonly string[]>> = {
  postgres: ['postgresql'],
  smtp: ['smtp'],
  imap: ['imap'],
  pop3: ['pop3'],
  xmpp: ['xmpp-client', 'xmpp-server'],
}

/** A protocol name of ALPN as people write it (RFC 7301 section 3.1 allows any bytes). */
function protocolName(text: string): Formed<string> {
  if (!/^[\x21-\x7e]{1,255}$/.test(text))
    return { wrong: `${JSON.stringify(text)} is no protocol name`, hint: 'as in postgresql, mqtt, xmpp-client' }
  if (text === acmeProtocol)
    return { wrong: `${text} belongs to ACME challenges`, hint: 'the gateway answers those itself' }
  return { ok: text }
}
