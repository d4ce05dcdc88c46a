/**
 * One bound address of the admin listener. It is the control plane: the standard library's HTTP server does, within bounds
 * on bytes, time and connections that are kept at the socket, where both runtimes keep them alike (one of them does not
 * count a connection before it has sent something). One request a connection.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { messageOf, UsageError } from '../base/errors.ts'
import { withPort } from '../base/ip.ts'
import { listenWith } from '../base/listen-at.ts'
import { type AdminSource, answerAdmin } from './http.ts'

export type AdminBounds = {
  /** From the first byte of a request to the last of its answer */
  readonly connectionMs: number
  readonly connections: number
  readonly headBytes: number
}

export const adminBounds: AdminBounds = { connectionMs: 10_000, connections: 64, headBytes: 8_192 }

export type AdminServer = {
  readonly address: string
  readonly port: number
  /** What /metrics asks for, from now on */
  token: string | null
  /** Stops listening at once; what is under way may end. Resolves when the address is free */
  stop(): Promise<void>
  /** The same, and cuts what is under way */
  cut(): void
}

/** Throws UsageError where the address cannot be had. */
export async function bindAdmin(
  at: { readonly address: string; readonly port: number },
  token: string | null,
  source: AdminSource,
  { connectionMs, connections, headBytes }: AdminBounds = adminBounds,
): Promise<AdminServer> {
  const sockets = new Set<net.Socket>()
  const server = http.createServer(
    { maxHeaderSize: headBytes, headersTimeout: connectionMs, requestTimeout: connectionMs },
    (request, response) => void respond(request, response, source, own.token),
  )
  server.on('clientError', (error: Error & { code?: string }, socket) => {
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
    if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    else socket.destroy()
  })
  const front = net.createServer({ noDelay: true }, socket => {
    sockets.add(socket)
    const timer = setTimeout(() => socket.destroy(), connectionMs).unref()
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      clearTimeout(timer)
      sockets.delete(socket)
    })
    server.emit('connection', socket)
  })
  front.maxConnections = connections
  await listen(front, at)
  // The process lives for its traffic, not for who watches it.
  front.unref()
  const own: AdminServer = {
    address: at.address,
    port: (front.address() as AddressInfo).port,
    token,
    stop: () =>
      new Promise(resolve => {
        // Its callback waits for connections; the address is free before.
        front.close()
        setImmediate(resolve)
      }),
    cut() {
      front.close()
      for (const socket of sockets) socket.destroy()
    },
  }
  return own
}

async function listen(front: net.Server, { address, port }: { address: string; port: number }): Promise<void> {
  try {
    await listenWith(front, address, port)
  } catch (error) {
    const { code } = error as { code?: string }
    const why = code === 'EADDRINUSE' ? 'another program has it' : messageOf(error)
    throw new UsageError(
      `admin.listen: cannot listen on ${withPort(address, port)}${code ? ` (${code})` : ''}: ${why}`,
    )
  }
  front.on('error', () => {})
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  source: AdminSource,
  token: string | null,
): Promise<void> {
  response.on('error', () => {})
  request.on('error', () => {})
  const { method = '', url: target = '', headers } = request
  const { accept = '', authorization = '' } = headers
  const asked = { method, target, accept, authorization }
  const answer = await answerAdmin(asked, source, token).catch(() => ({
    status: 500,
    fields: { 'content-type': 'text/plain; charset=utf-8' },
    body: 'the answer could not be made\n',
  }))
  if (response.destroyed) return
  const bytes = Buffer.from(answer.body)
  response.writeHead(answer.status, {
    ...answer.fields,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  })
  response.end(method === 'HEAD' ? undefined : bytes)
}
