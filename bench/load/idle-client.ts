/**
 * Opens idle TLS connections, each of which has had one request answered: `idle-client.ts PORT CA COUNT PATH`. Prints
 * `open N`, keeps them until its standard input ends, then prints `kept N`: how many the proxy had not closed.
 */
import { readFileSync } from 'node:fs'
import tls from 'node:tls'

const [port, caFile, count, path] = process.argv.slice(2)
const ca = readFileSync(caFile)
const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
/** Handshakes at once: enough to keep the proxy busy, too few to grow it by a peak of its own. */
const atOnce = 20
const sockets: tls.TLSSocket[] = []
let open = 0

function connect(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      port: Number(port),
      host: '127.0.0.1',
      servername: 'localhost',
      ca,
      ecdhCurve: 'X25519',
    })
    sockets.push(socket)
    let answer = ''
    let answered = false
    socket.on('secureConnect', () => socket.write(request))
    socket.on('data', (chunk: Buffer) => {
      if (answered) return
      answer += chunk.toString('latin1')
      const end = answer.indexOf('\r\n\r\n')
      const length = /^content-length: *(\d+)/im.exec(answer)
      if (end < 0 || length === null || answer.length < end + 4 + Number(length[1])) return
      answered = true
      if (!answer.startsWith('HTTP/1.1 200 ')) return reject(new Error(`answered ${answer.slice(0, 40)}`))
      answer = ''
      open++
      resolve()
    })
    socket.on('error', reject)
    socket.on('close', () => {
      if (answered) open--
      else reject(new Error('closed before the answer'))
    })
  })
}

let left = Number(count)
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    while (left-- > 0) await connect()
  }),
)
process.stdout.write(`open ${open}\n`)
process.stdin.on('end', () => process.stdout.write(`kept ${open}\n`, () => process.exit(0)))
process.stdin.resume()
