/**
 * An answer that comes before the request's body has ended reaches real clients whole, over both versions: from the gateway itself,
 * and from backends that keep the connection, end it, close it with the body unread, or reset it.
 */
import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import { promisify } from 'node:util'
import * as grpc from '@grpc/grpc-js'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import { firstLine, nodeProcess } from '../harness/node-process.ts'

const run = promisify(execFile)
const has = (command: string) => spawnSync(command, ['--version']).error === undefined
const without = (command: string) => (has(command) ? false : `${command} is not installed`)
const rounds = 2
// Of two kinds of socket and five clients
const nodeRounds = 1
const body = 'n'.repeat(50)
const folder = temporaryFolder('sallyport-early-')
const upload = path.join(folder, 'upload')
const ca = testCa()
const inner = issueFiles(ca, ['internal.test'])

// None of these connections takes another request.
const answer = (length: number) =>
  `HTTP/1.1 401 Unauthorized\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${'n'.repeat(length)}`

type Act = (socket: net.Socket) => void
/** Reads the head, and what comes with it, and nothing more. */
const afterHead = (act: Act) => (socket: net.Socket) =>
  void socket.once('data', () => {
    socket.pause()
    act(socket)
  })

/** What backends do, each a server of its own */
const raw: Record<string, Act> = {
  keeps: afterHead(socket => socket.write(answer(50))),
  'keeps-large': afterHead(socket => socket.write(answer(300_000))),
  ends: afterHead(socket => socket.end(answer(50))),
  closes: afterHead(socket => socket.end(answer(50), () => socket.destroy())),
  resets: afterHead(socket => socket.write(answer(50), () => socket.resetAndDestroy())),
  'closes-late'(socket) {
    let left = 500_000
    socket.on('data', chunk => {
      const before = left
      left -= chunk.length
      if (left > 0 || before <= 0) return
      socket.pause()
      socket.end(answer(50), () => socket.destroy())
    })
  },
}

const servers: (net.Server | http2.Http2Server)[] = []
const sockets = new Set<net.Socket>()
let gateway: Started
let settleBrowser: (results: Record<string, string>) => void = () => {}

async function listening(server: net.Server | http2.Http2Server): Promise<number> {
  servers.push(server)
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as net.AddressInfo).port
}

/** Posts to every path, and reports what came of it. */
const page = (paths: readonly string[]) => `<!doctype html><title>early</title><script type="module">
  const results = {}
  for (const path of ${JSON.stringify(paths)}) {
    const answer = await fetch(path, { method: 'POST', body: new Blob([new Uint8Array(4000000)]) }).catch(String)
    results[path] = typeof answer === 'string' ? answer : answer.status + ' ' + (await answer.text()).length
  }
  await fetch('/browser-results', { method: 'POST', body: JSON.stringify(results) })
</script>`

/** What git asks first, of an empty repository that takes pushes (gitprotocol-http, gitprotocol-common) */
function advertise(response: http.ServerResponse): void {
  response.setHeader('content-type', 'application/x-git-receive-pack-advertisement')
  const line = (text: string) => (text.length + 4).toString(16).padStart(4, '0') + text
  const refs = `${'0'.repeat(40)} capabilities^{}\0report-status\n`
  response.end(`${line('# service=git-receive-pack\n')}0000${line(refs)}0000`)
}

/** Node's own server, which closes with the body unread; it has the page of the browser and the repository too. */
function ordinary(): http.Server {
  return http.createServer((request, response) => {
    const { url = '' } = request
    if (url.includes('/info/refs')) advertise(response)
    else if (url === '/browser') response.setHeader('content-type', 'text/html').end(page([...paths.keys()]))
    else if (url === '/browser-results') {
      let text = ''
      request.on('data', chunk => {
        text += chunk
      })
      request.on('end', () => {
        response.end()
        settleBrowser(JSON.parse(text))
      })
    } else if (url.endsWith('/git-receive-pack') && Number(request.headers['content-length']) < 100)
      request.resume().on('end', () => response.end())
    else if (url.startsWith('/refused.git/')) response.writeHead(403, { connection: 'close' }).end(body)
    else if (url.startsWith('/limited.git/')) request.resume()
    else response.writeHead(401, { connection: 'close' }).end(body)
  })
}

/** What each path answers with */
const paths = new Map<string, string>([
  ['/own', '401 50'],
  ['/limit', '413'],
  ['/node', '401 50'],
  ['/tls', '401 50'],
  ['/h2', '401 50'],
  ...Object.keys(raw).map(name => [`/${name}`, name === 'keeps-large' ? '401 300000' : '401 50'] as const),
])

const assertAll = (results: readonly (readonly [string, string, string])[]) => {
  const wrong = results.filter(([, url, seen]) => {
    const expected = paths.get(new URL(url).pathname) as string
    return expected === '413' ? !seen.startsWith('413 ') : seen !== expected
  })
  assert.deepEqual(wrong, [])
  assert.ok(results.length > 0)
}

before(async () => {
  writeFileSync(upload, Buffer.alloc(4_000_000, 'u'))
  const plain: Record<string, string> = {}
  for (const [name, act] of Object.entries(raw))
    plain[name] = `http://127.0.0.1:${await listening(net.createServer(act))}`
  const node = `http://127.0.0.1:${await listening(ordinary())}`
  const closing = raw['closes'] as Act
  const secure = await listening(tls.createServer({ key: inner.keyPem, cert: inner.chainPem }, closing))
  const h2 = http2.createServer()
  h2.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    const isGrpc = headers['content-type'] === 'application/grpc'
    // A refusal of gRPC has no body: its head is its trailers.
    if (isGrpc) stream.respond({ 'content-type': 'application/grpc', 'grpc-status': '16' }, { endStream: true })
    else {
      stream.respond({ ':status': 401 })
      stream.end(body)
    }
  })
  const never = `http://127.0.0.1:${await listening(net.createServer(socket => void socket.resume()))}`
  const to = {
    endpoints: `https://127.0.0.1:${secure}`,
    tls: { ca: ca.file, serverName: 'internal.test' },
    http: 1 as const,
  }
  const h2c = [`h2c://127.0.0.1:${await listening(h2)}`]
  const large = { body: '10mb' } as const
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
    ],
    sites: localhostWith(
      { match: { path: '/own' }, respond: { status: 401, body } },
      { match: { path: '/limit' }, limits: { body: '4kb' }, to: [never] },
      ...Object.entries(plain).map(([name, url]) => ({ match: { path: `/${name}` }, limits: large, to: [url] })),
      { match: { path: '/tls' }, limits: large, to },
      { match: { path: ['/h2', '/early.Refused/*'] }, limits: large, to: h2c },
      { match: { path: '/early.Limited/*' }, limits: { body: '4kb' }, to: h2c },
      { match: { path: '/limited.git/*' }, limits: { body: '4kb' }, to: [node] },
      { limits: large, to: [node] },
    ),
    log: { access: false, level: 'info' },
  })
})

after(async () => {
  await gateway.stop()
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
})

const origins = () => ({ tls: `https://localhost:${gateway.port}`, plain: `http://localhost:${gateway.ports[1]}` })

describe('an early answer reaches', () => {
  const ways: Record<string, readonly ['tls' | 'plain', ...string[]]> = {
    'HTTP/1.1': ['tls', '--http1.1'],
    'HTTP/1.1 without Expect': ['tls', '--http1.1', '-H', 'Expect:'],
    'HTTP/1.1, chunked': ['tls', '--http1.1', '-H', 'Expect:', '-H', 'Transfer-Encoding: chunked'],
    'HTTP/1.1 in cleartext': ['plain', '--http1.1', '-H', 'Expect:'],
    'HTTP/2': ['tls', '--http2'],
    'HTTP/2 without a length': ['tls', '--http2', '-H', 'Transfer-Encoding: chunked'],
  }
  for (const [name, [origin, ...options]] of Object.entries(ways))
    it(`curl over ${name}`, { skip: without('curl') }, async () => {
      const results: [string, string, string][] = []
      for (const target of paths.keys()) {
        const url = origins()[origin] + target
        const more = ['--cacert', gateway.caFile, '--max-time', '100', '--data-binary', `@${upload}`]
        const written = ['-sS', '-o', '/dev/null', '-w', '%{http_code} %{size_download}']
        for (let round = 0; round < rounds; round++) {
          const made = run('curl', [...written, ...more, ...options, url])
          results.push([
            'curl',
            url,
            await made.then(
              ({ stdout }) => stdout,
              (error: Error) => error.message,
            ),
          ])
        }
      }
      assertAll(results)
    })

  for (const version of ['HTTP/1.1', 'HTTP/2'])
    it(`git over ${version}`, { skip: without('git') }, async () => {
      const work = temporaryFolder('sallyport-git-')
      const git = (...args: string[]) =>
        run('git', ['-C', work, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
          env: { ...process.env, GIT_TERMINAL_PROMPT: '0' },
        })
      await git('init', '-q')
      writeFileSync(path.join(work, 'file'), crypto.getRandomValues(new Uint8Array(60_000)))
      for (let count = 0; count < 30; count++)
        writeFileSync(path.join(work, `file${count}`), crypto.getRandomValues(new Uint8Array(60_000)))
      await git('add', '.')
      await git('commit', '-qm', 'one')
      const push = (repository: string) =>
        git(
          ...['-c', 'http.sslVerify=false', '-c', 'http.postBuffer=65536', '-c', `http.version=${version}`],
          ...['push', `${origins().tls}/${repository}`, 'HEAD:refs/heads/main'],
        )
      for (let round = 0; round < rounds; round++) {
        await assert.rejects(push('limited.git'), /RPC failed; HTTP 413/)
        await assert.rejects(push('refused.git'), /RPC failed; HTTP 403/)
      }
    })

  it("Node's fetch, http, https and http2", async () => {
    const urls = Object.values(origins()).flatMap(origin => [...paths.keys()].map(target => origin + target))
    const child = nodeProcess('early-answer-clients.mjs', [`${nodeRounds}`, JSON.stringify(urls)])
    assertAll(JSON.parse(await firstLine(child)))
  })

  for (const [name, origin] of [
    ['HTTP/2', 'tls'],
    ['HTTP/1.1', 'plain'],
  ] as const)
    it(`Chromium over ${name}`, { skip: without('chromium') }, async () => {
      const results = new Promise<Record<string, string>>(resolve => {
        settleBrowser = resolve
      })
      const options = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
      const user = `--user-data-dir=${path.join(folder, `chromium-${origin}`)}`
      const url = `${origins()[origin]}/browser`
      const browser = spawn('chromium', [...options, user, '--ignore-certificate-errors', url], {
        stdio: 'ignore',
        detached: true,
      })
      try {
        assertAll(Object.entries(await results).map(([target, seen]) => ['Chromium', `http://a${target}`, seen]))
      } finally {
        // The browser is many processes, and all of them are its group.
        process.kill(-(browser.pid as number), 'SIGKILL')
      }
    })

  it('grpc-js, with a large message and with a stream', async () => {
    const serialize = (value: Buffer) => value
    const credentials = grpc.credentials.createSsl(Buffer.from(gateway.caPem))
    const client = new grpc.Client(`localhost:${gateway.port}`, credentials)
    for (const [service, expected] of [
      ['early.Limited', grpc.status.RESOURCE_EXHAUSTED],
      ['early.Refused', grpc.status.UNAUTHENTICATED],
    ] as const)
      for (let round = 0; round < rounds; round++) {
        const unary = await new Promise<grpc.ServiceError | null>(resolve => {
          const message = Buffer.alloc(4_000_000)
          client.makeUnaryRequest(`/${service}/Unary`, serialize, serialize, message, error => resolve(error))
        })
        assert.equal(unary?.code, expected, `${service}: ${unary?.message}`)
        const streamed = await new Promise<grpc.ServiceError | null>(resolve => {
          const call = client.makeClientStreamRequest(`/${service}/Upload`, serialize, serialize, error => {
            ended = true
            resolve(error)
          })
          let ended = false
          const more = () => {
            while (!ended) if (!call.write(Buffer.alloc(50_000))) return void call.once('drain', more)
          }
          more()
        })
        assert.equal(streamed?.code, expected, `${service}: ${streamed?.message}`)
      }
    client.close()
  })
})
