/**
 * What fails before there is a route has one all the same: requests without a site, and such as could not be read, have
 * the stages of `defaults` around their errors, on every kind of listener.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { END_HEADERS, END_STREAM, h2Client, type Pairs } from '../harness/h2.ts'
import { rawTcp, rawTls } from '../harness/raw.ts'

let gateway: Started
const [tls, plain, redirecting] = [0, 1, 2]

before(async () => {
  const address = '127.0.0.1'
  gateway = await startGateway({
    listen: [
      { port: 0, address },
      { port: 0, address, cleartext: 'serve' },
      { port: 0, address, cleartext: 'redirect' },
    ],
    limits: { head: '1kb', uri: '100b', body: 3 },
    defaults: {
      headers: { response: { set: { 'x-all': '{response.status} {request.id}', 'x-host': '{request.host}' } } },
      hsts: { maxAge: 60 },
    },
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        headers: { response: { set: { 'x-site': 'yes' } } },
        routes: [{ match: { path: '/a' }, respond: { body: 'a' } }],
      },
      { host: 'strict.test', certificate: 'local', policy: 'modern', to: 'http://127.0.0.1:1' },
    ],
  })
})
after(() => gateway.stop())

type Early = {
  /** Over HTTP/1.1 */
  readonly text?: string
  /** Over HTTP/2 */
  readonly head?: Pairs
  readonly to: number
  readonly status: number
  readonly error: string
  /** The site is known */
  readonly site?: true
  readonly cleartext?: true
}

const long = 'x'.repeat(200)
const get = (path: string, ...fields: string[]) => [`GET ${path} HTTP/1.1`, ...fields, '', ''].join('\r\n')
const pseudo = (path: string, host: string, ...more: Pairs): Pairs => [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', path],
  [':authority', host],
  ...more,
]

const early: Record<string, Early> = {
  'a request that is none': { text: 'GET\r\n\r\n', to: tls, status: 400, error: 'BAD_REQUEST' },
  'a request that is none, in cleartext': {
    text: 'GET\r\n\r\n',
    to: plain,
    status: 400,
    error: 'BAD_REQUEST',
    cleartext: true,
  },
  'a request that is none, where it would be redirected': {
    text: 'GET\r\n\r\n',
    to: redirecting,
    status: 400,
    error: 'BAD_REQUEST',
    cleartext: true,
  },
  'a head that is too large': {
    text: get('/', 'Host: localhost', `X-A: ${'y'.repeat(1100)}`),
    to: tls,
    status: 431,
    error: 'HEAD_TOO_LARGE',
  },
  'a head that is too large, over HTTP/2': {
    head: pseudo('/', 'localhost', ['x-a', 'y'.repeat(1100)]),
    to: tls,
    status: 431,
    error: 'HEAD_TOO_LARGE',
  },
  'a target that is too long': {
    text: get(`/${long}`, 'Host: localhost'),
    to: tls,
    status: 414,
    error: 'URI_TOO_LONG',
  },
  'a target that is too long, over HTTP/2': {
    head: pseudo(`/${long}`, 'localhost'),
    to: tls,
    status: 414,
    error: 'URI_TOO_LONG',
  },
  'cleartext on a TLS port': {
    text: get('/', 'Host: localhost'),
    to: -1,
    status: 400,
    error: 'PLAIN_HTTP_ON_TLS_PORT',
    cleartext: true,
  },
  'a host without a site': {
    text: get('/', 'Host: nobody.test'),
    to: plain,
    status: 404,
    error: 'NO_SITE',
    cleartext: true,
  },
  'a host without a site, over TLS': {
    text: get('/', 'Host: nobody.test'),
    to: tls,
    status: 404,
    error: 'NO_SITE',
  },
  'a host without a site, over HTTP/2': {
    head: pseudo('/', 'nobody.test'),
    to: tls,
    status: 404,
    error: 'NO_SITE',
  },
  'a host under other TLS terms': {
    text: get('/', 'Host: strict.test'),
    to: tls,
    status: 421,
    error: 'MISDIRECTED',
  },
  'a method that is not served': {
    text: 'CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n',
    to: tls,
    status: 501,
    error: 'METHOD_NOT_SUPPORTED',
  },
  'a path without a route': {
    text: get('/b', 'Host: localhost'),
    to: tls,
    status: 404,
    error: 'NO_ROUTE',
    site: true,
  },
  'a path without a route, with a body over the limit': {
    text: `POST /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nfour`,
    to: tls,
    status: 404,
    error: 'NO_ROUTE',
    site: true,
  },
}

async function answerTo({ text, head, to }: Early): Promise<{ status: number; fields: Pairs }> {
  const port = gateway.ports[Math.max(0, to)] as number
  if (head !== undefined) {
    const client = await h2Client(port)
    const { status, headers } = await client.answer(client.request(head, END_HEADERS | END_STREAM))
    client.destroy()
    return { status, fields: headers }
  }
  const client = to === tls ? await rawTls(port) : await rawTcp(port)
  client.send(text as string)
  const received = await client.until(got => /\r\n\r\n(.|\n)*<\/html>\n$/.test(got))
  client.destroy()
  const [line, ...lines] = received.slice(0, received.indexOf('\r\n\r\n')).split('\r\n') as [string, ...string[]]
  const length = received.length - received.indexOf('\r\n\r\n') - 4
  const fields = lines.map(each => {
    const colon = each.indexOf(':')
    return [each.slice(0, colon).toLowerCase(), each.slice(colon + 2)] as const
  })
  assert.equal(fields.find(([name]) => name === 'content-length')?.[1], `${length}`)
  return { status: Number(line.slice(9, 12)), fields }
}

describe('what fails before there is a route', () => {
  for (const [name, one] of Object.entries(early))
    it(name, async () => {
      const { status, fields } = await answerTo(one)
      const all = (wanted: string) => fields.filter(([each]) => each === wanted).map(([, value]) => value)
      assert.equal(status, one.status)
      const id = all('x-all')[0]?.split(' ')[1]
      assert.deepEqual(all('x-all'), [`${status} ${id}`])
      assert.deepEqual(all('x-site'), one.site ? ['yes'] : [])
      assert.deepEqual(all('strict-transport-security'), one.cleartext ? [] : ['max-age=60'])
      assert.equal(all('date').length, 1)
      // A value of a request that could not be read is not there.
      if (one.text === 'GET\r\n\r\n') assert.deepEqual(all('x-host'), [])
      // One that was closed in the handshake has a record of that.
      if (one.to < 0) return
      const record = await gateway.logged(each => each['id'] === id)
      assert.deepEqual([record['status'], record['error']], [status, one.error])
    })
})
