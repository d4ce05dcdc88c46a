/** Raw peers: clients that send bytes as they are told, and backends that record the bytes they get. */
import net from 'node:net'
import tls from 'node:tls'
import { noticed } from './until.ts'

export type RawClient = {
  readonly socket: net.Socket
  /** Its own, which a closed socket does not know any more */
  readonly localPort: number
  send(bytes: string | Buffer): void
  /** Sends one byte at a time, each in a write of its own */
  sendBytewise(bytes: string | Buffer): Promise<void>
  /** Everything received so far, latin1 */
  received(): string
  /** Resolves when `wanted` accepts what was received; rejects when the connection closes before */
  until(wanted: (received: string) => boolean): Promise<string>
  /** Resolves with everything once the connection is closed, and how */
  closed(): Promise<{ received: string; error: Error | null; ended: boolean }>
  destroy(): void
}

export function wrap(socket: net.Socket): RawClient {
  let text = ''
  let error: Error | null = null
  let ended = false
  let closed = false
  const waiting = new Set<() => void>()
  const look = () => {
    for (const each of [...waiting]) each()
  }
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
    look()
  })
  socket.on('error', thrown => {
    error = thrown
  })
  socket.on('end', () => {
    ended = true
  })
  socket.on('close', () => {
    closed = true
    look()
  })
  return {
    socket,
    localPort: socket.localPort ?? 0,
    send: bytes => void socket.write(bytes as string, 'latin1'),
    async sendBytewise(bytes) {
      const all = Buffer.from(bytes as string, 'latin1')
      for (const byte of all) {
        if (closed || !socket.writable) return
        await new Promise<void>(resolve => {
          socket.write(Buffer.of(byte), () => resolve())
        })
      }
    },
    received: () => text,
    until: wanted =>
      noticed(
        () => `${wanted}, after: ${JSON.stringify(text)}`,
        waiting,
        () => {
          if (wanted(text)) return text
          if (closed) throw new Error(`closed (${error?.message ?? 'no error'}) after: ${JSON.stringify(text)}`)
        },
      ),
    closed: () =>
      noticed(
        () => `the connection is closed, after: ${JSON.stringify(text)}`,
        waiting,
        () => (closed ? { received: text, error, ended } : undefined),
      ),
    destroy: () => socket.destroy(),
  }
}

/** A TLS client that trusts `ca`. Resolves when the handshake is done. */
export function rawTls(port: number, options: tls.ConnectionOptions = {}): Promise<RawClient> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      {
        host: '127.0.0.1',
        port,
        servername: 'localhost',
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
        ...options,
      },
      () => {
        socket.off('error', reject)
        resolve(wrap(socket))
      },
    )
    socket.setNoDelay(true)
    socket.once('error', reject)
  })
}

export function rawTcp(port: number, options: { allowHalfOpen?: boolean } = {}): Promise<RawClient> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true, ...options }, () => {
      socket.off('error', reject)
      resolve(wrap(socket))
    })
    socket.once('error', reject)
  })
}

/** Resolves with the item of that index once it is there; `waiting` is called whenever one is added. */
export function itemAt<T>(list: readonly T[], index: number, waiting: Set<() => void>): Promise<T> {
  return noticed(
    () => `number ${index} of what there are ${list.length}`,
    waiting,
    () => list[index],
  )
}

/** Ends a backend with all of its connections. */
export function closeAll(server: net.Server, connections: readonly { destroy(): void }[]): Promise<void> {
  return new Promise(resolve => {
    for (const each of connections) each.destroy()
    server.close(() => resolve())
  })
}

export type RecordingBackend = {
  readonly port: number
  readonly url: string
  /** One for each connection that was accepted, in order */
  readonly connections: readonly RawClient[]
  /** What all connections received together */
  received(): string
  /** Resolves with the connection of that index once it is there */
  connection(index: number): Promise<RawClient>
  close(): Promise<void>
}

/**
 * A TCP backend. `answer` is called at each chunk with all that its connection received so far.
 * @param greeting of a protocol in which the server speaks first
 */
export async function recordingBackend(
  answer: (client: RawClient, received: string) => void = () => {},
  { greeting = '', ...options }: { allowHalfOpen?: boolean; greeting?: string } = {},
): Promise<RecordingBackend> {
  const connections: RawClient[] = []
  const waiting = new Set<() => void>()
  const server = net.createServer({ noDelay: true, ...options }, socket => {
    const client = wrap(socket)
    connections.push(client)
    if (greeting !== '') client.send(greeting)
    socket.on('data', () => answer(client, client.received()))
    for (const each of [...waiting]) each()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    connections,
    received: () => connections.map(each => each.received()).join(''),
    connection: index => itemAt(connections, index, waiting),
    close: () => closeAll(server, connections),
  }
}

/** Answers each GET with this body. `last`: the request that came last, from its method on */
export async function getBackend(body: string): Promise<RecordingBackend & { readonly last: () => string }> {
  let last = ''
  const backend = await recordingBackend((client, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    last = text.slice(text.lastIndexOf('GET /'))
    client.send(ok(body))
  })
  return { ...backend, last: () => last }
}

/** A complete 200 with this body. */
export const ok = (body: string, extra = ''): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${extra}\r\n${body}`

/** True when `text` has `count` whole heads. */
export const heads = (text: string, count: number): boolean => text.split('\r\n\r\n').length > count
