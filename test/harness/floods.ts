/** Peers that send as fast as they can, and backends that behave badly, for tests of what the gateway holds. */
import net from 'node:net'
import tls from 'node:tls'
import { block, END_HEADERS, frameBytes, prefaceText, settingsBytes, type } from './h2.ts'

/** Sends `bytes` again and again, as the socket takes them, leaving the event loop its turns. */
export function flood(socket: net.Socket, bytes: Buffer, after: Buffer = Buffer.alloc(0)): void {
  if (after.length > 0) socket.write(after)
  const more = () => {
    if (socket.destroyed || !socket.writable) return
    let sent = 0
    while (sent < 262_144) {
      sent += bytes.length
      if (!socket.write(bytes)) {
        socket.once('drain', more)
        return
      }
    }
    setImmediate(more)
  }
  more()
}

export function connected(port: number, serverName: string | null = null, alpn = 'http/1.1'): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const host = '127.0.0.1'
    const ready = () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      resolve(socket)
    }
    const socket: net.Socket =
      serverName === null
        ? net.connect({ host, port }, ready)
        : tls.connect(
            { host, port, servername: serverName, rejectUnauthorized: false, ALPNProtocols: [alpn] },
            ready,
          )
    socket.once('error', reject)
  })
}

const head = (text: string) => Buffer.from(`${text}\r\n\r\n`)
const zeros = Buffer.alloc(65_536, 'z')

type Behaviour = (socket: net.Socket) => void

const h2Server =
  (each: (socket: net.Socket, stream: number) => void): Behaviour =>
  socket => {
    let got = Buffer.alloc(0)
    socket.write(frameBytes(type.settings, 0, 0, settingsBytes([])))
    socket.on('data', chunk => {
      got = Buffer.concat([got, chunk as Buffer])
      if (got.subarray(0, 3).toString() === 'PRI') {
        if (got.length < prefaceText.length) return
        got = got.subarray(prefaceText.length)
      }
      while (got.length >= 9) {
        const length = got.readUIntBE(0, 3)
        if (got.length < 9 + length) return
        const [kind, flags, stream] = [got[3], got[4] as number, got.readUInt32BE(5)]
        got = got.subarray(9 + length)
        if (kind === type.settings && (flags & 1) === 0) socket.write(frameBytes(type.settings, 1, 0))
        if (kind === type.headers) each(socket, stream)
      }
    })
  }

const once =
  (act: Behaviour): Behaviour =>
  socket => {
    socket.once('data', () => act(socket))
    socket.resume()
  }

const behaviours: Readonly<Record<string, Behaviour>> = {
  /** Accepts, and reads nothing */
  silent: socket => socket.pause(),
  /** Reads everything, and answers nothing */
  sink: socket => socket.resume(),
  /** Answers without end */
  flood: once(socket => flood(socket, zeros, head('HTTP/1.1 200 OK'))),
  interim: once(socket =>
    flood(socket, Buffer.concat(Array(50).fill(head('HTTP/1.1 103 Early Hints\r\nlink: </a>')))),
  ),
  /** A page of 4 kB for each request */
  pages: socket =>
    socket.on('data', chunk => {
      const page = head('HTTP/1.1 200 OK\r\ncontent-length: 4096')
      const count = String(chunk).split('\r\n\r\n').length - 1
      socket.write(Buffer.concat(Array(count).fill(Buffer.concat([page, zeros.subarray(0, 4_096)]))))
    }),
  /** Switches, and then sends without reading */
  tunnel: once(socket => {
    socket.pause()
    flood(socket, zeros, head('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket'))
  }),
  silent2: h2Server(() => {}),
  interim2: h2Server((socket, stream) => {
    const one = frameBytes(type.headers, END_HEADERS, stream, block([[':status', '103']]))
    flood(socket, Buffer.concat(Array(100).fill(one)))
  }),
  flood2: h2Server((socket, stream) => {
    socket.write(frameBytes(type.headers, END_HEADERS, stream, block([[':status', '200']])))
    // As much as the window allows, one byte a frame
    socket.write(Buffer.concat(Array(60_000).fill(frameBytes(type.data, 0, stream, 'z'))))
  }),
}

export type HostileBackends = { readonly ports: Readonly<Record<string, number>>; cut(): void; close(): void }

export async function hostileBackends(): Promise<HostileBackends> {
  const ports: Record<string, number> = {}
  const open = new Set<net.Socket>()
  const servers: net.Server[] = []
  for (const [name, behave] of Object.entries(behaviours)) {
    const server = net.createServer({ noDelay: true, allowHalfOpen: true }, socket => {
      open.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => open.delete(socket))
      behave(socket)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    ports[name] = (server.address() as net.AddressInfo).port
    servers.push(server)
  }
  const cut = () => {
    for (const socket of open) socket.destroy()
  }
  return {
    ports,
    cut,
    close() {
      cut()
      for (const server of servers) server.close()
    },
  }
}
