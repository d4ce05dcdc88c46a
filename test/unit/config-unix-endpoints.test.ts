/** Endpoints on Unix sockets: how they are written, what is refused with which hint, and what `explain` and `map` say of them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sayUpstream } from '../../src/cli/explain/route.ts'
import { mapOf } from '../../src/cli/map/model.ts'
import { endpointUrl } from '../../src/config/engine/forms.ts'
import { loadConfig } from '../../src/config/load.ts'
import { withFolder } from './config-folder.ts'

const most = process.platform === 'linux' ? 107 : 103
const long = (bytes: number) => `http+unix:/${'a'.repeat(bytes - 1)}`

const cases: Readonly<Record<string, object | RegExp>> = {
  'http+unix:/run/app.sock': { scheme: 'http', host: '/run/app.sock', port: 0, unix: true },
  'HTTPS+UNIX:/run/App.sock': { scheme: 'https', host: '/run/App.sock', port: 0, unix: true },
  'h2c+unix:/a b': { scheme: 'h2c', host: '/a b', port: 0, unix: true },
  [long(most)]: { scheme: 'http', host: long(most).slice(10), port: 0, unix: true },
  [long(most + 1)]: /bytes, and the path of a Unix socket has at most/,
  // Bytes count, and not characters
  [`http+unix:/${'é'.repeat(60)}`]: /the path has 121 bytes/,
  'http+unix:run/app.sock': /is absolute/,
  'http+unix:': /is absolute/,
  'http+unix:///run/app.sock': /no host/,
  'http+unix://%2Frun%2Fapp.sock': /no host/,
  'http+unix:/run%2Fapp.sock': /without %-escapes/,
  'http+unix:/run/': /a folder/,
  'http+unix:/run/a?b': /no query/,
  'http+unix:/run/a\u0000b': /no control/,
  'unix:/run/app.sock': /the protocol is missing/,
  'unix:///run/app.sock': /the protocol is missing/,
  'wss+unix:/run/app.sock': /http\+unix/,
}

describe('an endpoint on a Unix socket', () => {
  for (const [text, expected] of Object.entries(cases))
    it(`${JSON.stringify(text.length > 60 ? `${text.slice(0, 20)}... of ${text.length}` : text)}`, () => {
      const formed = endpointUrl(text)
      if (expected instanceof RegExp) assert.match('wrong' in formed ? formed.wrong : 'taken', expected)
      else assert.deepEqual(formed, { ok: expected })
    })
})

/** What one site with this `to` comes to: the messages, or else the hop to the backend and the lines of `explain`. */
const read = (to: string) =>
  withFolder(
    {
      'sallyport.yaml': `listen: [{ port: 443 }]\nsites: [{ host: a.test, certificate: local, to: ${to} }]`,
      'ca.pem': 'x',
    },
    async cwd => {
      try {
        const { config } = await loadConfig({ cwd })
        const [upstream] = config.upstreams
        const said: string[] = []
        if (upstream) sayUpstream((what, text) => void said.push(`${what}: ${text}`), upstream)
        return { wrong: '', hop: mapOf(config)[0]?.hops[1], said }
      } catch (error) {
        return { wrong: String((error as Error).message), hop: undefined, said: [] }
      }
    },
  )

describe('a configuration with Unix sockets', () => {
  it('shows them in explain and in the map, where they do not leave the host', async () => {
    const { hop, said, wrong } = await read('[http+unix:/run/a.sock, http://127.0.0.1:80]')
    assert.equal(wrong, '')
    assert.deepEqual(said.slice(1), [
      'endpoint: unix:/run/a.sock (plain HTTP)',
      'endpoint: 127.0.0.1:80 (plain HTTP)',
    ])
    assert.deepEqual([hop?.to, hop?.onHost, hop?.encrypted], ['unix:/run/a.sock, 127.0.0.1:80', true, false])
  })

  it('needs a name for https+unix, unless an id or nothing is verified', async () => {
    const of = (tls: string) => read(`{ endpoints: ["https+unix:/run/a.sock"], tls: { ${tls} } }`)
    assert.match((await of('ca: ca.pem')).wrong, /a path is no name that a certificate could be verified for/)
    assert.match((await read('https+unix:/run/a.sock')).wrong, /write tls: \{ serverName/)
    assert.match(
      (await of('serverName: in.test')).said[1] ?? '',
      /^endpoint: unix:\/run\/a.sock \(TLS, verified as in.test/,
    )
    assert.equal((await of('ca: ca.pem, spiffe: "spiffe://e/a"')).wrong, '')
    assert.equal((await of('verify: false')).wrong, '')
  })

  it('has one protocol for an upstream, and tls only with https+unix', async () => {
    assert.match((await read('[http+unix:/a, h2c+unix:/b]')).wrong, /mixed/)
    assert.match((await read('{ endpoints: ["http+unix:/a"], tls: { verify: true } }')).wrong, /tls is for https/)
  })
})
