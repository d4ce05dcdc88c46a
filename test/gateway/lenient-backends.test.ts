/**
 * Backends that are not quite right, with `lenient`: clients of both versions get a clean response, the connection is not used
 * again, and the log has the first use. Without it, the error says which leniency would help.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { leniencyNames } from '../../src/wire/lenient-head.ts'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import { get, h2Client } from '../harness/h2.ts'
import { ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'
import { around, problemsOf } from '../unit/config-folder.ts'

let gateway: Started
let backend: RecordingBackend
/** What the backend sends to each request, one piece after the other */
let pieces: readonly string[] = []

before(async () => {
  backend = await recordingBackend(async (client, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    for (const piece of pieces) await client.sendBytewise(piece)
  })
  gateway = await startGateway({
    sites: localhostWith({ match: { path: '/strict' }, to: [backend.url] }, { to: 'odd' }),
    upstreams: { odd: { endpoints: [backend.url], lenient: leniencyNames } },
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

/** A request over HTTP/1.1 on a connection of its own, until `end`. */
async function ask(path: string, end: string): Promise<string> {
  const client = await rawTls(gateway.port)
  client.send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  const text = await client.until(received => received.includes(end))
  client.destroy()
  return text
}

const cases: Record<string, { sent: string; status: number; reason: string; fields: readonly string[] }> = {
  'duplicate-length': {
    sent: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbody',
    status: 200,
    reason: 'OK',
    fields: ['x-a: b'],
  },
  'bare-lf': {
    sent: 'HTTP/1.1 200 OK\nContent-Length: 4\nX-A: b\n\nbody',
    status: 200,
    reason: 'OK',
    fields: ['x-a: b'],
  },
  'odd-status': { sent: 'HTTP/1.1 999 No\r\nContent-Length: 4\r\n\r\nbody', status: 999, reason: 'No', fields: [] },
  'control-bytes': {
    sent: 'HTTP/1.1 200 O\x01K\r\nContent-Length: 4\r\nX-A: b\0c\r\nX-B: \x7f\r\n\r\nbody',
    status: 200,
    reason: 'O K',
    fields: ['x-a: b c', 'x-b:'],
  },
  'many-fields': {
    sent: `HTTP/1.1 200 OK\r\nContent-Length: 4\r\n${'X-A: b\r\n'.repeat(150)}\r\nbody`,
    status: 200,
    reason: 'OK',
    fields: ['x-a: b'],
  },
  'space-before-colon': {
    sent: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A : b\r\n\r\nbody',
    status: 200,
    reason: 'OK',
    fields: ['x-a: b'],
  },
  'folded-fields': {
    sent: 'HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 4\r\n\r\nbody',
    status: 200,
    reason: 'OK',
    fields: ['x-a: b c'],
  },
}

describe('a lenient upstream', () => {
  beforeEach(() => {
    pieces = []
  })

  it('has a case for each leniency', () => assert.deepEqual(Object.keys(cases).sort(), [...leniencyNames].sort()))

  for (const [name, { sent, status, reason, fields }] of Object.entries(cases)) {
    it(`${name}: over HTTP/1.1`, async () => {
      pieces = [sent]
      const count = backend.connections.length
      const text = await ask('/odd', 'body')
      const lines = text
        .toLowerCase()
        .split('\r\n')
        .map(line => line.trimEnd())
      assert.equal(text.split('\r\n')[0], `HTTP/1.1 ${status} ${reason}`)
      for (const field of fields) assert.ok(lines.includes(field), text)
      assert.equal(lines.filter(line => line.startsWith('content-length')).length, 1)
      assert.doesNotMatch(text, /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n)/)
      assert.match(text, /\r\n\r\nbody$/)
      await (await backend.connection(backend.connections.length - 1)).closed()
      assert.ok(backend.connections.length > count)
    })

    it(`${name}: over HTTP/2`, async () => {
      pieces = [sent]
      const client = await h2Client(gateway.port)
      const stream = client.request(get('/odd'))
      await client.until(() => client.message(stream).ended, 'a response')
      const message = client.message(stream)
      assert.equal(message.status, status)
      assert.equal(message.body, 'body')
      const seen = message.headers.map(([key, value]) => `${key}: ${value}`.trimEnd())
      for (const field of fields) assert.ok(seen.includes(field), seen.join('\n'))
      client.destroy()
    })

    it(`${name}: the log says it once`, async () => {
      pieces = [sent]
      await ask('/odd', 'body')
      const used = (record: Record<string, unknown>) =>
        record.message === 'a backend needed a leniency' && record.leniency === name
      const record = await gateway.logged(used)
      const endpoint = backend.url.slice('http://'.length)
      assert.deepEqual([record.upstream, record.endpoint, record.level], ['odd', endpoint, 'warn'])
      assert.equal(gateway.logs().filter(used).length, 1)
    })

    it(`${name}: a strict route refuses it, and says what would help`, async () => {
      pieces = [sent]
      const text = await ask('/strict', '</html>')
      assert.match(text, /^HTTP\/1\.1 502 /)
      const hint = new RegExp(`lenient: \\[${name}\\] of its upstream would accept it`)
      await gateway.logged(({ path, why }) => path === '/strict' && hint.test(String(why)))
    })
  }

  it('uses the connection of a strict response again, and not one that needed a leniency', async () => {
    pieces = [ok('strict')]
    await ask('/odd', 'strict')
    const count = backend.connections.length
    pieces = ['HTTP/1.1 200 OK\nContent-Length: 3\n\nodd']
    await ask('/odd', 'odd')
    assert.equal(backend.connections.length, count)
    await backend.connections.at(-1)?.closed()
  })

  it('forgets what comes behind a response that needed one', async () => {
    pieces = ['HTTP/1.1 200 OK\nContent-Length: 3\n\noddHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged']
    await ask('/odd', 'odd')
    pieces = [ok('next')]
    assert.doesNotMatch(await ask('/odd', 'next'), /forged/)
  })

  it('does not use a connection again whose interim response needed one', async () => {
    pieces = ['HTTP/1.1 103 Early\nLink: </a>\n\n', ok('end')]
    const text = await ask('/odd', 'end')
    assert.match(text, /^HTTP\/1\.1 103 Early\r\n/)
    await backend.connections.at(-1)?.closed()
  })

  it('takes everything of a response in one segment', async () => {
    pieces = []
    const client = await rawTls(gateway.port)
    const next = backend.connection(backend.connections.length)
    client.send('GET /odd HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const connection = await next
    await connection.until(text => text.endsWith('\r\n\r\n'))
    connection.send(
      'HTTP/1.1 103 Early\nX-A : b\n\nHTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\r\nabc\r\n0\r\n\r\n',
    )
    const text = await client.until(received => received.endsWith('0\r\n\r\n'))
    assert.match(
      text,
      /^HTTP\/1\.1 103 Early\r\nx-a: b\r\n\r\nHTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/i,
    )
    client.destroy()
    await connection.closed()
  })

  it('holds chunks to the rules', async () => {
    pieces = ['HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n']
    const client = await rawTls(gateway.port)
    client.send('GET /odd?chunks HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const { received } = await client.closed()
    assert.doesNotMatch(received, /abc|\r\n0\r\n/)
    await gateway.logged(({ path, error }) => path === '/odd?chunks' && error === 'BAD_RESPONSE')
  })

  const hopeless: Record<string, string> = {
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 3\r\n\r\nbody',
    'a length beside chunks': 'HTTP/1.1 200 OK\nContent-Length: 4\nTransfer-Encoding: chunked\n\nbody',
    'endings of both kinds': 'HTTP/1.1 200 OK\r\nContent-Length: 4\n\nbody',
    'a framing field with white space': 'HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\nbody',
  }
  for (const [name, sent] of Object.entries(hopeless))
    it(`refuses ${name}`, async () => {
      pieces = [sent]
      assert.match(await ask('/odd', '</html>'), /^HTTP\/1\.1 502 /)
    })
})

describe('lenient in a configuration', () => {
  it('is refused for backends that speak HTTP/2', async () => {
    for (const to of [
      '{ endpoints: h2c://10.0.0.1, lenient: bare-lf }',
      '{ endpoints: https://10.0.0.1, http: 2, lenient: bare-lf }',
    ])
      assert.match((await problemsOf(around(`to: ${to}`))).join(), /lenient: it is for HTTP\/1\.1 backends/)
  })
})
