/** `headers`, `strip`, `rewrite` and redirects by template, over both versions of HTTP: what the backend gets, and the client. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { RouteInput, SiteInput } from '../../src/config/config.ts'
import { type Answered, type Ask, ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, recordingBackend } from '../harness/raw.ts'

type Case = {
  readonly site?: Partial<SiteInput>
  readonly route: RouteInput
  readonly ask?: Ask
  /** Of the request line that the backend gets */
  readonly target?: string
  /** Lines that the backend gets, by name in lower case; an empty list for none */
  readonly backend?: Readonly<Record<string, readonly string[]>>
  readonly status?: number
  /** Of the answer; null for none */
  readonly fields?: Readonly<Record<string, string | RegExp | null>>
}

let backend: RecordingBackend
let started: Started
/** Heads that the backend got, in order */
const requests: string[] = []
const to = () => `http://127.0.0.1:${backend.port}`

const cases = (): Record<string, Case> => ({
  'a prefix is taken off in whole segments': {
    route: { strip: '/api', to: to() },
    ask: { path: '/api/x?q=1' },
    target: '/x?q=1',
  },
  'a prefix alone leaves the root': {
    route: { strip: ['/v1', '/v2'], to: to() },
    ask: { path: '/v2' },
    target: '/',
  },
  'a longer segment is another one': {
    route: { strip: '/api', to: to() },
    ask: { path: '/apis/x' },
    target: '/apis/x',
  },
  'what is below is carried over': {
    route: { rewrite: { from: '/v1/*', to: '/internal/*' }, to: to() },
    ask: { path: '/v1/a/b' },
    target: '/internal/a/b',
  },
  'nothing below stays nothing': {
    route: { rewrite: { from: '/v1/*', to: '/internal/*' }, to: to() },
    ask: { path: '/v1' },
    target: '/internal',
  },
  'stars within segments are carried over in their places': {
    route: { rewrite: { from: '/*/img-*.png', to: '/pictures/*/*.png' }, to: to() },
    ask: { path: '/shop/img-7.png?w=1' },
    target: '/pictures/shop/7.png?w=1',
  },
  'a star that took nothing leaves no empty segment': {
    route: { rewrite: { from: '/a*/x', to: '/*/x' }, to: to() },
    ask: { path: '/a/x' },
    target: '/x',
  },
  'what does not match stays': {
    route: { rewrite: { from: '/v1/*', to: '/internal/*' }, to: to() },
    ask: { path: '/v2/a' },
    target: '/v2/a',
  },
  'a rewrite comes after strip': {
    route: { strip: '/api', rewrite: { from: '/v1/*', to: '/internal/*' }, to: to() },
    ask: { path: '/api/v1/x' },
    target: '/internal/x',
  },
  'request fields are set, added and removed': {
    route: {
      headers: { request: { set: { 'X-A': 'new' }, add: { 'x-b': 'two' }, remove: ['x-c'] } },
      to: to(),
    },
    ask: {
      fields: [
        ['x-a', 'old'],
        ['x-b', 'one'],
        ['x-c', 'gone'],
      ],
    },
    backend: { 'x-a': ['new'], 'x-b': ['one', 'two'], 'x-c': [] },
  },
  'a value that is not there removes the field of the client': {
    route: {
      headers: { request: { set: { 'x-user': '{client.subject}' }, add: { 'x-more': '{client.spiffe}' } } },
      to: to(),
    },
    ask: { fields: [['x-user', 'admin']] },
    backend: { 'x-user': [], 'x-more': [] },
  },
  'values come from the exchange': {
    route: {
      headers: {
        request: { set: { 'x-v': '{tls.version} {request.host} {request.method} {{x}} {request.path}' } },
      },
      to: to(),
    },
    ask: { path: '/p' },
    backend: { 'x-v': ['TLSv1.3 localhost GET {x} /p'] },
  },
  'Host and what says who the client is are replaced, not doubled': {
    route: {
      headers: { request: { set: { host: 'inner.test', 'x-forwarded-for': '{client.address}, 10.0.0.1' } } },
      to: to(),
    },
    backend: { host: ['inner.test'], 'x-forwarded-for': ['127.0.0.1, 10.0.0.1'] },
  },
  'response fields are set, added and removed': {
    route: {
      headers: { response: { set: { 'x-served-by': '{upstream.endpoint}' }, remove: ['x-from-backend'] } },
      to: to(),
    },
    fields: { 'x-served-by': /^127\.0\.0\.1:\d+$/, 'x-from-backend': null },
  },
  'a site and its routes add up, the site first': {
    site: { headers: { response: { set: { 'x-one': 'site', 'x-two': 'site' } } } },
    route: { headers: { response: { set: { 'x-two': 'route' } } }, to: to() },
    fields: { 'x-one': 'site', 'x-two': 'route', 'x-all': 'defaults' },
  },
  "the gateway's own answers have them, too": {
    route: {
      headers: { response: { set: { 'x-status': '{response.status}' } } },
      respond: { status: 418, body: 'no' },
    },
    status: 418,
    fields: { 'x-status': '418', 'content-length': '2', 'x-all': 'defaults' },
  },
  'errors have them, too': {
    route: { headers: { response: { set: { 'x-status': '{response.status}' } } }, to: 'http://127.0.0.1:1' },
    status: 502,
    fields: { 'x-status': '502', 'x-all': 'defaults' },
  },
  'what no route takes has those of the site': {
    site: { headers: { response: { set: { 'x-one': 'site' } } } },
    route: { match: { path: '/never' }, headers: { response: { set: { 'x-two': 'route' } } }, to: to() },
    ask: { path: '/elsewhere' },
    status: 404,
    fields: { 'x-one': 'site', 'x-two': null, 'x-all': 'defaults' },
  },
  'what is refused before its origin is asked has those of its route': {
    route: { limits: { body: 3 }, headers: { response: { set: { 'x-two': 'route' } } }, to: to() },
    ask: { method: 'POST', body: 'four' },
    status: 413,
    fields: { 'x-two': 'route', 'x-all': 'defaults' },
  },
  'what a client sends can break no line': {
    route: { headers: { response: { set: { 'x-echo': '{request.header.x-in}' } } }, respond: { body: 'x' } },
    ask: { fields: [['x-in', 'a\u00e9\u0085b']] },
    fields: { 'x-echo': 'a%C3%A9%C2%85b' },
  },
  'a redirect takes the rest of the path': {
    route: { match: { path: '/old/*' }, redirect: { to: 'https://{request.host}/new/{path.rest}{request.query}' } },
    ask: { path: '/old/a/b?q=%20' },
    status: 308,
    fields: { location: 'https://localhost/new/a/b?q=%20' },
  },
  'a redirect cannot be led to another host by a path': {
    route: { match: { path: '/r/*' }, redirect: { to: '/{path.rest}', status: 302 } },
    ask: { path: '/r/' },
    status: 302,
    fields: { location: '/' },
  },
  'what is no path is encoded in a redirect': {
    route: { redirect: { to: '/login?from={request.header.x-in}' } },
    ask: { fields: [['x-in', '//evil.test/?a&b']] },
    status: 308,
    fields: { location: '/login?from=%2F%2Fevil.test%2F%3Fa%26b' },
  },
  "a Date that is set takes the place of the answer's own": {
    route: { headers: { response: { set: { date: 'Thu, 01 Jan 1970 00:00:00 GMT' } } }, to: to() },
    fields: { date: 'Thu, 01 Jan 1970 00:00:00 GMT' },
  },
  'a value from a field that was removed is not there': {
    route: {
      headers: {
        request: {
          remove: ['x-in'],
          set: { 'x-copy': '{request.header.x-in}', 'x-own': '{request.header.x-own}' },
        },
      },
      to: to(),
    },
    ask: {
      fields: [
        ['x-in', 'a'],
        ['x-own', 'b'],
      ],
    },
    backend: { 'x-in': [], 'x-copy': [], 'x-own': ['b'] },
  },
  'HEAD has the fields of GET': {
    route: { headers: { response: { set: { 'x-a': 'b' } } }, respond: { body: 'four' } },
    ask: { method: 'HEAD' },
    fields: { 'x-a': 'b', 'content-length': '4' },
  },
})

before(async () => {
  const answered = new Map<object, number>()
  backend = await recordingBackend((client, received) => {
    const all = received.split('\r\n\r\n').slice(0, -1)
    for (const head of all.slice(answered.get(client) ?? 0)) {
      requests.push(head)
      client.send(ok('yes', 'x-from-backend: b\r\n'))
    }
    answered.set(client, all.length)
  })
  const sites = Object.values(cases()).map(({ site, route }, at) => ({
    host: [`s${at}.test`, ...(at === 0 ? ['localhost'] : [])],
    certificate: 'local' as const,
    ...site,
    routes: [route],
  }))
  started = await startGateway({ defaults: { headers: { response: { set: { 'x-all': 'defaults' } } } }, sites })
})
after(async () => {
  await started.stop()
  await backend.close()
})

function check(answer: Answered, { status = 200, fields = {} }: Case): void {
  assert.equal(answer.status, status)
  assert.ok(answer.whole)
  for (const [name, wanted] of Object.entries(fields)) {
    const found = answer.fields.filter(([each]) => each === name).map(([, value]) => value)
    if (wanted === null) assert.deepEqual(found, [], name)
    else if (typeof wanted === 'string') assert.deepEqual(found, [wanted], name)
    else assert.match(found.join(), wanted)
  }
}

for (const version of versions) {
  describe(`over ${version}`, () => {
    for (const [at, name] of Object.keys({ ...casesByName() }).entries()) {
      it(name, async () => {
        const one = Object.values(cases())[at] as Case
        const seen = requests.length
        const host = `s${at}.test`
        const answer = await ask(version, started.port, { ...one.ask, host })
        check(
          { ...answer, fields: answer.fields.map(([each, value]) => [each, value.replaceAll(host, 'localhost')]) },
          one,
        )
        if (one.target === undefined && one.backend === undefined) return
        const [line, ...lines] = (requests[seen] as string).split('\r\n')
        if (one.target !== undefined) assert.equal(line?.split(' ')[1], one.target)
        for (const [field, wanted] of Object.entries(one.backend ?? {})) {
          const got = lines.filter(each => each.toLowerCase().startsWith(`${field}:`))
          const values = got.map(each =>
            each
              .slice(field.length + 1)
              .trim()
              .replaceAll(host, 'localhost'),
          )
          assert.deepEqual(values, wanted, field)
        }
      })
    }
  })
}

/** The names are the same whatever port the backend has. */
function casesByName(): Record<string, Case> {
  backend ??= { port: 1 } as RecordingBackend
  return cases()
}
