/**
 * An exchange that stalls in any of its states is ended by the timeout of that state, with its error: over HTTP/1.1, HTTP/2
 * and gRPC, toward backends of both versions. All cases stall at once, and each is then waited for.
 */
import assert from 'node:assert/strict'
import type net from 'node:net'
import { after, before, describe, it } from 'node:test'
import type { RouteInput } from '../../src/config/config.ts'
import type { FilterInput } from '../../src/model/filter.ts'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import {
  END_HEADERS,
  END_STREAM,
  get,
  type H2Backend,
  type H2Request,
  h2Backend,
  h2Client,
  type Pairs,
  post,
  type RawH2,
} from '../harness/h2.ts'
import { ok, type RawClient, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

/** The time of a state that is looked at. What else an exchange could wait for has its default, which is longer than the test. */
const shortMs = 3_000
const big = 'x'.repeat(32_000_000)

type Version = 'HTTP/1.1' | 'HTTP/2' | 'gRPC'
type BackendVersion = 'HTTP/1.1' | 'HTTP/2'

/** What a backend does with a request, by the second segment of the path. */
const onHttp1: Record<string, (client: RawClient, received: string) => void> = {
  silent: () => {},
  interim: client => client.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'),
  continue: client => client.send('HTTP/1.1 100 Continue\r\n\r\n'),
  'half-head': client => client.send('HTTP/1.1 200 OK\r\nX-A: '),
  body: client => client.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'),
  trailers: client => client.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-A: '),
  huge: client => client.send(ok(big)),
  deaf: client => void client.socket.pause(),
  ok: client => client.send(ok('fine', 'Connection: close\r\n')),
}

const head: Pairs = [[':status', '200']]
const onHttp2: Record<string, (request: H2Request) => void> = {
  silent: () => {},
  interim: ({ connection, stream }) => connection.headers(stream, [[':status', '103']], END_HEADERS),
  continue: ({ connection, stream }) => connection.headers(stream, [[':status', '100']], END_HEADERS),
  'half-head': ({ connection, stream }) => connection.headers(stream, head, 0),
  body({ connection, stream }) {
    connection.headers(stream, head, END_HEADERS)
    connection.data(stream, 'abc')
  },
  trailers({ connection, stream }) {
    connection.headers(stream, head, END_HEADERS)
    connection.data(stream, 'abc')
    connection.headers(stream, [['x-a', 'b']], END_STREAM)
  },
  huge({ connection, stream }) {
    connection.headers(stream, head, END_HEADERS)
    for (let sent = 0; sent < 65_535; sent += 13_107) connection.data(stream, big.slice(0, 13_107))
  },
  deaf: () => {},
  ok({ connection, stream }) {
    connection.headers(stream, head, END_HEADERS | END_STREAM)
  },
}

type Sent = {
  /** GET, or POST with this of a body that does not end, unless `whole` */
  readonly body?: string
  readonly whole?: boolean
  readonly fields?: Pairs
  /** What is sent behind the head, instead of `body`, over HTTP/1.1 */
  readonly http1?: string
  /** The client reads nothing */
  readonly deaf?: boolean
}

type Case = Sent & {
  readonly state: string
  readonly behaviour: string
  readonly clients: readonly Version[]
  readonly backends: readonly BackendVersion[]
  readonly error: string
  /** The timeout that is short */
  readonly by: 'response' | 'idle' | 'bodyIdle' | 'filter' | 'connect' | 'total' | 'bodyRate'
  /** Of the record's text, besides the name of the timeout */
  readonly says?: RegExp
  /** Of the answer; null where the client is cut off */
  readonly status: number | null
}

const both: readonly BackendVersion[] = ['HTTP/1.1', 'HTTP/2']
const plain: readonly Version[] = ['HTTP/1.1', 'HTTP/2']
const all: readonly Version[] = ['HTTP/1.1', 'HTTP/2', 'gRPC']
const response = { error: 'RESPONSE_TIMEOUT', by: 'response', status: 504 } as const
const upstreamIdle = { error: 'UPSTREAM_IDLE', by: 'idle' } as const
const slowBody = { error: 'REQUEST_TIMEOUT', by: 'bodyIdle', status: 408 } as const
const streamIdle = { error: 'STREAM_IDLE', by: 'idle' } as const
const total = { error: 'TOTAL_TIMEOUT', by: 'total', status: 504 } as const
const filter = { error: 'FILTER_TIMEOUT', by: 'filter', status: 504 } as const
const http1: readonly Version[] = ['HTTP/1.1']
const http2: readonly Version[] = ['HTTP/2']
const grpc: readonly Version[] = ['gRPC']

const ownCases: readonly Case[] = [
  { state: 'waiting for a response head', behaviour: 'silent', clients: all, backends: both, ...response },
  {
    state: 'waiting for a response head, after a request body',
    behaviour: 'silent',
    clients: all,
    backends: both,
    body: 'hello',
    whole: true,
    ...response,
  },
  { state: 'half a response head', behaviour: 'half-head', clients: all, backends: both, ...response },
  { state: 'after an interim answer', behaviour: 'interim', clients: all, backends: both, ...response },
  {
    state: 'after an interim answer that came before the end of the request',
    behaviour: 'interim',
    clients: plain,
    backends: both,
    body: 'hel',
    ...slowBody,
  },
  {
    state: 'after an interim answer and the end of the request',
    behaviour: 'interim',
    clients: all,
    backends: both,
    body: 'hello',
    whole: true,
    ...response,
  },
  {
    state: 'a client that waits for a 100',
    behaviour: 'silent',
    clients: plain,
    backends: both,
    fields: [['expect', '100-continue']],
    body: '',
    ...response,
  },
  {
    state: 'a client that has got its 100',
    behaviour: 'continue',
    clients: plain,
    backends: both,
    fields: [['expect', '100-continue']],
    body: '',
    ...slowBody,
  },
  { state: 'a request body', behaviour: 'silent', clients: plain, backends: both, body: 'hel', ...slowBody },
  {
    state: 'a request body that has not begun',
    behaviour: 'silent',
    clients: plain,
    backends: both,
    body: '',
    ...slowBody,
  },
  {
    state: 'the size of a chunk',
    behaviour: 'silent',
    clients: http1,
    backends: both,
    http1: '3\r\nabc\r\n1',
    ...slowBody,
  },
  {
    state: 'the trailers of a request',
    behaviour: 'silent',
    clients: http1,
    backends: both,
    http1: '3\r\nabc\r\n0\r\nX-A: ',
    ...slowBody,
  },
  {
    state: 'a request body behind the response head',
    behaviour: 'body',
    clients: plain,
    backends: both,
    body: 'hel',
    ...upstreamIdle,
    status: 200,
  },
  {
    state: 'a request body slower than the bodyRate of its route',
    behaviour: 'rate',
    clients: plain,
    backends: both,
    body: 'hel',
    error: 'REQUEST_TIMEOUT',
    by: 'bodyRate',
    status: 408,
  },
  {
    state: 'a backend that reads nothing of the body',
    behaviour: 'deaf',
    clients: http1,
    backends: ['HTTP/1.1'],
    body: big,
    error: 'UPSTREAM_IDLE',
    by: 'idle',
    says: /read nothing of the request body/,
    status: 504,
  },
  {
    state: 'a backend that opens no window',
    behaviour: 'deaf',
    clients: plain,
    backends: ['HTTP/2'],
    body: big,
    error: 'UPSTREAM_IDLE',
    by: 'idle',
    says: /read nothing of the request body/,
    status: 504,
  },
  { state: 'a response body', behaviour: 'body', clients: all, backends: both, ...upstreamIdle, status: 200 },
  {
    state: 'the trailers of a response',
    behaviour: 'trailers',
    clients: all,
    backends: ['HTTP/1.1'],
    ...upstreamIdle,
    status: 200,
  },
  {
    state: 'a client that does not read',
    behaviour: 'huge',
    clients: plain,
    backends: ['HTTP/1.1'],
    deaf: true,
    error: 'CLIENT_STALLED',
    by: 'idle',
    status: null,
  },
  {
    state: 'a call that is open both ways',
    behaviour: 'silent',
    clients: grpc,
    backends: both,
    body: '\0\0\0\0\0',
    ...streamIdle,
    status: 200,
  },
  {
    state: 'a call that is open both ways, and has said nothing',
    behaviour: 'silent',
    clients: grpc,
    backends: both,
    body: '',
    ...streamIdle,
    status: 200,
  },
  {
    state: 'a call that is open both ways, after an interim answer',
    behaviour: 'interim',
    clients: grpc,
    backends: both,
    body: '',
    ...streamIdle,
    status: 200,
  },
  {
    state: 'a call that is open both ways, behind the response head',
    behaviour: 'body',
    clients: grpc,
    backends: both,
    body: '',
    ...streamIdle,
    status: 200,
  },
  {
    state: 'a filter of the request phase',
    behaviour: 'request-filter',
    clients: all,
    backends: both,
    says: /filter patient-asker did not settle/,
    ...filter,
  },
  {
    state: 'a filter of the request phase, with a body behind it',
    behaviour: 'request-filter',
    clients: all,
    backends: both,
    body: 'hel',
    says: /filter patient-asker did not settle/,
    ...filter,
  },
  {
    state: 'a filter of the response phase',
    behaviour: 'response-filter',
    clients: all,
    backends: both,
    says: /filter patient-answerer did not settle/,
    ...filter,
  },
  {
    state: 'a filter that reads the body, which does not come',
    behaviour: 'body-reader',
    clients: plain,
    backends: both,
    body: 'hel',
    ...slowBody,
  },
  {
    state: 'a filter that reads the body, after it has come',
    behaviour: 'patient-reader',
    clients: all,
    backends: both,
    body: 'hello',
    whole: true,
    says: /filter patient-reader did not settle .* in the request phase/,
    ...filter,
  },
  {
    state: 'a filter that transforms the request body',
    behaviour: 'request-transform',
    clients: all,
    backends: both,
    body: 'hel',
    says: /filter patient-writer did not settle its promise for a piece of the request body/,
    ...filter,
  },
  {
    state: 'a filter that transforms the end of the request body',
    behaviour: 'request-end',
    clients: all,
    backends: both,
    body: 'hello',
    whole: true,
    says: /filter patient-ender did not settle its promise for a piece of the request body/,
    ...filter,
  },
  {
    state: 'a filter that transforms the response body',
    behaviour: 'response-transform',
    clients: plain,
    backends: both,
    says: /filter patient-changer did not settle its promise for a piece of the response body/,
    ...filter,
    status: 200,
  },
  { state: 'the whole exchange', behaviour: 'total', clients: all, backends: both, ...total },
  {
    state: 'waiting for a connection',
    behaviour: 'connect',
    clients: all,
    backends: both,
    error: 'CONNECT_TIMEOUT',
    by: 'connect',
    status: 504,
  },
  {
    state: 'waiting for a connection, with a body behind it',
    behaviour: 'connect',
    clients: all,
    backends: both,
    body: 'hel',
    error: 'CONNECT_TIMEOUT',
    by: 'connect',
    status: 504,
  },
  {
    state: 'an upgrade that is not answered',
    behaviour: 'silent',
    clients: http1,
    backends: ['HTTP/1.1'],
    fields: [
      ['upgrade', 'websocket'],
      ['connection', 'upgrade'],
      ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
      ['sec-websocket-version', '13'],
    ],
    ...response,
  },
  {
    state: 'an upgrade that is not answered',
    behaviour: 'silent',
    clients: http2,
    backends: both,
    fields: [
      [':method', 'CONNECT'],
      [':protocol', 'websocket'],
    ],
    ...response,
  },
]

/** What backends do where the filter is what stalls. */
const answersOf: Readonly<Record<string, string>> = { 'response-filter': 'ok', 'response-transform': 'body' }

/** These are ended by `timeouts.total` as well, whatever else they wait for. */
const underTotal = new Set([
  'a filter of the request phase',
  'a filter of the request phase, with a body behind it',
  'a filter of the response phase',
  'a filter that reads the body, which does not come',
  'a filter that reads the body, after it has come',
  'a filter that transforms the request body',
  'a filter that transforms the end of the request body',
  'waiting for a connection, with a body behind it',
  'a request body',
  'a backend that reads nothing of the body',
  'a client that does not read',
  'a call that is open both ways, and has said nothing',
])
const cases: readonly Case[] = [
  ...ownCases,
  ...ownCases
    .filter(({ state }) => underTotal.has(state))
    .map(({ says: _, ...one }) => ({ ...one, state: `${one.state}, in all`, ...total })),
]

type Stalled = {
  readonly title: string
  readonly case: Case
  readonly path: string
  readonly client: { readonly http1: RawClient } | { readonly http2: RawH2; readonly stream: number }
}

let gateway: Started
let first: RecordingBackend
let second: H2Backend
/** Whatever else came on its connection would be an error: it has begun a header block */
let halfWay: H2Backend
let mute: RecordingBackend
const stalled = new Map<string, Stalled>()
const settles: (() => void)[] = []

const titleOf = (one: Case, client: Version, backend: BackendVersion) =>
  `${one.state}: ${client} to ${backend}${one.body === undefined && one.http1 === undefined ? '' : ', with a body'}`
const table = cases.flatMap((one, index) =>
  one.clients.flatMap(client =>
    one.backends.map(backend => ({ one, client, backend, path: pathOf(one, client, backend, index) })),
  ),
)

function pathOf(one: Case, client: Version, backend: BackendVersion, index: number): string {
  return `/${backend === 'HTTP/2' ? 'h2' : 'h1'}/${one.behaviour}/${index}-${client.replace('/', '')}`
}

/** One for each case. */
function routeOf(one: Case, path: string, to: RouteInput['to'], nowhere: RouteInput['to']): RouteInput {
  const never = new Promise<void>(resolve => settles.push(resolve))
  const filters: FilterInput[] = []
  if (one.behaviour === 'request-filter') filters.push({ name: 'patient-asker', request: () => never })
  if (one.behaviour === 'response-filter') filters.push({ name: 'patient-answerer', response: () => never })
  if (one.behaviour === 'body-reader') filters.push(x => x.request.readBody(100).then(() => null))
  if (one.behaviour === 'patient-reader')
    filters.push({ name: 'patient-reader', request: x => x.request.readBody(100).then(() => never) })
  const chunk = () => never
  if (one.behaviour === 'request-transform')
    filters.push({ name: 'patient-writer', requestBody: () => ({ chunk }) })
  if (one.behaviour === 'request-end')
    filters.push({ name: 'patient-ender', requestBody: () => ({ chunk: bytes => bytes, end: chunk }) })
  if (one.behaviour === 'response-transform')
    filters.push({ name: 'patient-changer', responseBody: () => ({ chunk }) })
  return {
    match: { path },
    to: one.behaviour === 'connect' ? nowhere : to,
    filters,
    timeouts: one.by === 'bodyRate' ? {} : { [one.by]: `${shortMs}ms` },
    limits: { bodyRate: one.by === 'bodyRate' ? '1000b' : 'none' },
  } as RouteInput
}

before(async () => {
  const deaf = (socket: net.Socket) => socket.pause()
  first = await recordingBackend((client, received) => {
    const wanted = /^\S+ \/h1\/([^/]+)\//.exec(received)?.[1] ?? 'silent'
    const done = client as { answered?: boolean }
    if (!received.includes('\r\n\r\n') || done.answered) return
    done.answered = true
    if (wanted === 'deaf') deaf(client.socket)
    else (onHttp1[answersOf[wanted] ?? wanted] ?? onHttp1['silent'])?.(client, received)
  })
  second = await h2Backend({
    polite: false,
    onRequest(request) {
      const wanted = /^\/h2\/([^/]+)\//.exec(request.field(':path') ?? '')?.[1] ?? 'silent'
      ;(onHttp2[answersOf[wanted] ?? wanted] ?? onHttp2['silent'])?.(request)
    },
    settings: [
      [8, 1],
      [4, 20_000],
    ],
  })
  halfWay = await h2Backend({
    onRequest: request => onHttp2[request.field(':path') === '/h2/ok/half' ? 'ok' : 'half-head']?.(request),
    settings: [[3, 1]],
  })
  // Accepts, and never takes part in a handshake.
  mute = await recordingBackend()
  const nowhere = { endpoints: [`https://127.0.0.1:${mute.port}`], tls: { verify: false } }
  gateway = await startGateway({
    sites: localhostWith(
      { match: { path: '/h2/ok/first' }, to: 'second' },
      { match: { path: '/h2/ok/half' }, to: 'halfWay' },
      ...table.map(({ one, backend, path }) => {
        if (backend === 'HTTP/1.1') return routeOf(one, path, 'first', nowhere)
        const to = one.behaviour === 'half-head' ? 'halfWay' : 'second'
        return routeOf(one, path, to, { ...nowhere, http: 2 })
      }),
    ),
    upstreams: {
      first: { endpoints: [first.url] },
      second: { endpoints: [`h2c://127.0.0.1:${second.port}`] },
      halfWay: { endpoints: [`h2c://127.0.0.1:${halfWay.port}`] },
    },
    timeouts: { bodyGrace: '400ms' },
    limits: { connectionsPerClient: 1000, streams: 1000 },
  })
  // Once its SETTINGS are known, a backend's windows and how many it takes at once are what they say.
  const warm = await h2Client(gateway.port)
  for (const path of ['/h2/ok/first', '/h2/ok/half']) assert.equal((await warm.ask(get(path))).status, 200)
  warm.destroy()
  await Promise.all(table.map(row => stall(row.one, row.client, row.backend, row.path)))
})

after(async () => {
  for (const settle of settles) settle()
  for (const { client } of stalled.values()) ('http1' in client ? client.http1 : client.http2).destroy()
  await gateway.stop()
  await first.close()
  await second.close()
  await halfWay.close()
  await mute.close()
})

async function stall(one: Case, version: Version, backend: BackendVersion, path: string): Promise<void> {
  const client = version === 'HTTP/1.1' ? await overHttp1(one, path) : await overHttp2(one, path, version)
  stalled.set(path, { title: titleOf(one, version, backend), case: one, path, client })
}

async function overHttp1(one: Case, path: string): Promise<Stalled['client']> {
  const client = await rawTls(gateway.port)
  if (one.deaf) client.socket.pause()
  const { body, whole, fields = [], http1 } = one
  const more = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const start = (method: string, framing: string) =>
    `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${more}${framing}\r\n`
  if (http1 !== undefined) client.send(`${start('POST', 'Transfer-Encoding: chunked\r\n')}${http1}`)
  else if (body === undefined) client.send(start('GET', ''))
  else client.send(`${start('POST', `Content-Length: ${body.length + (whole ? 0 : 10)}\r\n`)}${body}`)
  return { http1: client }
}

async function overHttp2(one: Case, path: string, version: Version): Promise<Stalled['client']> {
  const client = await h2Client(gateway.port, { polite: false })
  const { body, whole, fields = [] } = one
  const own: Pairs =
    version === 'gRPC'
      ? [
          ['content-type', 'application/grpc'],
          ['te', 'trailers'],
        ]
      : []
  const pseudo = fields.filter(([name]) => name.startsWith(':'))
  const rest = [...fields.filter(([name]) => !name.startsWith(':')), ...own]
  if (pseudo.length > 0) {
    const stream = client.request([...pseudo, ...get(path, rest).slice(1)], END_HEADERS)
    return { http2: client, stream }
  }
  if (body === undefined) return { http2: client, stream: client.request(get(path, rest)) }
  const stream = client.request(post(path, rest), END_HEADERS)
  // No more than the first window: what does not leave stalls as well.
  if (body !== '')
    for (let at = 0; at < Math.min(body.length, 65_535); at += 13_107) {
      const part = body.slice(at, Math.min(at + 13_107, 65_535))
      client.data(stream, part, whole && at + 13_107 >= body.length ? END_STREAM : 0)
    }
  return { http2: client, stream }
}

async function statusFor({ client }: Stalled): Promise<number> {
  if ('http1' in client) {
    const final = (text: string) => /HTTP\/1\.1 ([2-5]\d\d) /.exec(text)?.[1]
    return Number(final(await client.http1.until(text => final(text) !== undefined)))
  }
  return (await client.http2.answer(client.stream)).status
}

for (const version of all) {
  describe(`a stall over ${version}`, () => {
    for (const { one, client, backend, path } of table) {
      if (client !== version) continue
      it(titleOf(one, client, backend), async () => {
        const row = stalled.get(path)
        assert.ok(row)
        const record = await gateway.logged(each => each['path'] === path)
        assert.equal(record['error'], one.error, String(record['why']))
        const limit = one.by === 'bodyRate' ? 'limits\\.bodyRate \\(1000 bytes/s\\)' : `timeouts\\.${one.by}`
        assert.match(String(record['why']), new RegExp(limit))
        if (one.says !== undefined) assert.match(String(record['why']), one.says)
        if (one.deaf) return
        // A call that fails before its answer has begun is a 200 with a grpc-status.
        assert.equal(await statusFor(row), version === 'gRPC' ? 200 : one.status)
      })
    }
  })
}

it('no backend is left with a request', async () => {
  for (const { path, case: one } of stalled.values()) {
    if (!path.startsWith('/h2/')) continue
    const asked = second.requests.find(each => each.field(':path') === path)
    if (asked === undefined) continue
    const { connection, stream } = asked
    if (one.behaviour === 'ok' || one.behaviour === 'response-filter') continue
    await connection.until(() => connection.message(stream).reset !== null, `RST_STREAM for ${path}`)
  }
  for (const connection of first.connections) {
    // Who was stopped in the middle of a body sees the end behind what is still to be read.
    connection.socket.resume()
    await connection.closed()
  }
})

it('a filter that settles after its time does no harm', async () => {
  const before = gateway.logs().length
  for (const settle of settles.splice(0)) settle()
  const client = await h2Client(gateway.port)
  assert.equal((await client.ask(get('/h2/ok/first'))).status, 200)
  client.destroy()
  const since = gateway.logs().slice(before)
  assert.deepEqual(
    since.map(record => record['path']),
    ['/h2/ok/first'],
  )
})
