/**
 * What filters may do to a message, and what becomes of it: nothing that a filter sets or returns can break framing,
 * double a field that must stand alone, or pass for an answer that it is not. Over both versions of HTTP.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Filter, FilterExchange } from '../../src/model/filter.ts'
import { gatewayNames } from '../../src/wire/field-names.ts'
import { type Answered, ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, END_STREAM, get, type H2Backend, h2Backend, h2Client, respond } from '../harness/h2.ts'
import { heads, ok, type RecordingBackend, rawTls, recordingBackend } from '../harness/raw.ts'

type Case = {
  readonly filter: Omit<Filter, 'name'> | Record<string, unknown>
  readonly path?: string
  readonly method?: string
  readonly status: number
  readonly body?: string
  readonly fields?: Readonly<Record<string, string | null>>
  /** Of the message in the record, and of `why` in the access log */
  readonly record?: RegExp
  /** Lines that the backend gets, for the names given in lower case */
  readonly backend?: Readonly<Record<string, readonly string[]>>
}

const onRequest = (act: (exchange: FilterExchange) => void) => ({ request: act })
const onResponse = (act: (exchange: FilterExchange) => void) => ({ response: act })
const returns = (value: unknown) => ({ request: () => value })
const status = (given: unknown) => onResponse(x => void ((x.response as { status: unknown }).status = given))
const refused = (value: unknown, record: RegExp, phase = 'request'): Case => ({
  filter: { [phase]: () => value },
  status: 500,
  record,
})
const endless = () => new ReadableStream({ pull: it => it.enqueue(new Uint8Array(65_536)) })

const cases: Record<string, Case> = {
  'Host is replaced': {
    filter: onRequest(x => x.request.headers.set('Host', 'inner.test:81')),
    status: 200,
    backend: { host: ['inner.test:81'], 'x-forwarded-host': ['localhost'] },
  },
  'Host is replaced where it is appended to': {
    filter: onRequest(x => x.request.headers.append('host', 'inner.test')),
    status: 200,
    backend: { host: ['inner.test'] },
  },
  'a Host that is none': {
    filter: onRequest(x => x.request.headers.set('host', 'a b')),
    status: 500,
    record: /'a b' is not a host/,
  },
  'Host is not removed': {
    filter: onRequest(x => x.request.headers.delete('host')),
    status: 500,
    record: /a request always has a Host/,
  },
  'what says who the client is, is replaced': {
    filter: onRequest(x => {
      x.request.headers.set('X-Forwarded-For', '192.0.2.1')
      x.request.headers.append('forwarded', 'for=192.0.2.1')
      x.request.headers.append('x-real-ip', '192.0.2.1')
      x.request.headers.append('x-real-ip', '192.0.2.2')
      x.request.headers.delete('x-forwarded-port')
    }),
    status: 200,
    backend: {
      'x-forwarded-for': ['192.0.2.1'],
      forwarded: ['for=192.0.2.1'],
      'x-real-ip': ['192.0.2.2'],
      'x-forwarded-port': [],
      'x-forwarded-proto': ['https'],
    },
  },
  'is read as the backend will get it': {
    filter: onRequest(x => {
      const { headers } = x.request
      const all = [...headers].map(([name]) => name)
      headers.set('x-read', `${headers.get('X-Forwarded-For')} ${headers.get('Host')} ${all.includes('forwarded')}`)
    }),
    status: 200,
    backend: { 'x-read': ['127.0.0.1 localhost true'] },
  },
  'a length is read, and not set': {
    filter: onResponse(x => x.response?.headers.set('x-length', `${x.response.headers.get('content-length')}`)),
    status: 200,
    fields: { 'x-length': '4' },
  },
  'a path that carries a query': {
    filter: onRequest(x => void (x.request.path = '/a?b')),
    status: 500,
    record: /must be percent-encoded, at 2/,
  },
  'a value that is no string': {
    filter: onRequest(x => x.request.headers.set('x-a', undefined as never)),
    status: 500,
    record: /the value of 'x-a' is a string, not undefined/,
  },
  'a field of the attempt phase': {
    filter: { attempt: (x: FilterExchange) => x.request.headers.append('x-try', 'one') },
    status: 200,
    backend: { 'x-try': ['one'] },
  },

  // Statuses of responses
  'status 99': { filter: status(99), status: 500, record: /status is 99/ },
  'status 101': { filter: status(101), status: 500, record: /status is 101/ },
  'status 600': { filter: status(600), status: 500, record: /status is 600/ },
  'status 200.5': { filter: status(200.5), status: 500, record: /status is 200\.5/ },
  "status '404'": { filter: status('404'), status: 500, record: /status is 404 \(string\)/ },
  'status NaN': { filter: status(Number.NaN), status: 500, record: /status is NaN/ },
  'a status of its own': { filter: status(404), status: 404, body: 'fine' },
  '204 for a response with a body': { filter: status(204), status: 500, record: /has a body, and a 204 has none/ },
  '205 for a response with a body': { filter: status(205), status: 500, record: /a 205 has none/ },
  '304 for a response with a body': { filter: status(304), status: 500, record: /a 304 has none/ },
  '304 for a response with chunks': {
    filter: status(304),
    path: '/chunked',
    status: 500,
    record: /a 304 has none/,
  },
  '204 for a response without one': { filter: status(204), path: '/empty', status: 204, body: '' },
  '204 for the response to a HEAD': { filter: status(204), method: 'HEAD', status: 204, body: '' },
  '200 for a 204': { filter: status(200), path: '/204', status: 200, body: '', fields: { 'content-length': '0' } },
  '200 for a 304 that speaks of a length': {
    filter: status(200),
    path: '/304',
    status: 200,
    body: '',
    fields: { 'content-length': '0' },
  },

  // What is returned
  'nothing, in the form of null': { filter: returns(null), status: 200, body: 'fine' },
  'a string': refused('denied', /request returned denied \(string\)/),
  'a number': refused(403, /request returned 403 \(number\)/),
  'a boolean': refused(true, /request returned true \(boolean\)/),
  'a function': refused(() => null, /request returned .*\(function\)/),
  'a list': refused([403], /request returned a value of Array/),
  'an object without a status': refused({ body: 'x' }, /status is undefined/),
  'a key that a reply does not have': refused({ status: 403, header: {} }, /the reply has 'header'/),
  'headers that are a Map': refused({ status: 403, headers: new Map([['a', 'b']]) }, /headers are a value of Map/),
  'a header that is a number': refused({ status: 403, headers: { 'x-a': 1 } }, /'x-a' is a string, not number/),
  'a header with a line break': refused({ status: 403, headers: { 'x-a': 'b\r\nc: d' } }, /'x-a' has a control/),
  'a body that is a number': refused({ status: 200, body: 5 }, /body is 5 \(number\)/),
  'a body that is a stream': refused({ status: 200, body: endless() }, /body is a value of ReadableStream/),
  'a promise of a string': refused(Promise.resolve('denied'), /request returned denied/),
  'a reply of 99': refused({ status: 99 }, /status is 99/),
  'a reply of 101': refused({ status: 101 }, /status is 101/),
  'a reply of 200.5': refused({ status: 200.5 }, /status is 200\.5/),
  'a reply of 204 with a body': refused({ status: 204, body: 'x' }, /a 204 has no body/),
  'a reply of 205 with a body': refused({ status: 205, body: 'x' }, /a 205 has no body/),
  'a reply of 304 with a body': refused({ status: 304, body: 'x' }, /a 304 has no body/),
  'a reply of 204': { filter: returns({ status: 204 }), status: 204, fields: { 'content-length': null } },
  'a reply of 304': { filter: returns({ status: 304 }), status: 304, fields: { 'content-length': null } },
  'a reply': {
    filter: returns({ status: 403, body: 'no', headers: { 'x-why': 'a' } }),
    status: 403,
    body: 'no',
    fields: { 'x-why': 'a', 'content-length': '2' },
  },
  'a Date of a response': {
    filter: onResponse(x => x.response?.headers.set('Date', 'Sat, 28 Nov 2026 06:00:00 GMT')),
    status: 200,
    fields: { date: 'Sat, 28 Nov 2026 06:00:00 GMT' },
  },
  'a Date of a reply': {
    filter: returns({ status: 403, headers: { Date: 'Sat, 28 Nov 2026 06:00:00 GMT' } }),
    status: 403,
    fields: { date: 'Sat, 28 Nov 2026 06:00:00 GMT' },
  },
  'a promise of a reply': {
    filter: returns(Promise.resolve({ status: 403, body: 'no' })),
    status: 403,
    body: 'no',
  },
  'a thenable of a reply': {
    // biome-ignore lint/suspicious/noThenProperty: a promise of somebody else's making
    filter: { request: () => ({ then: (done: (reply: unknown) => void) => done({ status: 403, body: 'no' }) }) },
    status: 403,
    body: 'no',
  },
  'a reply to a HEAD': {
    filter: returns({ status: 200, body: 'four' }),
    method: 'HEAD',
    status: 200,
    body: '',
    fields: { 'content-length': '4' },
  },
  'a Response': {
    filter: {
      request: () => {
        const headers = new Headers({ 'x-why': 'a', 'content-length': '9999', connection: 'x-why' })
        headers.append('set-cookie', 'a=1')
        headers.append('set-cookie', 'b=2')
        return new Response('whole', { status: 418, headers })
      },
    },
    status: 418,
    body: 'whole',
    fields: { 'x-why': 'a', 'content-length': '5', connection: null },
  },
  'a promise of a Response': {
    filter: {
      request: async () =>
        new Response('{"a":1}', { status: 201, headers: { 'content-type': 'application/json' } }),
    },
    status: 201,
    body: '{"a":1}',
    fields: { 'content-type': 'application/json' },
  },
  'a Response without a body': { filter: { request: () => new Response(null, { status: 204 }) }, status: 204 },
  'a Response that is no answer': {
    filter: { request: () => Response.error() },
    status: 500,
    record: /status is 0/,
  },
  'a Response without an end': {
    filter: { request: () => new Response(endless()) },
    status: 500,
    record: /the body of the Response is over 1048576 bytes/,
  },
  'a Response whose body fails': {
    filter: {
      request: () => new Response(new ReadableStream({ pull: it => it.error(new Error('the source broke')) })),
    },
    status: 500,
    record: /the source broke/,
  },
  'a Response that was read': {
    filter: {
      request: async () => {
        const response = new Response('x')
        await response.text()
        return response
      },
    },
    status: 500,
    record: /was read already/,
  },
  'a reply in the attempt phase': refused({ status: 403 }, /attempt returned an object/, 'attempt'),
  'a promise in the attempt phase': {
    filter: { attempt: () => Promise.reject(new Error('nobody waits for it')) },
    status: 500,
    record: /attempt returned a promise: this phase cannot wait/,
  },
  'a reply in the response phase': refused({ status: 403 }, /response returned an object/, 'response'),
  'a Response in the response phase': {
    filter: { response: () => new Response('x') },
    status: 500,
    record: /response returned a value of Response/,
  },
  'a promise of a number in the response phase': {
    filter: { response: async () => 404 },
    status: 500,
    record: /response returned 404/,
  },
  'a promise in the done phase': {
    filter: { done: () => Promise.reject(new Error('nobody waits for it')) },
    status: 200,
    body: 'fine',
    record: /done returned a promise: this phase cannot wait/,
  },
  'an error in the request phase': {
    filter: onRequest(() => {
      throw new Error('a fault of its own')
    }),
    status: 500,
    record: /a fault of its own/,
  },
  'a thrown value that cannot be made a text of': {
    filter: onRequest(() => {
      throw Object.create(null)
    }),
    status: 500,
    record: /a value without a text/,
  },
  'a rejection in the response phase': {
    filter: { response: () => Promise.reject(new Error('a fault of its own')) },
    status: 500,
    record: /a fault of its own/,
  },
}

for (const name of gatewayNames) {
  const record = new RegExp(`'${name}' is written by the gateway itself`)
  for (const how of ['set', 'append'] as const) {
    cases[`${name} of a request, by ${how}`] = {
      filter: onRequest(x => x.request.headers[how](name.toUpperCase(), '5')),
      status: 500,
      record,
    }
    cases[`${name} of a response, by ${how}`] = {
      filter: onResponse(x => x.response?.headers[how](name, '5')),
      status: 500,
      record,
    }
  }
  cases[`${name} of a try`] = {
    filter: { attempt: (x: FilterExchange) => x.request.headers.set(name, '5') },
    status: 500,
    record,
  }
  cases[`${name} of a reply`] = refused({ status: 200, headers: { [name]: '5' } }, record)
}

let backend: RecordingBackend
let h2: H2Backend
let refusing: RecordingBackend
let gateway: Started
let latest = ''
const seen = new WeakMap<object, number>()

const answers: Record<string, string> = {
  '/chunked': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n',
  '/empty': ok(''),
  '/204': 'HTTP/1.1 204 No Content\r\n\r\n',
  '/304': 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n',
}

before(async () => {
  backend = await recordingBackend((client, received) => {
    const request = received.slice(seen.get(client) ?? 0)
    if (!request.includes('\r\n\r\n')) return
    seen.set(client, received.length)
    latest = request
    const path = /\/[^/ ]*(?= HTTP)/.exec(request)?.[0] ?? ''
    client.send(
      request.startsWith('HEAD') ? 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n' : (answers[path] ?? ok('fine')),
    )
  })
  refusing = await recordingBackend(client => client.socket.destroy())
  h2 = await h2Backend({ onRequest: request => respond(request, 'fine') })
  const to = [backend.url]
  const routes = Object.entries(cases).map(([name, { filter }], at) => ({
    match: { path: `/${at}/*` },
    to,
    filters: [{ name, ...filter } as Filter],
  }))
  const tries: Filter = {
    name: 'tries',
    attempt: x => {
      x.request.headers.append('x-try', `${x.state.size}`)
      x.request.headers.append('forwarded', `for=try${x.state.size}`)
      x.request.headers.set('host', `try${x.state.size}.test`)
      x.request.path += `/${x.state.size}`
      x.state.set(`${x.state.size}`, true)
    },
  }
  const slow: Filter = { name: 'slow', request: () => new Promise(resolve => setImmediate(resolve)) }
  gateway = await startGateway({
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        routes: [
          {
            match: { path: '/tries/*' },
            to: [refusing.url, refusing.url.replace('127.0.0.1', 'localhost'), ...to],
            filters: [tries],
          },
          { match: { path: '/h2/*' }, to: `h2c://127.0.0.1:${h2.port}`, filters: [tries] },
          { match: { path: '/slow/*' }, to: `h2c://127.0.0.1:${h2.port}`, filters: [slow] },
          ...routes,
          { to },
        ],
      },
      { host: 'other.test', certificate: 'local', to: `h2c://127.0.0.1:${h2.port}` },
      {
        host: 'hsts.test',
        certificate: 'local',
        hsts: { maxAge: 60 },
        routes: [
          {
            to,
            filters: [
              {
                name: 'own',
                request: () => ({ status: 200, headers: { 'strict-transport-security': 'max-age=1' } }),
              },
            ],
          },
        ],
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await Promise.all([backend.close(), refusing.close(), h2.close()])
})

const valuesOf = (head: string, name: string): string[] =>
  head
    .slice(0, head.indexOf('\r\n\r\n'))
    .split('\r\n')
    .slice(1)
    .map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()])
    .flatMap(([each, value]) => (each === name ? [value as string] : []))

for (const version of versions) {
  describe(`a filter, over ${version}`, () => {
    for (const [at, [name, one]] of Object.entries(cases).entries()) {
      it(name, async () => {
        const answer = await ask(version, gateway.port, {
          path: `/${at}${one.path ?? '/a'}`,
          method: one.method ?? 'GET',
        })
        assert.equal(answer.status, one.status, answer.body)
        assert.ok(answer.whole)
        if (one.body !== undefined) assert.equal(answer.body, one.body)
        for (const [field, value] of Object.entries(one.fields ?? {}))
          assert.equal(answer.field(field), value, field)
        checkFraming(answer, version)
        for (const [field, values] of Object.entries(one.backend ?? {}))
          assert.deepEqual(valuesOf(latest, field), values)
        if (one.record === undefined) return
        const record = await gateway.logged(
          each => each['message'] === 'fault' && each['where'] === `filter ${name}`,
        )
        assert.match(String(record['stack']), one.record)
        if (one.status !== 500) return
        const access = await gateway.logged(
          each => String(each['path']).startsWith(`/${at}/`) && each['http'] === (version === 'HTTP/2' ? 2 : 1),
        )
        assert.equal(access['error'], 'FILTER_FAILED')
        assert.match(String(access['why']), one.record)
        assert.ok(String(access['why']).startsWith(`filter ${name}: `))
      })
    }

    it('both cookies of a Response arrive', async () => {
      const at = Object.keys(cases).indexOf('a Response')
      const answer = await ask(version, gateway.port, { path: `/${at}/a` })
      assert.deepEqual(
        answer.fields.filter(([name]) => name === 'set-cookie').map(([, value]) => value),
        ['a=1', 'b=2'],
      )
    })

    it('has a head of its own for each try', async () => {
      for (let at = 0; at < 3; at++) {
        const answer = await ask(version, gateway.port, { path: `/tries/a${at}`, fields: [['x-own', '1']] })
        assert.equal(answer.status, 200)
        const access = await gateway.logged(
          each =>
            String(each['path']).startsWith(`/tries/a${at}`) && each['http'] === (version === 'HTTP/2' ? 2 : 1),
        )
        const last = Number(access['attempts']) - 1
        assert.deepEqual(valuesOf(latest, 'x-try'), [`${last}`])
        assert.deepEqual(valuesOf(latest, 'forwarded'), [`for=try${last}`])
        assert.deepEqual(valuesOf(latest, 'host'), [`try${last}.test`])
        assert.deepEqual(valuesOf(latest, 'x-own'), ['1'])
        assert.ok(latest.startsWith(`GET /tries/a${at}/${last} HTTP`), latest)
      }
      assert.ok(refusing.connections.length > 0)
    })

    it('sets Host and what says who the client is once for a backend over HTTP/2', async () => {
      const index = h2.requests.length
      assert.equal((await ask(version, gateway.port, { path: '/h2/a' })).status, 200)
      const { fields } = await h2.request(index)
      const of = (name: string) => fields.flatMap(([each, value]) => (each === name ? [value] : []))
      assert.deepEqual(
        [of(':authority'), of('host'), of('forwarded'), of('x-try')],
        [['try0.test'], [], ['for=try0'], ['0']],
      )
    })

    it('does not double what the site adds to every answer', async () => {
      const answer = await ask(version, gateway.port, { host: 'hsts.test' })
      assert.deepEqual(
        answer.fields.filter(([name]) => name === 'strict-transport-security').map(([, value]) => value),
        ['max-age=60'],
      )
    })
  })
}

/** What follows on the connection must be where the client looks for it. */
function checkFraming({ fields, status }: Answered, version: string): void {
  const count = (name: string) => fields.filter(([each]) => each === name).length
  assert.ok(count('content-length') + count('transfer-encoding') <= 1)
  if (status === 204) assert.equal(count('content-length'), 0)
  assert.equal(count('date'), 1)
  if (version === 'HTTP/2')
    for (const name of ['connection', 'keep-alive', 'upgrade', 'transfer-encoding']) assert.equal(count(name), 0)
}

describe('a Response that is still read when its exchange ends', () => {
  for (const [how, timeouts] of [
    ['by timeouts.filter', { filter: '50ms' }],
    ['by the client', {}],
  ] as const) {
    it(`is cancelled (${how})`, async () => {
      const cancelled = Promise.withResolvers<void>()
      const asked = Promise.withResolvers<void>()
      const silent = () => {
        asked.resolve()
        return new Response(new ReadableStream({ cancel: () => cancelled.resolve() }))
      }
      const one = await startGateway({
        sites: [
          { host: 'localhost', certificate: 'local', routes: [{ to: backend.url, timeouts, filters: [silent] }] },
        ],
      })
      const client = await rawTls(one.port)
      client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await asked.promise
      if (how === 'by the client') client.destroy()
      await cancelled.promise
      client.destroy()
      await one.stop()
    })
  }
})

describe('requests that share a connection', () => {
  it('each tell the backend of their own host, whatever comes while a filter or a dial waits', async () => {
    const client = await h2Client(gateway.port)
    const index = h2.requests.length
    const bytes = (path: string, host: string) =>
      get(path).map(([name, value]) => [name, name === ':authority' ? host : value] as const)
    client.socket.cork()
    const first = client.request(bytes('/slow/a', 'localhost'), END_HEADERS | END_STREAM)
    const second = client.request(bytes('/b', 'other.test'), END_HEADERS | END_STREAM)
    client.socket.uncork()
    await Promise.all([client.answer(first), client.answer(second)])
    const [one, two] = [await h2.request(index), await h2.request(index + 1)]
    const hosts = [one, two].map(each => [each.field(':authority'), each.field('x-forwarded-host')])
    assert.deepEqual(hosts.sort(), [
      ['localhost', 'localhost'],
      ['other.test', 'other.test'],
    ])
    client.destroy()
  })

  it('are answered in order on HTTP/1.1 when filters change what has a body', async () => {
    const client = await rawTls(gateway.port)
    const at = (name: string) => Object.keys(cases).indexOf(name)
    const names = ['200 for a 304 that speaks of a length', '200 for a 204', 'a reply of 304', 'a Response']
    const paths = [`/${at(names[0]!)}/304`, `/${at(names[1]!)}/204`, `/${at(names[2]!)}/a`, `/${at(names[3]!)}/a`]
    client.send(paths.map(path => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''))
    const received = await client.until(text => heads(text, 4) && text.endsWith('whole'))
    assert.deepEqual(
      [...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(found => found[1]),
      ['200', '200', '304', '418'],
    )
    client.destroy()
  })
})
