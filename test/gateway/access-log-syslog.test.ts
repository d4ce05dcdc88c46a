/**
 * The access log to a syslog server: RFC 5424 over UDP, and over TCP with octet counting. A server that is away, comes late, closes
 * or takes nothing stops no request; what it missed is counted, and it is reached again.
 */
import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'
import { describe, it } from 'node:test'
import type { SyslogTarget } from '../../src/observe/access/syslog-message.ts'
import { SyslogTcp } from '../../src/observe/access/syslog-tcp.ts'
import { SyslogUdp } from '../../src/observe/access/syslog-udp.ts'
import { cleartextListener, localhostWith, startGateway } from '../harness/gateway.ts'
import { freePort } from '../harness/ports.ts'
import { rawTcp } from '../harness/raw.ts'
import { eventually, until } from '../harness/until.ts'

const sites = localhostWith({ respond: { body: 'here' } })

async function ask(port: number, target = '/', fields = ''): Promise<void> {
  const client = await rawTcp(port)
  client.send(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`)
  await client.until(text => text.endsWith('here'))
  client.destroy()
}

/** Messages as octet counting frames them; throws where it is broken. */
function framed(text: Buffer): string[] {
  const messages: string[] = []
  for (let at = 0; at < text.length; ) {
    const space = text.indexOf(0x20, at)
    const digits = text.toString('latin1', at, space)
    if (space < 0) break
    assert.match(digits, /^[1-9]\d*$/)
    const end = space + 1 + Number(digits)
    if (end > text.length) break
    messages.push(text.toString('utf8', space + 1, end))
    at = end
  }
  return messages
}

/** A server over TCP, on a port that stays its own over restarts. */
async function tcpServer(port: number, take = true) {
  let text = Buffer.alloc(0)
  const sockets = new Set<net.Socket>()
  const server = net.createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    if (take) socket.on('data', (chunk: Buffer) => void (text = Buffer.concat([text, chunk])))
    else socket.pause()
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    messages: () => framed(text),
    connections: () => sockets.size,
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function udpServer(port = 0) {
  const messages: string[] = []
  const server = dgram.createSocket('udp4')
  server.on('message', bytes => messages.push(bytes.toString()))
  server.bind(port, '127.0.0.1')
  await once(server, 'listening')
  return { port: server.address().port, messages, close: () => void server.close() }
}

const header = /^<134>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [\x21-\x7e]+ edge \d+ access - /

describe('syslog', () => {
  it('over UDP: a datagram for each request', async () => {
    const server = await udpServer()
    const { port, stop } = await startGateway({
      listen: cleartextListener,
      sites,
      log: {
        access: {
          format: 'common',
          syslog: { to: `udp://localhost:${server.port}`, facility: 'local0', tag: 'edge' },
        },
      },
    })
    for (let at = 0; at < 3; at++) await ask(port, `/${at}`)
    await until(() => server.messages.length === 3)
    await stop()
    server.close()
    for (const [at, message] of server.messages.entries()) {
      assert.match(message, header)
      assert.match(message, new RegExp(` - 127\\.0\\.0\\.1 - - \\[[^\\]]+\\] "GET /${at} HTTP/1\\.1" 200 4$`))
    }
  })

  it('over TCP: messages with their lengths, also of more bytes than characters, and over a restart of the server', async () => {
    const at = await freePort()
    let server = await tcpServer(at)
    const { port, logged, stop } = await startGateway({
      listen: cleartextListener,
      sites,
      log: {
        access: { fields: 'userAgent', syslog: { to: `tcp://127.0.0.1:${at}`, facility: 'local0', tag: 'edge' } },
      },
    })
    await ask(port, '/', 'User-Agent: caf\xe9\r\n')
    await until(() => server.messages().length === 1)
    const [first = ''] = server.messages()
    assert.match(first, header)
    assert.equal(JSON.parse(first.replace(header, '')).userAgent, 'caf\xe9')
    await server.stop()
    // The first may be lost with the connection: nobody knows yet that it is gone.
    await eventually('the gateway to notice', async () => {
      await ask(port, '/lost')
      return server.connections() > 0
    })
    await ask(port, '/held')
    await logged(({ message }) => message === 'syslog server cannot be reached')
    server = await tcpServer(at)
    await until(() => server.messages().some(message => message.includes('/held')))
    await stop()
    await server.stop()
  })
})

const target = (scheme: 'udp' | 'tcp', port: number): SyslogTarget => ({
  scheme,
  host: '127.0.0.1',
  port,
  facility: 'local7',
  tag: 'test',
})

const reports = () => {
  const failures: string[] = []
  const recovered: number[] = []
  return {
    failures,
    recovered,
    onFailed: (why: string) => void failures.push(why),
    onRecovered: (dropped: number) => void recovered.push(dropped),
  }
}

describe('a syslog server over TCP', () => {
  it('that is away gets what was held when it comes, and the rest is counted and reported', async () => {
    const port = await freePort()
    const seen = reports()
    const log = new SyslogTcp(target('tcp', port), seen)
    log.write('first\n')
    await until(() => seen.failures.length === 1)
    assert.match(String(seen.failures[0]), new RegExp(`127\\.0\\.0\\.1:${port}`))
    // More than is held.
    for (let at = 0; at < 6_000; at++) log.write(`${'x'.repeat(999)}\n`)
    assert.ok(log.dropped > 1_000, `${log.dropped}`)
    const server = await tcpServer(port)
    await until(() => server.messages().length === 6_001 - log.dropped)
    await until(() => seen.recovered.length === 1)
    assert.deepEqual(seen.recovered, [log.dropped])
    assert.equal(seen.failures.length, 1, 'an outage is reported once')
    assert.match(String(server.messages()[0]), / first$/)
    await log.close(1_000)
    await server.stop()
  })

  it('that takes nothing makes nothing wait, and what is held is bounded', async () => {
    const port = await freePort()
    const server = await tcpServer(port, false)
    const log = new SyslogTcp(target('tcp', port), reports())
    await eventually('messages to be dropped', () => {
      for (let at = 0; at < 1_000; at++) log.write(`${'x'.repeat(999)}\n`)
      return log.dropped > 0
    })
    const { held } = log as unknown as { held: string }
    assert.ok(held.length < 5 * 1024 * 1024)
    await log.close(1)
    await server.stop()
  })

  it('gets what was written last when the gateway ends', async () => {
    const port = await freePort()
    const server = await tcpServer(port)
    const log = new SyslogTcp(target('tcp', port), reports())
    for (let at = 0; at < 5_000; at++) log.write(`${at}\n`)
    await log.close(30_000)
    await until(() => server.messages().length === 5_000)
    assert.match(String(server.messages().at(-1)), / 4999$/)
    assert.equal(log.dropped, 0)
    log.write('late\n')
    assert.equal(log.dropped, 1)
    await server.stop()
  })
})

describe('a syslog server over UDP', () => {
  it('where nobody listens costs messages, which are counted, and is found when it comes', async () => {
    const port = await freePort()
    const seen = reports()
    const log = new SyslogUdp(target('udp', port), seen)
    await eventually('a refusal', () => {
      log.write('nobody\n')
      return seen.failures.length === 1
    })
    const server = await udpServer(port)
    await eventually('a message', () => {
      log.write('somebody\n')
      return server.messages.length > 0
    })
    assert.match(String(server.messages[0]), / somebody$/)
    assert.equal(seen.failures.length, 1)
    await log.close(1_000)
    server.close()
  })

  it('whose name is not found is reported', async () => {
    const seen = reports()
    const log = new SyslogUdp({ ...target('udp', 514), host: 'nobody.invalid' }, seen)
    log.write('x\n')
    await until(() => seen.failures.length === 1)
    assert.match(String(seen.failures[0]), /nobody\.invalid/)
    assert.equal(log.dropped, 1)
    await log.close(1)
  })

  it('gets no message that no datagram holds', async () => {
    const server = await udpServer()
    const log = new SyslogUdp(target('udp', server.port), reports())
    log.write(`${'x'.repeat(70_000)}\n`)
    log.write('after\n')
    await until(() => server.messages.length === 1)
    assert.equal(log.dropped, 1)
    await log.close(1_000)
    server.close()
  })
})

it('its address is checked when the configuration is read', async () => {
  const wrong = [
    'udp:1.2.3.4',
    'tls://a.test:1',
    'udp://a b:1',
    'udp://a.test:0',
    'udp://a.test:70000',
    'udp://a.test/x',
    'tcp://::1:5',
    'tcp://',
  ]
  for (const to of wrong)
    await assert.rejects(
      startGateway({ listen: cleartextListener, sites, log: { access: { syslog: { to } } } }),
      /is not the address of a syslog server/,
      to,
    )
})
