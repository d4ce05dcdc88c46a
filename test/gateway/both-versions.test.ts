/**
 * One behaviour on both versions of HTTP: routing, forwarding, limits, deadlines and errors, each case asked over
 * HTTP/1.1 and over HTTP/2 by TLS, and where it says so in cleartext. What the backend got is compared as text.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { FilterInput } from '../../src/model/filter.ts'
import { identityNames } from '../../src/wire/field-names.ts'
import { type Answered, type Ask, ask, versions } from '../harness/ask.ts'
import { issueFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import type { Pairs } from '../harness/h2.ts'
import { ok, type RecordingBackend, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend
let silent: RecordingBackend
/** How the backend answers, by path */
const answers: Record<string, string> = {
  '/chunked': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n',
  '/until-close': 'HTTP/1.1 200 OK\r\n\r\nto the end',
  '/nothing': 'HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n',
  '/unchanged': 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n',
  '/empty': 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  '/early': `HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n${ok('fine')}`,
  '/hops': ok('fine', 'Connection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\n'),
  '/cookies': ok('fine', 'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n'),
  '/broken': 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n',
  '/cut': 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc',
  '/error': 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nRetry-After: 1\r\n\r\nbusy',
}
const closing = ['/until-close', '/cut']

const filters: Record<string, FilterInput> = {
  rewrite: {
    name: 'rewrite',
    request: exchange => {
      exchange.request.path = `/rewritten${exchange.request.path}`
      exchange.request.headers.set('x-added', '1')
    },
    response: async exchange => {
      await new Promise(resolve => setImmediate(resolve))
      exchange.response?.headers.set('x-seen', exchange.request.host)
    },
  },
  guard: { name: 'guard', request: () => ({ status: 403, body: 'no', headers: { 'x-why': 'guard' } }) },
  thrower: {
    name: 'thrower',
    request: () => {
      throw new Error('a fault of the filter')
    },
  },
}

before(async () => {
  const answeredUpTo = new WeakMap<object, number>()
  backend = await recordingBackend((client, received) => {
    const text = received.slice(answeredUpTo.get(client) ?? 0)
    const end = text.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = text.slice(0, end)
    const rest = text.slice(end + 4)
    const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0)
    const whole = /transfer-encoding: chunked/.test(head)
      ? /(^|\r\n)0\r\n([^\r]+\r\n)*\r\n$/.test(rest)
      : rest.length >= length
    if (!whole) {
      if (head.includes('expect: 100-continue') && rest === '') client.send('HTTP/1.1 100 Continue\r\n\r\n')
      return
    }
    answeredUpTo.set(client, received.length)
    latest = { lines: head.split('\r\n'), body: rest }
    const path = (head.split(' ')[1] ?? '').split('?')[0] ?? ''
    client.send(
      head.startsWith('HEAD') ? 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n' : (answers[path] ?? ok('fine')),
    )
    if (closing.includes(path)) client.socket.end()
  })
  silent = await recordingBackend()
  const to = [backend.url]
  const other = issueFiles(testCa(), ['modern.test'])
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
    ],
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        routes: [
          { match: { path: '/exact' }, respond: { body: 'exact' } },
          { match: { path: '/api/*', method: 'POST' }, respond: { body: 'posted' } },
          { match: { path: '/api/*', header: { 'x-beta': '1' } }, respond: { body: 'beta' } },
          { match: { path: '/api/*', query: { v: '2' } }, respond: { body: 'second' } },
          { match: { path: '/api/*' }, respond: { status: 201, body: 'api', headers: { 'x-kind': 'api' } } },
          { match: { path: '/old/*' }, redirect: { to: 'https://{host}/new{path}{query}', status: 301 } },
          { match: { path: '/slow/*' }, to: [silent.url], timeouts: { response: '200ms' } },
          { match: { path: '/total/*' }, to: [silent.url], timeouts: { total: '200ms' } },
          { match: { path: '/waits/*' }, to: [silent.url] },
          { match: { path: '/dead/*' }, to: ['http://127.0.0.1:1'] },
          { match: { path: '/either/*' }, to: ['http://127.0.0.1:1', backend.url] },
          { match: { path: '/named/*' }, to: { endpoints: to, host: 'endpoint' } },
          { match: { path: '/rewrite/*' }, to, filters: [filters['rewrite'] as FilterInput] },
          { match: { path: '/guard/*' }, to, filters: [filters['guard'] as FilterInput] },
          { match: { path: '/throws/*' }, to, filters: [filters['thrower'] as FilterInput] },
          { to, limits: { body: 1000 } },
        ],
      },
      { host: 'same.test', certificate: 'local', to },
      { host: 'few.test', certificate: 'local', routes: [{ match: { path: '/only' }, to }] },
      {
        host: 'modern.test',
        certificate: { chain: other.chainFile, key: other.keyFile },
        policy: 'modern',
        to,
      },
    ],
    limits: { head: '4kb', headers: 20, uri: '500b' },
    timeouts: { bodyIdle: '300ms' },
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
  await silent.close()
})

/** What the backend got last: the head in lines, and all behind it. */
let latest: { lines: string[]; body: string } = { lines: [], body: '' }
const lastRequest = () => latest

const fieldsOf = (count: number): Pairs => Array.from({ length: count }, (_, index) => [`x-${index}`, 'a'] as const)

type Case = {
  readonly ask: Ask
  readonly status: number
  readonly body?: string | RegExp
  readonly fields?: Readonly<Record<string, string | null>>
  /** Not whole: the client must see that it was cut */
  readonly cut?: true
  also?(answer: Answered): void
  /** What the backend got */
  readonly line?: RegExp
}

const cases: Record<string, Case> = {
  // Routing
  'an exact path': { ask: { path: '/exact' }, status: 200, body: 'exact' },
  'a path that only begins like it': {
    ask: { path: '/exactly' },
    status: 200,
    body: 'fine',
    line: /^GET \/exactly /,
  },
  'a prefix': { ask: { path: '/api/x' }, status: 201, body: 'api', fields: { 'x-kind': 'api' } },
  'a method': { ask: { path: '/api/x', method: 'POST' }, status: 200, body: 'posted' },
  'a header': { ask: { path: '/api/x', fields: [['x-beta', '1']] }, status: 200, body: 'beta' },
  'a query': { ask: { path: '/api/x?v=2' }, status: 200, body: 'second' },
  'a path in another spelling': { ask: { path: '/%61pi/./y/../x' }, status: 201, body: 'api' },
  'a redirect': {
    ask: { path: '/old/a?b=c' },
    status: 301,
    fields: { location: 'https://localhost/new/old/a?b=c' },
  },
  'a host of no site': { ask: { host: 'nobody.test', serverName: 'localhost' }, status: 404 },
  'another site under the same terms': { ask: { host: 'same.test', serverName: 'localhost' }, status: 200 },
  'another site under other terms': { ask: { host: 'modern.test', serverName: 'localhost' }, status: 421 },
  'a path that no route takes': { ask: { host: 'few.test', path: '/a/b' }, status: 404 },
  'a host with a port': {
    ask: { host: 'localhost:1234', serverName: 'localhost' },
    status: 200,
    line: /^host: localhost:1234$/,
  },
  'a host in capitals': { ask: { host: 'LocalHost', serverName: 'localhost' }, status: 200 },
  // Paths and hosts that are refused
  'a path that climbs above the root': { ask: { path: '/../x' }, status: 400 },
  'an encoded slash': { ask: { path: '/a%2fb' }, status: 400 },
  'a backslash': { ask: { path: '/a\\b' }, status: 400 },
  'a fragment': { ask: { path: '/a#b' }, status: 400 },
  'a host that is none': { ask: { host: 'a@b', serverName: 'localhost' }, status: 400 },
  // Forwarding
  'an answer of known length': { ask: {}, status: 200, body: 'fine', fields: { 'content-length': '4' } },
  'an answer in chunks, with trailers': {
    ask: { path: '/chunked' },
    status: 200,
    body: 'abcde',
    also: answer => assert.deepEqual(answer.trailers, [['x-sum', '5']]),
  },
  'an answer until the connection closes': { ask: { path: '/until-close' }, status: 200, body: 'to the end' },
  'no content': {
    ask: { path: '/nothing' },
    status: 204,
    body: '',
    fields: { 'content-length': null, 'x-a': 'b' },
  },
  'not modified': { ask: { path: '/unchanged' }, status: 304, body: '', fields: { etag: '"a"' } },
  'an empty body': { ask: { path: '/empty' }, status: 200, body: '', fields: { 'content-length': '0' } },
  HEAD: { ask: { method: 'HEAD' }, status: 200, body: '', fields: { 'content-length': '4' }, line: /^HEAD \/ / },
  'early hints': {
    ask: { path: '/early' },
    status: 200,
    body: 'fine',
    also: answer => assert.deepEqual(answer.informational, [103]),
  },
  "a backend's error": { ask: { path: '/error' }, status: 503, body: 'busy', fields: { 'retry-after': '1' } },
  'several Set-Cookie': {
    ask: { path: '/cookies' },
    status: 200,
    also: answer =>
      assert.deepEqual(
        answer.fields.filter(([name]) => name === 'set-cookie').map(([, value]) => value),
        ['a=1', 'b=2'],
      ),
  },
  'fields that belong to a connection, of an answer': {
    ask: { path: '/hops' },
    status: 200,
    fields: { 'x-secret': null, 'keep-alive': null, 'x-kept': '1' },
  },
  'a body of known length': {
    ask: { method: 'POST', body: 'hello' },
    status: 200,
    line: /^content-length: 5$/,
    also: () => assert.equal(lastRequest().body, 'hello'),
  },
  'a body of unknown length': {
    ask: { method: 'POST', body: ['hel', 'lo'] },
    status: 200,
    line: /^transfer-encoding: chunked$/,
    also: () => assert.match(lastRequest().body, /hel[\s\S]*lo[\s\S]*\r\n0\r\n\r\n$/),
  },
  'a body with trailers': {
    ask: { method: 'POST', body: ['hello'], trailers: [['x-sum', '5']] },
    status: 200,
    also: () => assert.match(lastRequest().body, /hello\r\n0\r\nx-sum: 5\r\n\r\n$/),
  },
  'Expect: 100-continue': {
    ask: { method: 'POST', body: 'hello', fields: [['expect', '100-continue']] },
    status: 200,
    line: /^expect: 100-continue$/,
  },
  'another expectation': { ask: { fields: [['expect', 'tea']] }, status: 417 },
  'a path and query as they came': {
    ask: { path: '/a%20b/c?d=e%2Ff&g' },
    status: 200,
    line: /^GET \/a%20b\/c\?d=e%2Ff&g HTTP\/1\.1$/,
  },
  'the name of the endpoint as host': { ask: { path: '/named/x' }, status: 200, line: /^host: 127\.0\.0\.1:\d+$/ },
  'one Cookie': { ask: { fields: [['cookie', 'a=1; b=2']] }, status: 200, line: /^cookie: a=1; b=2$/i },
  // Filters
  'a filter that changes request and response': {
    ask: { path: '/rewrite/a' },
    status: 200,
    fields: { 'x-seen': 'localhost' },
    line: /^GET \/rewritten\/rewrite\/a /,
  },
  'a filter that answers': { ask: { path: '/guard/a' }, status: 403, body: 'no', fields: { 'x-why': 'guard' } },
  'a filter that throws': { ask: { path: '/throws/a' }, status: 500 },
  // Limits
  'a target at its limit': { ask: { path: `/${'a'.repeat(499)}` }, status: 200 },
  'a target over its limit': { ask: { path: `/${'a'.repeat(500)}` }, status: 414 },
  'fields at their limit': { ask: { fields: fieldsOf(16) }, status: 200 },
  'fields over their limit': { ask: { fields: fieldsOf(21) }, status: 431 },
  'a head over its limit': { ask: { fields: [['x-a', 'a'.repeat(4200)]] }, status: 431 },
  'a body at its limit': { ask: { method: 'POST', body: 'a'.repeat(1000) }, status: 200 },
  'a body over its limit': { ask: { method: 'POST', body: 'a'.repeat(1001) }, status: 413 },
  'a body of unknown length over its limit': {
    ask: { method: 'POST', body: ['a'.repeat(600), 'a'.repeat(600)] },
    status: 413,
  },
  // Deadlines
  'a backend that does not answer': { ask: { path: '/slow/a' }, status: 504 },
  'an exchange that takes too long': { ask: { path: '/total/a' }, status: 504 },
  'a body that falls silent': {
    ask: { method: 'POST', path: '/waits/a', body: ['abc', 'def'], unfinished: true },
    status: 408,
  },
  // Errors
  'a backend that refuses': { ask: { path: '/dead/a' }, status: 502, body: /<h1>502 Bad Gateway<\/h1>/ },
  'another endpoint is tried': { ask: { path: '/either/a' }, status: 200 },
  'another endpoint is tried with the body': {
    ask: { path: '/either/b', method: 'PUT', body: 'hello' },
    status: 200,
    also: () => assert.equal(lastRequest().body, 'hello'),
  },
  'a backend that does not speak HTTP': { ask: { path: '/broken' }, status: 502 },
  'a backend that is cut off': { ask: { path: '/cut' }, status: 200, cut: true },
  'an error for a program': {
    ask: { path: '/dead/json', fields: [['accept', 'application/json']] },
    status: 502,
    body: /^\{"status":502,"error":"Bad Gateway","code":"CONNECT_REFUSED","id":"[^"]+"\}\n$/,
    fields: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  },
  CONNECT: { ask: { method: 'CONNECT', path: 'localhost:22' }, status: 501 },
}

for (const version of versions) {
  describe(`over ${version}`, () => {
    for (const [name, one] of Object.entries(cases)) {
      it(name, async () => {
        // CONNECT has neither scheme nor path there, which the conformance tests send.
        if (version === 'HTTP/2' && one.ask.method === 'CONNECT') return
        const answer = await ask(version, gateway.port, one.ask)
        assert.equal(answer.status, one.status, answer.body)
        assert.equal(answer.whole, one.cut !== true)
        if (typeof one.body === 'string') assert.equal(answer.body, one.body)
        else if (one.body !== undefined) assert.match(answer.body, one.body)
        for (const [field, value] of Object.entries(one.fields ?? {}))
          assert.equal(answer.field(field), value, field)
        if (one.line !== undefined) {
          const { lines } = lastRequest()
          assert.ok(
            lines.some(line => one.line?.test(line)),
            lines.join('\n'),
          )
        }
        one.also?.(answer)
        if (one.status >= 400) assert.ok(!answer.body.includes('127.0.0.1'), 'the page names the inside')
      })
    }

    for (const plain of [false, true]) {
      it(`says who the client is, each field once, whatever it says itself (${plain ? 'cleartext' : 'TLS'})`, async () => {
        const port = plain ? (gateway.ports[1] as number) : gateway.port
        const names = identityNames.flatMap(each => [each, each.replaceAll('-', '_'), each.replaceAll('-', '.')])
        for (let at = 0; at < names.length; at += 12) {
          const spoofed = names.slice(at, at + 12).map((each): [string, string] => [each, 'spoofed'])
          const answer = await ask(version, port, { path: '/who', fields: spoofed, plain })
          assert.equal(answer.status, 200)
          const { lines } = lastRequest()
          assert.ok(!lines.some(line => line.includes('spoofed')), lines.join('\n'))
          const proto = plain ? 'http' : 'https'
          const expected = {
            'x-forwarded-for': '127.0.0.1',
            'x-forwarded-proto': proto,
            'x-forwarded-port': `${port}`,
            'x-forwarded-host': 'localhost',
            forwarded: `for=127.0.0.1;host=localhost;proto=${proto}`,
            via: version === 'HTTP/2' ? '2.0 sallyport' : '1.1 sallyport',
          }
          for (const [field, value] of Object.entries(expected)) {
            assert.deepEqual(
              lines.filter(line => line.toLowerCase().startsWith(`${field}:`)),
              [`${field}: ${value}`],
            )
          }
        }
      })
    }
  })
}
