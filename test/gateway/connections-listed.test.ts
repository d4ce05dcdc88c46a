/** `sallyport connections`: who is connected over what, how long, with how many requests; of every worker, and bounded. */
import assert from 'node:assert/strict'
import http2 from 'node:http2'
import { after, describe, it } from 'node:test'
import { askGateway } from '../../src/control/client.ts'
import type { Running } from '../../src/control/command.ts'
import { connections } from '../../src/control/commands/connections.ts'
import { runningHere } from '../../src/control/running.ts'
import type { Gateway, OpenConnection } from '../../src/gateway/gateway.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { spawnGateway } from '../harness/gateway-process.ts'
import { freePort } from '../harness/ports.ts'
import { rawTcp, rawTls, recordingBackend } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

const closers: (() => unknown)[] = []
after(async () => {
  for (const close of closers.reverse()) await close()
})

const input = (more: object = {}) => connections.input(more, 'input')

/** As one process is asked */
async function listed(gateway: Gateway, more: object = {}) {
  const running = runningHere(gateway)
  const ok = await connections.run(running, input(more))
  return connections.merge([{ pid: process.pid, ok }], input(more))
}

async function started(): Promise<{ gateway: Started; backend: Awaited<ReturnType<typeof recordingBackend>> }> {
  const backend = await recordingBackend()
  const gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
    ],
    sites: [
      {
        host: 'a.test',
        certificate: 'local',
        routes: [
          { match: { path: '/slow' }, to: `http://127.0.0.1:${backend.port}` },
          { respond: { body: 'here' } },
        ],
      },
      { host: 'tcp.test', certificate: 'local', tcp: { to: [`127.0.0.1:${backend.port}`] } },
    ],
  })
  closers.push(
    () => backend.close(),
    () => gateway.stop(),
  )
  return { gateway, backend }
}

describe('open connections', () => {
  it('are listed with what they do', async () => {
    const { gateway, backend } = await started()
    const [tlsPort, plainPort] = gateway.ports as [number, number]
    const silent = await rawTcp(plainPort)
    const plain = await rawTcp(plainPort)
    plain.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    await plain.until(text => text.split('here').length > 2)
    const session = http2.connect(`https://127.0.0.1:${tlsPort}`, { servername: 'a.test', ca: gateway.caPem })
    const slow = session.request({ ':path': '/slow', ':authority': 'a.test' })
    slow.on('error', () => {})
    const tunnel = await rawTls(tlsPort, { servername: 'tcp.test', ca: gateway.caPem })
    tunnel.send('hello')
    await backend.connection(1)
    closers.push(
      () => session.destroy(),
      () => tunnel.destroy(),
      () => plain.destroy(),
      () => silent.destroy(),
    )

    const byProtocol = async (more: object = {}) => {
      const { total, matching, connections: rows } = await listed(gateway.gateway, more)
      return { total, matching, rows: new Map(rows.map(row => [row.protocol, row])) }
    }
    const { total, matching, rows } = await byProtocol()
    assert.deepEqual([total, matching], [4, 4])
    assert.deepEqual([...rows.keys()].sort(), ['h2', 'http/1.1', 'opening', 'tcp'])
    const { openedAt, id, clientPort, heldBytes, ...one } = rows.get('http/1.1') ?? assert.fail()
    assert.deepEqual(one, {
      pid: process.pid,
      port: plainPort,
      client: '127.0.0.1',
      site: null,
      sni: null,
      tls: null,
      protocol: 'http/1.1',
      requests: 2,
      underWay: 0,
    })
    assert.ok(openedAt > Date.now() - 3_600_000 && id > 0 && clientPort > 0 && heldBytes >= 0)
    const two = rows.get('h2')
    assert.deepEqual(
      [two?.port, two?.site, two?.sni, two?.tls, two?.requests, two?.underWay],
      [tlsPort, 'a.test', 'a.test', 'TLSv1.3', 1, 1],
    )
    assert.equal(rows.get('tcp')?.site, 'tcp.test')

    assert.deepEqual([...(await byProtocol({ site: 'a.test' })).rows.keys()], ['h2'])
    assert.deepEqual((await byProtocol({ client: '192.0.2.1' })).matching, 0)
    assert.deepEqual([...(await byProtocol({ sort: 'requests', limit: 1 })).rows.keys()], ['http/1.1'])
    const text = connections.verb?.show(await listed(gateway.gateway), input()).text ?? ''
    assert.match(text, /^CLIENT +PORT +SITE +PROTOCOL +TLS +AGE +REQUESTS +HELD +PROCESS\n/)
    assert.match(text, /^127\.0\.0\.1:\d+ +\d+ +a\.test +h2 +TLSv1\.3 +\d+s +1 \(1 now\) +/m)
    assert.match(text, /\n4 connections\n$/)
    slow.destroy()
    silent.destroy()
    await eventually('the one that said nothing is gone', async () => (await listed(gateway.gateway)).total === 3)
  })

  it('of a hundred thousand are cut to what was asked for, those that matter most', async () => {
    function* many(): Iterable<OpenConnection> {
      for (let at = 0; at < 100_000; at++) {
        const link = { tls: null, share: { bytes: (at * 7_919) % 100_003 } }
        const connection = {
          id: at,
          link,
          clientAddress: '192.0.2.1\u001b[2J',
          openedAt: at,
          site: null,
          serverName: null,
        }
        yield {
          connection,
          use: () => ({ protocol: 'h2', requests: at, underWay: 0 }),
        } as unknown as OpenConnection
      }
    }
    const running = { gateway: { openConnections: many } } as unknown as Running
    const part = await connections.run(running, input({ sort: 'bytes', limit: '3' }))
    assert.deepEqual([part.total, part.matching], [100_000, 100_000])
    assert.deepEqual(
      part.connections.map(({ heldBytes }) => heldBytes),
      [100_002, 100_001, 100_000],
    )
    const shown = connections.verb?.show(part, input()).text ?? ''
    assert.match(shown, /100000 connections, of which 3 are shown\n$/)
    assert.ok(!shown.includes('\u001b'))
  })

  it('of every worker are one list, and a process that cannot answer is no answer', async () => {
    const state = temporaryFolder('sallyport-connections-')
    const port = await freePort()
    const gateway = spawnGateway(
      {
        state,
        listen: [{ port, address: '127.0.0.1', cleartext: 'serve' }],
        sites: [{ host: 'a.test', routes: [{ respond: { body: 'here' } }] }],
      },
      { workers: 2 },
    )
    await gateway.ready
    const clients = await Promise.all(Array.from({ length: 9 }, () => rawTcp(port)))
    await eventually('all are listed', async () => {
      const { total, connections: rows } = await askGateway(state, connections, input())
      return total === 9 && rows.length === 9 && new Set(rows.map(({ pid, id }) => `${pid} ${id}`)).size === 9
    })
    for (const client of clients) client.destroy()
    await gateway.stop()
    assert.throws(() => connections.merge([{ pid: 1, error: 'it is too busy' }], input()), /it is too busy/)
  })
})
