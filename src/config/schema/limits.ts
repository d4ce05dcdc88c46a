/** Rows for limits and timeouts: what stops one client, or one backend, from costing everybody else. */
import { bodyLimit } from '../../features/body-limit/feature.ts'
import { type Row, shape } from '../engine/kinds.ts'

const kb = 1024
const mb = 1024 * kb

export const limitsRows = {
  head: {
    kind: { type: 'size', min: kb, max: mb },
    default: '32kb',
    docs: "Size of the request line and header fields together (431), and of a backend's response head (502).",
    example: '16kb',
  },
  headers: {
    kind: { type: 'integer', min: 10, max: 10_000 },
    default: 100,
    docs: 'Number of fields in a head: more is a 431, or a 502 if the backend sent them.',
    example: '200',
  },
  uri: {
    kind: { type: 'size', min: 64, max: mb },
    default: '8kb',
    docs: 'Length of the request target; longer is a 414.',
    example: '4kb',
  },
  body: bodyLimit.row,
  connections: {
    kind: { type: 'integer', min: 1, max: 10_000_000 },
    default: 100_000,
    docs:
      'Open connections per listener, over all workers; further ones are closed at once. The limit on open files of a process must ' +
      'allow two per connection.',
    example: '20000',
  },
  connectionsPerClient: {
    kind: { type: 'integer', min: 1, max: 10_000_000, words: { none: Number.POSITIVE_INFINITY } },
    default: 20_000,
    docs:
      'Open connections per client address and listener. The default only keeps one address from taking every connection, because a ' +
      'load balancer or a whole company may share one address; facing the internet directly, 1000 is plenty.',
    example: '1000',
  },
  bodyRate: {
    kind: { type: 'size', min: 1, max: 1024 * mb, words: { none: 0 } },
    default: '240b',
    docs:
      'Minimum rate of a request body in bytes per second, averaged after `timeouts.bodyGrace`; slower is a 408. Time during which ' +
      'the backend does not read does not count. gRPC calls are exempt: `timeouts.idle` applies to them.',
    example: '1kb',
  },
  hello: {
    kind: { type: 'size', min: 4 * kb, max: mb },
    default: '64kb',
    docs:
      'Size of the TLS ClientHello over all its records. Post-quantum ones take about 2kb. On Bun, more than 16kb applies only to ' +
      'passthrough sites: its TLS library does not accept a longer one.',
    example: '32kb',
  },
  streams: {
    kind: { type: 'integer', min: 1, max: 100_000 },
    default: 128,
    docs: 'Concurrent HTTP/2 requests per connection; further ones are refused, and clients retry them.',
    example: '256',
  },
  memory: {
    kind: { type: 'size', min: 64 * mb, max: Number.MAX_SAFE_INTEGER, words: { auto: 0 } },
    default: 'auto',
    defaultDocs: "the cgroup's limit, otherwise the memory of the machine",
    docs:
      'Memory of the gateway, over all its processes. When the memory held for connections ([memory.md](memory.md)) exceeds half of ' +
      'it, the connections that hold the most are reset one by one, each with a log record, until it is below that again.',
    example: '512mb',
  },
} as const satisfies Record<string, Row>

export const limitsShape = shape({
  name: 'limits',
  docs: 'Limits on sizes, numbers and memory. [errors.md](errors.md) says what happens when one is exceeded.',
  rows: limitsRows,
})

const none = { none: 0 }

export const timeoutsRows = {
  handshake: {
    kind: { type: 'duration' },
    default: '10s',
    docs: 'From accepting a connection to the end of its TLS handshake, including the PROXY header and the ClientHello.',
    example: '5s',
  },
  head: {
    kind: { type: 'duration' },
    default: '10s',
    docs: 'From the first byte of a request head to the last; then a 408.',
    example: '5s',
  },
  bodyIdle: {
    kind: { type: 'duration' },
    default: '30s',
    docs: 'No data in the middle of a request body; then a 408. gRPC calls are exempt: `timeouts.idle` applies to them.',
    example: '10s',
  },
  bodyGrace: {
    kind: { type: 'duration' },
    default: '5s',
    docs: 'How long a request body may stay below `limits.bodyRate`.',
    example: '20s',
  },
  keepAlive: {
    kind: { type: 'duration' },
    default: '60s',
    docs: 'Idle time between requests on a client connection; then it is closed.',
    example: '15s',
  },
  connect: {
    kind: { type: 'duration' },
    default: '5s',
    docs: 'Connecting to an endpoint, including TLS where used; then a 504.',
    example: '1s',
  },
  response: {
    kind: { type: 'duration', words: none },
    default: '60s',
    docs: "From the end of the request to the backend's response head; then a 504. Interim (1xx) responses do not extend it.",
    example: '5m',
  },
  idle: {
    kind: { type: 'duration', words: none },
    default: '5m',
    docs:
      'No data in either direction: in a response body, a gRPC call, a WebSocket, a passthrough or tcp connection; also a peer that ' +
      'does not read any of the data waiting for it.',
    example: '1h',
  },
  tunnelIdle: {
    kind: { type: 'duration', words: none },
    defaultDocs: '`timeouts.idle`',
    docs:
      'No data in either direction of a WebSocket, or of another connection that was upgraded; then it is cut. Applications that are ' +
      'silent for hours and send no pings need more.',
    example: '2d',
  },
  filter: {
    kind: { type: 'duration', words: none },
    default: '30s',
    docs: 'How long a filter may take to settle its promise; then a 504, and the log names the filter.',
    example: '2s',
  },
  total: {
    kind: { type: 'duration', words: none },
    default: 'none',
    docs: 'A whole exchange, from the request head to the last byte of the response. WebSockets are exempt.',
    example: '10m',
  },
  poolIdle: {
    kind: { type: 'duration' },
    default: '30s',
    docs: "How long an idle backend connection is kept. Keep it below the backends' own timeout, or they close the connection first.",
    example: '10s',
  },
  drain: {
    kind: { type: 'duration' },
    default: '30s',
    docs: 'On SIGTERM: how long open exchanges may take to finish before their connections are closed.',
    example: '2m',
  },
  resolve: {
    kind: { type: 'duration' },
    default: '30s',
    docs:
      'How long the addresses of a backend name are used before it is resolved again: less if DNS gives them a shorter TTL, but at ' +
      'least a second. Names are resolved in the background; only the first request for a name waits, or the first after ten minutes ' +
      'without any. If a lookup fails, the last addresses are kept. An address that the name no longer has gets no new requests: idle ' +
      'connections to it are closed, and open exchanges finish.',
    example: '5s',
  },
} as const satisfies Record<string, Row>

export const timeoutsShape = shape({
  name: 'timeouts',
  docs: 'How long each step may take. [deadlines.md](deadlines.md) says what each of them limits, and [errors.md](errors.md) what happens when one expires.',
  rows: timeoutsRows,
})
