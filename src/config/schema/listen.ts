/** Rows for listeners: where connections come in. */
import { unixPeer } from '../../base/ip.ts'
import { ownClientFields } from '../../wire/client-fields.ts'
import { gatewayNames } from '../../wire/field-names.ts'
import { listenerProtocols } from '../../wire/start-tls/dialogs.ts'
import { addressRange, type Formed, headerName, ipAddress } from '../engine/forms.ts'
import { shape } from '../engine/kinds.ts'
import { socketPath } from '../engine/unix-endpoint.ts'
import { trustShape } from './trust.ts'

const proxyProtocolShape = shape({
  name: 'proxyProtocol',
  docs:
    'The PROXY protocol (v1 or v2), as sent by a load balancer in front. Peers in `from` must send the header; from all others it ' +
    'is refused.',
  rows: {
    from: {
      kind: {
        type: 'list',
        of: { type: 'string', form: rangeOrUnix, write: 'address range, or `unix`' },
        single: true,
      },
      required: true,
      docs: 'Addresses of the load balancers; `unix` for the peers of a Unix socket.',
      example: '[10.0.0.0/8]',
    },
  },
})

const listenFieldsShape = shape({
  name: 'listenFields',
  docs:
    'Request fields that clients may send although they are dropped by default. It is set on the listener, because it is decided ' +
    'before a route is known.',
  rows: {
    allow: {
      kind: { type: 'list', of: { type: 'string', form: allowedField, write: 'field name' }, single: true },
      required: true,
      docs:
        'Full field names, which may contain `_` or `.`. Fields that frame a message, belong to one connection or are written by the ' +
        'gateway are not allowed.',
      example: '[x-client-ip, api_key]',
    },
  },
})

/** As they are written, in octal. */
function fileMode(text: string): Formed<number> {
  if (/^0?[0-7]{3}$/.test(text)) return { ok: Number.parseInt(text, 8) }
  return { wrong: `${text} is not a file mode`, hint: 'three octal digits in quotes, as in "660"' }
}

/** `proxyProtocol.from`: ranges, or the peers of a Unix socket. */
function rangeOrUnix(text: string): Formed<string> {
  return text === unixPeer ? { ok: text } : addressRange(text)
}

/** An interface is looked up when the listeners are validated. */
function listenAddress(text: string): Formed<string> {
  const address = ipAddress(text)
  return 'ok' in address || text === 'localhost' || !/^[A-Za-z][A-Za-z0-9_.-]{0,14}$/.test(text)
    ? address
    : { ok: text }
}

export function listenerName(text: string): Formed<string> {
  if (/^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(text)) return { ok: text }
  return {
    wrong: `${JSON.stringify(text)} cannot be the name of a listener`,
    hint: 'letters, digits, _ and -, beginning with a letter',
  }
}

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
  docs:
    'An address and port that accepts connections: TLS, unless `cleartext` or `startTls` is set. A site without `listeners` is served on every ' +
    'listener ([listeners.md](listeners.md)).',
  rows: {
    name: {
      kind: { type: 'string', form: listenerName, write: 'name' },
      docs: 'For `listeners` of sites. Several listeners may share a name.',
      example: 'public',
    },
    address: {
      kind: { type: 'string', form: listenAddress, write: 'IP address or network interface' },
      default: '::',
      docs: '`"::"` takes every IPv6 and IPv4 address. The name of an interface stands for all of its addresses at the time, without link-local ones.',
      example: '127.0.0.1',
    },
    port: {
      kind: { type: 'integer', min: 0, max: 65_535 },
      defaultDocs: '**required**, except for a Unix socket',
      docs: '0 lets the system choose a free port.',
      example: '443',
    },
    unix: {
      kind: { type: 'string', form: socketPath, write: 'path' },
      docs:
        'A Unix socket in place of address and port. A socket that a process left behind is removed; one that is in use is an error. With ' +
        'several workers, the first one has it.',
      example: '/run/sallyport/http.sock',
    },
    mode: {
      kind: { type: 'string', form: fileMode, write: 'octal permissions' },
      default: '660',
      docs: 'The permissions of the Unix socket, in octal: whoever may write to it may connect.',
      example: '"666"',
    },
    backlog: {
      kind: { type: 'integer', min: 1, max: 65_535 },
      defaultDocs: '4096; 512 on Bun',
      docs: 'How many connections may wait to be accepted. Linux cuts it to `net.core.somaxconn`. Node only. A reload cannot change it.',
      example: '1024',
    },
    keepAlive: {
      kind: { type: 'duration', words: { none: 0 }, maxMs: 32_767_000 },
      default: 'none',
      docs:
        'TCP keep-alive: after this time of silence, the system asks whether the peer is still there, and closes the connection if it does ' +
        'not respond.',
      example: '60s',
    },
    public: {
      kind: { type: 'integer', min: 1, max: 65_535 },
      defaultDocs: '`port`',
      docs:
        'The port that clients connect to, if a port mapping in front (a container, NAT, a load balancer) makes it a different one. ' +
        'Redirects to https, `X-Forwarded-Port` and `{request.port}` use it, even if a PROXY header names another port.',
      example: '443',
    },
    proxyProtocol: {
      kind: { type: 'object', shape: proxyProtocolShape },
      docs: 'Accept the PROXY protocol.',
      example: '{ from: [10.0.0.0/8] }',
    },
    trust: {
      kind: { type: 'object', shape: trustShape },
      defaultDocs: '`trust` of the file',
      docs: 'HTTP proxies that may say who the client of a request is ([behind-a-proxy.md](behind-a-proxy.md)).',
      example: '{ from: [173.245.48.0/20], fields: cf-connecting-ip }',
    },
    fields: {
      kind: { type: 'object', shape: listenFieldsShape },
      docs: 'Request fields to let through that are otherwise dropped ([client-fields.md](client-fields.md)).',
      example: '{ allow: [x-client-ip, api_key] }',
    },
    cleartext: {
      kind: { type: 'choice', of: ['redirect', 'serve'] },
      defaultDocs: 'TLS',
      docs: 'HTTP without TLS: `redirect` answers with a 308 to https, `serve` serves the sites.',
      example: 'redirect',
    },
    startTls: {
      kind: { type: 'choice', of: listenerProtocols },
      defaultDocs: 'TLS from the first byte',
      docs:
        'Connections begin in cleartext with this protocol, and change to TLS with STARTTLS (`smtp`, `imap`, `xmpp`) or STLS (`pop3`). ' +
        'The gateway speaks the protocol until then, takes no mail and no password, and requires TLS. Only sites with the same ' +
        '`tcp.startTls` are served; [tcp.md](tcp.md) says what they need.',
      example: 'smtp',
    },
  },
})
