/**
 * `upgrade`: protocols other than WebSocket, with a request body and without. A tunnel begins with the backend's 101 that names the
 * protocol, and what a client sends before that is never a request (RFC 9931).
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import type { FilterExchange } from '../../src/model/filter.ts'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, END_STREAM, type H2Backend, h2Backend, h2Client, type Pairs } from '../harness/h2.ts'
import { linesOf, nodeProcess } from '../harness/node-process.ts'
import { itemAt, type RawClient, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

let backend: RecordingBackend
let second: H2Backend
let gateway: Started
/** Requests that the backend has read, whole, in order */
const requests: string[] = []

const switched = (name: string) =>
  `HTTP/1.1 101 UPGRADED\r\nContent-Type: application/x-raw\r\nConnection: Upgrade\r\nUpgrade: ${name}\r\n\r\n`

/** The request for /held, which is answered when its test says so */
const held = {
  waiting: new Set<() => void>(),
  clients: [] as RawClient[],
  first: () => itemAt(held.clients, 0, held.waiting),
  answer: (text: string) => held.clients[0]?.send(text),
}

/** A filter that reads the body */
const filtered = {
  waiting: new Set<() => void>(),
  starts: [] as true[],
  bodies: [] as string[],
  begun: () => itemAt(filtered.starts, 0, filtered.waiting),
  filter: {
    name: 'reads the body',
    async request(x: FilterExchange) {
      filtered.starts.push(true)
      for (const each of [...filtered.waiting]) each()
      filtered.bodies.push((await x.request.readBody(1_000)).toString())
      return null
    },
  },
}

/** By path: /refuse, /other, /bare and /eager; everything else is granted what it asks for, or a 200 where it asks for nothing. */
function answerBy(request: string, whole: boolean): string | null {
  const asked = /\r\nupgrade: (.*)\r\n/.exec(request)?.[1]
  if (request.includes(' /eager')) return asked === undefined ? null : switched(asked)
  if (request.includes(' /expect') && !whole) return 'HTTP/1.1 100 Continue\r\n\r\n'
  if (!whole || request.includes(' /held')) return null
  if (request.includes(' /refuse')) return 'HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n'
  if (request.includes(' /other')) return switched('other')
  if (request.includes(' /bare')) return 'HTTP/1.1 101 Switching Protocols\r\n\r\n'
  return asked === undefined ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' : switched(asked)
}

/** Where the first request of a text ends, or -1 */
function endOf(text: string): number {
  const head = text.indexOf('\r\n\r\n') + 4
  if (head < 4) return -1
  if (/\r\ntransfer-encoding: chunked\r\n/.test(text)) {
    const end = text.indexOf('0\r\n\r\n', head)
    return end < 0 ? -1 : end + 5
  }
  const length = Number(/\r\ncontent-length: (\d+)\r\n/.exec(text)?.[1] ?? 0)
  return text.length < head + length ? -1 : head + length
}

type Peer = { read: number; tunnel: boolean; answered: boolean }

before(async () => {
  const peers = new Map<RawClient, Peer>()
  backend = await recordingBackend((client, received) => {
    const peer = peers.get(client) ?? { read: 0, tunnel: false, answered: false }
    peers.set(client, peer)
    for (;;) {
      const text = received.slice(peer.read)
      if (text === '') return
      if (peer.tunnel) {
        peer.read = received.length
        client.send(`<${text}>`)
        return
      }
      const end = endOf(text)
      const answer = peer.answered ? null : answerBy(text, end >= 0)
      if (answer !== null) client.send(answer)
      else if (end >= 0) {
        held.clients.push(client)
        for (const each of [...held.waiting]) each()
      }
      if (answer !== null) peer.answered = !answer.startsWith('HTTP/1.1 100')
      if (end < 0) return
      requests.push(text.slice(0, end))
      peer.read += end
      peer.tunnel = answer?.startsWith('HTTP/1.1 101') === true
      peer.answered = false
    }
  })
  second = await h2Backend({
    settings: [[8, 1]],
    onRequest: ({ connection, stream }) => connection.headers(stream, [[':status', '200']], END_HEADERS),
  })
  const to = backend.url
  const names = ['websocket', 'tcp', 'tailscale-control-protocol', 'DERP', 'SPDY/3.1']
  gateway = await startGateway({
    sites: localhostWith(
      { match: { path: '/plain/*' }, to },
      { match: { path: '/none/*' }, upgrade: [], to },
      { match: { path: '/filtered' }, upgrade: ['tcp'], filters: [filtered.filter], to },
      { match: { path: '/limited' }, upgrade: ['tcp'], limits: { body: '20b' }, to },
      { match: { path: '/own' }, upgrade: ['tcp'], respond: { body: 'own' } },
      {
        match: { path: '/h2/*' },
        upgrade: ['tcp'],
        to: { endpoints: [`http://127.0.0.1:${second.port}`], http: 2 },
      },
      { upgrade: names, to },
    ),
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
  await second.close()
})

const head = (line: string, offers: string, more = '') =>
  `${line} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: ${offers}\r\n${more}\r\n`
const body = '{"Detach":false,"Tty":true}'
const exec = (target: string, offers = 'tcp') =>
  head(`POST ${target}`, offers, `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`) + body
const lastRequest = () => requests.at(-1) ?? ''
const statusOf = (text: string) => Number(text.slice(9, 12))

async function tunnel(client: RawClient): Promise<void> {
  const before = client.received().length
  client.send('GET /inside HTTP/1.1\r\n\r\n')
  await client.until(text => text.slice(before) === '<GET /inside HTTP/1.1\r\n\r\n>')
}

describe('an upgrade that the route allows', () => {
  it('with a request body of known length, as docker exec sends it', async () => {
    const client = await rawTls(gateway.port)
    client.send(exec('/v1.44/exec/abc/start'))
    const text = await client.until(received => received.includes('\r\n\r\n'))
    assert.match(text, /^HTTP\/1\.1 101 .*\r\n/)
    assert.match(text, /\r\ncontent-type: application\/x-raw\r\n/i)
    assert.match(text, /\r\nconnection: upgrade\r\nupgrade: tcp\r\n/)
    assert.match(lastRequest(), /^POST \/v1\.44\/exec\/abc\/start HTTP\/1\.1\r\n/)
    assert.match(lastRequest(), /\r\nconnection: upgrade\r\nupgrade: tcp\r\n/)
    assert.ok(lastRequest().endsWith(`\r\n\r\n${body}`))
    await tunnel(client)
    await tunnel(client)
    client.destroy()
  })

  it('with a body in chunks, byte by byte', async () => {
    const client = await rawTls(gateway.port)
    await client.sendBytewise(
      `${head('POST /chunks', 'tcp', 'Transfer-Encoding: chunked\r\n')}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`,
    )
    assert.equal(statusOf(await client.until(text => text.includes('\r\n\r\n'))), 101)
    assert.match(lastRequest(), /upgrade: tcp\r\n/)
    assert.equal(
      lastRequest()
        .match(/^[a-e]+(?=\r$)/gm)
        ?.join(''),
      'abcde',
    )
    await tunnel(client)
    client.destroy()
  })

  for (const [offers, sent] of [
    ['derp', 'DERP'],
    ['spdy/3.1', 'SPDY/3.1'],
    ['Tailscale-Control-Protocol', 'tailscale-control-protocol'],
    ['h2c, , foo/1, TCP , websocket', 'tcp'],
    ['WebSocket', 'websocket'],
  ] as const) {
    it(`${offers} is ${sent} toward the backend`, async () => {
      const client = await rawTls(gateway.port)
      client.send(head('GET /x', offers))
      const text = await client.until(received => received.includes('\r\n\r\n'))
      assert.ok(text.includes(`\r\nupgrade: ${sent}\r\n`), text)
      assert.ok(lastRequest().includes(`\r\nupgrade: ${sent}\r\n`), lastRequest())
      assert.doesNotMatch(lastRequest(), /h2c|foo|sec-websocket-key/)
      await tunnel(client)
      client.destroy()
    })
  }

  it('is one of a connection that carried requests before', async () => {
    const client = await rawTls(gateway.port)
    for (const count of [1, 2, 3]) {
      client.send('GET /before HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await client.until(text => text.split('\r\n\r\nok').length > count)
      assert.doesNotMatch(lastRequest(), /upgrade/)
    }
    client.send(exec('/exec'))
    await client.until(text => text.includes(' 101 '))
    await tunnel(client)
    client.destroy()
  })
})

describe('the body of a request that upgrades', () => {
  it('is asked for by the backend, where the client waits for that', async () => {
    const client = await rawTls(gateway.port)
    const fields = `Expect: 100-continue\r\nContent-Length: ${body.length}\r\n`
    client.send(head('POST /expect', 'tcp', fields))
    await client.until(text => text.startsWith('HTTP/1.1 100 '))
    client.send(body)
    await client.until(text => text.includes('HTTP/1.1 101 '))
    assert.match(lastRequest(), /\r\nexpect: 100-continue\r\n/)
    await tunnel(client)
    client.destroy()
  })

  it('is read by a filter before the backend gets it', async () => {
    const client = await rawTls(gateway.port)
    client.send(exec('/filtered').slice(0, -5))
    await filtered.begun()
    client.send(body.slice(-5))
    await client.until(text => text.includes('HTTP/1.1 101 '))
    assert.deepEqual(filtered.bodies, [body])
    assert.ok(lastRequest().endsWith(`\r\n\r\n${body}`))
    await tunnel(client)
    client.destroy()
  })

  it('over the limit is a 413, and no tunnel', async () => {
    const client = await rawTls(gateway.port)
    const before = requests.length
    client.send(exec('/limited'))
    assert.equal(statusOf((await client.closed()).received), 413)
    assert.equal(requests.length, before)
  })
})

describe('an upgrade that the route does not allow', () => {
  it('is not passed on, and the request is an ordinary one', async () => {
    const client = await rawTls(gateway.port)
    let count = 0
    for (const request of [
      exec('/plain/x'),
      exec('/plain/x', 'websocket'),
      head('GET /none/x', 'websocket'),
      head('GET /x', 'h2c'),
      exec('/x', 'websocket'),
    ]) {
      client.send(request)
      count++
      await client.until(text => text.split('\r\n\r\nok').length > count)
      assert.doesNotMatch(lastRequest(), /upgrade|connection/)
    }
    client.destroy()
  })

  it('over HTTP/2 is a 501, since nothing else was asked', async () => {
    const client = await h2Client(gateway.port)
    const before = requests.length
    for (const [target, protocol] of [
      ['/x', 'foo'],
      ['/plain/x', 'tcp'],
      ['/none/x', 'websocket'],
    ] as const)
      assert.equal((await client.answer(client.request(connect(target, protocol), END_HEADERS))).status, 501)
    assert.equal((await client.answer(client.request(connect('/x', 'a b'), END_HEADERS))).status, 400)
    assert.equal(requests.length, before)
    client.destroy()
  })
})

describe('a backend that is asked to upgrade', () => {
  for (const target of ['/other', '/bare'])
    it(`and names another protocol or none (${target}) gets no tunnel`, async () => {
      const client = await rawTls(gateway.port)
      client.send(exec(target))
      assert.equal(statusOf((await client.closed()).received), 502)
    })

  it('and switches before it has the whole request gets no tunnel', async () => {
    const client = await rawTls(gateway.port)
    client.send(exec('/eager').slice(0, -1))
    assert.equal(statusOf((await client.closed()).received), 502)
    const record = await gateway.logged(each => each['path'] === '/eager')
    assert.match(JSON.stringify(record), /before it had the whole request/)
  })

  it('and has refused cannot switch later on its connection', async () => {
    const client = await rawTls(gateway.port)
    client.send(exec('/refuse'))
    await client.closed()
    const other = await rawTls(gateway.port)
    other.send('GET /bare HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await other.until(text => statusOf(text) === 502)
    other.destroy()
  })
})

describe('bytes behind an offer and before its answer', () => {
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const offers: Record<string, string> = {
    'tcp with a body': exec('/refuse'),
    'tcp without a body': head('GET /refuse', 'tcp'),
    'a WebSocket': head('GET /refuse', 'websocket'),
    'a protocol that is not passed on': head('GET /refuse', 'foo'),
    'a route that answers itself': head('GET /own', 'tcp'),
    'a route that answers itself, with a body': exec('/own'),
    'a body in chunks': `${head('POST /refuse', 'tcp', 'Transfer-Encoding: chunked\r\n')}1\r\na\r\n0\r\n\r\n`,
  }
  for (const [name, offer] of Object.entries(offers)) {
    it(`are no request where it is refused: ${name}, at once`, async () => {
      const before = requests.length
      const client = await rawTls(gateway.port)
      client.send(offer + smuggled)
      const { received } = await client.closed()
      assert.equal(received.split('HTTP/1.1 ').length, 2, received)
      assert.ok(!requests.slice(before).some(request => request.includes('/smuggled')))
    })
  }

  it('are no request where it is refused, in a write of their own', async () => {
    const client = await rawTls(gateway.port)
    client.send(exec('/held'))
    await held.first()
    client.send(smuggled)
    held.answer('HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n')
    const { received } = await client.closed()
    assert.equal(received.split('HTTP/1.1 ').length, 2, received)
    assert.ok(!backend.received().includes('/smuggled'))
  })

  it('are not let into the tunnel where it is granted', async () => {
    const client = await rawTls(gateway.port)
    client.send(exec('/exec') + smuggled)
    const { received } = await client.closed()
    assert.equal(received, '')
    assert.ok(!backend.received().includes('/smuggled'))
  })

  it('that wait until the client could know better are none, whatever the protocol', async () => {
    const client = await rawTls(gateway.port)
    client.send(head('GET /refuse', 'tcp'))
    const { received } = await client.closed()
    assert.match(received, /^HTTP\/1\.1 403 [\s\S]*\r\nconnection: close\r\n/)
    const socket = await rawTls(gateway.port)
    socket.send(head('GET /refuse', 'websocket'))
    await socket.until(text => text.endsWith('no\n'))
    assert.doesNotMatch(socket.received(), /connection: close/)
    socket.send('GET /after HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await socket.until(text => text.endsWith('ok'))
    socket.destroy()
  })
})

describe('node:http at both ends', () => {
  let peers: ChildProcess
  let lines: AsyncIterator<string>
  let own: Started

  before(async () => {
    peers = nodeProcess('upgrade-peers.mjs', [])
    lines = linesOf(peers)
    const to = `http://127.0.0.1:${(await lines.next()).value}`
    own = await startGateway({ sites: localhostWith({ upgrade: ['tcp', 'SPDY/3.1'], to }) })
  })

  after(async () => {
    peers.kill()
    await own.stop()
  })

  const asked = async (request: Record<string, string>): Promise<Record<string, unknown>> => {
    peers.stdin?.write(`${JSON.stringify({ port: own.port, body: '', says: 'in the tunnel', ...request })}\n`)
    return JSON.parse(String((await lines.next()).value))
  }

  it('tunnels after a POST with a body, and closes each direction by itself', async () => {
    const answer = await asked({ protocol: 'tcp', method: 'POST', body })
    assert.deepEqual(answer, { status: 101, upgrade: 'tcp', received: `POST ${body}\nin the tunnel` })
  })

  it('tunnels after a POST without one', async () => {
    const answer = await asked({ protocol: 'spdy/3.1', method: 'POST' })
    assert.deepEqual(answer, { status: 101, upgrade: 'SPDY/3.1', received: 'POST \nin the tunnel' })
  })

  it('goes on with HTTP for a protocol that is not allowed', async () => {
    assert.deepEqual(await asked({ protocol: 'other', method: 'POST', body }), { status: 200, received: '' })
  })
})

const connect = (target: string, protocol: string): Pairs => [
  [':method', 'CONNECT'],
  [':protocol', protocol],
  [':scheme', 'https'],
  [':path', target],
  [':authority', 'localhost'],
]

describe('extended CONNECT', () => {
  it('becomes a GET with the upgrade, without the proof of a WebSocket', async () => {
    const client = await h2Client(gateway.port)
    const stream = client.request(connect('/exec', 'TCP'), END_HEADERS)
    // Streams keep their bytes apart, so that what comes early is the tunnel's.
    client.data(stream, 'early')
    await client.until(() => client.message(stream).body === '<early>', 'the echo')
    assert.equal(client.message(stream).status, 200)
    assert.match(lastRequest(), /^GET \/exec HTTP\/1\.1\r\n[\s\S]*\r\nupgrade: tcp\r\n/)
    assert.doesNotMatch(lastRequest(), /sec-websocket/)
    client.destroy()
  })

  it('goes to a backend that speaks HTTP/2, for a GET and for nothing else', async () => {
    const client = await rawTls(gateway.port)
    client.send(head('GET /h2/x', 'tcp'))
    assert.equal(statusOf(await client.until(text => text.includes('\r\n\r\n'))), 101)
    const request = await second.request(0)
    assert.equal(request.field(':protocol'), 'tcp')
    request.connection.data(request.stream, 'from the backend', END_STREAM)
    await client.until(text => text.endsWith('from the backend'))
    client.destroy()
    const other = await rawTls(gateway.port)
    other.send(exec('/h2/x'))
    assert.equal(statusOf((await other.closed()).received), 501)
    assert.equal(second.requests.length, 1)
  })
})
