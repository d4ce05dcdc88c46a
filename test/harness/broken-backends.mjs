// Backends that are broken in one way each, in a Node process of their own. Argument: JSON with the PEM of certificates.
// Prints one line of JSON, the port of each by its name.
import net from 'node:net'
import process from 'node:process'
import tls from 'node:tls'

const { own, expired, wrongName, untrusted, strangerCa } = JSON.parse(process.argv[2])

/** Waits for the hello, then does something. */
const onHello = act =>
  net.createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => {})
    socket.once('data', () => act(socket))
  })

/** Shakes hands, then does something: at once, or with the request. */
function onSecure(act, when, options = own) {
  const raws = new Map()
  const server = tls.createServer({ allowHalfOpen: true, ...options }, socket => {
    socket.on('error', () => {})
    const raw = raws.get(socket.remotePort)
    if (when === 'at once') act(socket, raw)
    else socket.once('data', () => act(socket, raw))
  })
  server.on('tlsClientError', () => {})
  server.prependListener('connection', raw => {
    raw.on('error', () => {})
    raws.set(raw.remotePort, raw)
  })
  return server
}

const answer = socket => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine')
const refusesClient = version => ({
  ...own,
  requestCert: true,
  rejectUnauthorized: true,
  ca: strangerCa,
  minVersion: version,
  maxVersion: version,
})
const alert = code => Buffer.from([21, 3, 3, 0, 2, 2, code])

const backends = {
  'stays silent': onHello(() => {}),
  'answers TLS with plaintext': onHello(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
  'answers TLS with noise, and stays': onHello(socket => socket.write(Buffer.alloc(600, 0xaa))),
  'sends half a record, and stays silent': onHello(socket => socket.write(Buffer.from([22, 3, 3, 0, 90, 2, 0]))),
  'cuts in the handshake': onHello(socket => socket.destroy()),
  'half-closes in the handshake': onHello(socket => socket.end()),
  'resets in the handshake': onHello(socket => socket.resetAndDestroy()),
  'refuses with an alert': onHello(socket => socket.end(alert(40))),
  'refuses with an alert, and stays': onHello(socket => socket.write(alert(40))),
  'has a certificate that has ended': onSecure(answer, 'request', expired),
  'has the certificate of another': onSecure(answer, 'request', wrongName),
  'has the certificate of a CA that nobody knows': onSecure(answer, 'request', untrusted),
  'refuses the client certificate (TLS 1.2)': onSecure(() => {}, 'request', refusesClient('TLSv1.2')),
  'refuses the client certificate (TLS 1.3)': onSecure(() => {}, 'request', refusesClient('TLSv1.3')),
  'cuts behind the handshake': onSecure((_socket, raw) => raw.destroy(), 'at once'),
  'half-closes behind the handshake': onSecure(socket => socket.end(), 'at once'),
  'cuts at the request': onSecure((_socket, raw) => raw.destroy(), 'request'),
  'half-closes at the request': onSecure(socket => socket.end(), 'request'),
  'resets at the request': onSecure((_socket, raw) => raw.resetAndDestroy(), 'request'),
  'writes plaintext into the TLS stream': onSecure(
    (_socket, raw) => raw.write('HTTP/1.1 200 OK\r\n\r\n'),
    'request',
  ),
  'stays silent behind the request': onSecure(() => {}, 'request'),
}

const ports = {}
for (const [name, server] of Object.entries(backends)) {
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  ports[name] = server.address().port
}
console.log(JSON.stringify(ports))
