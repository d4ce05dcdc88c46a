/**
 * Bodies in filters: `requestBody`, `responseBody` and `readBody`, over both versions of HTTP toward clients and backends. What
 * has another length is framed anew, what has no body is left alone, and what fails is seen to have failed.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { BodyTransform, Filter, FilterExchange } from '../../src/model/filter.ts'
import { type Ask, ask, readChunks, type Version, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, END_STREAM, type H2Backend, h2Backend, h2Client, post, respond, type } from '../harness/h2.ts'
import { ok, type RawClient, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

type Case = {
  readonly filters: readonly Omit<Filter, 'name'>[]
  readonly ask?: Ask
  readonly status?: number
  readonly body?: string
  readonly fields?: Readonly<Record<string, string | null>>
  readonly trailers?: Readonly<Record<string, string>>
  /** What the backend got; null: it was not asked */
  readonly backend?: { readonly body: string; readonly length?: string | null; readonly trailer?: string } | null
  /** Of the fault's record */
  readonly record?: RegExp
  /** Of the access log */
  readonly error?: string
  /** The client sees that the answer was cut */
  readonly cut?: boolean
  readonly informational?: readonly number[]
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const later = <T>(value: T): Promise<T> => new Promise(resolve => setImmediate(resolve, value))
const upper: BodyTransform = { chunk: bytes => text(bytes).toUpperCase() }
const slow: BodyTransform = { chunk: bytes => later(text(bytes).toUpperCase()), end: () => later('!') }
/** Whatever the pieces are that it comes in */
const marks = (mark: string): BodyTransform => ({
  chunk: bytes => text(bytes).replaceAll(/[a-z]/g, `$&${mark}`),
  end: () => `<${mark}>`,
})
const never = (): BodyTransform => ({ chunk: () => assert.fail('a body that is not there was transformed') })
const throws = (): BodyTransform => ({
  chunk() {
    throw new Error('a fault of its own')
  },
})
const sends = (body: string | readonly string[], more: Partial<Ask> = {}): Ask => ({
  method: 'POST',
  body,
  ...more,
})
const reads = (limit: number, past?: 'prefix'): Omit<Filter, 'name'> => ({
  async request(x) {
    const bytes = past ? await x.request.readBody(limit, past) : await x.request.readBody(limit)
    x.request.headers.set('x-read', text(bytes).slice(0, 100))
    x.request.headers.set('x-length', `${bytes.length}`)
  },
})
const early: Omit<Filter, 'name'> = {
  request: async x => ((await x.request.readBody(5).catch(() => null)) === null && { status: 409 }) || null,
}

/** Within one window of HTTP/2, in pieces that are frames. */
const pieces = ['a', 'b', 'c', 'd', 'e', 'f'].map(letter => letter.repeat(10_000))
const big = pieces.join('')

const cases: Record<string, Case> = {
  'a request with a length': {
    filters: [{ requestBody: () => upper }],
    ask: sends('hello'),
    body: 'HELLO',
    backend: { body: 'HELLO', length: null },
  },
  'a request in pieces, with trailers': {
    filters: [{ requestBody: () => marks('.') }],
    ask: sends(['a', 'b'], { trailers: [['x-sum', '1']] }),
    backend: { body: 'a.b.<.>', length: null, trailer: '1' },
  },
  'a request that ends up empty': {
    filters: [{ requestBody: () => ({ chunk: () => null }) }],
    ask: sends('hello'),
    backend: { body: '', length: null },
  },
  'a request without a body': { filters: [{ requestBody: never }], backend: { body: '' } },
  'a request whose filter wants nothing of its body': {
    filters: [{ requestBody: () => null }],
    ask: sends('hello'),
    backend: { body: 'hello', length: '5' },
  },
  'a request, with promises': {
    filters: [{ requestBody: () => slow }],
    ask: sends(['a', 'b', 'c']),
    backend: { body: 'ABC!', length: null },
  },
  'a request through two filters, in their order': {
    filters: [
      { requestBody: () => marks('1') },
      { requestBody: () => ({ ...slow, chunk: bytes => later(text(bytes).replaceAll('a', 'a2')) }) },
    ],
    ask: sends('a'),
    backend: { body: 'a21<1>!', length: null },
  },
  'a large request': {
    filters: [{ requestBody: () => slow }],
    ask: sends(pieces),
    backend: { body: `${big.toUpperCase()}!` },
  },

  'a response with a length': {
    filters: [{ responseBody: () => upper }],
    ask: sends('hello'),
    body: 'HELLO',
    fields: { 'content-length': null },
    backend: { body: 'hello', length: '5' },
  },
  'a response in pieces, with trailers': {
    filters: [{ responseBody: () => marks('.') }],
    ask: sends('hello', { path: '/trailers' }),
    body: 'h.e.l.l.o.<.>',
    trailers: { 'x-sum': '2' },
  },
  'a response without content, that is given some': {
    filters: [{ responseBody: () => marks('.') }],
    body: '<.>',
    fields: { 'content-length': null },
  },
  'a response, with promises': {
    filters: [{ responseBody: () => slow }],
    ask: sends('hello'),
    body: 'HELLO!',
  },
  'a response through two filters, in their order': {
    filters: [{ responseBody: () => marks('1') }, { responseBody: () => slow }],
    ask: sends('a'),
    body: 'A1<1>!',
  },
  'a large response': {
    filters: [{ responseBody: () => slow }],
    ask: sends(pieces),
    body: `${big.toUpperCase()}!`,
  },
  'both bodies, and the phases around them': {
    filters: [
      {
        request: x => void x.request.headers.set('x-a', '1'),
        requestBody: () => ({ chunk: bytes => text(bytes).replace('b', 'a') }),
        response: x => later(x.response?.headers.set('x-b', '2')),
        responseBody: x => marks(`${x.response?.status} ${x.response?.headers.get('x-b')}`),
      },
    ],
    ask: sends('b'),
    body: 'a200 2<200 2>',
    fields: { 'x-b': '2', 'content-length': null },
  },
  'a response whose filter wants nothing of its body': {
    filters: [{ responseBody: () => undefined }],
    ask: sends('hello'),
    body: 'hello',
    fields: { 'content-length': '5' },
  },
  'a compressed response is given as it is': {
    filters: [{ responseBody: x => (x.response?.headers.has('content-encoding') ? marks('.') : never()) }],
    ask: sends('hello', { path: '/encoded' }),
    body: 'h.e.l.l.o.<.>',
    fields: { 'content-encoding': 'test' },
  },
  'the response to a HEAD': {
    filters: [{ responseBody: never }],
    ask: { method: 'HEAD', path: '/length' },
    fields: { 'content-length': null },
    body: '',
  },
  'the response to a HEAD that is left alone': {
    filters: [{ responseBody: () => null }],
    ask: { method: 'HEAD', path: '/length' },
    fields: { 'content-length': '5' },
  },
  'a 204': { filters: [{ responseBody: never }], ask: { path: '/204' }, status: 204, body: '' },
  'a 304': {
    filters: [{ responseBody: never }],
    ask: { path: '/304' },
    status: 304,
    body: '',
    fields: { 'content-length': null },
  },
  'interim answers pass': {
    filters: [{ responseBody: () => upper }],
    ask: sends('hello', { path: '/103' }),
    body: 'HELLO',
    informational: [103],
  },
  "an answer of the gateway's own": {
    filters: [
      { responseBody: never, response: () => assert.fail('it has no response phase') },
      { request: () => ({ status: 403, body: 'no' }) },
    ],
    ask: sends('hello'),
    status: 403,
    body: 'no',
    backend: null,
  },

  // Faults
  'a request transform that throws': {
    filters: [{ requestBody: throws }],
    ask: sends(['a', 'b']),
    status: 500,
    record: /a fault of its own/,
    error: 'FILTER_FAILED',
  },
  'a request transform that rejects at the end': {
    filters: [{ requestBody: () => ({ ...upper, end: () => Promise.reject(new Error('at the end')) }) }],
    ask: sends('hello'),
    status: 500,
    record: /at the end/,
    error: 'FILTER_FAILED',
  },
  'a requestBody that throws': {
    filters: [
      {
        requestBody() {
          throw new Error('no transform')
        },
      },
    ],
    ask: sends('hello'),
    status: 500,
    record: /no transform/,
    backend: null,
  },
  'a response transform that throws, behind the head': {
    filters: [{ responseBody: throws }],
    ask: sends('hello'),
    cut: true,
    record: /a fault of its own/,
    error: 'FILTER_FAILED',
  },
  'a response transform that rejects, behind the head': {
    filters: [{ responseBody: () => ({ chunk: () => Promise.reject(new Error('too late')) }) }],
    ask: sends('hello'),
    cut: true,
    record: /too late/,
    error: 'FILTER_FAILED',
  },
  'a responseBody that throws, before the head': {
    filters: [
      {
        responseBody() {
          throw new Error('no transform')
        },
      },
    ],
    ask: sends('hello'),
    status: 500,
    record: /no transform/,
  },
  'a transform that is none': {
    filters: [{ requestBody: () => 'upper' as never }],
    ask: sends('hello'),
    status: 500,
    record: /requestBody returned upper \(string\): it takes nothing, or \{ chunk/,
  },
  'a promise of a transform': {
    filters: [{ responseBody: () => Promise.reject(new Error('x')) as never }],
    ask: sends('hello'),
    status: 500,
    record: /responseBody returned a promise/,
  },
  'a piece that is none': {
    filters: [{ requestBody: () => ({ chunk: () => 5 as never }) }],
    ask: sends('hello'),
    status: 500,
    record: /the transform returned 5 \(number\)/,
  },

  // readBody
  'a body is read, and goes on as it is': {
    filters: [reads(10)],
    ask: sends('hello'),
    backend: { body: 'hello', length: '5' },
    fields: { 'x-read': 'hello', 'x-length': '5' },
  },
  'a body in pieces is read, and its trailers go on': {
    filters: [reads(10)],
    ask: sends(['he', 'llo'], { trailers: [['x-sum', '1']] }),
    backend: { body: 'hello', length: null, trailer: '1' },
    fields: { 'x-read': 'hello' },
  },
  'a large body is read': {
    filters: [reads(big.length)],
    ask: sends(pieces),
    backend: { body: big },
    fields: { 'x-length': `${big.length}` },
  },
  'no body is read as an empty one': { filters: [reads(10)], backend: { body: '' }, fields: { 'x-length': '0' } },
  'a body that is announced as too long is refused': {
    filters: [reads(4)],
    ask: sends('hello'),
    status: 413,
    error: 'BODY_TOO_LARGE',
    backend: null,
  },
  'a body that turns out too long is refused': {
    filters: [reads(4)],
    ask: sends(['abc', 'de']),
    status: 413,
    error: 'BODY_TOO_LARGE',
    backend: null,
  },
  'a filter that catches the refusal answers itself': {
    filters: [early],
    ask: sends('longer than 5'),
    status: 409,
    backend: null,
  },
  'the first bytes of a longer body': {
    filters: [reads(4, 'prefix')],
    ask: sends(['abc', 'def', 'ghi']),
    backend: { body: 'abcdefghi' },
    fields: { 'x-read': 'abcd' },
  },
  'the first bytes of a large body': {
    filters: [reads(25_000, 'prefix')],
    ask: sends(pieces),
    backend: { body: big, length: null },
    fields: { 'x-length': '25000' },
  },
  'a body is read by two filters, the second one more of it': {
    filters: [reads(2, 'prefix'), reads(100)],
    ask: sends(['ab', 'cd', 'ef']),
    backend: { body: 'abcdef' },
    fields: { 'x-read': 'abcdef' },
  },
  'a body is read and transformed': {
    filters: [{ ...reads(100), requestBody: () => upper }],
    ask: sends('hello'),
    backend: { body: 'HELLO', length: null },
    fields: { 'x-read': 'hello' },
  },
  'a body that is read late is stopped until then': {
    filters: [
      {
        async request(x) {
          await later(null)
          x.request.headers.set('x-read', text(await x.request.readBody(10)))
        },
      },
    ],
    ask: sends('hello'),
    backend: { body: 'hello' },
    fields: { 'x-read': 'hello' },
  },
  'a read that nobody waits for is over with the request phase': {
    filters: [{ request: x => void x.request.readBody(10) }],
    ask: sends('hello'),
    backend: { body: 'hello' },
  },
  'readBody in another phase': {
    filters: [{ response: x => x.request.readBody(10).then(() => {}) }],
    ask: sends('hello'),
    status: 500,
    record: /readBody is for the request phase/,
  },
  'readBody of a length that is none': {
    filters: [{ request: x => x.request.readBody(-1).then(() => null) }],
    ask: sends('hello'),
    status: 500,
    record: /readBody takes a number of bytes, not -1/,
  },
  'readBody in a route that answers itself': {
    filters: [{ request: async x => ({ status: 200, body: text(await x.request.readBody(10)).toUpperCase() }) }],
    ask: sends('hello'),
    body: 'HELLO',
    backend: null,
  },
}

type Got = { body: string; length: string | null; trailer: string | undefined; fields: Record<string, string> }
let last: Got | null = null
const echoedNames = ['x-read', 'x-length']
let http1: RecordingBackend
let http2: H2Backend
let refusing: RecordingBackend
let gateway: Started
const backends = ['HTTP/1.1', 'HTTP/2'] as const
const names = Object.keys(cases)

/** Answers what it got, on a connection of its own. */
function echoHttp1(client: RawClient, received: string): void {
  const end = received.indexOf('\r\n\r\n')
  if (end < 0) return
  const [line, ...lines] = received.slice(0, end).split('\r\n') as [string, ...string[]]
  const fields = new Map(
    lines.map(each => [each.slice(0, each.indexOf(':')).toLowerCase(), each.slice(each.indexOf(':') + 2)]),
  )
  const rest = received.slice(end + 4)
  const length = fields.get('content-length') ?? null
  const read = fields.has('transfer-encoding')
    ? readChunks(rest)
    : { body: rest, trailers: [], whole: rest.length >= Number(length) }
  if (!read.whole) return
  const { body } = read
  last = {
    body,
    length,
    trailer: read.trailers.find(([name]) => name === 'x-sum')?.[1],
    fields: Object.fromEntries(echoedNames.map(name => [name, fields.get(name) ?? ''])),
  }
  const echoed = Object.entries(last.fields).flatMap(([name, value]) =>
    value === '' ? [] : [`${name}: ${value}\r\n`],
  )
  const more = `${echoed.join('')}Connection: close\r\n`
  const path = /\/[^/ ]*(?= HTTP)/.exec(line)?.[0] ?? ''
  if (path === '/103') client.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
  if (path === '/204') client.send(`HTTP/1.1 204 No Content\r\n${more}\r\n`)
  else if (path === '/304') client.send(`HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n${more}\r\n`)
  else if (path === '/trailers')
    client.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${more}\r\n5\r\n${body}\r\n0\r\nX-Sum: 2\r\n\r\n`)
  else if (line.startsWith('HEAD')) client.send(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n${more}\r\n`)
  else client.send(ok(body, path === '/encoded' ? `Content-Encoding: test\r\n${more}` : more))
}

async function echoHttp2(request: Parameters<NonNullable<Parameters<typeof h2Backend>[0]>['onRequest'] & {}>[0]) {
  const { connection, stream } = request
  await connection.until(() => connection.message(stream).ended).catch(() => {})
  // Of a request, what was read as the last head are its trailers.
  const { body, headers } = connection.message(stream)
  last = {
    body,
    length: request.field('content-length') ?? null,
    trailer: headers.find(([name]) => name === 'x-sum')?.[1],
    fields: Object.fromEntries(echoedNames.map(name => [name, request.field(name) ?? ''])),
  }
  const echoed = Object.entries(last.fields).filter(([, value]) => value !== '')
  const path = (request.field(':path') ?? '').replace(/^.*\//, '/')
  if (path === '/103') connection.headers(stream, [[':status', '103']], END_HEADERS)
  if (path === '/204' || path === '/304' || request.field(':method') === 'HEAD') {
    const length = path === '/204' ? [] : ([['content-length', '5']] as const)
    const status = path === '/length' ? '200' : path.slice(1)
    connection.headers(stream, [[':status', status], ...length], END_HEADERS | END_STREAM)
  } else if (path === '/trailers') {
    connection.headers(stream, [[':status', '200'], ...echoed], END_HEADERS)
    connection.data(stream, body)
    connection.headers(stream, [['x-sum', '2']])
  } else {
    const encoded = path === '/encoded' ? ([['content-encoding', 'test']] as const) : []
    respond(request, body, [['content-length', `${body.length}`], ...encoded, ...echoed])
  }
}

before(async () => {
  http1 = await recordingBackend(echoHttp1)
  http2 = await h2Backend({ onRequest: request => void echoHttp2(request) })
  refusing = await recordingBackend(client => client.socket.destroy())
  const to = {
    'HTTP/1.1': http1.url,
    'HTTP/2': `h2c://127.0.0.1:${http2.port}`,
  }
  gateway = await startGateway({
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        routes: [
          ...backends.flatMap((backend, which) =>
            Object.entries(cases).map(([name, { filters }], at) => ({
              match: { path: `/${which}/${at}/*` },
              to: to[backend],
              filters: filters.map((filter, index) => ({ ...filter, name: `${name} ${index}` })),
            })),
          ),
          {
            match: { path: '/retry/*' },
            to: [refusing.url, refusing.url.replace('127.0.0.1', 'localhost'), to['HTTP/1.1']],
            filters: [{ name: 'retried', ...reads(200_000), requestBody: counted }],
          },
          { match: { path: '/hold/*' }, to: to['HTTP/1.1'], filters: [{ name: 'holds', ...reads(200_000) }] },
          { match: { path: '/gone/*' }, to: to['HTTP/1.1'], filters: [watching] },
          {
            match: { path: '/redirect' },
            redirect: { to: '/elsewhere' },
            filters: [{ name: 'redirects', response: () => assert.fail('it has no response phase') }],
          },
        ],
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await Promise.all([http1.close(), http2.close(), refusing.close()])
})

let transformed = 0
function counted(): BodyTransform {
  return {
    chunk(bytes) {
      transformed += bytes.length
      return bytes
    },
  }
}

/** What a filter is told of a client that leaves. */
const told: string[] = []
let heard: () => void = () => {}
const say = (what: string) => {
  told.push(what)
  heard()
}
const until = (what: string) =>
  new Promise<void>(resolve => {
    heard = () => told.includes(what) && resolve()
    heard()
  })
const watching: Filter = {
  name: 'watching',
  request: async x => {
    if (!x.request.path.startsWith('/gone/read')) return
    say('reading')
    await x.request.readBody(1_000_000).catch(error => say(`read ${error.code}`))
  },
  requestBody: (x: FilterExchange) => ({
    chunk() {
      say(`chunk of ${x.request.path}`)
      return new Promise<string>(() => {})
    },
  }),
  done: (x, error) => say(`${x.request.path} ${error?.code}`),
}

for (const backend of backends)
  for (const version of versions)
    describe(`bodies in filters, over ${version} toward ${backend}`, () => {
      for (const [at, name] of names.entries())
        it(name, async () => {
          const one = cases[name] as Case
          last = null
          const path = `/${backends.indexOf(backend)}/${at}${one.ask?.path ?? '/a'}`
          const answer = await ask(version, gateway.port, { ...one.ask, path })
          assert.equal(answer.whole, !one.cut, answer.body)
          // What fails in the turn of its head takes that with it over HTTP/1.1.
          if (!one.cut) assert.equal(answer.status, one.status ?? 200, answer.body)
          if (one.body !== undefined) assert.equal(answer.body, one.body)
          for (const [field, value] of Object.entries(one.fields ?? {}))
            assert.equal(answer.field(field), value, field)
          for (const [field, value] of Object.entries(one.trailers ?? {}))
            assert.equal(answer.trailers.find(([each]) => each === field)?.[1], value)
          if (one.informational) assert.deepEqual(answer.informational, one.informational)
          checkBackend(one)
          if (one.record !== undefined) {
            const wanted = one.record
            await gateway.logged(
              each =>
                each['message'] === 'fault' &&
                String(each['where']).startsWith(`filter ${name} `) &&
                wanted.test(String(each['stack'])),
            )
          }
          if (one.error !== undefined) {
            const access = await gateway.logged(
              each => each['path'] === path && each['http'] === (version === 'HTTP/2' ? 2 : 1),
            )
            assert.equal(access['error'], one.error)
          }
        })
    })

function checkBackend({ backend }: Case): void {
  if (backend === undefined) return
  if (backend === null) {
    assert.equal(last, null)
    return
  }
  assert.equal(last?.body, backend.body)
  if (backend.length !== undefined) assert.equal(last.length, backend.length)
  if (backend.trailer !== undefined) assert.equal(last.trailer, backend.trailer)
}

for (const version of versions)
  describe(`request bodies that filters hold, over ${version}`, () => {
    it('are sent again as they were, and transformed once', async () => {
      transformed = 0
      const body = big
      const answer = await ask(version, gateway.port, sends(pieces, { path: '/retry/a', method: 'PUT' }))
      assert.equal(answer.status, 200)
      assert.equal(last?.body, body)
      assert.equal(transformed, body.length)
    })

    it('are asked for with a 100, which comes once', async () => {
      const answer = await expecting(version, 'hello')
      assert.deepEqual(answer, { informational: [100], status: 200, body: 'hello' })
      assert.equal(last?.fields['x-read'], 'hello')
    })

    for (const how of ['read', 'transformed'])
      it(`are let go of when the client leaves (${how})`, async () => {
        told.length = 0
        const path = `/gone/${how}`
        const begun = until(how === 'read' ? 'reading' : `chunk of ${path}`)
        const client = version === 'HTTP/2' ? await h2Client(gateway.port) : await rawTls(gateway.port)
        if ('request' in client) {
          const stream = client.request(post(path, [['content-length', '10']]), END_HEADERS)
          client.data(stream, 'hello')
        } else {
          // One that is stopped in the middle of its body is not read from, and so not seen to leave.
          const length = how === 'read' ? 10 : 5
          client.send(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\nhello`)
        }
        await begun
        client.destroy()
        await until(`${path} CLIENT_GONE`)
        if (how === 'read') await until('read CLIENT_GONE')
      })
  })

it('a body that is read may be longer than the window that a stream begins with', async () => {
  const client = await h2Client(gateway.port)
  const stream = client.request(post('/hold/a'), END_HEADERS)
  const opened = (id: number) => {
    const frames = client.frames.filter(frame => frame.type === type.window && frame.stream === id)
    return frames.reduce((sum, frame) => sum + frame.payload.readUInt32BE(), 65_535)
  }
  for (let sent = 0; sent < 200_000; sent += 10_000) {
    await client.until(() => Math.min(opened(0), opened(stream)) - sent >= 10_000, 'room in the window')
    client.data(stream, 'x'.repeat(10_000), sent === 190_000 ? END_STREAM : 0)
  }
  assert.equal((await client.answer(stream)).status, 200)
  assert.deepEqual([last?.body.length, last?.fields['x-length']], [200_000, '200000'])
  client.destroy()
})

it("the gateway's own answers have no response phase", async () => {
  const answer = await ask('HTTP/1.1', gateway.port, { path: '/redirect' })
  assert.equal(answer.status, 308)
})

/** A client that sends its body when it has got a 100. */
async function expecting(version: Version, body: string) {
  if (version === 'HTTP/2') {
    const client = await h2Client(gateway.port)
    const length = `${body.length}`
    const stream = client.request(
      post('/hold/a', [
        ['content-length', length],
        ['expect', '100-continue'],
      ]),
      END_HEADERS,
    )
    await client.until(() => client.message(stream).informational.length > 0, 'a 100')
    client.data(stream, body, END_STREAM)
    const { informational, status, body: answer } = await client.answer(stream)
    client.destroy()
    return { informational, status, body: answer }
  }
  const client = await rawTls(gateway.port)
  client.send(
    `POST /hold/a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
  )
  await client.until(text => text.includes('100 Continue\r\n\r\n'))
  client.send(body)
  const received = await client.until(text => text.endsWith(`\r\n\r\n${body}`))
  client.destroy()
  const statuses = [...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(found => Number(found[1]))
  return { informational: statuses.slice(0, -1), status: statuses.at(-1), body }
}
