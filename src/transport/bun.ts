/**
 * The transport on Bun: its own sockets on both sides, which cost about 1 us a request and side less than `node:net`
 * (docs/decisions/0003). TLS is put on an accepted socket with `upgradeTLS`, fed with the bytes that were peeked.
 */
import net from 'node:net'
import tls from 'node:tls'
import { normaliseAddress, unixPeer } from '../base/ip.ts'
import type { MemoryBudget } from '../base/memory-budget.ts'
import type { BunApi, BunHandlers, BunSocket, BunTls } from '../base/runtime.ts'
import type { Link, LinkHandler } from '../model/link.ts'
import { alpnWire, type ClientTls, type ServerTls } from '../model/tls-terms.ts'
import { BunLink } from './bun-link.ts'
import { certificateChain } from './certificate-chain.ts'
import { ScratchPool } from './scratch.ts'
import { clientHandshakeError, connectError, lostError, resetError, serverHandshakeError } from './socket-errors.ts'
import { clientContext, serverOptions } from './tls-context.ts'
import type { ConnectTarget, FaultSink, LinkCount, Listening, ListenOptions, Transport } from './transport.ts'
import { withMode } from './unix-socket.ts'
import { unset } from './unset.ts'

/** The native half of a SecureContext: what Bun's sockets take in place of certificate and key. */
type WithNative = { context: unknown }

export function bunTransport(bun: BunApi, fault: FaultSink, links: LinkCount, budget: MemoryBudget): Transport {
  const pool = new ScratchPool()
  const handlers = plainHandlers(fault)
  const accepted = ({ unixMode, keepAliveMs }: ListenOptions, accept: (link: Link) => void): BunHandlers => ({
    ...handlers,
    open(socket) {
      const link = new BunLink(
        unset,
        socket,
        unixMode === null ? normaliseAddress(socket.remoteAddress) : unixPeer,
        unixMode === null ? socket.remotePort : 0,
        pool,
        links,
        budget,
      )
      socket.data = link
      const idleMs = keepAliveMs()
      if (idleMs > 0 && unixMode === null) socket.setKeepAlive(true, idleMs)
      try {
        accept(link)
      } catch (error) {
        fault('accept', error)
        link.destroy()
      }
    },
  })
  const securing = securingHandlers(fault, links)
  const connectingPlain = connectingHandlers(fault, false)
  const connectingTls = connectingHandlers(fault, true)

  return {
    async listen(options: ListenOptions, accept): Promise<Listening> {
      const { address, port, reusePort, unixMode } = options
      const more = { allowHalfOpen: true, socket: accepted(options, accept) }
      const listener =
        unixMode === null
          ? bun.listen({ hostname: address, port, reusePort, exclusive: !reusePort, ...more })
          : withMode(unixMode, () => bun.listen({ unix: address, ...more }))
      return { address, port: unixMode === null ? listener.port : 0, close: () => listener.stop(false) }
    },

    connect(target: ConnectTarget, handler: LinkHandler): Link {
      const { address, port, unix } = target
      const link = new BunLink(handler, null, address, port, pool, links, budget)
      const terms = target.tls
      link.clientTls = terms
      const connecting = bun.connect({
        ...(unix === true ? { unix: address } : { hostname: address, port }),
        data: link,
        allowHalfOpen: true,
        socket: terms === null ? connectingPlain : connectingTls,
        ...(terms === null ? {} : { tls: clientTls(terms) }),
      })
      // The same failure reaches `connectError`; the promise is only kept from being unhandled.
      connecting.catch(error => link.onClosed(connectError(address, port, error)))
      return link
    },

    secure(link: Link, peeked: Buffer, terms: ServerTls, settled): void {
      const own = link as BunLink
      const raw = own.socket
      if (raw === null) {
        settled(resetError('the client left before the TLS handshake'))
        return
      }
      own.handshake = settled
      // The first of the pair goes on reporting ciphertext to the listener's handlers, which know it is not in use any
      // more. Its handlers cannot be taken away: `reload` on an accepted socket changes its listener's too (1.4.5).
      const [, secured] = raw.upgradeTLS({
        data: own,
        tls: serverTls(terms),
        socket: securing,
        isServer: true,
        initialData: peeked,
      })
      own.socket = secured
    },
  }
}

function serverTls(terms: ServerTls): BunTls {
  terms.native ??= {
    secureContext: (tls.createSecureContext(withOwnTrust(terms)) as unknown as WithNative).context,
    ALPNProtocols: alpnWire(terms.alpn),
    requestCert: terms.clients !== null,
    rejectUnauthorized: terms.clients?.require ?? false,
  } satisfies BunTls
  return terms.native as BunTls
}

/**
 * Where no client is judged, trust in nothing but the certificate itself. BoringSSL builds a chain for a certificate that comes
 * without one at each handshake; with the default trust it opens files in the system's folder for that.
 */
const withOwnTrust = (terms: ServerTls): tls.TlsOptions => ({ ca: terms.chainPem, ...serverOptions(terms) })

function clientTls(terms: ClientTls): BunTls {
  // An address is no server name (RFC 6066 section 3). Left out, Bun would send the one that it connects to.
  const byAddress = net.isIP(terms.serverName) !== 0
  const serverName = byAddress ? '' : terms.serverName
  terms.native ??= {
    secureContext: (clientContext(terms) as unknown as WithNative).context,
    ALPNProtocols: alpnWire(terms.alpn),
    serverName,
    servername: serverName,
    // A name that need not fit would end the handshake before `peerProblem` could judge it.
    rejectUnauthorized: terms.verify && terms.checkName && !byAddress,
  } satisfies BunTls
  return terms.native as BunTls
}

/** Why a connection was lost: of one that we open, before its handshake is complete, it is the backend's failure. */
const failureOf = (link: BunLink, error: Error) =>
  link.clientTls === null || link.secured
    ? lostError(error)
    : clientHandshakeError(link.remoteAddress, link.remotePort, error)

/** Handlers of an open stream. Each is guarded: a throw ends its own connection and nothing else. */
function plainHandlers(fault: FaultSink): BunHandlers {
  const guard = (where: string, socket: BunSocket, error: unknown) => {
    fault(where, error)
    ;(socket.data as BunLink).destroy()
  }
  return {
    binaryType: 'buffer',
    data(socket, chunk) {
      const link = socket.data as BunLink
      try {
        if (link.socket === socket && !link.closed) link.handler.onData(chunk)
      } catch (error) {
        guard('data', socket, error)
      }
    },
    drain(socket) {
      const link = socket.data as BunLink
      try {
        if (link.socket === socket) link.onDrained()
      } catch (error) {
        guard('drain', socket, error)
      }
    },
    end(socket) {
      const link = socket.data as BunLink
      try {
        if (link.socket === socket) link.onPeerEnd()
      } catch (error) {
        guard('end', socket, error)
      }
    },
    close(socket, error) {
      const link = socket.data as BunLink
      try {
        if (link.socket === socket) link.onClosed(error ? failureOf(link, error) : null)
      } catch (thrown) {
        fault('close', thrown)
      }
    },
    error(socket, error) {
      const link = socket.data as BunLink
      try {
        if (link.socket === socket) link.onClosed(failureOf(link, error))
      } catch (thrown) {
        fault('error', thrown)
      }
    },
  }
}

function securingHandlers(fault: FaultSink, links: LinkCount): BunHandlers {
  return {
    ...plainHandlers(fault),
    handshake(socket, success, reason) {
      const link = socket.data as BunLink
      const settled = link.handshake
      if (settled === null) return
      link.handshake = null
      try {
        if (success) {
          link.secured = true
          link.verifyProblem = reason?.code ?? null
          settled(null)
        } else {
          link.closed = true
          links.open--
          socket.close()
          settled(serverHandshakeError(reason))
        }
      } catch (error) {
        fault('handshake', error)
        link.destroy()
      }
    },
  }
}

function connectingHandlers(fault: FaultSink, secure: boolean): BunHandlers {
  const opened = (socket: BunSocket, link: BunLink) => {
    try {
      link.handler.onOpen()
    } catch (error) {
      fault('open', error)
      link.destroy()
    }
    if (link.closed) socket.terminate()
  }
  return {
    ...plainHandlers(fault),
    open(socket) {
      const link = socket.data as BunLink
      if (link.closed) {
        socket.terminate()
        return
      }
      link.socket = socket
      if (!secure) opened(socket, link)
      else if (link.clientTls?.session) socket.setSession(link.clientTls.session)
    },
    handshake(socket, success, reason) {
      const link = socket.data as BunLink
      if (link.closed) return
      const terms = link.clientTls
      const problem = judged(socket, terms, success, reason)
      if (problem !== null) {
        link.onClosed(clientHandshakeError(link.remoteAddress, link.remotePort, problem))
        socket.terminate()
        return
      }
      link.secured = true
      if (terms !== null && link.heldSession !== null) terms.session = link.heldSession
      opened(socket, link)
    },
    session(socket, session) {
      const link = socket.data as BunLink
      // Who has not been verified yet, or was refused, must not be whom we resume with.
      if (!link.secured) link.heldSession = session
      else if (link.clientTls !== null) link.clientTls.session = session
    },
    connectError(socket, error) {
      const link = socket.data as BunLink
      link.onClosed(connectError(link.remoteAddress, link.remotePort, error))
    },
  }
}

type Reason = (Error & { code?: string }) | null | undefined

/** A certificate that the runtime cannot take apart is nobody's: a throw here would leave the dial to its deadline. */
function judged(socket: BunSocket, terms: ClientTls | null, success: boolean, reason: Reason): Reason {
  try {
    return peerProblem(socket, terms, success, reason)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/**
 * Why the peer is not whom we want to talk to, or null. Bun looks at the name last: ERR_TLS_CERT_ALTNAME_INVALID says that
 * the chain has verified (test/gateway/spiffe-backends.test.ts), and any other reason that it has not, also where
 * `success` is true because nothing was to be rejected.
 */
function peerProblem(socket: BunSocket, terms: ClientTls | null, success: boolean, reason: Reason): Reason {
  const failed = reason ?? new Error('the handshake failed')
  if (terms === null) return failed
  // Where the certificate need not verify, a finished handshake is known by its cipher.
  if (!terms.verify) return success || socket.getCipher()?.name ? null : failed
  const byAddress = terms.checkName && net.isIP(terms.serverName) !== 0
  const onlyTheName = (byAddress || !terms.checkName) && reason?.code === 'ERR_TLS_CERT_ALTNAME_INVALID'
  if (!onlyTheName && (!success || (reason ?? null) !== null)) return failed
  // Bun was given no name to look for.
  if (byAddress) {
    const certificate = socket.getPeerCertificate(true) as tls.PeerCertificate | undefined
    if (!certificate?.raw) return new Error('the backend has shown no certificate')
    const wrongName = tls.checkServerIdentity(terms.serverName, certificate)
    if (wrongName !== undefined) return wrongName
  }
  if (terms.judge === null) return null
  const problem = terms.judge.problem(certificateChain(socket.getPeerCertificate(false)), socket.isSessionReused())
  return problem === null ? null : new Error(problem)
}
