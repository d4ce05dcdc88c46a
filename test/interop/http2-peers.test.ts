/** Real HTTP/2 peers: h2load, nghttp, curl and a browser in front; nghttpd, nginx and Node's own server behind. */
import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { acceptFor } from '../../src/proxy/seam/websocket.ts'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { freePort, listening } from '../harness/ports.ts'

const run = promisify(execFile)
const has = (command: string) => spawnSync(command, ['--version']).error === undefined
const missing = ['h2load', 'nghttp', 'nghttpd', 'curl', 'chromium'].filter(command => !has(command))
const skip = missing.length > 0 ? `not installed: ${missing.join(', ')}` : false

const ca = testCa()
const inner = issueFiles(ca, ['internal.test'])
const folder = temporaryFolder('sallyport-h2-')
const file = randomBytes(1024 * 1024)
const hash = createHash('sha256').update(file).digest('hex')
const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const children: ReturnType<typeof spawn>[] = []
let plain: http.Server
let gateway: Started
let base = ''
let settleResult: (result: string) => void = () => {}
/** What the browser's page has found */
const result = new Promise<string>(resolve => {
  settleResult = resolve
})

/** Answers what a page needs: itself, an echo of what is posted, and a WebSocket that says everything twice. */
function site(settle: (result: string) => void): http.Server {
  const page = `<!doctype html><title>waiting</title><script type="module">
    const posted = await (await fetch('/echo', { method: 'POST', body: 'x'.repeat(100000) })).text()
    const many = await Promise.all(Array.from({ length: 50 }, (_, at) => fetch('/item/' + at).then(r => r.text())))
    const socket = new WebSocket('wss://' + location.host + '/ws')
    const said = await new Promise((resolve, reject) => {
      socket.onopen = () => socket.send('hello')
      socket.onmessage = event => resolve(event.data)
      socket.onerror = () => reject(new Error('the socket failed'))
    }).catch(error => error.message)
    const protocol = performance.getEntriesByType('navigation')[0].nextHopProtocol
    const result = [protocol, posted.length, many.every((text, at) => text === 'item ' + at), said].join(' ')
    await fetch('/result', { method: 'POST', body: result })
  </script><body></body>`
  const server = http.createServer((request, response) => {
    if (request.url === '/page') response.setHeader('content-type', 'text/html').end(page)
    else if (request.url?.startsWith('/item/')) response.end(`item ${request.url.slice(6)}`)
    else if (request.url === '/result') {
      let text = ''
      request.on('data', chunk => {
        text += chunk
      })
      request.on('end', () => {
        response.end()
        settle(text)
      })
    } else request.pipe(response)
  })
  server.on('upgrade', (request, socket) => {
    const key = String(request.headers['sec-websocket-key'])
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`,
    )
    // One masked text frame of less than 126 bytes (RFC 6455 section 5.2).
    socket.on('data', (frame: Buffer) => {
      if ((frame[0] as number) !== 0x81) return socket.end()
      const length = (frame[1] as number) & 0x7f
      const mask = frame.subarray(2, 6)
      const text = Buffer.from(frame.subarray(6, 6 + length).map((byte, at) => byte ^ (mask[at % 4] as number)))
      const twice = Buffer.concat([text, text])
      return socket.write(Buffer.concat([Buffer.of(0x81, twice.length), twice]))
    })
    socket.on('error', () => {})
  })
  return server
}

before(async () => {
  if (skip) return
  mkdirSync(path.join(folder, 'www'))
  writeFileSync(path.join(folder, 'www', 'file'), file)
  writeFileSync(path.join(folder, 'www', 'small'), 'small\n')
  const h2c = await freePort()
  const h2 = await freePort()
  const options = { stdio: 'ignore' } as const
  children.push(
    spawn('nghttpd', ['-d', path.join(folder, 'www'), '--no-tls', '--trailer', 'x-sum: 1', `${h2c}`], options),
    spawn('nghttpd', ['-d', path.join(folder, 'www'), `${h2}`, inner.keyFile, inner.chainFile], options),
  )
  await listening(h2c)
  await listening(h2)
  plain = site(settleResult)
  await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
    ],
    sites: [
      { host: 'edge.test', certificate: 'local', to: [`h2c://127.0.0.1:${h2c}`] },
      {
        host: 'bridge.test',
        certificate: 'local',
        to: { endpoints: [`https://127.0.0.1:${h2}`], tls: { ca: ca.file, serverName: 'internal.test' } },
      },
      {
        host: 'localhost',
        certificate: 'local',
        routes: [
          // Such heads as nghttp makes for CONTINUATION are too large for many a backend.
          { match: { path: '/own' }, respond: { body: 'own' } },
          { to: [`http://127.0.0.1:${(plain.address() as net.AddressInfo).port}`] },
        ],
      },
    ],
    log: { access: false, level: 'info' },
  })
  base = `:${gateway.port}`
})

after(async () => {
  if (skip) return
  await gateway.stop()
  for (const child of children) child.kill()
  plain.closeAllConnections()
  plain.close()
})

const curl = async (url: string, ...more: string[]) => {
  const resolve = ['edge.test', 'bridge.test'].flatMap(host => ['--resolve', `${host}${base}:127.0.0.1`])
  const { stdout } = await run('curl', ['-sS', '--cacert', gateway.caFile, ...resolve, ...more, url], {
    encoding: 'buffer',
    maxBuffer: 1 << 26,
  })
  return stdout
}

describe('HTTP/2 peers', { skip }, () => {
  for (const host of ['edge.test', 'bridge.test']) {
    it(`curl gets a megabyte through ${host}, over both versions`, async () => {
      for (const version of ['--http2', '--http1.1'])
        assert.equal(sha(await curl(`https://${host}${base}/file`, version)), hash)
    })

    it(`h2load: ten connections, a hundred streams, through ${host}`, async () => {
      const { stdout } = await run('h2load', [
        '-n2000',
        '-c10',
        '-m100',
        `--connect-to=127.0.0.1:${gateway.port}`,
        `https://${host}${base}/small`,
      ])
      assert.match(stdout, /2000 done, 2000 succeeded, 0 failed, 0 errored/)
      assert.match(stdout, /Application protocol: h2/)
    })
  }

  it('curl by prior knowledge in cleartext, with an upload', async () => {
    const upload = path.join(folder, 'www', 'file')
    const url = `http://localhost:${gateway.ports[1]}/echo`
    assert.equal(sha(await curl(url, '--http2-prior-knowledge', '--data-binary', `@${upload}`)), hash)
    assert.equal(
      (await curl(url, '--http2-prior-knowledge', '-o', '/dev/null', '-w', '%{http_version}')).toString(),
      '2',
    )
  })

  it('nghttp: padding, a window of 16 kB, continuation, trailers, 100 requests', async () => {
    const { stdout } = await run(
      'nghttp',
      [
        '-nsv',
        '-m100',
        '--padding=100',
        '--window-bits=14',
        '--continuation',
        '--no-verify-peer',
        `https://localhost${base}/own`,
      ],
      { maxBuffer: 1 << 24 },
    )
    assert.equal(stdout.match(/recv \(stream_id=\d+\) :status: 200/g)?.length, 100)
  })

  it('a browser: a page, an upload, fifty requests at once and a WebSocket, all over one HTTP/2 connection', async () => {
    const options = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
    const user = `--user-data-dir=${path.join(folder, 'chromium')}`
    const browser = spawn(
      'chromium',
      [...options, user, '--ignore-certificate-errors', `https://localhost${base}/page`],
      { stdio: 'ignore', detached: true },
    )
    assert.equal(await result, 'h2 100000 true hellohello')
    // The browser is many processes, and all of them are its group.
    process.kill(-(browser.pid as number), 'SIGKILL')
  })
})
