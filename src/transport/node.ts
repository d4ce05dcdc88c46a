/**
 * The transport on Node: `node:net` and `node:tls`. An accepted connection is handed to a `tls.Server` made for its
 * terms with `emit('connection')`: on Node, the check of client certificates lives in that server and not in a bare
 * TLSSocket. Every socket has an 'error' listener from its first moment, since without one an error ends the process.
 */
import net from 'node:net'
import tls from 'node:tls'
import type { ProxyError } from '../base/errors.ts'
import { normaliseAddress, unixPeer } from '../base/ip.ts'
import type { MemoryBudget } from '../base/memory-budget.ts'
import type { Link, LinkHandler } from '../model/link.ts'
import type { TicketKeys } from '../model/ticket-keys.ts'
import type { ClientTls, ServerTls } from '../model/tls-terms.ts'
import { certificateChain } from './certificate-chain.ts'
import { readOnAfterFailedWrites } from './node-failed-writes.ts'
import { NodeLink, type WithParent } from './node-link.ts'
import { leastDhBits, withoutLevel } from './node-security-level.ts'
import { serverOf } from './node-servers.ts'
import { clientHandshakeError, connectError, resetError, serverHandshakeError } from './socket-errors.ts'
import { clientContext } from './tls-context.ts'
import type {
  ConnectTarget,
  FaultSink,
  KeyLog,
  LinkCount,
  Listening,
  ListenOptions,
  Transport,
} from './transport.ts'
import { withMode } from './unix-socket.ts'
import { unset } from './unset.ts'

type Settled = (error: ProxyError | null) => void

/** Connections that may wait to be accepted: the system has a bound of its own (net.core.somaxconn) */
const defaultBacklog = 4096

export function nodeTransport(
  fault: FaultSink,
  keyLog: KeyLog,
  tickets: TicketKeys,
  links: LinkCount,
  budget: MemoryBudget,
): Transport {
  const counted = (socket: net.Socket) => {
    links.open++
    socket.once('close', uncount)
  }
  const uncount = () => void links.open--
  /** Handshakes under way, by the raw socket they run on. */
  const securing = new WeakMap<net.Socket, { link: NodeLink; settled: Settled }>()

  const takeSecuring = (socket: tls.TLSSocket) => {
    const raw = (socket as WithParent)._parent
    const found = raw && securing.get(raw)
    if (raw && found) securing.delete(raw)
    return found
  }

  const listenTo = (server: tls.Server) => {
    if (keyLog !== null) server.on('keylog', keyLog)
    server.on('secureConnection', (socket: tls.TLSSocket) => {
      const found = takeSecuring(socket)
      if (!found) {
        socket.destroy()
        return
      }
      found.link.securing = false
      found.link.attach(socket)
      found.link.secured = true
      try {
        found.settled(null)
      } catch (error) {
        fault('handshake', error)
        found.link.destroy()
      }
    })
    server.on('tlsClientError', (error: Error, socket: tls.TLSSocket) => {
      const found = takeSecuring(socket)
      socket.destroy()
      if (!found) return
      found.link.closed = true
      found.link.socket.destroySoon()
      // Where a certificate is required, Node closes without a word when one does not verify, and then says `hang up`.
      const { authorizationError } = socket as { authorizationError?: unknown }
      found.settled(serverHandshakeError(error, authorizationError ? String(authorizationError) : null))
    })
  }

  return {
    listen(options: ListenOptions, accept): Promise<Listening> {
      const { address, port, reusePort, unixMode, keepAliveMs } = options
      const server = net.createServer({ allowHalfOpen: true, noDelay: true }, socket => {
        counted(socket)
        const link = new NodeLink(
          unset,
          socket,
          unixMode === null ? normaliseAddress(socket.remoteAddress ?? '') : unixPeer,
          socket.remotePort ?? 0,
          fault,
          budget,
        )
        link.attach(socket)
        const idleMs = keepAliveMs()
        if (idleMs > 0 && unixMode === null) socket.setKeepAlive(true, idleMs)
        try {
          accept(link)
        } catch (error) {
          fault('accept', error)
          link.destroy()
        }
      })
      return new Promise((resolve, reject) => {
        server.once('error', reject)
        const backlog = options.backlog ?? defaultBacklog
        const listening = () => {
          server.off('error', reject)
          server.on('error', error => fault('listener', error))
          const bound = unixMode === null ? (server.address() as net.AddressInfo).port : 0
          resolve({ address, port: bound, close: () => void server.close() })
        }
        if (unixMode === null) server.listen({ host: address, port, reusePort, backlog }, listening)
        else withMode(unixMode, () => server.listen({ path: address, backlog }, listening))
      })
    },

    connect(target: ConnectTarget, handler: LinkHandler): Link {
      const { address, port, unix, tls: terms } = target
      const to = unix === true ? { path: address } : { host: address, port, noDelay: true }
      // What a paused link has read waits at its sink, which may be full: the stream is to read nothing ahead.
      const ahead = { readableHighWaterMark: 0 }
      const raw = net.connect({ ...to, allowHalfOpen: true, ...ahead } as net.NetConnectOpts)
      counted(raw)
      const socket = terms === null ? raw : secureSocket(raw, terms)
      const link = new NodeLink(handler, socket, address, port, fault, budget)
      link.stopsAtOnce = terms === null
      let reached = false
      let open = false
      const failed = (error: Error) => {
        if (open) return
        link.onError(reached ? clientHandshakeError(address, port, error) : connectError(address, port, error))
      }
      raw.once('connect', () => {
        reached = terms !== null
      })
      raw.on('error', failed)
      if (socket !== raw) socket.on('error', failed)
      socket.once(terms === null ? 'connect' : 'secureConnect', () => {
        open = true
        link.secured = terms !== null
        link.beforeBody = () => readOnAfterFailedWrites(socket, error => link.onFailedWrite(error))
        try {
          handler.onOpen()
        } catch (error) {
          fault('open', error)
          link.destroy()
        }
      })
      link.attach(socket)
      return link
    },

    secure(link: Link, peeked: Buffer, terms: ServerTls, settled: Settled): void {
      const own = link as NodeLink
      const raw = own.socket
      if (raw.destroyed) {
        settled(resetError('the client left before the TLS handshake'))
        return
      }
      const server = serverOf(terms, peeked, tickets, listenTo)
      securing.set(raw, { link: own, settled })
      own.securing = true
      raw.removeAllListeners('data')
      raw.removeAllListeners('end')
      raw.removeAllListeners('drain')
      raw.pause()
      raw.unshift(peeked)
      server.emit('connection', raw)
    },
  }
}

/** TLS over a socket of our own: one that `tls.connect` opens by itself cannot be reset. */
function secureSocket(raw: net.Socket, terms: ClientTls): tls.TLSSocket {
  terms.native ??= clientContext(terms, withoutLevel(tls.DEFAULT_CIPHERS))
  const socket = tls.connect({
    socket: raw,
    allowHalfOpen: true,
    secureContext: terms.native as tls.SecureContext,
    rejectUnauthorized: terms.verify,
    minDHSize: leastDhBits,
    ALPNProtocols: [...terms.alpn],
    session: terms.session ?? undefined,
    ...(net.isIP(terms.serverName) ? {} : { servername: terms.serverName }),
    checkServerIdentity: (_host: string, certificate: tls.PeerCertificate) => checkPeer(terms, certificate),
  } as tls.ConnectionOptions)
  socket.on('session', (session: Buffer) => void (terms.session = session))
  return socket
}

/** Called once the chain has verified; not for a resumed session, which Node gives us only after this has passed. */
function checkPeer(terms: ClientTls, certificate: tls.PeerCertificate): Error | undefined {
  const wrongName = terms.checkName ? tls.checkServerIdentity(terms.serverName, certificate) : undefined
  if (wrongName !== undefined || terms.judge === null) return wrongName
  const problem = terms.judge.problem(certificateChain(certificate), false)
  return problem === null ? undefined : new Error(problem)
}
