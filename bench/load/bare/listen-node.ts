/** `node:tls` and `node:net` with nothing in between, streams joined by `pipe`: what Node's sockets and its TLS cost. */
import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { constantAnswer, endsRequest, readJob } from './job.ts'

const job = readJob()
const { port, mode, identity, backendPort, backendTls } = job
const backendCa = backendTls && readFileSync(backendTls.ca)
const answer = constantAnswer(job)

function serve(client: net.Socket): void {
  client.setNoDelay(true)
  client.on('error', () => client.destroy())
  if (mode === 'constant') {
    client.on('data', (chunk: Buffer) => {
      if (endsRequest(chunk)) client.write(answer)
    })
    return
  }
  const address = { host: '127.0.0.1', port: backendPort, noDelay: true }
  const backend =
    backendTls === null || backendCa === null
      ? net.connect(address)
      : tls.connect({ ...address, ca: backendCa, servername: backendTls.serverName })
  backend.on('error', () => client.destroy())
  client.on('close', () => backend.destroy())
  client.pipe(backend).pipe(client)
}

const server =
  identity === null
    ? net.createServer(serve)
    : tls.createServer({ cert: readFileSync(identity.chain), key: readFileSync(identity.key) }, serve)
server.listen(port, '127.0.0.1', 4096)
