// Both ends of half-closed connections, in a Node process of its own: Bun's own client sockets are under test elsewhere.
// Arguments: a certificate chain and its key, for the backend of passthrough and of bridges. Prints the ports of its
// backends, then answers each line of JSON with one: what the client and the backend have received, and how it ended.
import { readFileSync } from 'node:fs'
import net from 'node:net'
import process from 'node:process'
import readline from 'node:readline'
import tls from 'node:tls'

const [chain, key] = process.argv.slice(2)
const small = 16_384
const webSocketFields = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

/** Reads slowly: a few bytes a turn, until the end. `seen` is called with the count so far. */
function readSlowly(socket, done) {
  let count = 0
  let over = false
  const finish = () => {
    if (!over) done(count)
    over = true
  }
  socket.pause()
  const step = () => {
    if (over) return
    const chunk = socket.read(Math.min(small, socket.readableLength))
    if (chunk !== null) count += chunk.length
    if (socket.readableEnded || socket.destroyed) finish()
    else setTimeout(step, 1)
  }
  socket.on('readable', () => {})
  socket.on('close', finish)
  step()
}

function read(socket, slow, done) {
  if (slow) {
    readSlowly(socket, done)
    return
  }
  let count = 0
  let over = false
  const finish = () => {
    if (!over) done(count)
    over = true
  }
  socket.on('data', chunk => {
    count += chunk.length
  })
  socket.on('end', finish)
  socket.on('close', finish)
  socket.resume()
}

/** What the backend does with its next connection */
let serve = () => {}
const backend = socket => serve(socket)

/** Behind an upgrade: the head is answered, then it is like any other. */
function upgraded(socket) {
  let text = ''
  const onData = chunk => {
    text += chunk.toString('latin1')
    const end = text.indexOf('\r\n\r\n')
    if (end < 0) return
    socket.off('data', onData)
    socket.pause()
    if (end + 4 < text.length) socket.unshift(Buffer.from(text.slice(end + 4), 'latin1'))
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
    serve(socket)
  }
  socket.on('data', onData)
}

const tlsOptions = { cert: readFileSync(chain), key: readFileSync(key), allowHalfOpen: true }
const half = { allowHalfOpen: true, noDelay: true }
const servers = {
  tcp: net.createServer(half, backend),
  tls: tls.createServer(tlsOptions, backend),
  upgrade: net.createServer(half, upgraded),
  upgradeTls: tls.createServer({ ...tlsOptions, ALPNProtocols: ['http/1.1'] }, upgraded),
}

function connect({ port, secure, host, upgrade }, ready) {
  const options = { host: '127.0.0.1', port, allowHalfOpen: true }
  const opened = () => {
    if (!upgrade) {
      ready(socket)
      return
    }
    let text = ''
    const onData = chunk => {
      text += chunk.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) return
      socket.off('data', onData)
      socket.pause()
      if (end + 4 < text.length) socket.unshift(Buffer.from(text.slice(end + 4), 'latin1'))
      ready(socket)
    }
    socket.on('data', onData)
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n${webSocketFields}\r\n`,
    )
  }
  const socket = secure
    ? tls.connect({ ...options, servername: host, rejectUnauthorized: false }, opened)
    : net.connect(options, opened)
  return socket
}

/**
 * `cut`: the answer is written, and then its connection cut, with a FIN behind an open TLS stream or a reset.
 * `down`: the client ends first, and the backend answers that with so many bytes; `up`: the other way around.
 */
function run(job) {
  return new Promise(resolve => {
    const result = { client: null, backend: null, errors: [] }
    const failed = who => error => result.errors.push(`${who}: ${error.code ?? error.message}`)
    const settled = () => {
      if (result.client !== null && result.backend !== null) resolve(result)
    }
    const talk = (name, first) => socket => {
      socket.on('error', failed(name))
      read(socket, job.slow, count => {
        result[name] = count
        const rest = Buffer.alloc(job.bytes, 97)
        if (!first && job.cut) socket.write(rest, () => (socket._parent ?? socket)[job.cut]())
        else if (!first) socket.end(rest)
        settled()
      })
      if (first) socket.end('go')
    }
    serve = talk('backend', job.direction === 'up')
    const client = connect(job, talk('client', job.direction === 'down'))
    client.on('error', failed('client'))
    // A backend that was never reached, or is never told of the end
    client.on('close', () => {
      setTimeout(() => {
        result.client ??= -1
        result.backend ??= -1
        settled()
      }, 3_000).unref()
    })
  })
}

await Promise.all(
  Object.values(servers).map(server => new Promise(resolve => server.listen(0, '127.0.0.1', resolve))),
)
const ports = Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, server.address().port]))
console.log(JSON.stringify(ports))
for await (const line of readline.createInterface({ input: process.stdin }))
  console.log(JSON.stringify(await run(JSON.parse(line))))
process.exit()
