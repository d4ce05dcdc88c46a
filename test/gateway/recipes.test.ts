/**
 * docs/recipes.md: each recipe is taken from the page and run, with ports and backends of this test in place of its own, and with the
 * local CA in place of a public one. It gives what it is for.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import type tls from 'node:tls'
import { promisify } from 'node:util'
import { createGateway, type Gateway } from '../../src/index.ts'
import { type Answered, type Ask, ask } from '../harness/ask.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { gitServer } from '../harness/git-server.ts'
import { type RawClient, rawTcp, rawTls, recordingBackend } from '../harness/raw.ts'
import { smtpOverTls, sslRequest, upgrade } from '../harness/start-tls.ts'
import { echoUpgrade, webSocketEchoes } from '../harness/websocket.ts'

type Running = {
  readonly gateway: Gateway
  readonly folder: string
  /** Over TLS on the first listener, or another one */
  ask(host: string, path: string, more?: Ask & { listener?: number }): Promise<Answered>
  tls(host: string, listener?: number): Promise<RawClient>
  readonly port: (listener: number) => number
}

const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/recipes.md'), 'utf8')
const recipes = page
  .split(/^## /m)
  .slice(1)
  .map(text => ({
    title: text.slice(0, text.indexOf('\n')),
    yaml: /^```yaml\n([\s\S]*?)^```/m.exec(text)?.[1] ?? '',
  }))

const closing: (() => Promise<unknown>)[] = []
after(async () => {
  for (const close of closing.toReversed()) await close()
})

/** Says which backend it is and what it was asked for, or does what `other` does. */
async function webBackend(name: string, other: http.RequestListener | null): Promise<number> {
  const server = http.createServer((request, response) => {
    if (other !== null && !request.url?.startsWith('/echo')) {
      other(request, response)
      return
    }
    let bytes = 0
    request.on('data', chunk => void (bytes += chunk.length))
    request.on('end', () => {
      const { method, url, headers } = request
      response.setHeader('content-type', 'application/json')
      response.setHeader('x-powered-by', 'backend')
      if (method === 'POST')
        response.setHeader('location', `http://127.0.0.1:${request.socket.localPort}/v2/blobs/uploads/1`)
      response.end(JSON.stringify({ name, method, url, headers, bytes, padding: 'x'.repeat(2_000) }))
    })
  })
  server.on('upgrade', (_, socket) => echoUpgrade(socket))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closing.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function tcpBackend(greeting: string): Promise<number> {
  const backend = await recordingBackend((client, text) => client.send(`heard ${text.split('\n').at(-2)}\n`), {
    greeting,
  })
  closing.push(backend.close)
  return backend.port
}

/** @param web what the backends for HTTP do, other than saying what they were asked for */
async function run(title: string, web: http.RequestListener | null = null, greeting = ''): Promise<Running> {
  const folder = temporaryFolder('sallyport-recipe-')
  let text = recipes.find(recipe => recipe.title === title)?.yaml ?? ''
  const isTcp = text.includes('tcp:')
  for (const name of new Set([...text.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => port as string))) {
    const port = isTcp ? await tcpBackend(greeting) : await webBackend(name, web)
    text = text.replaceAll(`127.0.0.1:${name}`, `127.0.0.1:${port}`)
  }
  text = text
    .replace(/port: \d+/g, 'port: 0, address: 127.0.0.1')
    .replaceAll('certificate: acme', 'certificate: local')
    .replaceAll('10.0.0.0/8', '127.0.0.1/32')
    .replace('173.245.48.0/20', '127.0.0.1')
  mkdirSync(path.join(folder, 'dist', 'assets'), { recursive: true })
  for (const [name, content] of [
    ['dist/index.html', '<title>app</title>'],
    ['dist/assets/app.js', 'let app'],
    ['back-soon.html', '<p>back soon</p>'],
    ['sorry.html', '<p>sorry</p>'],
  ] as const)
    writeFileSync(path.join(folder, name), content)
  writeFileSync(path.join(folder, 'sallyport.yaml'), text)
  const gateway = await createGateway(path.join(folder, 'sallyport.yaml'), { selfTested: true, out: () => {} })
  closing.push(() => gateway.drain(0))
  const port = (listener: number) => gateway.ports[listener] as number
  return {
    gateway,
    folder,
    port,
    ask: (host, target, { listener = 0, ...more } = {}) =>
      ask('HTTP/1.1', port(listener), { host, path: target, ...more }),
    tls: (host, listener = 0) => rawTls(port(listener), { servername: host, ALPNProtocols: [] }),
  }
}

/** Of a client with another address */
const elsewhere = { localAddress: '127.0.0.2' } as tls.ConnectionOptions

const echoed = ({ body }: Answered) =>
  JSON.parse(body) as { name: string; url: string; bytes: number; headers: Record<string, string | undefined> }

const requests: Readonly<Record<string, (title: string) => Promise<void>>> = {
  'A WebSocket application': async title => {
    const app = await run(title)
    await webSocketEchoes(await app.tls('chat.example.com'), 'chat.example.com')
    assert.equal(echoed(await app.ask('chat.example.com', '/room')).url, '/room')
    const redirected = await app.ask('chat.example.com', '/a', { listener: 1, plain: true })
    assert.deepEqual(
      [redirected.status, redirected.field('location')],
      [308, `https://chat.example.com:${app.port(0)}/a`],
    )
  },

  'A single-page application and its API': async title => {
    const app = await run(title)
    const get = (target: string, ...fields: [string, string][]) => app.ask('app.example.com', target, { fields })
    assert.equal((await get('/')).body, '<title>app</title>')
    assert.equal((await get('/users/7', ['accept', 'text/html'])).body, '<title>app</title>')
    const script = await get('/assets/app.js')
    assert.deepEqual([script.body, script.field('cache-control')], ['let app', 'max-age=31536000, immutable'])
    assert.equal((await get('/assets/gone.js')).status, 404)
    assert.equal(echoed(await get('/api/orders?q=1')).url, '/orders?q=1')
    assert.equal((await get('/api/orders', ['accept-encoding', 'gzip'])).field('content-encoding'), 'gzip')
  },

  Uploads: async title => {
    const app = await run(title)
    const post = (target: string, bytes: number) =>
      app.ask('files.example.com', target, { method: 'POST', body: 'x'.repeat(bytes) })
    assert.equal(echoed(await post('/upload/a', 3_000_000)).bytes, 3_000_000)
    assert.equal(echoed(await post('/form', 500_000)).bytes, 500_000)
    assert.equal((await post('/form', 1_100_000)).status, 413)
  },

  'A PostgreSQL database': async title => {
    const app = await run(title)
    const client = await rawTcp(app.port(0))
    client.send(sslRequest)
    await client.until(text => text === 'S')
    const secured = await upgrade(client, { servername: 'db.example.com', ALPNProtocols: ['postgresql'] })
    secured.send('startup\n')
    await secured.until(text => text === 'heard startup\n')
    secured.destroy()
  },

  'A container registry': async title => {
    const app = await run(title)
    const begun = await app.ask('registry.example.com', '/v2/app/blobs/uploads/', { method: 'POST' })
    assert.equal(begun.field('location'), 'https://registry.example.com/v2/blobs/uploads/1')
    const put = await app.ask('registry.example.com', '/v2/blobs/uploads/1', {
      method: 'PUT',
      body: 'x'.repeat(5_000_000),
    })
    assert.equal(echoed(put).bytes, 5_000_000)
  },

  'Git over HTTPS': async title => {
    const folder = temporaryFolder('sallyport-git-')
    const git = async (...words: string[]) => await promisify(execFile)('git', words, { cwd: folder })
    await git('init', '-q', '--bare', 'app.git')
    await git('-C', 'app.git', 'config', 'http.receivepack', 'true')
    const app = await run(title, gitServer(folder))
    const trusted = [
      '-c',
      'http.sslVerify=false',
      '-c',
      `http.curloptResolve=git.example.com:${app.port(0)}:127.0.0.1`,
      '-c',
      'user.name=a',
      '-c',
      'user.email=a@b.test',
    ]
    const url = `https://git.example.com:${app.port(0)}/app.git`
    await git(...trusted, 'clone', '-q', url, 'one')
    writeFileSync(path.join(folder, 'one', 'large'), Buffer.alloc(2_000_000, 'x'.repeat(999)))
    await git(...trusted, '-C', 'one', 'add', '.')
    await git(...trusted, '-C', 'one', 'commit', '-qm', 'one')
    await git(...trusted, '-C', 'one', 'push', '-q', 'origin', 'HEAD:main')
    await git(...trusted, 'clone', '-q', '-b', 'main', url, 'two')
    assert.equal(readFileSync(path.join(folder, 'two', 'large')).length, 2_000_000)
  },

  'A mail server': async title => {
    const app = await run(title, null, '220 mail.example.com ready\r\n')
    const client = await smtpOverTls(app.port(0), { servername: 'mail.example.com' })
    client.send('EHLO a.test\n')
    await client.until(text => text.includes('heard EHLO a.test'))
    client.destroy()
    const secure = await app.tls('mail.example.com', 1)
    await secure.until(text => text.startsWith('220 mail.example.com ready'))
    secure.destroy()
  },

  'Behind Cloudflare': async title => {
    const app = await run(title)
    const from = (address: string) => app.ask('shop.example.com', '/', { fields: [['cf-connecting-ip', address]] })
    assert.equal(echoed(await from('198.51.100.7')).headers['x-forwarded-for'], '198.51.100.7')
    assert.equal((await from('203.0.113.66')).status, 403)
    const stranger = await app.ask('shop.example.com', '/', {
      fields: [['cf-connecting-ip', '203.0.113.66']],
      tls: elsewhere,
    })
    assert.equal(echoed(stranger).headers['x-forwarded-for'], '127.0.0.2')
  },

  'Behind a network load balancer': async title => {
    const app = await run(title)
    const client = await rawTcp(app.port(0))
    client.send('PROXY TCP4 198.51.100.7 198.51.100.1 4711 443\r\n')
    const secured = await upgrade(client, { servername: 'shop.example.com' })
    secured.send('GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n')
    const { received } = await secured.closed()
    assert.match(received, /"x-forwarded-for":"198\.51\.100\.7"/)
    await assert.rejects(app.tls('shop.example.com'))
  },

  'A home server with its own CA': async title => {
    const app = await run(title)
    const photos = echoed(
      await app.ask('photos.home.arpa', '/album', { method: 'PUT', body: 'x'.repeat(2_000_000) }),
    )
    assert.deepEqual([photos.name, photos.bytes], ['2342', 2_000_000])
    assert.match(String(photos.headers['x-request-id']), /^[0-9a-f]{10}-/)
    assert.equal(echoed(await app.ask('music.home.arpa', '/')).name, '4533')
    const other = await app.ask('printer.home.arpa', '/')
    assert.deepEqual([other.status, other.field('location')], [302, 'https://photos.home.arpa/'])
  },

  'A maintenance page': async title => {
    const app = await run(title, (request, response) => {
      if (request.url === '/down') request.socket.destroy()
      else response.end('here')
    })
    const get = (target: string, more: Ask = {}) => app.ask('shop.example.com', target, more)
    const stranger = { tls: elsewhere }
    assert.equal((await get('/', stranger)).body, 'here')
    app.gateway.setMaintenance('shop.example.com', true)
    const away = await get('/', stranger)
    assert.deepEqual([away.status, away.body, away.field('retry-after')], [503, '<p>back soon</p>', '600'])
    assert.equal((await get('/')).body, 'here')
    app.gateway.setMaintenance('shop.example.com', false)
    assert.equal((await get('/', stranger)).body, 'here')
    const down = await get('/down')
    assert.deepEqual([down.status, down.body], [502, '<p>sorry</p>'])
  },

  'One name for a site, and safe defaults': async title => {
    const app = await run(title)
    const home = await app.ask('example.com', '/a')
    assert.deepEqual(
      ['strict-transport-security', 'x-content-type-options', 'x-frame-options', 'x-powered-by'].map(name =>
        home.field(name),
      ),
      ['max-age=31536000', 'nosniff', 'DENY', null],
    )
    const www = await app.ask('www.example.com', '/a/b?c=d')
    assert.deepEqual([www.status, www.field('location')], [308, 'https://example.com/a/b?c=d'])
  },
}

describe('a recipe of docs/recipes.md', () => {
  it('has requests that are made here', () => {
    assert.deepEqual(
      recipes.map(({ title }) => title),
      Object.keys(requests),
    )
    for (const { title, yaml } of recipes) assert.match(yaml, /^listen:|^lists:/, title)
  })
  for (const [title, make] of Object.entries(requests)) it(title, () => make(title))
})
