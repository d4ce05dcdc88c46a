/** Rows whose effect a request over a cleartext listener shows. */
import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import { temporaryFolder } from '../../harness/certificates.ts'
import { rawTcp } from '../../harness/raw.ts'
import { type Effect, type Table, under } from './effect.ts'
import { ca, echo, fileWith, folderWith, siteFile } from './peers.ts'
import type { Running } from './running.ts'

const address = '127.0.0.1'
const listen = [
  { port: 0, address, cleartext: 'serve' },
  { port: 0, address },
]
const sockets = temporaryFolder()
const socket = path.join(sockets, 'one')
const otherSocket = path.join(sockets, 'other')
const forged = 'PROXY TCP4 203.0.113.7 192.0.2.1 1000 80\r\n'

const echoing = () => ({
  listen,
  log: { access: false },
  sites: [{ host: 'a.test', certificate: 'local', routes: [{ to: { endpoints: [echo.url] } }] }],
})
const toEcho = () => ({ ...echoing(), sites: [{ host: 'a.test', certificate: 'local', to: echo.url }] })

const contains = (part: string) => (text: unknown) => String(text).includes(part)
const asked = (path: string) => async (running: Running) => (await running.echoed({ path })).split(' ')[1]

/** How the backend is told of a client that says this of itself */
const seenAs =
  (...fields: string[]) =>
  async (running: Running) =>
    /forwarded: (for=[^;]*)/.exec(await running.echoed({ fields }))?.[1]

export const listeners: Table = {
  name: 'listeners',
  base: echoing,
  effects: {
    listen: {
      to: [...listen, { port: 0, address, cleartext: 'serve' }],
      look: async running => [running.gateway.ports.length, await running.status({ listener: 2 })],
      sees: [3, '200'],
    },
    'listen[].name': {
      given: { 'sites[].listeners': ['inside'], listen: [listen[0], { ...listen[1], name: 'inside' }] },
      to: 'inside',
      look: running => running.status(),
      sees: '200',
    },
    'sites[].listeners': {
      given: {
        listen: [
          { ...listen[0], name: 'outside' },
          { ...listen[1], name: 'inside' },
        ],
      },
      to: ['inside'],
      look: running => running.status(),
      sees: '404',
    },
    'listen[].address': {
      to: '127.0.0.2',
      look: running => running.ask().then(text => text.includes('200 OK')),
      sees: false,
    },
    'listen[].port': {
      to: echo.spare,
      look: running => running.gateway.ports[0] === echo.spare && running.status(),
      sees: '200',
    },
    'listen[].proxyProtocol': {
      given: { 'listen[].proxyProtocol.from': [address] },
      to: undefined,
      look: async running => [await running.status(), await running.status({ first: forged })],
      sees: ['200', '400'],
    },
    'listen[].proxyProtocol.from': {
      given: { 'listen[].proxyProtocol.from': ['192.0.2.0/24'] },
      to: [address],
      look: async running => [await running.status(), await running.status({ first: forged })],
      sees: (seen: unknown) => (seen as string[])[1] === '200' && (seen as string[])[0] !== '200',
    },
    trust: {
      to: { from: [address] },
      look: seenAs('x-forwarded-for: 203.0.113.7'),
      sees: 'for=203.0.113.7',
    },
    'trust.from': {
      given: { trust: { from: ['192.0.2.0/24'] } },
      to: [address],
      look: seenAs('x-forwarded-for: 203.0.113.7'),
      sees: 'for=203.0.113.7',
    },
    'trust.fields': {
      given: { trust: { from: [address] } },
      to: 'x-real-ip',
      look: seenAs('x-forwarded-for: 203.0.113.7', 'x-real-ip: 203.0.113.8'),
      sees: 'for=203.0.113.8',
    },
    'trust.host': {
      given: { trust: { from: [address] } },
      to: false,
      look: running => running.status({ fields: ['x-forwarded-for: 203.0.113.7', 'x-forwarded-host: b.test'] }),
      sees: '200',
    },
    lists: {
      given: { trust: { from: ['one'] }, lists: { one: ['192.0.2.0/24'] } },
      to: { one: [address] },
      look: seenAs('x-forwarded-for: 203.0.113.7'),
      sees: 'for=203.0.113.7',
    },
    'listen[].trust': {
      to: { from: [address] },
      look: seenAs('x-forwarded-for: 203.0.113.7'),
      sees: 'for=203.0.113.7',
    },
    'listen[].trust.from': {
      given: { 'listen[].trust.from': ['192.0.2.0/24'] },
      to: [address],
      look: seenAs('x-forwarded-for: 203.0.113.7'),
      sees: 'for=203.0.113.7',
    },
    'listen[].trust.fields': {
      given: { 'listen[].trust.from': [address] },
      to: 'forwarded',
      look: seenAs('x-forwarded-for: 203.0.113.7', 'forwarded: for=203.0.113.8'),
      sees: 'for=203.0.113.8',
    },
    'listen[].trust.host': {
      given: { 'listen[].trust.from': [address] },
      to: false,
      look: running => running.status({ fields: ['x-forwarded-for: 203.0.113.7', 'x-forwarded-host: b.test'] }),
      sees: '200',
    },
    'listen[].fields': {
      given: { 'listen[].fields': { allow: ['x-client-ip'] } },
      to: undefined,
      look: running => running.echoed({ fields: ['x-client-ip: 1'] }).then(contains('x-client-ip: 1')),
      sees: false,
    },
    'listen[].fields.allow': {
      to: ['x-client-ip'],
      look: running => running.echoed({ fields: ['x-client-ip: 1'] }).then(contains('x-client-ip: 1')),
      sees: true,
    },
    'listen[].unix': {
      given: { 'listen[].port': undefined, 'listen[].address': undefined, 'listen[].unix': socket },
      to: otherSocket,
      look: () => [existsSync(socket), existsSync(otherSocket)],
      sees: [false, true],
    },
    'listen[].mode': {
      given: { 'listen[].port': undefined, 'listen[].address': undefined, 'listen[].unix': socket },
      to: '600',
      look: () => (statSync(socket).mode & 0o777).toString(8),
      sees: '600',
    },
    'listen[].keepAlive': {
      to: '60s',
      look: running => running.listener().options.keepAliveMs,
      sees: 60_000,
    },
    'listen[].backlog': { to: 100, refused: /backlog/ },
    'listen[].public': {
      to: 8443,
      look: running => running.echoed().then(contains('x-forwarded-port: 8443')),
      sees: true,
    },
    'listen[].startTls': {
      given: {
        'listen[].cleartext': undefined,
        sites: [{ host: 'a.test', certificate: 'local', tcp: { to: ['127.0.0.1:1'], startTls: 'imap' } }],
      },
      to: 'imap',
      look: async running => {
        const client = await rawTcp(running.gateway.ports[0] as number)
        client.send('a LOGOUT\r\n')
        return (await client.closed()).received.slice(0, 4)
      },
      sees: '* OK',
    },
    'listen[].cleartext': { to: 'redirect', look: running => running.status(), sees: '308' },
    'limits.head': {
      to: '1kb',
      given: { 'limits.uri': '1kb' },
      look: running => running.status({ fields: [`a: ${'x'.repeat(2000)}`] }),
      sees: '431',
    },
    'limits.headers': { to: 10, look: running => running.status({ fields: Array(11).fill('a: b') }), sees: '431' },
    'limits.uri': { to: '64b', look: running => running.status({ path: `/${'x'.repeat(100)}` }), sees: '414' },
    'limits.body': { to: '2b', look: running => running.status({ method: 'POST', body: 'abc' }), sees: '413' },
  },
}

const marks = { marked: { headers: { response: { set: { 'x-marked': 'yes' } } } } }
const reply = (body: string) => ({ respond: { body } })
const filter = { name: 'own', request: () => ({ status: 200, body: 'filtered' }) }

const long = Array.from({ length: 12 }, (_, at) => `a${at}: ${'x'.repeat(100)}`)
/** What a long echo is encoded with */
const encoded =
  (accept = 'gzip, br, zstd') =>
  async (running: Running) =>
    /^content-encoding: (.*)$/im.exec(
      await running.ask({ fields: [`accept-encoding: ${accept}`, ...long] }),
    )?.[1] ?? ''
/** What gzip says of its level: 4 for the fastest (RFC 1952 section 2.3.1) */
const gzipLevel = async (running: Running) =>
  /\x1f\x8b\x08\0.{4}(.)/s
    .exec(await running.ask({ fields: ['accept-encoding: gzip', ...long] }))?.[1]
    ?.charCodeAt(0)

const hsts = { maxAge: 31_536_000, subdomains: true, preload: false }
const hstsSeen = (running: Running) => running.securely('strict-transport-security')

const page = fileWith('page.html', 'a page')
const otherPage = fileWith('other-page.html', 'another page')
const brokenGets = async (running: Running) => (await running.echoed({ path: '/broken' })) === 'a page'

const cookie = async (running: Running) => /^set-cookie: (.*)\r$/m.exec(await running.ask())?.[1]

const idSent = { fields: ['x-request-id: own'] }
const idSeen = (running: Running) =>
  running.ask(idSent).then(text => /^x-request-id: [0-9a-f]{10}-/im.test(text.split('\r\n\r\n')[0] ?? ''))
const switchedOn = (running: Running) => running.gateway.maintenance()[0]?.site

/** What a request gets while the site is in maintenance */
async function inMaintenance(running: Running, look = (text: string): unknown => text.split('\r\n\r\n')[1]) {
  running.gateway.setMaintenance('a.test', true)
  const text = await running.ask()
  running.gateway.setMaintenance('a.test', false)
  return look(text)
}

/** The options of features, which stand in three places */
const features: Readonly<Record<string, Effect>> = {
  strip: { to: '/v1', look: asked('/v1/x'), sees: '/x' },
  rewrite: { to: { from: '/v1/*', to: '/new/*' }, look: asked('/v1/x'), sees: '/new/x' },
  'rewrite.from': {
    given: { rewrite: { from: '/v2/*', to: '/new/*' } },
    to: '/v1/*',
    look: asked('/v1/x'),
    sees: '/new/x',
  },
  'rewrite.to': {
    given: { rewrite: { from: '/v1/*', to: '/new/*' } },
    to: '/other/*',
    look: asked('/v1/x'),
    sees: '/other/x',
  },
  location: { to: 'rewrite', look: r => r.ask().then(contains('\nlocation: http://a.test/there')), sees: true },
  'location.origins': {
    given: { location: { origins: ['http://else.test'] } },
    to: ['http://inner.test'],
    look: r => r.ask().then(contains('content-location: http://a.test/there')),
    sees: true,
  },
  cookies: { to: { secure: true }, look: cookie, sees: 'a=1; Domain=b.test; Path=/; Secure' },
  'cookies[].names': {
    given: { cookies: [{ names: ['b'], secure: true }] },
    to: ['a'],
    look: cookie,
    sees: 'a=1; Domain=b.test; Path=/; Secure',
  },
  'cookies[].domain': { given: { cookies: [{}] }, to: 'remove', look: cookie, sees: 'a=1; Path=/' },
  'cookies[].path': { given: { cookies: [{}] }, to: '/x', look: cookie, sees: 'a=1; Domain=b.test; Path=/x' },
  'cookies[].secure': {
    given: { cookies: [{}] },
    to: true,
    look: cookie,
    sees: 'a=1; Domain=b.test; Path=/; Secure',
  },
  'cookies[].httpOnly': {
    given: { cookies: [{}] },
    to: true,
    look: cookie,
    sees: 'a=1; Domain=b.test; Path=/; HttpOnly',
  },
  'cookies[].sameSite': {
    given: { cookies: [{}] },
    to: 'lax',
    look: cookie,
    sees: 'a=1; Domain=b.test; Path=/; SameSite=Lax',
  },
  headers: {
    to: { request: { set: { 'x-set': 'b' } } },
    look: r => r.echoed().then(contains('x-set: b')),
    sees: true,
  },
  'headers.request': {
    to: { set: { 'x-set': 'b' } },
    look: r => r.echoed().then(contains('x-set: b')),
    sees: true,
  },
  'headers.request.set': { to: { 'x-set': 'c' }, look: r => r.echoed().then(contains('x-set: c')), sees: true },
  'headers.request.add': { to: { 'x-add': 'c' }, look: r => r.echoed().then(contains('x-add: c')), sees: true },
  'headers.request.remove': {
    to: ['x-gone'],
    look: r => r.echoed({ fields: ['x-gone: 1'] }).then(contains('x-gone')),
    sees: false,
  },
  'headers.response': { to: { set: { 'x-set': 'd' } }, look: r => r.ask().then(contains('x-set: d')), sees: true },
  'headers.response.set': { to: { 'x-set': 'e' }, look: r => r.ask().then(contains('x-set: e')), sees: true },
  'headers.response.add': { to: { 'x-add': 'e' }, look: r => r.ask().then(contains('x-add: e')), sees: true },
  'headers.response.remove': { to: ['x-backend'], look: r => r.ask().then(contains('x-backend')), sees: false },
  compress: { to: true, look: encoded(), sees: 'zstd' },
  'compress.types': { given: { compress: { types: 'image/*' } }, to: ['text/*'], look: encoded(), sees: 'zstd' },
  'compress.min': { given: { compress: { min: '1mb' } }, to: '100b', look: encoded(), sees: 'zstd' },
  'compress.level': { given: { compress: { level: 1 } }, to: 6, look: gzipLevel, sees: 0 },
  'compress.algorithms': { given: { compress: true }, to: ['br'], look: encoded(), sees: 'br' },
  errors: {
    given: { errors: { 418: { file: page } } },
    to: { 418: { file: page }, on: 'all' },
    look: running => running.echoed({ path: '/418' }),
    sees: 'a page',
  },
  maintenance: { to: true, look: switchedOn, sees: 'a.test' },
  'maintenance.file': {
    given: { maintenance: { file: otherPage } },
    to: page,
    look: inMaintenance,
    sees: 'a page',
  },
  'maintenance.allow': {
    given: { maintenance: { file: page } },
    to: '127.0.0.0/8',
    look: inMaintenance,
    sees: (seen: unknown) => seen !== 'a page',
  },
  'maintenance.retryAfter': {
    given: { maintenance: { file: page } },
    to: '1m',
    look: r => inMaintenance(r, text => text.includes('retry-after: 60')),
    sees: true,
  },
  'errors.*.file': { given: { errors: { 502: { file: otherPage } } }, to: page, look: brokenGets, sees: true },
  path: { to: { merge: false }, look: asked('/a//b'), sees: '/a//b' },
  'path.encodedSlash': { given: { path: {} }, to: 'keep', look: asked('/a%2Fb'), sees: '/a%2Fb' },
  'path.merge': { given: { path: {} }, to: false, look: asked('/a//b'), sees: '/a//b' },
  'path.normalize': { given: { path: {} }, to: 'keep', look: asked('/a/./b'), sees: '/a/./b' },
  'path.parameters': { given: { path: {} }, to: 'strip', look: asked('/a;x/b'), sees: '/a/b' },
  upgrade: {
    to: ['tcp'],
    look: r => r.echoed({ fields: ['connection: upgrade', 'upgrade: tcp'] }).then(contains('upgrade: tcp')),
    sees: true,
  },
  forward: { to: ['x-real-ip'], look: r => r.echoed().then(contains('x-real-ip: ')), sees: true },
  access: { to: { deny: ['127.0.0.1'] }, look: running => running.status(), sees: '403' },
  'access.allow': {
    given: { access: { allow: ['127.0.0.0/8'] } },
    to: ['10.0.0.0/8'],
    look: running => running.status(),
    sees: '403',
  },
  'access.deny': {
    given: { access: { deny: ['10.0.0.0/8'] } },
    to: ['127.0.0.1'],
    look: running => running.status(),
    sees: '403',
  },
  requestId: { to: true, look: idSeen, sees: true },
  'requestId.accept': {
    given: { requestId: true },
    to: true,
    look: r => r.echoed(idSent).then(contains('x-request-id: own')),
    sees: true,
  },
  'requestId.respond': { given: { requestId: true }, to: false, look: idSeen, sees: false },
  accessLog: { to: false, look: unlogged, sees: true },
  via: { to: false, look: r => r.echoed().then(contains('via: 1.1 sallyport')), sees: false },
  hsts: { to: hsts, look: hstsSeen, sees: 'max-age=31536000; includeSubDomains' },
  'hsts.maxAge': { given: { hsts }, to: 60, look: hstsSeen, sees: 'max-age=60; includeSubDomains' },
  'hsts.subdomains': { given: { hsts }, to: false, look: hstsSeen, sees: 'max-age=31536000' },
  'hsts.preload': {
    given: { hsts },
    to: true,
    look: hstsSeen,
    sees: 'max-age=31536000; includeSubDomains; preload',
  },
}

/** Whether a request has no line in the access log */
async function unlogged(running: Running): Promise<boolean | null> {
  let seen: boolean | null = null
  const stop = running.gateway.observe({
    name: 'walk',
    request(record) {
      seen = record.unlogged
    },
  })
  await running.ask()
  stop()
  return seen
}

const featuresOf = (prefix: string) => under(prefix, features)

const routeMs = (name: string, field: string): Record<string, Effect> => {
  const effect: Effect = {
    to: '7s',
    look: running => (running.route()?.timeouts as Record<string, number> | undefined)?.[field],
    sees: 7_000,
  }
  return { [`sites[].timeouts.${name}`]: effect, [`sites[].routes[].timeouts.${name}`]: effect }
}

export const routes: Table = {
  name: 'routes and what their requests go through',
  base: echoing,
  effects: {
    ...featuresOf('sites[].routes[].'),
    ...featuresOf('sites[].'),
    ...featuresOf('defaults.'),
    include: {
      given: { include: [siteFile('one')] },
      to: [siteFile('two')],
      look: running => running.echoed({ host: 'included.test' }),
      sees: 'two',
    },
    filters: { to: [filter], look: running => running.ask().then(contains('filtered')), sees: true },
    snippets: {
      given: { snippets: { answer: { respond: { body: 'one' } } }, 'sites[].routes': [{ use: 'answer' }] },
      to: { answer: { respond: { body: 'two' } } },
      look: running => running.echoed(),
      sees: 'two',
    },
    'defaults.use': {
      given: { snippets: marks },
      to: 'marked',
      look: running => running.ask().then(contains('x-marked: yes')),
      sees: true,
    },
    'sites[].use': {
      given: { snippets: marks },
      to: 'marked',
      look: running => running.ask().then(contains('x-marked: yes')),
      sees: true,
    },
    'sites[].routes[].use': {
      given: { snippets: marks },
      to: ['marked'],
      look: running => running.ask().then(contains('x-marked: yes')),
      sees: true,
    },
    'sites[].routes': { to: [reply('one')], look: running => running.ask().then(contains('one')), sees: true },
    'sites[].routes[].filters': {
      to: [filter],
      look: running => running.ask().then(contains('filtered')),
      sees: true,
    },
    'sites[].routes[].respond': {
      given: { 'sites[].routes': [reply('one')] },
      to: { body: 'two' },
      look: running => running.echoed(),
      sees: 'two',
    },
    'sites[].routes[].files': {
      given: { 'sites[].routes': [{ files: { root: folderWith({ 'index.html': 'one' }) } }] },
      to: { root: folderWith({ 'index.html': 'two' }) },
      look: running => running.echoed(),
      sees: 'two',
    },
    'sites[].routes[].files.root': {
      given: { 'sites[].routes': [{ files: { root: folderWith({ 'index.html': 'one' }) } }] },
      to: folderWith({ 'index.html': 'two' }),
      look: running => running.echoed(),
      sees: 'two',
    },
    'sites[].routes[].files.index': {
      given: { 'sites[].routes': [{ files: { root: folderWith({ 'index.html': 'one', 'two.html': 'two' }) } }] },
      to: 'two.html',
      look: running => running.echoed(),
      sees: 'two',
    },
    'sites[].routes[].files.fallback': {
      given: { 'sites[].routes': [{ files: { root: folderWith({ 'one.html': 'one' }) } }] },
      to: 'one.html',
      look: running => running.status({ path: '/none' }),
      sees: '200',
    },
    'sites[].routes[].files.precompressed': {
      given: { 'sites[].routes': [{ files: { root: folderWith({ 'a.txt': 'one', 'a.txt.gz': 'two' }) } }] },
      to: true,
      look: running => running.echoed({ path: '/a.txt', fields: ['accept-encoding: gzip'] }),
      sees: 'two',
    },
    'sites[].routes[].files.listing': {
      given: { 'sites[].routes': [{ files: { root: folderWith({ 'a.txt': 'one' }) } }] },
      to: true,
      look: running => running.status(),
      sees: '200',
    },
    'sites[].routes[].redirect': {
      given: { 'sites[].routes': [{ redirect: { to: '/b' } }] },
      to: { to: '/c' },
      look: running => running.ask().then(contains('location: /c')),
      sees: true,
    },
    'sites[].routes[].redirect.to': {
      given: { 'sites[].routes': [{ redirect: { to: '/b' } }] },
      to: '/c',
      look: running => running.ask().then(text => /^location: (.*)$/im.exec(text)?.[1]?.trim()),
      sees: '/c',
    },
    'sites[].routes[].redirect.status': {
      given: { 'sites[].routes': [{ redirect: { to: '/b' } }] },
      to: 302,
      look: running => running.status(),
      sees: '302',
    },
    'sites[].routes[].respond.status': {
      given: { 'sites[].routes': [reply('one')] },
      to: 404,
      look: running => running.status(),
      sees: '404',
    },
    'sites[].routes[].respond.body': {
      given: { 'sites[].routes': [reply('one')] },
      to: 'two',
      look: running => running.echoed(),
      sees: 'two',
    },
    'sites[].routes[].respond.headers': {
      given: { 'sites[].routes': [reply('one')] },
      to: { 'x-own': '1' },
      look: running => running.ask().then(contains('x-own: 1')),
      sees: true,
    },
    ...routeMs('connect', 'connectMs'),
    ...routeMs('response', 'responseMs'),
    ...routeMs('bodyIdle', 'bodyIdleMs'),
    ...routeMs('idle', 'idleMs'),
    ...routeMs('filter', 'filterMs'),
    ...routeMs('total', 'totalMs'),
    ...routeMs('tunnelIdle', 'tunnelIdleMs'),
    'sites[].routes[].limits.body': {
      to: '2b',
      look: running => running.status({ method: 'POST', body: 'abc' }),
      sees: '413',
    },
    'sites[].limits.body': {
      to: '2b',
      look: running => running.status({ method: 'POST', body: 'abc' }),
      sees: '413',
    },
    'sites[].limits.bodyRate': { to: '7b', look: running => running.route()?.bodyRateBytes, sees: 7 },
    'sites[].routes[].limits.bodyRate': { to: '7b', look: running => running.route()?.bodyRateBytes, sees: 7 },
    'limits.bodyRate': { to: '7b', look: running => running.route()?.bodyRateBytes, sees: 7 },
    'sites[].routes[].to': {
      to: echo.other,
      look: running => running.echoed().then(contains('other')),
      sees: true,
    },
  },
}

export const siteRows: Table = {
  name: 'where sites lead',
  base: toEcho,
  effects: {
    sites: {
      to: [
        { host: 'a.test', certificate: 'local', to: echo.url },
        { host: 'b.test', certificate: 'local', to: echo.url },
      ],
      look: running => running.status({ host: 'b.test' }),
      sees: '200',
    },
    'sites[].host': { to: ['b.test'], look: running => running.status({ host: 'b.test' }), sees: '200' },
    'sites[].default': { to: true, look: running => running.status({ host: 'b.test' }), sees: '200' },
    'sites[].to': { to: echo.other, look: running => running.echoed().then(contains('other')), sees: true },
  },
}

const identity = {
  dnsNames: ['bob'],
  uris: ['spiffe://e/x'],
  emails: [],
  subject: 'CN=bob',
  issuerFingerprint: '5f7c'.repeat(16),
} as never
const first = { 'sites[].routes[]': { match: { path: '/x/*' }, respond: { body: 'first' } } }
const answer = (request: object) => (running: Running) => running.echoed({ path: '/x/1', ...request })
const taken =
  (ja4: string | null = null) =>
  (running: Running) =>
    running.route('/x/1', identity, ja4)?.name ?? 'none'
const clientCas = { 'sites[].clients': { ca: ca.file, verify: 'optional' } }
const matching = (row: string, value: string, other: string): Record<string, Effect> => ({
  [`sites[].routes[].match.client[].${row}`]: {
    given: { ...clientCas, ...first, 'sites[].routes[].match.client': [{ [row]: other }] },
    to: value,
    look: taken(),
    sees: 'a.test/x/*',
  },
})

const matchingProxy = (row: string, value: string, other: string): Record<string, Effect> => ({
  [`sites[].routes[].match.proxy.${row}`]: {
    given: { ...first, 'sites[].routes[].match.proxy': { [row]: other } },
    to: value,
    look: running => running.route('/x/1', identity, null, { ...noIds, [row]: value })?.name,
    sees: 'a.test/x/*',
  },
})
const noIds = { awsVpceId: null, gcpConnectionId: null, azureLinkId: null }

export const matches: Table = {
  name: 'which requests a route takes',
  base: () => ({
    ...echoing(),
    sites: [
      {
        host: 'a.test',
        certificate: 'local',
        routes: [reply('first'), { match: { path: '/*' }, ...reply('second') }],
      },
    ],
  }),
  effects: {
    'sites[].routes[].match.path': {
      given: { 'sites[].routes[]': { match: { path: '/y/*' }, ...reply('first') } },
      to: '/x/*',
      look: answer({}),
      sees: 'first',
    },
    'sites[].routes[].match.method': { given: first, to: 'POST', look: answer({}), sees: 'second' },
    'sites[].routes[].match.header': { given: first, to: { 'x-b': '1' }, look: answer({}), sees: 'second' },
    'sites[].routes[].match.query': { given: first, to: { v: '2' }, look: answer({}), sees: 'second' },
    'sites[].routes[].match.client': {
      given: { ...clientCas, ...first },
      to: [{ san: 'alice' }],
      look: answer({}),
      sees: 'second',
    },
    ...matching('san', 'bob', 'alice'),
    ...matching('dn', 'CN=bob', 'CN=alice'),
    ...matching('spiffe', 'spiffe://e/x', 'spiffe://e/y'),
    ...matching('issuer', '5f7c'.repeat(16), '0000'.repeat(16)),
    'sites[].routes[].match.ja4': {
      given: first,
      to: ['t13d1516h2_8daaf6152771_*'],
      look: taken('t13d1516h2_000000000000_000000000000'),
      sees: 'a.test/*',
    },
    'sites[].routes[].match.proxy': { given: first, to: { awsVpceId: 'vpce-1' }, look: answer({}), sees: 'second' },
    ...matchingProxy('awsVpceId', 'vpce-1', 'vpce-2'),
    ...matchingProxy('gcpConnectionId', '1', '2'),
    ...matchingProxy('azureLinkId', '1', '2'),
    'sites[].routes[].clients': {
      given: { ...clientCas, ...first },
      to: 'require',
      look: running => running.status({ path: '/x/1' }),
      sees: '403',
    },
  },
}
