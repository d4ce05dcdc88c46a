/**
 * A link to a backend that is paused has one read at most: it buffers nothing behind that, where nobody would count it. And
 * it goes on where it stopped, however often it is paused.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { after, before, it } from 'node:test'
import type { Link, LinkHandler } from '../../src/model/link.ts'
import { currentTransport } from '../../src/transport/current.ts'

const whole = 3_000_000
const sent = Buffer.from(Array.from({ length: whole / 4 }, (_, at) => `${at % 10_000}`.padStart(4, '0')).join(''))
const turn = () => new Promise(resolve => setImmediate(resolve))

let server: net.Server
before(async () => {
  server = net.createServer(socket => socket.on('error', () => {}).end(sent)).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
after(() => void server.close())

function opened(handler: Partial<LinkHandler>): Link {
  const nothing = () => {}
  const transport = currentTransport((where, error) => assert.fail(`${where}: ${error}`), null, {
    known: [],
  } as never)
  const { port } = server.address() as net.AddressInfo
  const all = { onOpen: nothing, onData: nothing, onDrain: nothing, onEnd: nothing, onClose: nothing, ...handler }
  return transport.connect({ address: '127.0.0.1', port, tls: null }, all)
}

it('a paused link reads nothing ahead', async () => {
  const first = Promise.withResolvers<void>()
  let read = 0
  const link = opened({
    onData(chunk) {
      read += chunk.length
      link.pause()
      first.resolve()
    },
  })
  await first.promise
  for (let turns = 0; turns < 5; turns++) await turn()
  // Node's streams have a buffer of their own, which Bun's sockets have not.
  const ahead = (link as unknown as { socket: { readableLength?: number } }).socket.readableLength ?? 0
  link.destroy()
  assert.equal(ahead, 0)
  assert.ok(read <= 524_288, `${read} bytes`)
})

it('a link that is paused at each read gets everything, in order', async () => {
  const ended = Promise.withResolvers<void>()
  const chunks: Buffer[] = []
  const link = opened({
    onData(chunk) {
      chunks.push(Buffer.from(chunk))
      link.pause()
      setImmediate(() => link.resume())
    },
    onEnd: () => ended.resolve(),
  })
  await ended.promise
  assert.ok(sent.equals(Buffer.concat(chunks)))
  link.destroy()
})
