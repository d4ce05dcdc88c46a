/** Rows for limits and timeouts: what stops one client, or one backend, from costing everybody else. */
import { bodyLimit } from '../../features/body-limit/feature.ts'
import { type Row, shape } from '../engine/kinds.ts'

const kb = 1024
const mb = 1024 * kb

export const limitsRows = {
  head: {
    kind: { type: 'size', min: kb, max: mb },
    default: '32kb',
    docs: 'Request line and header fields together, and of a backend the same; more is a 431, or a 502.',
    example: '16kb',
  },
  headers: {
    kind: { type: 'integer', min: 10, max: 10_000 },
    default: 100,
    docs: 'Fields in a head; more is a 431, or of a backend a 502.',
    example: '200',
  },
  uri: {
    kind: { type: 'size', min: 64, max: mb },
    default: '8kb',
    docs: 'The request target; longer is a 414.',
    example: '4kb',
  },
  body: bodyLimit.row,
  connections: {
    kind: { type: 'integer', min: 1, max: 10_000_000 },
    default: 100_000,
    docs: 'Open connections per listener; further ones are closed at once. The limit on open files of the process must allow two for each.',
    example: '20000',
  },
  connectionsPerClient: {
    kind: { type: 'integer', min: 1, max: 10_000_000, words: { none: Number.POSITIVE_INFINITY } },
    default: 20_000,
    docs:
      'Open connections per client address and listener. The default only keeps one address from taking every connection, for a load ' +
      'balancer or a whole company may be one address; facing the internet directly, 1000 is plenty.',
    example: '1000',
  },
  bodyRate: {
    kind: { type: 'size', min: 1, max: 1024 * mb, words: { none: 0 } },
    default: '240b',
    docs:
      'Least bytes a second of a request body, on average after `timeouts.bodyGrace`; slower is a 408. While the backend does not ' +
      'read, the time stands still. gRPC calls are exempt: `timeouts.idle` watches over them.',
    example: '1kb',
  },
  hello: {
    kind: { type: 'size', min: 4 * kb, max: mb },
    default: '64kb',
    docs: 'The TLS ClientHello, over all its records. Post-quantum ones take about 2kb. On Bun more than 16kb counts for passthrough sites alone: its TLS library takes no longer one.',
    example: '32kb',
  },
  streams: {
    kind: { type: 'integer', min: 1, max: 100_000 },
    default: 128,
    docs: 'HTTP/2 requests open at once on one connection; further ones are refused, and clients send them again.',
    example: '256',
  },
  memory: {
    kind: { type: 'size', min: 64 * mb, max: Number.MAX_SAFE_INTEGER, words: { auto: 0 } },
    default: 'auto',
    defaultDocs: 'what the cgroup allows, else what the machine has',
    docs:
      'Memory of the gateway, all its processes together. When what is held for connections ([memory.md](memory.md)) is more than half ' +
      'of it, the connection that holds the most is reset, with a line in the log, until it is not.',
    example: '512mb',
  },
} as const satisfies Record<string, Row>

export const limitsShape = shape({
  name: 'limits',
  docs: 'How much is too much. What a client gets for it is in [errors.md](errors.md).',
  rows: limitsRows,
})

const none = { none: 0 }

export const timeoutsRows = {
  handshake: {
    kind: { type: 'duration' },
    default: '10s',
    docs: 'From a connection to its finished TLS handshake, with the PROXY header and the ClientHello.',
    example: '5s',
  },
  head: {
    kind: { type: 'duration' },
    default: '10s',
    docs: 'From the first byte of a request head to its last; then a 408.',
    example: '5s',
  },
  bodyIdle: {
    kind: { type: 'duration' },
    default: '30s',
    docs: 'Silence in the middle of a request body; then a 408. gRPC calls are exempt: `timeouts.idle` watches over them.',
    example: '10s',
  },
  bodyGrace: {
    kind: { type: 'duration' },
    default: '5s',
    docs: 'How long a request body may be slower than `limits.bodyRate`.',
    example: '20s',
  },
  keepAlive: {
    kind: { type: 'duration' },
    default: '60s',
    docs: "Between requests on a client's connection; then it is closed.",
    example: '15s',
  },
  connect: {
    kind: { type: 'duration' },
    default: '5s',
    docs: 'Connecting to an endpoint, with TLS where asked; then a 504.',
    example: '1s',
  },
  response: {
    kind: { type: 'duration', words: none },
    default: '60s',
    docs: "From the end of the request to the backend's response head; then a 504. Interim (1xx) answers do not extend it.",
    example: '5m',
  },
  idle: {
    kind: { type: 'duration', words: none },
    default: '5m',
    docs:
      'Silence in both directions: in a response body, a gRPC call, a WebSocket, a passthrough or a tcp connection; and a peer that ' +
      'reads nothing of what waits for it.',
    example: '1h',
  },
  filter: {
    kind: { type: 'duration', words: none },
    default: '30s',
    docs: 'How long one filter may take to settle its promise; then a 504, with its name in the log.',
    example: '2s',
  },
  total: {
    kind: { type: 'duration', words: none },
    default: 'none',
    docs: 'A whole exchange, from the request head to the last byte of the response; WebSockets are exempt.',
    example: '10m',
  },
  poolIdle: {
    kind: { type: 'duration' },
    default: '30s',
    docs: 'How long an unused backend connection is kept. Keep it under what the backends allow, or they close it first.',
    example: '10s',
  },
  drain: {
    kind: { type: 'duration' },
    default: '30s',
    docs: 'On SIGTERM: how long exchanges under way may take before their connections are cut.',
    example: '2m',
  },
  resolve: {
    kind: { type: 'duration' },
    default: '30s',
    docs:
      'How long the addresses of an endpoint count. A name that is in use is looked up again before that, without anybody waiting; after a ' +
      'pause a new connection waits for the answer, for a second at most. A look-up that fails keeps the last answer. ' +
      'Connections to addresses that a name does not have any more are closed when they are idle.',
    example: '5s',
  },
} as const satisfies Record<string, Row>

export const timeoutsShape = shape({
  name: 'timeouts',
  docs: 'How long is too long. What a client gets for it is in [errors.md](errors.md).',
  rows: timeoutsRows,
})
