/**
 * `location` and `cookies` over both versions of HTTP: what a backend that does not know its outside says of itself, in the form
 * that its clients can use.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { RouteInput, SiteInput } from '../../src/config/config.ts'
import { type Ask, ask, versions } from '../harness/ask.ts'
import { cleartextListener, type Started, startGateway } from '../harness/gateway.ts'
import { type RecordingBackend, recordingBackend } from '../harness/raw.ts'

type Case = {
  readonly site?: Partial<SiteInput>
  readonly route: Omit<RouteInput, 'to'>
  readonly ask?: Ask
  /** Field lines of the backend; BACKEND is its address, HOST the requested host */
  readonly says: readonly string[]
  readonly gets: readonly string[]
}

let backend: RecordingBackend
let gateway: Started
let says: readonly string[] = []

const moved = { location: 'rewrite' } as const
const stripped = { ...moved, match: { path: '/app/*' }, strip: '/app' } as const
const within: Ask = { path: '/app/a/b?q=1' }

const others = [
  'location: https://other.test/x',
  'location: //other.test/x',
  'location: mailto:a@b',
  'location: http://user@BACKEND/x',
  'location: http://BACKEND@other.test/x',
  'location: http:BACKEND/x',
  'location: http://BACKEND\\@other.test/x',
  'location: http:///x',
]

const cases: Record<string, Case> = {
  'an address of the backend becomes the requested origin': {
    route: moved,
    says: ['location: http://BACKEND/x?y=1#z', 'content-location: http://BACKEND'],
    gets: ['location: https://HOST/x?y=1#z', 'content-location: https://HOST/'],
  },
  'a stripped prefix comes back': {
    route: stripped,
    ask: within,
    says: ['location: http://BACKEND/x', 'content-location: /y?z', 'refresh: 5; url=/login'],
    gets: ['location: https://HOST/app/x', 'content-location: /app/y?z', 'refresh: 5; url=/app/login'],
  },
  'the host of the client with the scheme and port of the backend': {
    route: stripped,
    ask: within,
    says: ['location: http://HOST/x', 'content-location: http://HOST:PORT/y'],
    gets: ['location: https://HOST/app/x', 'content-location: https://HOST/app/y'],
  },
  'another port of the same host is another service': {
    route: moved,
    says: ['location: http://HOST:9/x'],
    gets: ['location: http://HOST:9/x'],
  },
  'another origin stays': { route: stripped, ask: within, says: others, gets: others },
  'origins that are written are the backend too': {
    route: { location: { origins: ['http://app.internal:3000', 'https://app.internal'] } },
    says: ['location: http://app.internal:3000/x', 'content-location: https://APP.internal:443/y'],
    gets: ['location: https://HOST/x', 'content-location: https://HOST/y'],
  },
  'the Host that the backend was sent is the backend': {
    route: { ...moved, headers: { request: { set: { host: 'inner.test' } } } },
    says: ['location: http://inner.test/x'],
    gets: ['location: https://HOST/x'],
  },
  'a relative path is resolved where the path was changed': {
    route: stripped,
    ask: within,
    says: ['location: c', 'location: ../d', 'location: ../../../e', 'location: ?q', 'location: #f', 'location: ./'],
    gets: [
      'location: /app/a/c',
      'location: /app/d',
      'location: /app/e',
      'location: ?q',
      'location: #f',
      'location: /app/a/',
    ],
  },
  'a path does not climb out of the prefix': {
    route: stripped,
    ask: within,
    says: ['location: /../x', 'location: /%2e%2E/x', 'location: http://BACKEND/../../x'],
    gets: ['location: /app/x', 'location: /app/x', 'location: https://HOST/app/x'],
  },
  'a path never becomes a host': {
    route: { ...moved, match: { path: '/*' }, rewrite: { from: '/*', to: '/inner/*' } },
    ask: { path: '/a' },
    says: ['location: /inner//other.test/x', 'location: /inner/.//other.test', 'location: /inner/\\other.test/x'],
    gets: ['location: /other.test/x', 'location: /other.test', 'location: /inner/\\other.test/x'],
  },
  'a rewrite goes back, stars included': {
    route: {
      ...moved,
      match: { path: '/api/*' },
      strip: '/api',
      rewrite: { from: '/users/*/profile', to: '/profile-*' },
    },
    ask: { path: '/api/users/5/profile' },
    says: [
      'location: /profile-6',
      'location: http://BACKEND/profile-7?x',
      'location: /else',
      'location: /users/1/profile',
    ],
    gets: [
      'location: /api/users/6/profile',
      'location: https://HOST/api/users/7/profile?x',
      'location: /api/else',
      'location: /users/1/profile',
    ],
  },
  'the prefix that was stripped comes back': {
    route: { ...moved, strip: ['/one', '/two'] },
    ask: { path: '/two/x' },
    says: ['location: /y'],
    gets: ['location: /two/y'],
  },
  'what was not stripped gets no prefix': {
    route: { ...moved, strip: '/one' },
    ask: { path: '/two/x' },
    says: ['location: /y'],
    gets: ['location: /y'],
  },
  'forms of Refresh': {
    route: stripped,
    ask: within,
    says: [
      'refresh: 0;URL="http://BACKEND/x"',
      "refresh: 1.5 , url = '/y' z",
      'refresh: 3',
      'refresh: 3;/z',
      'refresh: ;url=/x',
    ],
    gets: [
      'refresh: 0;URL="https://HOST/app/x"',
      "refresh: 1.5 , url = '/app/y' z",
      'refresh: 3',
      'refresh: 3;/app/z',
      'refresh: ;url=/x',
    ],
  },
  'the nearer setting decides': {
    site: moved,
    route: { location: 'keep' },
    says: ['location: http://BACKEND/x'],
    gets: ['location: http://BACKEND/x'],
  },
  'a default site names no host': {
    site: { default: true },
    route: moved,
    ask: { host: 'anything.test' },
    says: ['location: http://BACKEND/x'],
    gets: ['location: /x'],
  },
  'a wildcard site names none either': {
    site: { host: '*.wild.test' },
    route: stripped,
    ask: { ...within, host: 'a.wild.test' },
    says: ['location: http://HOST/x', 'content-location: http://BACKEND//other.test'],
    gets: ['location: /app/x', 'content-location: /app//other.test'],
  },
  'a client in cleartext keeps its scheme, and is still sent to https': {
    route: moved,
    ask: { plain: true },
    says: ['location: http://BACKEND/x', 'content-location: https://HOST/y'],
    gets: ['location: http://HOST/x', 'content-location: https://HOST/y'],
  },
  'attributes of cookies are changed': {
    route: {
      match: { path: '/app/*' },
      strip: '/app',
      cookies: { domain: 'remove', path: 'rewrite', secure: true, httpOnly: true, sameSite: 'lax' },
    },
    ask: within,
    says: [
      'set-cookie: a=1; Path=/; Domain=app.internal; Max-Age=5; SameSite=None',
      'set-cookie: b="x,y";path = /sub;httponly;SECURE; Path=/z/',
      'set-cookie: c=',
      'set-cookie: nothing; Path=/',
      'set-cookie: =v; Path=/',
    ],
    gets: [
      'set-cookie: a=1; Path=/app; Max-Age=5; Secure; HttpOnly; SameSite=Lax',
      'set-cookie: b="x,y"; Path=/app/sub; Path=/app/z; Secure; HttpOnly; SameSite=Lax',
      'set-cookie: c=; Secure; HttpOnly; SameSite=Lax',
      'set-cookie: nothing; Path=/',
      'set-cookie: =v; Path=/',
    ],
  },
  'attributes of cookies are removed': {
    route: { cookies: { path: '/', secure: false, httpOnly: false, sameSite: 'remove' } },
    says: ['set-cookie: a=1; Path=/x; Secure; HttpOnly; SameSite=Strict; Partitioned'],
    gets: ['set-cookie: a=1; Path=/; Partitioned'],
  },
  'names with a promise keep it': {
    route: {
      match: { path: '/app/*' },
      strip: '/app',
      cookies: { path: 'rewrite', domain: 'test', secure: false },
    },
    ask: within,
    says: ['set-cookie: __Host-a=1; Path=/; Secure', 'set-cookie: __secure-b=1; Path=/; Secure'],
    gets: ['set-cookie: __Host-a=1; Path=/; Secure', 'set-cookie: __secure-b=1; Path=/app; Secure'],
  },
  'several entries apply by name, in order': {
    route: {
      cookies: [
        { names: 'session', sameSite: 'none' },
        { secure: true, names: ['session', 'theme'] },
      ],
    },
    says: ['set-cookie: session=1', 'set-cookie: theme=2', 'set-cookie: Session=3'],
    gets: ['set-cookie: session=1; SameSite=None; Secure', 'set-cookie: theme=2; Secure', 'set-cookie: Session=3'],
  },
}

const names = Object.keys(cases)
const hostOf = (index: number) => `site${index}.test`

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    client.send(`HTTP/1.1 201 Created\r\n${says.map(line => `${line}\r\n`).join('')}Content-Length: 0\r\n\r\n`)
  })
  const sites = Object.values(cases).map(({ site, route }, index): SiteInput => {
    return { host: hostOf(index), certificate: 'local', routes: [{ ...route, to: backend.url }], ...site }
  })
  const domain = { cookies: { domain: 'domain.test' } }
  gateway = await startGateway({
    listen: [{ port: 0, address: '127.0.0.1' }, ...cleartextListener],
    sites: [
      ...sites,
      { host: ['a.domain.test', 'other.test'], certificate: 'local', routes: [{ ...domain, to: backend.url }] },
      {
        host: 'own.test',
        certificate: 'local',
        ...moved,
        cookies: { path: '/x' },
        routes: [
          { match: { path: '/redirect' }, redirect: { to: 'http://own.test/x' } },
          { respond: { status: 200, headers: { 'set-cookie': 'a=1; Path=/' } } },
        ],
      },
    ],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const asking = ({ plain = false, ...rest }: Ask, host: string): [number, Ask] => [
  plain ? (gateway.ports[1] as number) : gateway.port,
  { host, plain, ...rest },
]

for (const version of versions) {
  describe(`URLs and cookies of backends (${version})`, () => {
    for (const [index, name] of names.entries()) {
      it(name, async () => {
        const { says: said, gets, ask: asked = {} } = cases[name] as Case
        const host = asked.host ?? hostOf(index)
        const filled = (line: string) =>
          line
            .replaceAll('BACKEND', backend.url.slice('http://'.length))
            .replaceAll('PORT', `${backend.port}`)
            .replaceAll('HOST', host)
        says = said.map(filled)
        const answer = await ask(version, ...asking(asked, host))
        assert.equal(answer.status, 201)
        const kept = /^(?:content-)?location$|^refresh$|^set-cookie$/
        const got = answer.fields.filter(([field]) => kept.test(field)).map(pair => pair.join(': '))
        assert.deepEqual(got, gets.map(filled))
      })
    }

    it('a Domain stands only where clients take it', async () => {
      says = ['set-cookie: a=1; Domain=app.internal']
      const first = await ask(version, gateway.port, { host: 'a.domain.test' })
      assert.equal(first.field('set-cookie'), 'a=1; Domain=domain.test')
      const second = await ask(version, gateway.port, { host: 'other.test' })
      assert.equal(second.field('set-cookie'), 'a=1')
    })

    it("the gateway's own answers stay", async () => {
      const redirect = await ask(version, gateway.port, { host: 'own.test', path: '/redirect' })
      assert.equal(redirect.field('location'), 'http://own.test/x')
      const own = await ask(version, gateway.port, { host: 'own.test' })
      assert.equal(own.field('set-cookie'), 'a=1; Path=/')
    })
  })
}
