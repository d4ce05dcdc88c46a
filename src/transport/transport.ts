/**
 * What the data plane asks of a runtime's sockets: listen, connect, and put TLS on an accepted connection whose first
 * bytes were already read. Two implementations, chosen once in current.ts; nothing outside this folder sees a socket.
 */
import type { ProxyError } from '../base/errors.ts'
import type { Link, LinkHandler } from '../model/link.ts'
import type { ClientTls, ServerTls } from '../model/tls-terms.ts'

export type ListenOptions = {
  /** IP address; of a Unix socket its path */
  readonly address: string
  /** 0: the system chooses */
  readonly port: number
  /** Permissions of a Unix socket; null: it is none */
  readonly unixMode: number | null
  /** Connections that may wait to be accepted; null: as the transport likes it */
  readonly backlog: number | null
  /** Silence on a connection after which the system asks whether its peer is still there; 0: it never does */
  readonly keepAliveMs: () => number
  /** Several processes may bind the same port, and the kernel spreads connections over them */
  readonly reusePort: boolean
}

export type Listening = {
  readonly address: string
  readonly port: number
  /** Stops accepting; open connections stay. */
  close(): void
}

export type ConnectTarget = {
  /** IP address; of a Unix socket its path */
  readonly address: string
  /** 0 for a Unix socket */
  readonly port: number
  readonly unix?: boolean
  /** TLS toward the backend, or null for plain TCP */
  readonly tls: ClientTls | null
}

/** Links that have a socket of the system */
export type LinkCount = { open: number }

export interface Transport {
  /**
   * Binds and accepts. `accept` must set `link.handler` before it returns.
   * Rejects with the system's error (EADDRINUSE, EACCES).
   */
  listen(options: ListenOptions, accept: (link: Link) => void): Promise<Listening>
  /** Begins to connect; `handler.onOpen` or `handler.onClose` follows, never synchronously. */
  connect(target: ConnectTarget, handler: LinkHandler): Link
  /**
   * Runs the server side of a TLS handshake on an accepted link, beginning with `peeked`, the bytes already read.
   * `settled` is called once: null when the handshake is done, from then on the link carries the inner stream, or the
   * reason why it failed, and the link is closed. The link's own `onClose` is not called before `settled(null)`.
   */
  secure(link: Link, peeked: Buffer, terms: ServerTls, settled: (error: ProxyError | null) => void): void
}

/**
 * Gets the secrets of every TLS session with a client, in the lines of SSLKEYLOGFILE: whoever has them can read what was
 * recorded. Null, unless it was asked for by name.
 */
export type KeyLog = ((line: Buffer) => void) | null

/** Told of a throw inside a handler: logged as INTERNAL, and only that link is closed. */
export type FaultSink = (where: string, error: unknown) => void
