/** WebSocket messages there and back, one under way on each connection, for LineClient; runs on Bun. */
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { bun, type Socket } from './bun-api.ts'
import { serveJobs } from './line-client.ts'

export type EchoJob = {
  readonly port: number
  readonly ca: string
  readonly path: string
  /** Of a message, under 126: its length is one byte then (RFC 6455, section 5.2) */
  readonly bytes: number
  readonly connections: number
  readonly seconds: number
}

export type EchoReport = { readonly messages: number; readonly seconds: number; readonly errors: readonly string[] }

const mask = [0x37, 0xfa, 0x21, 0x3d]

/** A binary message as a client must send it, masked */
function maskedFrame(bytes: number): Buffer {
  const payload = Buffer.alloc(bytes, 'sallyport ').map((byte, at) => byte ^ mask[at % 4])
  return Buffer.concat([Buffer.from([0x82, 0x80 | bytes, ...mask]), payload])
}

async function runEcho({ port, ca, path, bytes, connections, seconds }: EchoJob): Promise<EchoReport> {
  const message = maskedFrame(bytes)
  const expected = Buffer.concat([Buffer.from([0x82, bytes]), Buffer.alloc(bytes, 'sallyport ')])
  const upgrade = Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  )
  const errors: string[] = []
  let messages = 0
  let ended = false
  let until = Number.POSITIVE_INFINITY
  const fail = (why: string) => {
    if (!ended && errors.length < 5) errors.push(why)
  }
  const open = () =>
    new Promise<Socket>((resolve, reject) => {
      let head = ''
      let isOpen = false
      let received = Buffer.alloc(0)
      const refuse = (why: string) => {
        fail(why)
        reject(new Error(why))
      }
      void bun.connect({
        hostname: '127.0.0.1',
        port,
        tls: { ca: readFileSync(ca), serverName: 'localhost' },
        socket: {
          binaryType: 'buffer',
          handshake(socket, success, error) {
            if (!success) return refuse(`TLS: ${error?.message}`)
            socket.write(upgrade)
          },
          data(socket, chunk) {
            if (!isOpen) {
              head += chunk.toString('latin1')
              if (!head.includes('\r\n\r\n')) return
              if (!head.startsWith('HTTP/1.1 101 ')) return refuse(`answered ${head.slice(0, 40)}`)
              isOpen = true
              return resolve(socket)
            }
            received = received.length === 0 ? Buffer.from(chunk) : Buffer.concat([received, chunk])
            if (received.length < expected.length) return
            if (!received.equals(expected)) return fail('another message came back than was sent')
            received = Buffer.alloc(0)
            messages++
            if (performance.now() < until) socket.write(message)
          },
          close: () => refuse('a connection was closed'),
          connectError: (_, error) => refuse(error.message),
        },
      })
    })
  const sockets = await Promise.all(Array.from({ length: connections }, open))
  const began = performance.now()
  until = began + seconds * 1000
  for (const socket of sockets) socket.write(message)
  await wait(seconds * 1000 + 20)
  const elapsed = Math.min(performance.now(), until) - began
  ended = true
  for (const socket of sockets) socket.terminate()
  return { messages, seconds: elapsed / 1000, errors }
}

await serveJobs(runEcho)
