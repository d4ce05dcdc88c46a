/**
 * What a proxy owes to both sides beside the body: Date, Via, Host, Max-Forwards, the Upgrade of a 426 (RFC 9110, RFC 9112),
 * and a WebSocket handshake that belongs to the exchange that asked for it.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, rawTcp, rawTls, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend
/** The head that the backend received last, over whichever connection */
let last = ''

const dateForm = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/
const date1994 = 'Sun, 06 Nov 1994 08:49:37 GMT'

/** By path: what the backend answers with. */
const answers: Readonly<Record<string, string>> = {
  '/plain': ok('x'),
  '/dated': ok('x', `dAtE: ${date1994}\r\n`),
  '/filtered': ok('x', `Date: ${date1994}\r\n`),
  '/426': `HTTP/1.1 426 Upgrade Required\r\nUpgrade: HTTP/3.0, TLS/1.3\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n`,
  '/426-plain': `HTTP/1.1 426 Upgrade Required\r\nUpgrade: HTTP/3.0\r\nContent-Length: 0\r\n\r\n`,
  '/ws': 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno',
  '/bare-101': 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
  '/named-101': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
}

before(async () => {
  const seen = new WeakMap<object, number>()
  backend = await recordingBackend((client, text) => {
    const requests = text.split('\r\n\r\n').slice(0, -1)
    for (const request of requests.slice(seen.get(client) ?? 0)) {
      last = `${request}\r\n`
      client.send(answers[/^[A-Z]+ (\S+)/.exec(request)?.[1] ?? ''] ?? ok(''))
    }
    seen.set(client, requests.length)
  })
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
      { port: 0, address: '127.0.0.1', cleartext: 'redirect' },
    ],
    sites: [
      {
        host: ['localhost', '_internal.example', 'a_b.example'],
        certificate: 'local',
        routes: [
          {
            match: { path: '/filtered' },
            to: [backend.url],
            filters: [{ name: 'undate', response: ({ response }) => response?.headers.delete('date') }],
          },
          { match: { path: '/fixed' }, respond: { status: 200, body: 'fixed' } },
          { to: [backend.url] },
        ],
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

/** One request in these bytes, over TLS, and the whole head of its answer. */
async function exchange(bytes: string, port = gateway.port): Promise<string> {
  const client = port === gateway.port ? await rawTls(port) : await rawTcp(port)
  client.send(bytes)
  const text = await client.until(received => received.includes('\r\n\r\n'))
  client.destroy()
  return text
}

const lastRequest = () => last
const dates = (text: string) => [...text.matchAll(/^date: (.*)\r$/gim)].map(found => found[1] as string)

describe('Date', () => {
  for (const version of versions) {
    it(`${version}: is added where a backend sent none, and kept where it did`, async () => {
      const added = await ask(version, gateway.port, { path: '/plain' })
      assert.match(added.field('date') ?? '', dateForm)
      assert.ok(Math.abs(Date.parse(added.field('date') ?? '') - Date.now()) < 60_000)
      const kept = await ask(version, gateway.port, { path: '/dated' })
      assert.deepEqual(
        kept.fields.filter(([name]) => name === 'date'),
        [['date', date1994]],
      )
    })

    it(`${version}: is ours where a filter took the backend's away`, async () => {
      const answer = await ask(version, gateway.port, { path: '/filtered' })
      const all = answer.fields.filter(([name]) => name === 'date')
      assert.equal(all.length, 1)
      assert.notEqual(all[0]?.[1], date1994)
    })

    it(`${version}: is in our own answers`, async () => {
      for (const request of [
        { path: '/fixed' },
        { path: '/%00' },
        { host: 'other.example', serverName: 'localhost' },
      ]) {
        const answer = await ask(version, gateway.port, request)
        assert.match(answer.field('date') ?? '', dateForm, `${answer.status}`)
      }
    })
  }

  it('is in refusals and redirects too', async () => {
    assert.match(dates(await exchange('GET / HTTP/1.1\r\n\r\n'))[0] ?? '', dateForm)
    const redirect = await exchange('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', gateway.ports[2])
    assert.match(redirect, /^HTTP\/1\.1 308 /)
    assert.match(dates(redirect)[0] ?? '', dateForm)
  })
})

describe('HTTP/1.0', () => {
  it('without a Host asks the backend for the name of the TLS handshake', async () => {
    await exchange('GET /plain HTTP/1.0\r\n\r\n')
    assert.match(lastRequest(), /^GET \/plain HTTP\/1\.1\r\nhost: localhost\r\n/)
    assert.match(lastRequest(), /\r\nvia: 1\.0 sallyport\r\n/)
  })

  it('without a Host or a handshake asks for the endpoint', async () => {
    const plain = await startGateway({
      listen: [{ port: 0, address: '127.0.0.1', cleartext: 'serve' }],
      sites: [{ host: 'localhost', default: true, to: [backend.url] }],
    })
    const client = await rawTcp(plain.port)
    client.send('GET /plain HTTP/1.0\r\n\r\n')
    await client.until(received => received.includes('\r\n\r\n'))
    client.destroy()
    await plain.stop()
    assert.match(lastRequest(), new RegExp(`\r\nhost: 127\\.0\\.0\\.1:${backend.port}\r\n`))
  })

  it('and 1.1 on one connection are told apart in Via', async () => {
    const client = await rawTls(gateway.port)
    client.send('GET /plain HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n')
    await client.until(received => received.split('\r\n\r\n').length === 2)
    assert.match(lastRequest(), /via: 1\.0 /)
    client.send('GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await client.until(received => received.split('\r\n\r\n').length === 3)
    assert.match(lastRequest(), /via: 1\.1 /)
    client.destroy()
  })
})

describe('the Upgrade of a 426', () => {
  it('reaches a client of HTTP/1.1, with its connection option', async () => {
    const answer = await exchange('GET /426 HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.match(answer, /\r\nupgrade: HTTP\/3\.0, TLS\/1\.3\r\nconnection: upgrade\r\n/)
    const bare = await exchange('GET /426-plain HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.match(bare, /\r\nupgrade: HTTP\/3\.0\r\nconnection: upgrade\r\n/)
  })

  it('has no place in HTTP/2', async () => {
    const answer = await ask('HTTP/2', gateway.port, { path: '/426' })
    assert.equal(answer.status, 426)
    assert.equal(answer.field('upgrade'), null)
  })
})

describe('Max-Forwards', () => {
  for (const version of versions) {
    it(`${version}: of 0 is answered here`, async () => {
      const before = backend.received()
      const options = await ask(version, gateway.port, {
        method: 'OPTIONS',
        path: '/plain',
        fields: [['max-forwards', '0']],
      })
      assert.equal(options.status, 200)
      assert.equal(options.body, '')
      const fields = [
        ['max-forwards', '0'],
        ['authorization', 'secret'],
        ['cookie', 'secret'],
        ['via', '1.1 before'],
      ] as const
      const trace = await ask(version, gateway.port, { method: 'TRACE', path: '/plain', fields })
      assert.equal(trace.status, 200)
      assert.equal(trace.field('content-type'), 'message/http')
      assert.match(
        trace.body,
        /^TRACE \/plain HTTP\/(1\.1|2)\r\nhost: localhost\r\nvia: 1\.1 before\r\nmax-forwards: 0\r\n\r\n$/,
      )
      assert.equal(backend.received(), before)
    })

    it(`${version}: is counted down, of these two methods only`, async () => {
      for (const method of ['OPTIONS', 'TRACE']) {
        await ask(version, gateway.port, { method, path: '/plain', fields: [['max-forwards', '10']] })
        assert.match(lastRequest(), /\r\nmax-forwards: 9\r\n/)
      }
      await ask(version, gateway.port, { path: '/plain', fields: [['max-forwards', '0']] })
      assert.match(lastRequest(), /^GET .*\r\nmax-forwards: 0\r\n/s)
    })

    it(`${version}: that is not one number is a 400`, async () => {
      for (const fields of [
        [['max-forwards', '-1']],
        [
          ['max-forwards', '1'],
          ['max-forwards', '0'],
        ],
      ] as const) {
        const answer = await ask(version, gateway.port, { method: 'OPTIONS', path: '/plain', fields })
        assert.equal(answer.status, 400)
      }
    })
  }
})

describe('hosts', () => {
  const bad = [
    'a..b',
    '.a',
    '[:::::]',
    '[1:2]',
    '[::1',
    '[127.0.0.1]',
    'localhost:99999',
    'localhost:1:2',
    '-a',
    `${'a'.repeat(64)}.b`,
    'localhost:x',
    'a b',
    '[::1]x',
  ]
  for (const version of versions) {
    it(`${version}: that are none are a 400`, async () => {
      for (const host of bad) {
        const answer = await ask(version, gateway.port, { host, serverName: 'localhost' })
        assert.equal(answer.status, 400, host)
      }
    })

    it(`${version}: may have underscores, also at their beginning`, async () => {
      for (const host of ['_internal.example', 'a_b.example', '_internal.example:8443', 'LOCALHOST.']) {
        const answer = await ask(version, gateway.port, { path: '/plain', host, serverName: 'localhost' })
        assert.equal(answer.status, 200, host)
      }
    })
  }

  it('are checked in the absolute form of a target as well', async () => {
    for (const host of bad.filter(each => !each.includes(' '))) {
      const answer = await exchange(`GET http://${host}/ HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      assert.match(answer, /^HTTP\/1\.1 400 /, host)
    }
  })
})

describe('a WebSocket request that was refused', () => {
  const upgrade =
    'GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
  for (const path of ['/bare-101', '/named-101']) {
    it(`does not let a later ${path.slice(1)} open a tunnel on its connection to the backend`, async () => {
      const connections = backend.connections.length
      assert.match(await exchange(upgrade), /^HTTP\/1\.1 403 /)
      assert.ok(backend.connections.length <= connections + 1)
      assert.match(await exchange(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`), /^HTTP\/1\.1 502 /)
    })
  }
})
