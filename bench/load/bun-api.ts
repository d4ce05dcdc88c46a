/** The part of Bun's own API that the benchmark's scripts use, which run on Bun only. As seen on Bun 1.4.5. */
import type { BunSocket } from '../../src/base/runtime.ts'

/** One of Bun's sockets, with what its owner keeps on it */
export type Socket<Data = unknown> = Omit<BunSocket, 'data'> & { data: Data }

type Handlers<Data> = {
  binaryType: 'buffer'
  open?(socket: Socket<Data>): void
  handshake?(socket: Socket<Data>, success: boolean, error: Error | null): void
  data?(socket: Socket<Data>, chunk: Buffer): void
  drain?(socket: Socket<Data>): void
  close?(socket: Socket<Data>): void
  connectError?(socket: Socket<Data>, error: Error): void
}

export type WebSocketPeer = { send(message: string | Uint8Array): number }

type Server = { upgrade(request: Request): boolean }

type BenchBun = {
  listen<Data>(options: {
    hostname: string
    port: number
    tls?: { cert: Uint8Array; key: Uint8Array }
    socket: Handlers<Data>
  }): unknown
  connect<Data>(options: {
    hostname: string
    port: number
    data?: Data
    tls?: { ca: Uint8Array; serverName: string }
    socket: Handlers<Data>
  }): Promise<unknown>
  serve(options: {
    hostname: string
    port: number
    idleTimeout: number
    fetch(request: Request, server: Server): Response | Promise<Response> | undefined
    websocket: {
      idleTimeout: number
      perMessageDeflate: boolean
      open(): void
      message(socket: WebSocketPeer, message: string | Uint8Array): void
    }
  }): unknown
}

const found = (globalThis as { Bun?: BenchBun }).Bun
if (found === undefined) throw new Error('this script runs on Bun only')
export const bun: BenchBun = found
