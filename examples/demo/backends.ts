/** The demo's backends: an HTTP server, the same behind TLS with a certificate of its own, and a TCP echo. */
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import type { LocalCa } from '../../src/certs/ca/local-ca.ts'

export type Backends = { readonly http: number; readonly https: number; readonly echo: number }

export async function startBackends(ca: LocalCa): Promise<Backends> {
  const own = ca.issue(['internal.localhost', 'passthrough.localhost'])
  const plain = http.createServer((request, response) => show('HTTP', request, response))
  const secure = https.createServer({ cert: own.chainPem, key: own.keyPem }, (request, response) =>
    show('HTTPS, with its own certificate', request, response),
  )
  const echo = net.createServer(socket => {
    socket.write('you reached the TCP echo behind tcp.localhost; what you type comes back\n')
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  return { http: await listen(plain), https: await listen(secure), echo: await listen(echo) }
}

/** What the backend got: the client sees what the gateway adds and drops. */
function show(kind: string, request: http.IncomingMessage, response: http.ServerResponse): void {
  const lines = [`Hello from a backend that speaks ${kind}.`, '', `${request.method} ${request.url}`]
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`)
  }
  response.writeHead(200, { 'content-type': 'text/plain' })
  response.end(`${lines.join('\n')}\n`)
}

function listen(server: net.Server): Promise<number> {
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as net.AddressInfo).port))
  })
}
