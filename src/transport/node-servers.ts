/**
 * Node's TLS servers for a set of terms: one for each ticket window that is needed. The keys of a native context seal new
 * tickets and open old ones, so a client that shows a ticket of an earlier window is served by that window's context; the
 * name of the key stands in its hello in the clear (RFC 5077 section 4), and was peeked already.
 *
 * A resumed session gets no new ticket (OpenSSL renews none that it could open): what an earlier window's context seals is
 * at most a ticket for a client whose own could not be opened after all, and ends with that window. All contexts of terms go
 * when a window ends, and are made again when asked for: 32 kB each.
 */
import { constants } from 'node:crypto'
import tls from 'node:tls'
import type { TicketKeys, TicketWindow } from '../model/ticket-keys.ts'
import type { ServerTls } from '../model/tls-terms.ts'
import { withoutLevel } from './node-security-level.ts'
import { serverOptions } from './tls-context.ts'

type Native = {
  readonly windows: readonly TicketWindow[]
  /** Of the key of each window, under these terms */
  readonly names: readonly Buffer[]
  readonly servers: (tls.Server | undefined)[]
}

/**
 * @param peeked the client's hello. A name that a record's header tears apart is not found, and costs a full handshake; one
 * that stands elsewhere in it gets an earlier window's context, which is as good.
 * @param prepare attaches handlers to a server that was made
 */
export function serverOf(
  terms: ServerTls,
  peeked: Buffer,
  tickets: TicketKeys,
  prepare: (server: tls.Server) => void,
): tls.Server {
  const windows = tickets.windows()
  let native = terms.native as Native | null
  if (native?.windows !== windows) {
    const names = windows.map(window => window.key(terms.sessionContext).subarray(0, 16))
    native = { windows, names, servers: [] }
    terms.native = native
  }
  // Without one, in the present window.
  const at = Math.max(
    0,
    native.names.findIndex(name => peeked.includes(name)),
  )
  let server = native.servers[at]
  if (server === undefined) {
    const ticketKeys = (windows[at] as TicketWindow).key(terms.sessionContext)
    server = makeServer(terms, ticketKeys, tickets.lifetimeSeconds)
    staple(server, terms)
    prepare(server)
    native.servers[at] = server
  }
  return server
}

/** Asked only by clients that want to know, and not on resumed sessions. */
function staple(server: tls.Server, { staple: own }: ServerTls): void {
  if (own === null) return
  server.on(
    'OCSPRequest',
    (_leaf: Buffer, _issuer: Buffer, answer: (error: Error | null, response?: Buffer) => void) =>
      answer(null, own.current() ?? undefined),
  )
}

function makeServer(terms: ServerTls, ticketKeys: Buffer, sessionTimeout: number): tls.Server {
  return tls.createServer({
    ...serverOptions(terms),
    // OpenSSL refuses TLS 1.0 and 1.1 at its usual security level.
    ...(terms.minVersion < 'TLSv1.2' ? { ciphers: `${terms.ciphers}:@SECLEVEL=0` } : {}),
    ...(terms.minVersion >= 'TLSv1.2' && terms.clients !== null ? withoutLevel(terms.ciphers) : {}),
    ALPNProtocols: [...terms.alpn],
    allowHalfOpen: true,
    // A client may not have the handshake made again and again (CVE-2011-1473). Bun's library never does it.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    requestCert: terms.clients !== null,
    rejectUnauthorized: terms.clients?.require ?? false,
    // Ours is shorter and closes the socket too; Node's only reports.
    handshakeTimeout: 2 ** 31 - 1,
    ticketKeys,
    sessionTimeout,
  } as tls.TlsOptions)
}
