/** Routes and upstreams: what matches, where it leads, and what cannot be meant. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RouteConfig } from '../../src/config/config.ts'
import { endpointUrl, hostPort, pathPattern } from '../../src/config/engine/forms.ts'
import { parseLocation } from '../../src/features/location.ts'
import { around, load, problemsOf } from './config-folder.ts'

const first = async (yaml: string) => (await problemsOf(yaml)).map(problem => problem.split('\n')[0])
const routes = (...lines: string[]) => `routes:\n${lines.map(line => `  - ${line}`).join('\n')}`

async function routesOf(yaml: string): Promise<readonly RouteConfig[]> {
  const { config } = await load(yaml)
  const action = config.sites[0]!.action
  assert.ok(action.kind === 'http')
  return action.routes
}

describe('matches', () => {
  it('are lists, with names of headers in lower case and * for "present"', async () => {
    const [route] = await routesOf(
      around(
        routes(
          '{ match: { path: /a/*/b, method: GET, header: { X-Beta: "*", Accept: a/b }, query: { V: "2" } }, respond: {} }',
        ),
      ),
    )
    assert.deepEqual(route!.match, {
      paths: ['/a/*/b'],
      methods: ['GET'],
      headers: [
        { name: 'accept', value: 'a/b' },
        { name: 'x-beta', value: null },
      ],
      query: [{ name: 'V', value: '2' }],
      clients: [],
      ja4: [],
      proxy: null,
    })
  })
  it('that could never hold are refused', async () => {
    for (const path of [
      '',
      'a',
      '*',
      '/a?b',
      '/a#b',
      '/a b',
      '/a\\b',
      '/a/../b',
      '/a/.',
      '/%2',
      '/%zz',
      '/**',
      '/a\n',
    ]) {
      assert.ok('wrong' in pathPattern(path), path)
    }
    for (const path of ['/', '/*', '/a/*', '/a*b/c', '/%2F', '/a//b', '/.well-known/x', '/..a'])
      assert.ok('ok' in pathPattern(path), path)
    assert.deepEqual(
      await first(
        around(
          routes(
            '{ match: { method: [get, CONNECT, "A B"], header: { "a b": x, y: "a\\nb", x-n: 1 } }, respond: {} }',
          ),
        ),
      ),
      [
        'sallyport.yaml:6:29: get: methods are case-sensitive',
        'sallyport.yaml:6:34: CONNECT is refused by a reverse proxy and never reaches a route',
        'sallyport.yaml:6:43: A B is not an HTTP method',
        'sallyport.yaml:6:61: "a b" is not a header name',
        'sallyport.yaml:6:74: a header value may contain only printable ASCII and no line breaks',
        'sallyport.yaml:6:87: x-n takes a string (value), not 1',
      ],
    )
  })
  it('that are equal leave the second without requests', async () => {
    const { warnings, config } = await load(
      around(
        routes(
          '{ match: { path: [/a, /b], method: [GET, POST] }, respond: {} }',
          '{ match: { path: /b, method: [POST, GET] }, respond: {} }',
          '{ match: { path: /b }, respond: {} }',
          '{ respond: {} }',
          '{ match: { path: /* }, respond: {} }',
        ),
      ),
    )
    assert.deepEqual(
      warnings.map(warning => [warning.line, warning.message]),
      [
        [7, 'this route is never reached: sites[0].routes[0] matches the same requests'],
        [10, 'this route is never reached: sites[0].routes[3] matches the same requests'],
      ],
    )
    const action = config.sites[0]!.action
    assert.ok(action.kind === 'http')
    assert.deepEqual(
      action.routes.map(route => route.name),
      ['a.test/a', 'a.test/b', 'a.test/b#2', 'a.test/*', 'a.test/*#2'],
    )
  })
})

describe('answers without a backend', () => {
  it('are redirects and fixed responses', async () => {
    const found = await routesOf(
      around(
        routes(
          '{ match: { path: /a }, redirect: { to: "https://{host}/new{path}{query}" } }',
          '{ match: { path: /b }, redirect: { to: /c, status: 302 } }',
          '{ match: { path: /d }, respond: { status: 404, body: gone, headers: { Cache-Control: no-store } } }',
          '{ match: { path: /e }, respond: { status: 204 } }',
        ),
      ),
    )
    assert.deepEqual(
      found.map(({ action }) => (action.kind === 'redirect' ? { ...action, to: action.to.text } : action)),
      [
        { kind: 'redirect', to: 'https://{host}/new{path}{query}', status: 308 },
        { kind: 'redirect', to: '/c', status: 302 },
        {
          kind: 'respond',
          status: 404,
          body: 'gone',
          headers: [
            ['cache-control', 'no-store'],
            ['content-type', 'text/plain; charset=utf-8'],
          ],
        },
        { kind: 'respond', status: 204, body: '', headers: [] },
      ],
    )
  })
  it('cannot lead anywhere a client chooses, nor break the head', async () => {
    for (const to of [
      '',
      'a',
      '//b.test',
      '{path}',
      'javascript:x',
      'https:///a',
      '/a b',
      '/a\r\nb',
      '/{user}',
      '/{host',
      '/é',
    ]) {
      assert.ok('wrong' in parseLocation(to), to)
    }
    assert.deepEqual(
      await first(
        around(
          routes(
            '{ respond: { status: 304, body: x, headers: { Content-Length: "5", X: "a\\r\\nb" } }, limits: { body: 1 } }',
          ),
        ),
      ),
      [
        'sallyport.yaml:6:41: a 304 has no body',
        'sallyport.yaml:6:53: content-length is set by the gateway itself',
        'sallyport.yaml:6:79: a header value may contain only printable ASCII and no line breaks',
        'sallyport.yaml:6:93: warning: limits of a route without a backend have no effect',
      ],
    )
  })
})

describe('endpoints', () => {
  it('are http:// or https:// with a host and perhaps a port', () => {
    assert.deepEqual(endpointUrl('HTTPS://Bücher.test'), {
      ok: { scheme: 'https', host: 'xn--bcher-kva.test', port: 443 },
    })
    assert.deepEqual(endpointUrl('http://[::1]:80/'), { ok: { scheme: 'http', host: '::1', port: 80 } })
    assert.deepEqual(hostPort('[::1]:80'), { ok: { scheme: 'tcp', host: '::1', port: 80 } })
    const wrong = [
      'http://',
      'http://:80',
      'http://a:0',
      'http://a:65536',
      'http://a:',
      'http://a:b',
      'http://u:p@a',
      'http://a/x',
      'http://a?x',
    ]
    wrong.push(
      'http://a#x',
      'ftp://a',
      'unix:/a',
      'ws://a',
      'a.test:80',
      'http://::1',
      'http://[a]',
      'http://10.0.1',
      'http://a b',
      'http://%61',
    )
    for (const url of wrong) assert.ok('wrong' in endpointUrl(url), url)
    for (const text of ['a', 'a:', ':1', '::1:1', 'http://a:1', 'a:1/x', 'a:99999'])
      assert.ok('wrong' in hostPort(text), text)
  })
  it('of one upstream have one scheme, and TLS settings only with https', async () => {
    const found = await problemsOf(
      around(
        routes(
          '{ match: { path: /a }, to: [http://b.test, https://c.test] }',
          '{ to: { endpoints: http://b.test, tls: { serverName: c.test } } }',
        ),
      ),
    )
    assert.deepEqual(
      found.map(problem => problem.split('\n')[0]),
      [
        'sallyport.yaml:6:52: https:// and http:// endpoints are mixed',
        'sallyport.yaml:7:43: tls is for https:// endpoints, and these are http://',
      ],
    )
  })
  it('without verification, listed twice, or of an unused upstream are warned about', async () => {
    const { warnings } = await load(
      around(
        'to: { endpoints: [https://b.test, https://b.test:443], tls: { verify: false } }',
        'upstreams: { orders: { endpoints: http://b.test } }',
      ),
    )
    assert.deepEqual(
      warnings.map(warning => [warning.severity, warning.path, warning.message]),
      [
        ['warning', 'sites[0].to.endpoints', 'the endpoint b.test:443 is listed twice'],
        ['warning', 'sites[0].to.tls.verify', 'verify: false: anyone on the path can pose as this backend'],
        ['warning', 'upstreams.orders', 'the upstream orders is not used'],
      ],
    )
  })
  it('of a named upstream are one object for every route', async () => {
    const { config, warnings } = await load(
      around(
        routes('{ match: { path: /a }, to: orders }', '{ to: orders }'),
        'upstreams: { orders: { endpoints: http://b.test } }',
      ),
    )
    assert.deepEqual(warnings, [])
    const action = config.sites[0]!.action
    assert.ok(action.kind === 'http')
    for (const route of action.routes)
      assert.ok(route.action.kind === 'upstream' && route.action.upstream === config.upstreams[0])
    assert.equal(config.upstreams.length, 1)
  })
})

describe('limits and timeouts', () => {
  it('are in range and have units', async () => {
    const found = await problemsOf(
      around(
        'to: http://b.test',
        'limits: { head: 100, body: -1, uri: 64kb, connectionsPerClient: 0, bodyRate: 0 }\ntimeouts: { head: 0s, total: 0s, idle: 25d, drain: none }',
      ),
    )
    assert.deepEqual(found, [
      'sallyport.yaml:6:17: head is 1kb to 1mb, not 100',
      'sallyport.yaml:6:28: body is at most 2^53 bytes, not -1',
      'sallyport.yaml:6:65: connectionsPerClient is 1 to 10000000, not 0',
      'sallyport.yaml:6:78: bodyRate is 1b to 1gb, not 0\nto disable the limit, write none',
      'sallyport.yaml:7:19: head is 1ms to 24d, not 0s',
      'sallyport.yaml:7:30: total is 1ms to 24d, not 0s\nto disable the timeout, write none',
      'sallyport.yaml:7:40: idle is 1ms to 24d, not 25d',
      'sallyport.yaml:7:52: drain takes a duration as in 250ms, 30s, 5m, 12h or 1d, not "none"',
    ])
    assert.deepEqual(await first(around('to: http://b.test', 'limits: { uri: 64kb }')), [
      'sallyport.yaml:6:16: limits.uri is larger than limits.head, of which it is a part',
    ])
  })
})
