/**
 * Every way an exchange or a connection can fail: one row each. A row says what the client is told, whose fault it
 * is, and whether another try at another endpoint is safe. docs/errors.md is generated from this table, and a test
 * holds the two against each other.
 */

/** Who has to change something for the error to go away. */
type Fault = 'client' | 'upstream' | 'gateway'

/**
 * `yes`: nothing of the request reached the backend, so another try is always safe.
 * `idempotent`: the request may have been seen; only methods that RFC 9110 section 9.2.2 calls idempotent go again.
 * `no`: never tried again.
 */
export type Retry = 'yes' | 'idempotent' | 'no'

export type ErrorRow = {
  /** HTTP status the client gets, 0 where no HTTP response is possible (layer 4, or the client is gone) */
  readonly status: number
  readonly fault: Fault
  readonly retry: Retry
  /** What it means, for docs/errors.md */
  readonly means: string
}

const row = (status: number, fault: Fault, retry: Retry, means: string): ErrorRow => ({
  status,
  fault,
  retry,
  means,
})

export const errorTable = {
  // What the client sent
  BAD_REQUEST: row(
    400,
    'client',
    'no',
    'The request is not valid HTTP (RFC 9112, RFC 9113), or could be read in two ways.',
  ),
  BAD_PATH: row(
    400,
    'client',
    'no',
    'The path has no safe form: it climbs above the root, hides a slash, a backslash or a NUL, or could be read as one for another route.',
  ),
  PLAIN_HTTP_ON_TLS_PORT: row(400, 'client', 'no', 'Cleartext HTTP was sent to a port that speaks TLS.'),
  METHOD_NOT_SUPPORTED: row(501, 'client', 'no', 'CONNECT asks for a forward proxy; this is a reverse proxy.'),
  REQUEST_TIMEOUT: row(
    408,
    'client',
    'no',
    'The request head or body did not arrive within its deadline, or slower than the minimum rate.',
  ),
  BODY_TOO_LARGE: row(413, 'client', 'no', 'The request body is larger than limits.body, or than a filter reads.'),
  URI_TOO_LONG: row(414, 'client', 'no', 'The request target is longer than limits.uri.'),
  EXPECTATION_FAILED: row(417, 'client', 'no', 'Expect asks for something other than 100-continue.'),
  MISDIRECTED: row(
    421,
    'client',
    'no',
    'The Host falls under other TLS terms than the name the connection was opened for.',
  ),
  HEAD_TOO_LARGE: row(
    431,
    'client',
    'no',
    'The request head is larger than limits.head, or has more fields than limits.headers.',
  ),
  VERSION_NOT_SUPPORTED: row(505, 'client', 'no', 'The HTTP version is neither 1.0 nor 1.1.'),
  NO_SITE: row(404, 'client', 'no', 'No site has this host name.'),
  NO_ROUTE: row(404, 'client', 'no', 'The site has no route for this request.'),
  METHOD_NOT_ALLOWED: row(405, 'client', 'no', 'Files are for GET and HEAD only.'),
  FILE_NOT_FOUND: row(
    404,
    'client',
    'no',
    'There is no such file, or none that is served: hidden ones, symbolic links that leave the root, folders, devices and pipes are not.',
  ),
  STREAM_IDLE: row(
    408,
    'client',
    'no',
    'A gRPC call was open for sending, and neither side sent a byte for longer than timeouts.idle.',
  ),
  CLIENT_GONE: row(
    0,
    'client',
    'no',
    'The client closed or reset its connection before the response was complete.',
  ),
  CLIENT_STALLED: row(0, 'client', 'no', 'The client neither read nor wrote for longer than timeouts.idle.'),
  CONNECTION_LIFETIME: row(
    0,
    'gateway',
    'no',
    'A passthrough or tcp connection was open for longer than timeouts.lifetime of its site.',
  ),
  CLIENT_BLOCKED: row(0, 'client', 'no', "The client's JA4 fingerprint is on the site's block list."),
  CLIENT_CERTIFICATE: row(
    403,
    'client',
    'no',
    'A client certificate is required, and there is none, or it does not verify, has ended, is revoked or is not on the list.',
  ),
  ACCESS_DENIED: row(
    403,
    'client',
    'no',
    "The client's address is denied by `access`, or is not on its allow list.",
  ),
  HTTP2_VIOLATION: row(
    0,
    'client',
    'no',
    'The peer broke a rule of HTTP/2 (RFC 9113, RFC 7541): its stream was reset, or its connection ended with GOAWAY.',
  ),
  HTTP2_ABUSE: row(
    0,
    'client',
    'no',
    'An HTTP/2 connection did too much of what costs its peer little and us much (resets, empty or control frames).',
  ),
  TOO_MANY_CONNECTIONS: row(
    0,
    'client',
    'no',
    'limits.connections or limits.connectionsPerClient was reached: the connection was closed at once.',
  ),
  TLS_BROKEN: row(
    0,
    'client',
    'no',
    'A record behind the TLS handshake could not be decrypted or has no place there, or the peer ended TLS with an alert.',
  ),
  // The TLS handshake with the client (RFC 8446 section 6)
  TLS_MALFORMED: row(0, 'client', 'no', 'The first bytes are not a well-formed TLS ClientHello.'),
  TLS_NO_NAME: row(0, 'client', 'no', 'The client sent no server name and no site is the default.'),
  TLS_UNKNOWN_NAME: row(0, 'client', 'no', 'No site has the server name that the client asked for.'),
  TLS_NO_ALPN: row(0, 'client', 'no', 'The client offers only application protocols that the site does not speak.'),
  TLS_VERSION: row(0, 'client', 'no', 'The client offers no TLS version that the policy allows.'),
  TLS_NO_CERTIFICATE: row(
    0,
    'gateway',
    'no',
    'The site has no certificate for this name: it has not been issued yet, or its file cannot be read.',
  ),
  TLS_HANDSHAKE: row(0, 'client', 'no', 'The TLS handshake with the client failed.'),
  HANDSHAKE_TIMEOUT: row(
    0,
    'client',
    'no',
    'The first bytes or the TLS handshake did not complete within timeouts.handshake.',
  ),
  STARTTLS_REQUIRED: row(
    0,
    'client',
    'no',
    'A client of a protocol that begins in cleartext went on without TLS: it sent no STARTTLS or SSLRequest.',
  ),
  STARTTLS_PIPELINED: row(
    0,
    'client',
    'no',
    'Cleartext bytes came together with STARTTLS or SSLRequest, ahead of the TLS handshake (CVE-2011-0411, CVE-2021-23214).',
  ),
  STARTTLS_MALFORMED: row(
    0,
    'client',
    'no',
    'What a client sent ahead of STARTTLS is not of the protocol of the listener, or too long, or too much.',
  ),
  POSTGRES_NOT_SERVED: row(
    0,
    'client',
    'no',
    "PostgreSQL's first packet came to a cleartext port, or where no site has tcp.startTls: postgres.",
  ),
  TLS_ON_PLAIN_PORT: row(0, 'client', 'no', 'A TLS ClientHello was sent to a cleartext port.'),
  PROXY_HEADER: row(0, 'client', 'no', 'A trusted peer sent no PROXY header, or a malformed one.'),
  // The backend
  NO_ENDPOINT: row(503, 'upstream', 'no', 'The upstream has no endpoint that may be tried.'),
  NAME_NOT_RESOLVED: row(502, 'upstream', 'yes', "The endpoint's host name has no address."),
  NO_DESCRIPTORS: row(
    503,
    'gateway',
    'no',
    'The process has no file descriptor left for a connection to the endpoint, or for a file (ulimit -n, LimitNOFILE=).',
  ),
  CONNECT_REFUSED: row(502, 'upstream', 'yes', 'The endpoint refused the connection.'),
  CONNECT_TIMEOUT: row(
    504,
    'upstream',
    'yes',
    'Connecting (with TLS, where asked) took longer than timeouts.connect.',
  ),
  UPSTREAM_TLS: row(
    502,
    'upstream',
    'yes',
    "The endpoint's TLS handshake failed or its certificate did not verify.",
  ),
  STALE_CONNECTION: row(
    502,
    'upstream',
    'idempotent',
    'A pooled connection was closed by the endpoint just as it was used.',
  ),
  UPSTREAM_RESET: row(
    502,
    'upstream',
    'idempotent',
    'The endpoint closed the connection, or reset the stream, before its response began.',
  ),
  STREAM_REFUSED: row(
    502,
    'upstream',
    'yes',
    'The endpoint refused the HTTP/2 stream before it took up the request.',
  ),
  UPSTREAM_GOAWAY: row(
    502,
    'upstream',
    'yes',
    'The endpoint said GOAWAY on the HTTP/2 connection before it took up the request.',
  ),
  RESPONSE_TIMEOUT: row(
    504,
    'upstream',
    'no',
    "The endpoint's response head did not come within timeouts.response.",
  ),
  TOTAL_TIMEOUT: row(504, 'upstream', 'no', 'The whole exchange took longer than timeouts.total.'),
  UPSTREAM_IDLE: row(504, 'upstream', 'no', 'The endpoint sent nothing for longer than timeouts.idle.'),
  BAD_GREETING: row(
    0,
    'upstream',
    'no',
    'The backend of a site with startTls did not begin as its protocol does: no greeting, a refusal in it, or no TLS of PostgreSQL.',
  ),
  BAD_RESPONSE: row(
    502,
    'upstream',
    'no',
    'The endpoint sent a response that is not valid HTTP, or that could be read in two ways.',
  ),
  UPSTREAM_TRUNCATED: row(
    502,
    'upstream',
    'no',
    'The endpoint closed the connection in the middle of a response body.',
  ),
  // Ourselves
  DRAINING: row(
    0,
    'gateway',
    'no',
    'The gateway is shutting down, and what was still open at timeouts.drain was cut.',
  ),
  MEMORY_BUDGET: row(
    503,
    'gateway',
    'no',
    'All connections together held more than half of limits.memory, and this one held the most: it was reset.',
  ),
  MAINTENANCE: row(
    503,
    'gateway',
    'no',
    'The site is in maintenance (`sallyport maintenance off SITE` ends that).',
  ),
  FILTER_FAILED: row(
    500,
    'gateway',
    'no',
    'A filter threw, or returned what its phase does not take; the log names it.',
  ),
  FILTER_TIMEOUT: row(504, 'gateway', 'no', 'A filter did not settle its promise within timeouts.filter.'),
  FILE_FORBIDDEN: row(403, 'gateway', 'no', 'The user that runs the gateway may not read the file or its folder.'),
  FILE_UNREADABLE: row(500, 'gateway', 'no', 'The file system failed to read a file.'),
  FILE_CHANGED: row(
    500,
    'gateway',
    'no',
    'A file was truncated or written to while it was sent. Replace files by renaming a new one over them.',
  ),
  CHALLENGE_TIMEOUT: row(
    503,
    'gateway',
    'no',
    'Storage did not say within timeouts.handshake whether an ACME challenge is open.',
  ),
  INTERNAL: row(500, 'gateway', 'no', 'A fault in the gateway itself; the log has the stack.'),
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable

/** An error of the data plane. The message says what was tried, where, and which limit was hit; it goes to the log, never to the client. */
export class ProxyError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'ProxyError'
    this.code = code
  }
  get row(): ErrorRow {
    return errorTable[this.code]
  }
}

/** A mistake in the command line, the configuration, or a file it names: shown without a stack, exit code 2. */
export class UsageError extends Error {
  /** Of the process, where this ends it */
  readonly exitCode: 1 | 2 = 2
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message
  try {
    return String(error)
  } catch {
    // Code of users may throw anything, also what has no text.
    return `a value without a text (${typeof error})`
  }
}

/** After a fault of the client nothing more is read from it, unless it has only asked for what is not there. */
export function endsConnection({ row: { fault, status } }: ProxyError): boolean {
  return fault === 'client' && status !== 404 && status !== 421
}
