/**
 * docs/coming-from-nginx.md: nginx runs the nginx.conf of the page and the gateway its sallyport.yaml, before the same backends. Both
 * give the same answers, and their access logs the same lines.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import type tls from 'node:tls'
import { gunzipSync } from 'node:zlib'
import { createGateway, type Gateway } from '../../src/index.ts'
import { type Answered, type Ask, ask } from '../harness/ask.ts'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { freePort, listening } from '../harness/ports.ts'
import { rawTls } from '../harness/raw.ts'
import { until } from '../harness/until.ts'
import { echoUpgrade, webSocketEchoes } from '../harness/websocket.ts'

const skip = spawnSync('nginx', ['-v']).error !== undefined && 'not installed: nginx'

const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/coming-from-nginx.md'), 'utf8')
const blockOf = (language: string) => {
  const found = new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'm').exec(page)?.[1]
  assert.ok(found, `the page has a block of ${language}`)
  return found
}

const hosts = ['shop.example.com', 'admin.example.com', 'chat.example.com']
const folder = temporaryFolder('sallyport-from-nginx-')
const [nginxLog, ownLog] = [path.join(folder, 'nginx.log'), path.join(folder, 'sallyport.log')]

/** Says what it was asked for, with the fields that gateways set. */
function echo(request: http.IncomingMessage, response: http.ServerResponse): void {
  const { method, url = '', headers } = request
  const { host, 'x-real-ip': realIp, 'x-forwarded-for': forwarded, 'x-forwarded-proto': proto } = headers
  const said = JSON.stringify({ method, url, host, realIp, forwarded, proto })
  const type = url.includes('image') ? 'image/png' : 'application/json'
  const status = Number(/status=(\d{3})/.exec(url)?.[1] ?? 200)
  let bytes = 0
  request.on('data', chunk => void (bytes += chunk.length))
  request.on('end', () => {
    const body = `${said} ${bytes} ${url.includes('large') ? 'x'.repeat(5_000) : ''}`
    response.writeHead(status, {
      'content-type': type,
      'content-length': body.length,
      'x-powered-by': 'echo',
      ...(status >= 300 && status < 400 && { location: '/elsewhere' }),
    })
    response.end(method === 'HEAD' ? '' : body)
  })
}

const backends = Array.from({ length: 4 }, () => {
  const server = http.createServer(echo)
  server.on('upgrade', (_, socket) => echoUpgrade(socket))
  return server
})

let nginx: ReturnType<typeof spawn>
let gateway: Gateway
let ports: { readonly nginx: readonly [number, number]; readonly sallyport: readonly [number, number] }

before(async () => {
  if (skip) return
  const open: number[] = []
  for (const backend of backends) {
    await new Promise<void>(resolve => backend.listen(0, '127.0.0.1', resolve))
    open.push((backend.address() as AddressInfo).port)
  }
  ports = { nginx: [await freePort(), await freePort()], sallyport: [await freePort(), await freePort()] }
  const closed = await freePort()
  const files = issueFiles(testCa(), hosts)
  for (const [from, to] of [
    [files.chainFile, 'shop.pem'],
    [files.keyFile, 'shop.key'],
  ] as const)
    writeFileSync(path.join(folder, to), readFileSync(from))
  mkdirSync(path.join(folder, 'pages'))
  for (const name of ['pages/sorry.html', 'sorry.html']) writeFileSync(path.join(folder, name), '<p>sorry</p>\n')
  const here = (text: string) =>
    text
      .replaceAll('10.0.0.5:3000', `127.0.0.1:${open[0]}`)
      .replaceAll('10.0.0.6:3000', `127.0.0.1:${open[1]}`)
      .replaceAll('10.0.0.7:8080', `127.0.0.1:${open[2]}`)
      .replaceAll('10.0.0.8:9000', `127.0.0.1:${open[3]}`)
      .replaceAll('10.0.0.9:4000', `127.0.0.1:${closed}`)
      .replaceAll('10.0.0.0/8', '127.0.0.1/32')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `${name}_temp_path ${folder}/${name};`,
  )
  writeFileSync(
    path.join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;\n${here(blockOf('nginx'))
      .replace('http {', `http { ${temporary.join(' ')}`)
      .replaceAll('listen 443 ', `listen 127.0.0.1:${ports.nginx[0]} `)
      .replace('listen 80 ', `listen 127.0.0.1:${ports.nginx[1]} `)
      .replaceAll('/var/log/nginx/access.log', nginxLog)}`,
  )
  writeFileSync(
    path.join(folder, 'sallyport.yaml'),
    `state: ${folder}/state\n${here(blockOf('yaml'))
      .replace('{ port: 443 }', `{ port: ${ports.sallyport[0]}, address: 127.0.0.1, public: 443 }`)
      .replace('{ port: 80,', `{ port: ${ports.sallyport[1]}, address: 127.0.0.1,`)
      .replace('/var/log/sallyport/access.log', ownLog)}`,
  )
  gateway = await createGateway(path.join(folder, 'sallyport.yaml'), { selfTested: true, out: () => {} })
  nginx = spawn(
    'nginx',
    ['-p', folder, '-c', path.join(folder, 'nginx.conf'), '-e', path.join(folder, 'error.log')],
    {
      stdio: 'ignore',
    },
  )
  await listening(ports.nginx[0])
})

after(async () => {
  if (skip) return
  await gateway.drain(0)
  nginx.kill()
  for (const backend of backends) {
    backend.closeAllConnections()
    backend.close()
  }
})

const gzip = [['accept-encoding', 'gzip']] as const
const [shop, admin, chat] = hosts as [string, string, string]
const stranger = { localAddress: '127.0.0.2' } as tls.ConnectionOptions

/** `own`: the page is nginx's or the gateway's own, and differs */
const requests: readonly (Ask & { readonly own?: true })[] = [
  // Routes of paths
  { host: shop, path: '/' },
  { host: shop, path: '/a/b?c=d&e=f' },
  { host: shop, path: '/a%20b/%C3%A9?x=%2F' },
  { host: shop, path: '/apix' },
  { host: shop, path: '/api/' },
  { host: shop, path: '/api/orders/7?full=1' },
  { host: shop, path: '/api/orders', method: 'POST', body: 'an order' },
  { host: shop, path: '/api/orders', method: 'PUT', body: ['in', 'pieces'] },
  { host: shop, path: '/api/orders/7', method: 'DELETE' },
  { host: shop, path: '/head', method: 'HEAD' },
  { host: shop, path: '/options', method: 'OPTIONS' },
  {
    host: shop,
    path: '/a',
    fields: [
      ['x-forwarded-proto', 'http'],
      ['x-real-ip', '6.6.6.6'],
    ],
  },
  { host: shop, path: '/a', tls: stranger },
  { host: shop, path: '/api/a', tls: stranger },
  { host: 'unknown.example.com', path: '/a' },
  // Redirects and answers without a backend
  { host: shop, path: '/old/page' },
  { host: shop, path: '/old/a/b?c=d' },
  { host: shop, path: '/old/' },
  { host: shop, path: '/contact' },
  { host: shop, path: '/healthz' },
  { host: shop, path: '/gone', own: true },
  { host: shop, path: '/plain?a=b', plain: true },
  { host: chat, path: '/plain/a', plain: true },
  // The backend's own errors and redirects are its business
  { host: shop, path: '/x?status=404' },
  { host: shop, path: '/x?status=500' },
  { host: shop, path: '/x?status=503' },
  { host: shop, path: '/x?status=304' },
  { host: shop, path: '/x?status=302' },
  // A backend that is away
  { host: shop, path: '/reports/1' },
  { host: shop, path: '/reports/2', method: 'POST', body: 'x' },
  // Uploads
  { host: shop, path: '/upload', method: 'POST', body: 'x'.repeat(1_000_000) },
  { host: shop, path: '/api/upload', method: 'POST', body: 'x'.repeat(1_048_576) },
  { host: shop, path: '/upload', method: 'POST', body: 'x'.repeat(1_048_577), own: true },
  { host: admin, path: '/upload', method: 'POST', body: 'x'.repeat(10_000) },
  // Compression
  { host: shop, path: '/large', fields: gzip },
  { host: shop, path: '/large' },
  { host: shop, path: '/large', fields: [['accept-encoding', 'gzip;q=0']] },
  { host: shop, path: '/small', fields: gzip },
  { host: shop, path: '/large-image', fields: gzip },
  { host: chat, path: '/large', fields: gzip },
  // The allow list
  { host: admin, path: '/' },
  {
    host: admin,
    path: '/users?q=1',
    fields: [
      ['user-agent', 'curl/8'],
      ['referer', 'https://shop.example.com/'],
    ],
  },
  { host: admin, path: '/', tls: stranger, own: true },
  { host: admin, path: '/users', method: 'POST', body: 'x', tls: stranger, own: true },
  // The site with the WebSocket
  { host: chat, path: '/socket/history' },
  { host: chat, path: '/room?id=1', fields: [['user-agent', '"quoted" \\ agent']] },
]

const seen = (answer: Answered, own: boolean) => {
  const encoding = answer.field('content-encoding')
  const bytes = Buffer.from(answer.body, 'latin1')
  return {
    status: answer.status,
    location: answer.field('location'),
    encoding,
    frames: answer.field('x-frame-options'),
    powered: answer.field('x-powered-by'),
    ...(!own && {
      type: answer.field('content-type')?.replace(/; ?charset=.*/, ''),
      body: encoding === 'gzip' ? gunzipSync(bytes).toString() : answer.body,
    }),
  }
}

it('the page has more than the fifty most used directives', () => {
  const table = page.slice(page.indexOf('## The directives'))
  const names = [...table.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([a-z_$][^`]*)`/g)].map(([, name]) => name as string),
  )
  const directives = new Set(names.map(name => name.split(' ')[0]))
  assert.ok(directives.size >= 100, `${directives.size}`)
})

describe('an nginx.conf that was moved by docs/coming-from-nginx.md', { skip }, () => {
  it(`gives the same answers to ${requests.length} requests`, async () => {
    assert.ok(requests.length >= 40)
    for (const { own = false, ...request } of requests) {
      const { method = 'GET', host, path: target, plain } = request
      // A redirect from http has a page of its own in both.
      const answers = await Promise.all(
        [ports.nginx, ports.sallyport].map(async ([secure, clear]) =>
          seen(
            await ask('HTTP/1.1', plain ? clear : secure, { serverName: shop, ...request }),
            own || plain === true || /^\/(old|contact)/.test(target ?? ''),
          ),
        ),
      )
      assert.deepEqual(answers[1], answers[0], `${method} ${host}${target}`)
    }
  })

  it('has a WebSocket', async () => {
    for (const [port] of [ports.nginx, ports.sallyport])
      await webSocketEchoes(await rawTls(port, { servername: chat }), chat)
  })

  it('logs the same lines', async () => {
    const linesOf = (file: string) =>
      readFileSync(file, 'utf8')
        .split('\n')
        // Redirects from http have no record here, and tunnels one when they end.
        .filter(line => line !== '' && !/"GET \/(plain|socket )/.test(line))
        .toSorted()
    const wanted = linesOf(nginxLog)
    await until(() => linesOf(ownLog).length === wanted.length)
    assert.deepEqual(linesOf(ownLog), wanted)
    assert.ok(wanted.length > 30)
    assert.ok(!wanted.some(line => line.includes('/healthz')))
  })
})
