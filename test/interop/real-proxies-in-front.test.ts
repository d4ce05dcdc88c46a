/**
 * nginx, HAProxy and another Sallyport in front, as people set them up: who the client is comes through, over TCP and Unix
 * sockets, in fields and in PROXY headers, and what the client itself has sent does not.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { temporaryFolder } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { freePort, listening } from '../harness/ports.ts'
import { getBackend } from '../harness/raw.ts'

const missing = ['nginx', 'haproxy'].filter(command => spawnSync(command, ['-v']).error !== undefined)
const skip = missing.length > 0 ? `not installed: ${missing.join(', ')}` : false

const folder = temporaryFolder('sallyport-in-front-')
const file = (name: string) => path.join(folder, name)
/** Where the client comes from: no address of a proxy */
const client = '127.0.0.9'
const address = '127.0.0.1'

let backend: Awaited<ReturnType<typeof getBackend>>
let gateway: Started
let outer: Started
const running: ChildProcess[] = []
const ports = { nginx: 0, nginxUnix: 0, nginxForwarded: 0, haproxy: 0, haproxyPlain: 0 }

before(async () => {
  if (skip) return
  backend = await getBackend('fine')
  chmodSync(folder, 0o755)
  const from = ['127.0.0.1', '127.0.0.2']
  gateway = await startGateway({
    listen: [
      { port: 0, address, cleartext: 'serve', trust: { from } },
      { port: 0, address, cleartext: 'redirect', trust: { from, host: false } },
      { port: 0, address, cleartext: 'serve', trust: { from, fields: 'forwarded' } },
      { port: 0, address, trust: { from } },
      { unix: file('fields.sock'), mode: '666', cleartext: 'serve', trust: { from: 'unix', fields: 'x-real-ip' } },
      { unix: file('proxy.sock'), mode: '666', cleartext: 'serve', proxyProtocol: { from: 'unix' } },
    ],
    sites: [{ host: ['localhost', 'shop.test'], certificate: 'local', to: [backend.url] }],
  })
  outer = await startGateway({
    listen: [{ port: 0, address, cleartext: 'serve' }],
    sites: [
      {
        host: 'localhost',
        to: {
          endpoints: [`https://${address}:${gateway.ports[3]}`],
          tls: { ca: gateway.caFile, serverName: 'localhost' },
        },
      },
    ],
  })
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort()
  const set = 'proxy_set_header Host $host; proxy_http_version 1.1; proxy_set_header Connection "";'
  const real = `${set} proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;`
  writeFileSync(
    file('nginx.conf'),
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 100; }
http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream plain { server ${address}:${gateway.ports[0]}; keepalive 1; }
  upstream redirecting { server ${address}:${gateway.ports[1]}; keepalive 1; }
  server { listen ${address}:${ports.nginx};
    location / { ${set} proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme; proxy_pass http://plain; }
    location /https { ${set} proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto https; proxy_pass http://redirecting; }
    location /http { ${set} proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto http; proxy_pass http://redirecting; } }
  server { listen ${address}:${ports.nginxUnix}; location / { ${real} proxy_pass http://unix:${file('fields.sock')}:; } }
  server { listen ${address}:${ports.nginxForwarded}; location / { ${set} proxy_set_header Forwarded "$http_forwarded, for=$remote_addr;proto=https;host=\\"$http_host\\""; proxy_pass http://${address}:${gateway.ports[2]}; } } }\n`,
  )
  writeFileSync(
    file('haproxy.cfg'),
    `global
  log stdout format raw local0
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend fields
  bind ${address}:${ports.haproxyPlain}
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  default_backend fields
backend fields
  server one ${address}:${gateway.ports[0]}
listen proxied
  mode tcp
  bind ${address}:${ports.haproxy}
  server one unix@${file('proxy.sock')} send-proxy-v2\n`,
  )
  const start = (command: string, args: string[]) => running.push(spawn(command, args, { stdio: 'ignore' }))
  start('nginx', ['-p', folder, '-c', file('nginx.conf'), '-e', file('error.log')])
  start('haproxy', ['-db', '-f', file('haproxy.cfg')])
  for (const port of Object.values(ports)) await listening(port)
})

after(async () => {
  for (const process of running) process.kill()
  await outer?.stop()
  await gateway?.stop()
  await backend?.close()
})

/** @returns the status, and Location */
function ask(port: number, target = '/', fields = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = net.connect({ host: address, port, localAddress: client })
    socket.on('connect', () =>
      socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n${fields}Connection: close\r\n\r\n`),
    )
    socket.on('data', chunk => (text += chunk.toString('latin1')))
    socket.on('error', reject)
    socket.on('close', () => resolve(text.slice(9, 12) + (/^location: (.*)\r$/im.exec(text)?.[1] ?? '')))
  })
}

const sent = (name: string): string[] =>
  [...backend.last().matchAll(new RegExp(`^${name}: (.*)\\r$`, 'gm'))].map(found => found[1] as string)

const forged =
  'X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6;proto=https\r\n'

describe('the client of a proxy', { skip }, () => {
  it('comes through nginx, which appends to what the client has sent', async () => {
    // Connections to the gateway are kept: several requests, one after the other.
    for (const fields of ['', forged, 'X-Forwarded-For: 127.0.0.1\r\n', '']) {
      assert.equal(await ask(ports.nginx, '/x', fields), '200')
      assert.deepEqual([sent('x-forwarded-for'), sent('x-forwarded-proto')], [[client], ['http']], fields)
    }
  })

  it('is not redirected for ever behind nginx that ends TLS', async () => {
    assert.equal(await ask(ports.nginx, '/https'), '200')
    assert.equal(await ask(ports.nginx, '/http'), `308https://localhost:${gateway.ports[3]}/http`)
  })

  it('comes through nginx over a Unix socket', async () => {
    assert.equal(await ask(ports.nginxUnix, '/', forged), '200')
    assert.deepEqual([sent('x-forwarded-for'), sent('x-real-ip')], [[client], []])
  })

  it('comes through a proxy that writes Forwarded', async () => {
    assert.equal(await ask(ports.nginxForwarded, '/', 'Forwarded: for=6.6.6.6\r\n'), '200')
    assert.deepEqual([sent('x-forwarded-for'), sent('x-forwarded-proto')], [[client], ['https']])
    // What a client begins is not to be ended by the proxy.
    assert.equal(await ask(ports.nginxForwarded, '/', 'Forwarded: for="6.6.6.6\r\n'), '400')
  })

  it('comes through HAProxy, which adds a field of its own behind that of the client', async () => {
    assert.equal(await ask(ports.haproxyPlain, '/', forged), '200')
    assert.deepEqual([sent('x-forwarded-for'), sent('x-forwarded-proto')], [[client], ['http']])
  })

  it('comes through HAProxy in a PROXY header over a Unix socket', async () => {
    assert.equal(await ask(ports.haproxy, '/', forged), '200')
    assert.deepEqual([sent('x-forwarded-for'), sent('x-forwarded-proto')], [[client], ['http']])
  })

  it('comes through another Sallyport', async () => {
    assert.equal(await ask(outer.port, '/', forged), '200')
    assert.deepEqual([sent('x-forwarded-for'), sent('x-forwarded-proto')], [[client], ['http']])
    assert.deepEqual(sent('x-forwarded-port'), [`${outer.port}`])
  })
})
