/**
 * `Bun.listen`, and `Bun.connect` where there is a backend, with nothing in between that parses, decides or counts: what
 * Bun's sockets and its TLS cost. Every client has a backend connection of its own.
 */
import { readFileSync } from 'node:fs'
import { bun, type Socket } from '../bun-api.ts'
import { constantAnswer, endsRequest, readJob } from './job.ts'

/** One direction's end: what could not be written waits in `pending`, and its source pauses. */
type End = { socket: Socket<Pair> | null; pending: Uint8Array[] }
type Pair = { readonly client: End; readonly backend: End }

function send(to: End, from: End, chunk: Uint8Array): void {
  if (to.socket !== null && to.pending.length === 0) {
    const written = Math.max(0, to.socket.write(chunk))
    if (written === chunk.length) return
    chunk = chunk.subarray(written)
  }
  // Bun uses the chunk's memory again after the call.
  to.pending.push(chunk.slice())
  from.socket?.pause()
}

function flush(to: End, from: End): void {
  while (to.pending.length > 0) {
    const written = Math.max(0, to.socket?.write(to.pending[0]) ?? 0)
    if (written < to.pending[0].length) {
      to.pending[0] = to.pending[0].subarray(written)
      return
    }
    to.pending.shift()
  }
  from.socket?.resume()
}

function connected(pair: Pair, backend: Socket<Pair>): void {
  pair.backend.socket = backend
  flush(pair.backend, pair.client)
}

const job = readJob()
const { port, mode, identity, backendPort, backendTls } = job
const tls = identity && { cert: readFileSync(identity.chain), key: readFileSync(identity.key) }
const toBackend = backendTls && { tls: { ca: readFileSync(backendTls.ca), serverName: backendTls.serverName } }
const base = { hostname: '127.0.0.1', port, ...(tls && { tls }) }

if (mode === 'constant') {
  const answer = constantAnswer(job)
  bun.listen({
    ...base,
    socket: {
      binaryType: 'buffer',
      data(socket, chunk) {
        if (endsRequest(chunk)) socket.write(answer)
      },
    },
  })
} else {
  bun.listen<Pair>({
    ...base,
    socket: {
      binaryType: 'buffer',
      open(socket) {
        const pair: Pair = { client: { socket, pending: [] }, backend: { socket: null, pending: [] } }
        socket.data = pair
        void bun.connect<Pair>({
          hostname: '127.0.0.1',
          port: backendPort,
          ...toBackend,
          data: pair,
          socket: {
            binaryType: 'buffer',
            open(backend) {
              if (toBackend === null) connected(pair, backend)
            },
            handshake(backend, success) {
              if (success) connected(pair, backend)
              else pair.client.socket?.end()
            },
            data: (_, chunk) => send(pair.client, pair.backend, chunk),
            drain: () => flush(pair.backend, pair.client),
            close: () => void pair.client.socket?.end(),
          },
        })
      },
      data: ({ data: { client, backend } }, chunk) => send(backend, client, chunk),
      drain: ({ data: { client, backend } }) => flush(client, backend),
      close: ({ data: { backend } }) => void backend.socket?.end(),
    },
  })
}
