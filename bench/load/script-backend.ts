/**
 * The backend for what nginx cannot do alone: read an upload before it answers, and echo WebSocket messages.
 * `script-backend.ts PORT`; it counts as nginx's `stub_status` does.
 */
import { bun } from './bun-api.ts'
import { smallBody } from './configs/backend.ts'

let requests = 0
let connections = 0

const answer = (body: string) => new Response(body, { headers: { 'content-type': 'text/plain' } })

async function upload(request: Request): Promise<Response> {
  const announced = Number(request.headers.get('content-length') ?? -1)
  const { byteLength } = await request.arrayBuffer()
  const whole = byteLength > 0 && (announced === -1 || announced === byteLength)
  return whole ? answer(smallBody) : new Response(`${byteLength} of ${announced} bytes`, { status: 400 })
}

bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2]),
  idleTimeout: 0,
  fetch(request, server) {
    const { pathname } = new URL(request.url)
    if (pathname === '/status') {
      return answer(
        `Active connections: ${connections} \nserver accepts handled requests\n ${connections} ${connections} ${requests} \n`,
      )
    }
    requests++
    if (pathname === '/upload') return upload(request)
    if (pathname === '/echo') {
      return server.upgrade(request) ? undefined : new Response('not a WebSocket', { status: 400 })
    }
    // What the probe asks; Bun's server has no HTTP/2.
    const { headers } = request
    if (pathname === '/seen') {
      return answer(`${headers.get('x-forwarded-for') ?? ''} ${headers.get('x-forwarded-proto') ?? ''} HTTP/1.1`)
    }
    return answer(smallBody)
  },
  websocket: {
    idleTimeout: 0,
    perMessageDeflate: false,
    open() {
      connections++
    },
    message(socket, message) {
      requests++
      socket.send(message)
    },
  },
})
