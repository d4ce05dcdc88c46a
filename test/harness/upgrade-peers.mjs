// A client and a server of node:http that upgrade, as the libraries of docker and Kubernetes do: the client POSTs a body, the server
// reads it whole and switches, and both ends talk over what is left. Run on Node whatever the runtime under test: Bun's own client
// has no 'upgrade'. Prints the server's port, then answers each line of JSON with one.
import http from 'node:http'
import https from 'node:https'
import process from 'node:process'
import readline from 'node:readline'

const server = http.createServer((_request, response) => response.end('not upgraded'))
server.on('upgrade', async (request, socket, head) => {
  socket.on('error', () => {})
  let body = ''
  for await (const chunk of request) body += chunk.toString('latin1')
  const fields = `Connection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n`
  socket.write(`HTTP/1.1 101 UPGRADED\r\n${fields}\r\n${request.method} ${body}\n`)
  socket.write(head)
  socket.pipe(socket)
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))

/** @returns the status, and what came over the tunnel after `says` was sent and its direction ended */
function ask({ port, protocol, method, body, says }) {
  return new Promise((resolve, reject) => {
    const headers = { host: 'localhost', connection: 'Upgrade', upgrade: protocol, 'content-length': body.length }
    const request = https.request({
      host: '127.0.0.1',
      servername: 'localhost',
      port,
      method,
      path: '/',
      headers,
      rejectUnauthorized: false,
    })
    request.on('error', reject)
    request.on('response', response => {
      response.resume()
      response.on('end', () => resolve({ status: response.statusCode, received: '' }))
    })
    request.on('upgrade', (response, socket, head) => {
      let received = head.toString('latin1')
      socket.on('data', chunk => {
        received += chunk.toString('latin1')
      })
      socket.on('error', reject)
      socket.on('end', () => resolve({ status: response.statusCode, upgrade: response.headers.upgrade, received }))
      socket.end(says)
    })
    request.end(body)
  })
}

for await (const line of readline.createInterface({ input: process.stdin }))
  process.stdout.write(
    `${JSON.stringify(await ask(JSON.parse(line)).catch(error => ({ error: String(error) })))}\n`,
  )
process.exit(0)
