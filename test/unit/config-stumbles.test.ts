/** Where people stumble who come from other proxies, or write YAML by hand: the message says what to write instead. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { problemsOf as everyProblem } from '../../src/cli/check/problems.ts'
import { around, load, problemsOf } from './config-folder.ts'

describe('a value that means something else', () => {
  const rows: [text: string, said: string][] = [
    [
      'sites:\n  - host: *.a.test\n    certificate: local\n    to: http://b.test',
      'sallyport.yaml:3:11: *.a.test is an alias in YAML, not text\nquote it: "*.a.test"',
    ],
    [
      'sites: [{ host: [a.test, *.a.test], certificate: local, to: "http://b.test" }]',
      'sallyport.yaml:2:26: *.a.test is an alias in YAML, not text\nquote it: "*.a.test"',
    ],
    [
      'sites: [{ host: *name, certificate: local, to: "http://b.test" }]',
      'sallyport.yaml:2:17: *name is an alias in YAML, and there is no anchor &name before it',
    ],
    [
      'sites:\n  - host: a.test\n    to: a: b',
      'sallyport.yaml:4:9: this value contains a colon followed by a space, which YAML reads as another key\nput the value in quotes',
    ],
  ]
  for (const [text, said] of rows) {
    it(JSON.stringify(text), async () =>
      assert.deepEqual(await problemsOf(`listen: [{ port: 443 }]\n${text}\n`), [said]),
    )
  }
})

describe('a regular expression as a path', () => {
  for (const [written, pattern] of [
    ['~ ^/api', '/api/*'],
    ['~* ^/api/v1/', '/api/v1/*'],
    ['^/api$', '/api'],
    ['= /exact', '/exact'],
    ['/api/.*', '/api/*'],
    ['~ \\.php$', '/*'],
  ]) {
    it(`${written} gets the hint ${pattern}`, async () => {
      const [problem] = await problemsOf(around(`routes: [{ match: { path: '${written}' }, to: "http://b.test" }]`))
      assert.match(problem as string, /regular expressions are not supported/)
      assert.ok((problem as string).includes(`write ${pattern};`), problem)
    })
  }
})

describe('a field that no request has by then', () => {
  const hash = (header: string) =>
    problemsOf(around(`to: { endpoints: ["http://b.test"], balance: maglev, hash: { header: ${header} } }`))
  const match = (header: string) =>
    problemsOf(around(`routes: [{ match: { header: { ${header}: a } }, to: "http://b.test" }]`))

  it('cannot be hashed: the message says what to write instead', async () => {
    assert.match(
      (await hash('X-Forwarded-For')).join(),
      /x-forwarded-for is written by the gateway.*\n.*hash: address/,
    )
    assert.match((await hash('connection')).join(), /connection frames the message/)
  })

  it('is no condition of a route, which would never hold', async () => {
    assert.match((await match('X-Forwarded-For')).join(), /x-forwarded-for is written by the gateway.*\n.*access: /)
    assert.match((await match('Upgrade')).join(), /upgrade frames the message/)
    assert.match((await match('Host')).join(), /host is what a site is chosen by\n/)
  })

  it('is not one that a listener can let through, nor the Host to be hashed', async () => {
    for (const header of ['Host', 'x-client-ip', 'x-user']) assert.deepEqual(await hash(header), [])
    for (const header of ['x-client-ip', 'x-user']) assert.deepEqual(await match(header), [])
  })
})

describe('a unit of another program', () => {
  for (const [key, written, meant] of [
    ['limits', 'body: 200M', 'write 200mb'],
    ['limits', 'body: 1.5GiB', 'write 1536mb'],
    ['limits', 'body: 10 mb', 'write 10mb'],
    ['timeouts', 'response: 5min', 'write 5m'],
    ['timeouts', 'response: 1.5s', 'write 1500ms'],
    ['timeouts', 'response: 1h30m', 'write 90m'],
    ['timeouts', 'response: 30 seconds', 'write 30s'],
  ]) {
    it(`${written}: ${meant}`, async () => {
      const [problem] = await problemsOf(around('to: http://b.test', `${key}: { ${written} }`))
      assert.equal((problem as string).split('\n')[1], meant)
    })
  }
  it('has no suggestion where nothing is known', async () => {
    const [problem] = await problemsOf(around('to: http://b.test', 'timeouts: { response: 5 parsecs }'))
    assert.ok(!(problem as string).includes('\n'), problem)
  })
})

describe('a key at the wrong indentation', () => {
  const rows: [text: string, said: string][] = [
    [
      'sites:\n  - host: a\n    certificate: local\n   to: x\n',
      'sallyport.yaml:4:4: to is indented by 3 spaces, which matches none of the keys above it\n4 spaces put it beside certificate, 0 spaces put it beside sites',
    ],
    [
      'sites:\n  - host: a\n     certificate: local\n',
      'sallyport.yaml:3:6: certificate is indented by 5 spaces, which matches none of the keys above it\n4 spaces put it beside host, 0 spaces put it beside sites',
    ],
    [
      'log: { access: true }\n  limits:\n',
      'sallyport.yaml:2:3: limits is indented by 2 spaces, which matches none of the keys above it\n0 spaces put it beside log',
    ],
    ['sites:\n\t- host: a\n', 'sallyport.yaml:2:1: this line is indented with a tab\nYAML allows only spaces'],
  ]
  for (const [text, said] of rows)
    it(JSON.stringify(text), async () => assert.equal((await problemsOf(text))[0], said))
})

describe('routes that take less than they seem to', () => {
  const warnings = async (routes: string) => {
    const loaded = await load(around(`routes: [${routes}]`))
    return everyProblem(loaded).map(({ severity, message, hint }) => `${severity}: ${message}; ${hint}`)
  }
  const to = 'to: "http://b.test"'

  it('warn of /api* and / where nothing takes what is below', async () => {
    const [first, second] = await warnings(`{ match: { path: /api* }, ${to} }`)
    assert.match(first as string, /^warning: \/api\* matches nothing below it.*write \/api\/\*$/)
    assert.match(second as string, /requests that match no route get a 404/)
    assert.match(
      (await warnings(`{ match: { path: / }, ${to} }`))[0] as string,
      /^warning: \/ matches nothing below/,
    )
  })

  it('are silent where another route takes what is below', async () => {
    assert.deepEqual(await warnings(`{ match: { path: [/api*, /api/*] }, ${to} }, { ${to} }`), [])
    assert.deepEqual(await warnings(`{ match: { path: / }, ${to} }, { ${to} }`), [])
  })

  it('warn of a site without a catch-all', async () => {
    const [only, ...more] = await warnings(`{ match: { path: /api/* }, ${to} }`)
    assert.match(only as string, /a\.test: requests that match no route get a 404/)
    assert.deepEqual(more, [])
    const methods = await warnings(`{ match: { path: /*, method: GET }, ${to} }`)
    assert.match(methods[0] as string, /match no route/)
  })
})
