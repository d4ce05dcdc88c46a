/**
 * The one file that asks which runtime this is. Everything else asks for an ability, or takes what the transport gives.
 */
import { totalmem } from 'node:os'

/** Handlers of one of Bun's sockets, attached once. Only what we use, as seen on Bun 1.4.5. */
export type BunHandlers = {
  binaryType: 'buffer'
  open?(socket: BunSocket): void
  data?(socket: BunSocket, chunk: Buffer): void
  drain?(socket: BunSocket): void
  end?(socket: BunSocket): void
  close?(socket: BunSocket, error?: Error): void
  error?(socket: BunSocket, error: Error): void
  connectError?(socket: BunSocket, error: Error): void
  handshake?(socket: BunSocket, success: boolean, verifyError: (Error & { code?: string }) | null): void
  session?(socket: BunSocket, session: Buffer): void
}

/** TLS options of one of Bun's sockets; `secureContext` is the native half of a `tls.SecureContext`. */
export type BunTls = {
  secureContext: unknown
  ALPNProtocols?: Buffer
  requestCert?: boolean
  rejectUnauthorized?: boolean
  /** The name to send as SNI and to verify the certificate against */
  serverName?: string
  servername?: string
}

type BunPeerCertificate = { readonly raw?: Buffer; readonly issuerCertificate?: BunPeerCertificate }

export type BunSocket = {
  data: unknown
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  readonly alpnProtocol: string | false | null
  readonly readyState: number
  write(chunk: Uint8Array, byteOffset?: number, byteLength?: number): number
  pause(): void
  resume(): void
  /** Sends FIN (after close_notify on TLS) and closes when the peer has done so too */
  end(): void
  /** Sends FIN (after close_notify on TLS) and goes on reading */
  shutdown(): void
  /** Closes with a reset */
  terminate(): void
  close(): void
  setNoDelay(on: boolean): void
  setKeepAlive(on: boolean, idleMs: number): boolean
  setSession(session: Buffer): void
  isSessionReused(): boolean
  getTLSVersion(): string
  /** @param abbreviated `false` gives the issuers too: the other way around than in node:tls (1.4.5) */
  getPeerCertificate(abbreviated: boolean): BunPeerCertificate | undefined
  getCipher(): { name: string; standardName: string; version: string } | undefined
  reload(options: { socket: BunHandlers }): void
  upgradeTLS(options: {
    data: unknown
    tls: BunTls
    socket: BunHandlers
    isServer: boolean
    initialData?: Uint8Array
  }): [raw: BunSocket, tls: BunSocket]
}

type BunListener = { readonly port: number; readonly hostname: string; stop(closeActive?: boolean): void }

/** The part of Bun's own API that the transport uses. */
export type BunApi = {
  listen(
    options: ({ hostname: string; port: number; exclusive?: boolean; reusePort?: boolean } | { unix: string }) & {
      allowHalfOpen?: boolean
      socket: BunHandlers
    },
  ): BunListener
  connect(
    options: ({ hostname: string; port: number } | { unix: string }) & {
      data: unknown
      allowHalfOpen?: boolean
      tls?: BunTls
      socket: BunHandlers
    },
  ): Promise<BunSocket>
  gc(force: boolean): void
  file(descriptor: number): { writer(): { end(): unknown } }
  gzipSync(bytes: Uint8Array, options: { level: number; library: 'libdeflate' }): Uint8Array
  zstdCompressSync(bytes: Uint8Array, options: { level: number }): Uint8Array
}

/** Bun's own API, or null on Node. */
export const bun: BunApi | null = (globalThis as { Bun?: BunApi }).Bun ?? null

export const runtime: { readonly name: 'bun' | 'node'; readonly version: string } = bun
  ? { name: 'bun', version: process.versions['bun'] ?? '' }
  : { name: 'node', version: process.versions.node }

type Abilities = {
  readonly ticketKeys: boolean
  readonly stapling: boolean
  readonly helloBytes: number
  /** The queue of connections that wait to be accepted has a length of our choice */
  readonly backlog: boolean
}

/**
 * What the runtime lets a server do. On Bun 1.4.5 `ticketKeys` is dropped, nothing is stapled, BoringSSL takes no handshake
 * message over 16 kB, and the backlog is always 512.
 */
export const abilities: Abilities = {
  ticketKeys: bun === null,
  stapling: bun === null,
  helloBytes: bun === null ? Number.POSITIVE_INFINITY : 16_384,
  backlog: bun === null,
}

type Codec = (bytes: Uint8Array, level: number) => Uint8Array

/** Compress a whole body in less time than node:zlib does: gzip by libdeflate, zstd with a context that is used again. Null without them. */
export const quickCodecs: { readonly gzip: Codec; readonly zstd: Codec } | null =
  bun === null
    ? null
    : {
        gzip: (bytes, level) => bun.gzipSync(bytes, { level, library: 'libdeflate' }),
        zstd: (bytes, level) => bun.zstdCompressSync(bytes, { level }),
      }

/** What the cgroup allows where it says so, else what the machine has. */
export function machineMemoryBytes(): number {
  return Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem())
}

/** Gives back what start-up has left behind (a parsed configuration of 10,000 sites is 60 MB); Node does so by itself. */
export function collectGarbage(): void {
  bun?.gc(true)
}

/** Makes writes to standard output or standard error fail with EAGAIN where they would wait: for all processes that share it. */
export function setNonBlocking(stream: 1 | 2): void {
  if (bun !== null) {
    // A writer sets the flag on a duplicate of the descriptor, and the flag belongs to both (1.4.5).
    bun.file(stream).writer().end()
    return
  }
  type WithHandle = { _handle?: { setBlocking?(on: boolean): void } }
  const handle = ((stream === 1 ? process.stdout : process.stderr) as unknown as WithHandle)._handle
  handle?.setBlocking?.(false)
}
