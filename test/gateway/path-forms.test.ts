/** `path` over both versions of HTTP: the paths of applications that need it, as their backends get them, and what is refused. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { SiteInput } from '../../src/config/config.ts'
import { ask, versions } from '../harness/ask.ts'
import { cleartextListener, type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, rawTcp, recordingBackend } from '../harness/raw.ts'

let backend: RecordingBackend
let gateway: Started
/** Request targets that the backend has seen, with the route that sent them */
const seen: string[] = []

type Table = {
  readonly site: Omit<SiteInput, 'host' | 'certificate' | 'routes'>
  /** By pattern: its options; `null` for none */
  readonly routes: Readonly<Record<string, NonNullable<SiteInput['routes']>[number]['path'] | null>>
  /** By path as it is sent: route and target that the backend sees, or a status */
  readonly asks: Readonly<Record<string, string | number>>
}

const tables: Record<string, Table> = {
  strict: {
    site: {},
    routes: { '/*': null, '/a/*': null },
    asks: {
      '/a//b': '/a/* /a/b',
      '/x/../a/b': '/a/* /a/b',
      '/%61/b': '/a/* /a/b',
      '/a%2Fb': 400,
      '/a;x/b': '/* /a;x/b',
      '/..': 400,
    },
  },
  gitlab: {
    site: { path: { encodedSlash: 'keep' } },
    routes: { '/*': null, '/api/v4/projects/*/files/*': null },
    asks: {
      '/api/v4/projects/group%2Fproject?x=%2F': '/* /api/v4/projects/group%2Fproject?x=%2F',
      '/api/v4/projects/g%2fp/files/a': '/api/v4/projects/*/files/* /api/v4/projects/g%2fp/files/a',
      '/api/v4/projects/g/p/files/a': '/* /api/v4/projects/g/p/files/a',
      '/@scope%2fname': '/* /@scope%2fname',
      '/a//b%2F%2Fc': '/* /a/b%2F%2Fc',
      '/a%2F..%2Fb': 400,
      '/a%2F%2e%2e/b': 400,
      '/a%2Fb/../c': 400,
      '/a%2F.': 400,
      '/a%5Cb': 400,
      '/a%00': 400,
      '/a%2': 400,
    },
  },
  s3: {
    site: {},
    routes: { '/*': null, '/bucket/*': { merge: false }, '/bucket/private/*': null },
    asks: {
      '/bucket/a//b': '/bucket/* /bucket/a//b',
      '/bucket//a/': '/bucket/* /bucket//a/',
      '/bucket/https://x/y': '/bucket/* /bucket/https://x/y',
      '/bucket/a/../b': '/bucket/* /bucket/b',
      '/other//x': '/* /other/x',
      // Merged they are for another route, which decides.
      '/bucket//private/x': '/bucket/private/* /bucket/private/x',
      '//bucket/x': 400,
      '/bucket/x//../private/x': '/bucket/private/* /bucket/private/x',
      '/bucket/%2F': 400,
    },
  },
  'as it came': {
    site: {},
    routes: { '/*': null, '/raw/*': { normalize: 'keep' }, '/raw/private/*': null },
    asks: {
      '/raw/%7Ea/%c3%a9': '/raw/* /raw/%7Ea/%c3%a9',
      '/raw/a/../b/./c': '/raw/* /raw/a/../b/./c',
      '/raw/a//b': '/raw/* /raw/a/b',
      '/raw/../raw/b': '/raw/* /raw/../raw/b',
      '/x/../raw/b': 400,
      '/raw/../x': '/* /x',
      '/raw/a/../private/x': '/raw/private/* /raw/private/x',
      '/raw/%70rivate/x': '/raw/private/* /raw/private/x',
      '/raw/../../x': 400,
      '/raw/%2e%2e/%2e%2e/x': 400,
    },
  },
  tomcat: {
    site: { path: { parameters: 'strip' } },
    routes: { '/*': null, '/admin/*': null },
    asks: {
      '/admin;x=1/y;z?q;r': '/admin/* /admin/y?q;r',
      '/x/..;/admin/y': '/admin/* /admin/y',
      '/x;jsessionid=1': '/* /x',
      '/;a/;b/x': '/* /x',
      '/x%3By': '/* /x%3By',
    },
  },
  'tomcat in part': {
    site: {},
    routes: { '/*': null, '/admin/*': { parameters: 'strip' }, '/kept/*': { parameters: 'keep' } },
    asks: {
      '/admin;x/y': '/admin/* /admin/y',
      '/kept/a;x': '/kept/* /kept/a;x',
      '/kept;x/a': 400,
      '/x;y': '/* /x;y',
    },
  },
}

const hosts = Object.keys(tables)
const hostOf = (name: string) => `${name.replaceAll(' ', '-')}.test`

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    const request = text.slice(text.lastIndexOf('GET '))
    seen.push(`${/\r\nx-route: (.*)\r\n/.exec(request)?.[1]} ${request.split(' ')[1]}`)
    client.send(ok(''))
  })
  const sites = hosts.map((name): SiteInput => {
    const { site, routes } = tables[name] as Table
    return {
      host: hostOf(name),
      certificate: 'local',
      ...site,
      routes: Object.entries(routes).map(([path, options]) => ({
        match: { path },
        headers: { request: { set: { 'x-route': path } } },
        ...(options === null ? {} : { path: options }),
        to: backend.url,
      })),
    }
  })
  const redirecting = { port: 0, address: '127.0.0.1', cleartext: 'redirect' } as const
  gateway = await startGateway({
    listen: [{ port: 0, address: '127.0.0.1' }, ...cleartextListener, redirecting],
    sites: [
      ...sites,
      {
        host: 'stripped.test',
        certificate: 'local',
        routes: [
          { match: { path: '/s3/*' }, path: { merge: false }, strip: '/s3', location: 'rewrite', to: backend.url },
        ],
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

for (const version of versions)
  for (const name of hosts)
    describe(`${name} (${version})`, () => {
      for (const [path, expected] of Object.entries((tables[name] as Table).asks))
        it(`${path} is ${expected}`, async () => {
          const before = seen.length
          const { status } = await ask(version, gateway.port, { host: hostOf(name), path })
          if (typeof expected === 'number') assert.deepEqual([status, seen.length], [expected, before])
          else assert.deepEqual([status, seen.at(-1)], [200, expected])
        })
    })

describe('a path that is kept', () => {
  it('goes through the redirect to https as it came', async () => {
    const client = await rawTcp(gateway.ports[2] as number)
    client.send('GET /bucket/https://x/%2F?y HTTP/1.1\r\nHost: s3.test\r\n\r\n')
    const { received } = await client.closed()
    assert.match(received, /\r\nlocation: https:\/\/s3\.test(?::\d+)?\/bucket\/https:\/\/x\/%2F\?y\r\n/)
  })

  it('loses its prefix, and nothing else', async () => {
    await ask('HTTP/1.1', gateway.port, { host: 'stripped.test', path: '/s3/a//b' })
    assert.equal(seen.at(-1), 'undefined /a//b')
  })

  it('is in the log as it was routed on', async () => {
    await ask('HTTP/1.1', gateway.port, { host: 's3.test', path: '/bucket/logged//x' })
    await gateway.logged(each => each['path'] === '/bucket/logged//x')
  })
})
