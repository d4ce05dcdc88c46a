/** Unix sockets as listeners: permissions, what is left behind and what is in use, who the peers are; and TCP keep-alive. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, lstatSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import { loadConfig } from '../../src/config/load.ts'
import type { ListenInput } from '../../src/index.ts'
import { writeProxyV2 } from '../../src/wire/proxy-protocol-v2.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { getBackend, heads, rawTcp, wrap } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

const folder = temporaryFolder('sallyport-unix-')
const file = (name: string) => path.join(folder, name)
const modeOf = (name: string) => (lstatSync(file(name)).mode & 0o777).toString(8)
const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n'

let backend: Awaited<ReturnType<typeof getBackend>>
let gateway: Started

const configuration = (listen: readonly ListenInput[]) => ({
  listen,
  limits: { connectionsPerClient: 1 },
  sites: [
    { host: 'localhost', certificate: 'local' as const, to: [backend.url] },
    {
      host: 'tcp.test',
      certificate: 'local' as const,
      tcp: { to: [`127.0.0.1:${backend.port}`], proxyProtocol: 'v1' as const },
    },
  ],
})

before(async () => {
  backend = await getBackend('fine')
  gateway = await startGateway(
    configuration([
      { unix: file('tls.sock') },
      { unix: file('plain.sock'), mode: '600', cleartext: 'serve' },
      { unix: file('trust.sock'), mode: '666', cleartext: 'serve', trust: { from: 'unix' }, public: 8443 },
      { unix: file('proxy.sock'), cleartext: 'serve', proxyProtocol: { from: 'unix' } },
      { port: 0, address: '127.0.0.1', cleartext: 'serve', keepAlive: '60s' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
    ]),
  )
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const connect = (name: string): Promise<ReturnType<typeof wrap>> =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ path: file(name) }, () => resolve(wrap(socket)))
    socket.on('error', reject)
  })

/** @param fields lines, each with its end @param first sent before the request */
async function ask(name: string, fields = '', first: string | Buffer = ''): Promise<string> {
  const client = await connect(name)
  client.send(first)
  client.send(`${request}${fields}Connection: close\r\n\r\n`)
  return (await client.closed()).received
}

const sent = (name: string) => new RegExp(`^${name}: (.*)\\r$`, 'm').exec(backend.last())?.[1]

describe('a Unix socket', () => {
  it('has the permissions that are written, from its first moment', () => {
    assert.deepEqual([modeOf('tls.sock'), modeOf('plain.sock'), modeOf('trust.sock')], ['660', '600', '666'])
  })

  it('serves TLS and cleartext', async () => {
    assert.match(await ask('plain.sock'), /^HTTP\/1\.1 200 /)
    const socket = tls.connect({ path: file('tls.sock'), servername: 'localhost', ca: gateway.caPem })
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    const client = wrap(socket)
    client.send(`${request}\r\n`)
    await client.until(text => text.endsWith('fine'))
    assert.deepEqual([sent('x-forwarded-port'), sent('x-forwarded-proto')], ['443', 'https'])
    client.destroy()
  })

  it('has peers without an address, who are not counted as one client', async () => {
    const open = await Promise.all([1, 2, 3].map(() => connect('plain.sock')))
    for (const client of open) {
      client.send(`${request}\r\n`)
      await client.until(text => text.endsWith('fine'))
      client.destroy()
    }
    assert.deepEqual([sent('x-forwarded-for'), sent('x-forwarded-port')], ['unknown', '80'])
    assert.match(sent('forwarded') ?? '', /^for=unknown;/)
    assert.equal((await gateway.logged(each => each['client'] === 'unix'))['status'], 200)
  })

  it('has peers who may say who the client is', async () => {
    await ask('trust.sock', 'X-Forwarded-For: 203.0.113.9\r\n')
    assert.deepEqual([sent('x-forwarded-for'), sent('x-forwarded-port')], ['203.0.113.9', '8443'])
    await ask('plain.sock', 'X-Forwarded-For: 203.0.113.9\r\n')
    assert.equal(sent('x-forwarded-for'), 'unknown')
  })

  it('takes a PROXY header', async () => {
    const source = { address: '203.0.113.7', port: 4711 }
    const header = writeProxyV2({ source, destination: { address: '203.0.113.1', port: 443 } })
    assert.match(await ask('proxy.sock', '', header), /^HTTP\/1\.1 200 /)
    assert.equal(sent('x-forwarded-for'), '203.0.113.7')
    assert.equal(await ask('proxy.sock'), '')
  })

  it('is told of to backends as an unknown client', async () => {
    const socket = tls.connect({ path: file('tls.sock'), servername: 'tcp.test', ca: gateway.caPem })
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    const carried = backend.connections.length
    wrap(socket).send('hello')
    const to = await backend.connection(carried)
    await to.until(text => text.endsWith('hello'))
    assert.equal(to.received(), 'PROXY UNKNOWN\r\nhello')
    socket.destroy()
  })
})

describe('the file of a socket', () => {
  const one = (name: string): ListenInput => ({ unix: file(name), cleartext: 'serve' })

  it('goes with its gateway, and may be used again', async () => {
    const started = await startGateway(configuration([one('own.sock')]))
    assert.match(await ask('own.sock'), / 200 /)
    await started.stop()
    assert.equal(existsSync(file('own.sock')), false)
    const again = await startGateway(configuration([one('own.sock')]))
    assert.match(await ask('own.sock'), / 200 /)
    await again.stop()
  })

  it('is removed if nobody listens there any more', async () => {
    const stale = `require('net').createServer().listen(${JSON.stringify(file('stale.sock'))}, () => process.kill(process.pid, 'SIGKILL'))`
    spawnSync(process.execPath, ['-e', stale])
    assert.ok(lstatSync(file('stale.sock')).isSocket())
    const started = await startGateway(configuration([one('stale.sock')]))
    assert.match(await ask('stale.sock'), / 200 /)
    await started.stop()
  })

  it('is left alone if somebody does', async () => {
    await assert.rejects(
      startGateway(configuration([one('plain.sock')])),
      /unix:.*plain\.sock \(EADDRINUSE\): another program has it/,
    )
    assert.match(await ask('plain.sock'), / 200 /)
  })

  it('is left alone if it is no socket', async () => {
    writeFileSync(file('precious'), 'data')
    symlinkSync(file('plain.sock'), file('link.sock'))
    for (const name of ['precious', 'link.sock'])
      await assert.rejects(startGateway(configuration([one(name)])), /a file is there that is not a socket/)
    assert.equal(readFileSync(file('precious'), 'utf8'), 'data')
  })

  it('cannot be made in a folder that is not there', async () => {
    await assert.rejects(startGateway(configuration([one('none/x.sock')])), /cannot listen on unix:.*x\.sock/)
  })
})

it('a reload keeps a socket, with other permissions, and adds and removes others', async () => {
  const started = await startGateway(configuration([{ unix: file('a.sock'), cleartext: 'serve' }]))
  const { ino } = lstatSync(file('a.sock'))
  const client = await connect('a.sock')
  client.send(`${request}\r\n`)
  await client.until(text => text.endsWith('fine'))
  const state = path.dirname(path.dirname(started.caFile))
  const reload = async (listen: readonly ListenInput[]) =>
    started.gateway.apply((await loadConfig({ value: { ...configuration(listen), state } })).config)
  await reload([
    { unix: file('a.sock'), mode: '640', cleartext: 'serve' },
    { unix: file('b.sock'), cleartext: 'serve' },
  ])
  assert.deepEqual([modeOf('a.sock'), lstatSync(file('a.sock')).ino], ['640', ino])
  assert.match(await ask('b.sock'), / 200 /)
  client.send(`${request}\r\n`)
  await client.until(text => heads(text, 2))
  await reload([{ unix: file('b.sock'), cleartext: 'serve' }])
  assert.equal(existsSync(file('a.sock')), false)
  await client.closed()
  assert.match(await ask('b.sock'), / 200 /)
  // What somebody else has made worse meanwhile is no reason to fail.
  chmodSync(folder, 0o700)
  await started.stop()
})

/** Linux says for each socket which of its timers runs: 2 is that of keep-alive. */
const timerOf = (port: number): string | undefined => {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const line = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .find(each => new RegExp(`^ *\\d+: 0100007F:${hex} [0-9A-F]{8}:[0-9A-F]{4} 01 `).test(each))
  return line?.trim().split(/\s+/)[5]?.slice(0, 2)
}

it('keepAlive has the system ask whether a silent peer is still there', {
  skip: process.platform !== 'linux',
}, async () => {
  const open = async (index: number, timer: string) => {
    const port = gateway.ports[index] as number
    const client = await rawTcp(port)
    client.send(`${request}\r\n`)
    await client.until(text => text.endsWith('fine'))
    // Another one runs until the client's system has acknowledged the response.
    await eventually(`timer ${timer}`, () => timerOf(port) === timer)
    client.destroy()
  }
  await open(4, '02')
  await open(5, '00')
})
