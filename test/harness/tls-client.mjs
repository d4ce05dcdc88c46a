// A TLS client on Node that breaks TLS behind its handshake. Arguments: port, ALPN, what to do. Prints one line of JSON:
// what it heard, and whether its connection was ended.
import net from 'node:net'
import process from 'node:process'
import tls from 'node:tls'

const [port, alpn, what] = process.argv.slice(2)
const raw = net.connect(Number(port), '127.0.0.1')
const socket = tls.connect({
  socket: raw,
  servername: 'localhost',
  rejectUnauthorized: false,
  ALPNProtocols: [alpn],
  ...(what === 'renegotiate' || what.endsWith('of TLS 1.2') ? { maxVersion: 'TLSv1.2' } : {}),
})
const heard = { error: '', renegotiated: false }
const record = length => Buffer.from([23, 3, 3, 0, length, ...Buffer.alloc(length, 7)])
const acts = {
  'bad record': () => raw.write(record(55)),
  'bad record of TLS 1.2': () => raw.write(record(55)),
  plaintext: () => raw.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  'fatal alert': () => raw.write(Buffer.from([21, 3, 3, 0, 2, 2, 80])),
  renegotiate: () =>
    socket.renegotiate({}, error => {
      heard.renegotiated = error === null
      heard.error ||= String(error)
      if (error === null) socket.destroy()
    }),
}
socket.on('error', error => {
  heard.error ||= error.message
})
raw.on('error', () => {})
socket.on('secureConnect', () => {
  // Half a head: the gateway is in the middle of a request.
  if (alpn === 'http/1.1') socket.write('GET / HTTP/1.1\r\nHost: local', () => acts[what]())
  else
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00', 'latin1', () =>
      acts[what](),
    )
})
socket.on('close', () => {
  console.log(JSON.stringify(heard))
  process.exit()
})
socket.resume()
