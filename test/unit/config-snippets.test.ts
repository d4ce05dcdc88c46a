/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested */
/** `snippets`: what `use` puts where, what counts before what, and where mistakes in them are. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { describe, it } from 'node:test'
import type { RouteConfig, SiteConfig } from '../../src/config/config.ts'
import { type Files, load, problemsOf, problemsOfValue } from './config-folder.ts'

const top = (snippets: string, rest: string) => `listen: [{ port: 443 }]\nsnippets:\n${snippets}\n${rest}\n`
const site = (more: string) => `sites: [{ host: a.test, certificate: local, ${more} }]`
const to = 'to: "http://b.test"'

async function sitesOf(yaml: string, files: Files = {}): Promise<readonly SiteConfig[]> {
  const { config, warnings } = await load(yaml, {}, files)
  assert.deepEqual(warnings, [])
  return config.sites
}

const routesOf = ({ action }: SiteConfig): readonly RouteConfig[] => (action.kind === 'http' ? action.routes : [])
const valuesOf = ({ stages }: Pick<SiteConfig, 'stages'>, name: string) =>
  stages.find(stage => stage.name === name)?.values as never

describe('snippets', () => {
  it('add their options to sites, routes and defaults', async () => {
    const snippets =
      '  fast: { compress: true }\n  long: { timeouts: { response: 5m } }\n  own: { certificate: local }'
    const sites = [
      'defaults: { use: fast }',
      'sites:',
      '  - { host: a.test, use: [own, long], to: "http://b.test" }',
      '  - { host: b.test, use: own, routes: [{ use: long, to: "http://b.test" }, { match: { path: /x }, to: "http://b.test" }] }',
    ].join('\n')
    const [a, b] = (await sitesOf(top(snippets, sites))) as [SiteConfig, SiteConfig]
    assert.deepEqual([a.certificate, b.certificate], [{ kind: 'local' }, { kind: 'local' }])
    assert.deepEqual(valuesOf(a, 'compress'), [{ as: 'text', value: true }])
    assert.equal(routesOf(a)[0]?.timeouts.responseMs, 300_000)
    assert.deepEqual(
      routesOf(b).map(({ timeouts }) => timeouts.responseMs === 300_000),
      [true, false],
    )
  })

  it('what is written beside use counts, then later names before earlier ones; maps are merged, lists are not', async () => {
    const snippets = [
      '  one: { headers: { response: { set: { a: one, b: one, c: one }, remove: [x] } }, compress: false }',
      '  two: { headers: { response: { set: { b: two, c: two }, remove: [y] } } }',
    ].join('\n')
    const own = 'headers: { response: { set: { c: own } } }, compress: true'
    const [a] = (await sitesOf(top(snippets, site(`use: [one, two], ${own}, ${to}`)))) as [SiteConfig]
    const [{ response }] = valuesOf(a, 'headers') as unknown as [
      { response: { set: Map<string, (facts: object) => string>; remove: string[] } },
    ]
    assert.deepEqual(
      [...response.set].map(([name, template]) => [name, template({})]),
      [
        ['a', 'one'],
        ['b', 'two'],
        ['c', 'own'],
      ],
    )
    assert.deepEqual(response.remove, ['y'])
    assert.deepEqual(valuesOf(a, 'compress'), [{ as: 'text', value: true }])
  })

  it('use others, whose options count less than their own', async () => {
    const snippets =
      '  base: { timeouts: { response: 1m, idle: 1m } }\n  slow: { use: base, timeouts: { response: 5m } }'
    const [a] = (await sitesOf(top(snippets, site(`use: slow, ${to}`)))) as [SiteConfig]
    const { responseMs, idleMs } = routesOf(a)[0]!.timeouts
    assert.deepEqual([responseMs, idleMs], [300_000, 60_000])
  })

  it('bring routes, which may use others', async () => {
    const snippets =
      '  probe: { routes: [{ use: [fine], match: { path: /health } }] }\n  fine: { respond: { body: ok } }'
    const [a] = (await sitesOf(top(snippets, site('use: probe')))) as [SiteConfig]
    assert.equal(routesOf(a)[0]?.action.kind, 'respond')
  })

  it('inline upstreams of two sites are two, each with a name of its own', async () => {
    const sites = `sites:\n${['a.test', 'b.test'].map(host => `  - { host: ${host}, certificate: local, use: backend }`).join('\n')}`
    const { config } = await load(top('  backend: { to: { endpoints: ["http://10.0.0.1:80"] } }', sites))
    assert.deepEqual(
      config.upstreams.map(({ name }) => name),
      ['sites[0].to', 'sites[1].to'],
    )
  })

  it('stand in included files, with paths that begin there', async () => {
    const files = {
      'shared/parts.yaml': 'snippets: { ours: { errors: { 502: { file: sorry.html } } } }\n',
      'shared/sorry.html': 'sorry',
      'site.yaml': `sites: [{ host: b.test, certificate: local, use: ours, ${to} }]\n`,
    }
    const yaml = `listen: [{ port: 443 }]\ninclude: [shared/parts.yaml, site.yaml]\n${site(`use: ours, ${to}`)}`
    for (const each of await sitesOf(yaml, files))
      assert.match(
        JSON.stringify([...(valuesOf(each, 'errors') as unknown as [Map<string, unknown>])[0]]),
        /shared\/sorry\.html/,
      )
    const twice = { ...files, 'more.yaml': 'snippets: { ours: {} }\n' }
    assert.match(
      (await problemsOf(yaml.replace('[shared', '[more.yaml, shared'), {}, twice)).join(),
      /shared\/parts\.yaml:1:13: ours is already defined under snippets/,
    )
  })

  it('leave a configuration without them as it is', async () => {
    const [a] = (await sitesOf(`listen: [{ port: 443 }]\n${site(to)}`)) as [SiteConfig]
    assert.equal(a.hosts[0], 'a.test')
  })
})

describe('mistakes in snippets', () => {
  const wrong = (snippets: string, rest: string, env = {}, files: Files = {}) =>
    problemsOf(top(snippets, rest), env, files)

  it('a name that there is not is said where it is used', async () => {
    assert.deepEqual(await wrong('  secure: {}', site(`use: [secur], ${to}`)), [
      'sallyport.yaml:4:51: there is no snippet secur\ndid you mean secure?',
      'sallyport.yaml:3:3: warning: nothing uses the snippet secure, so nothing checks it\nwrite use: secure on a site or route, or remove it',
    ])
    assert.deepEqual(await problemsOf(`listen: [{ port: 443 }]\n${site(`use: x, ${to}`)}`), [
      'sallyport.yaml:2:50: there is no snippet x\nthis configuration has no snippets',
    ])
  })

  it('what is wrong in one is said once, where it is written, whoever uses it', async () => {
    const sites = `sites:\n${['a.test', 'b.test'].map(host => `  - { host: ${host}, certificate: local, use: slow, ${to} }`).join('\n')}`
    assert.deepEqual(await wrong('  slow:\n    timeouts: { response: soon, respons: 1s }', sites), [
      'sallyport.yaml:4:27: response takes a duration as in 250ms, 30s, 5m, 12h or 1d, or none, not "soon"',
      'sallyport.yaml:4:33: unknown key respons\ndid you mean response?',
    ])
  })

  it('and in the file that has it', async () => {
    const files = { 'parts.yaml': 'snippets:\n  ours:\n    compress: maybe\n' }
    const yaml = `listen: [{ port: 443 }]\ninclude: parts.yaml\n${site(`use: ours, ${to}`)}`
    assert.match((await problemsOf(yaml, {}, files)).join(), /^parts\.yaml:3:15: compress takes true or false/)
  })

  it('circles', async () => {
    const snippets = '  a: { use: b }\n  b: { use: [c] }\n  c: { use: a }\n  self: { use: self }'
    assert.deepEqual(await wrong(snippets, site(`use: [a, self], ${to}`)), [
      'sallyport.yaml:5:13: the snippet a uses itself: a -> b -> c -> a\nremove one of these uses',
      'sallyport.yaml:6:16: the snippet self uses itself: self -> self\nremove one of these uses',
    ])
  })

  it('what has no form', async () => {
    assert.match((await wrong('  a: 5', site(`use: a, ${to}`))).join(), /3:6: .*takes a map of options, not 5/)
    assert.match((await wrong('  a: { use: 5 }', site(`use: a, ${to}`))).join(), /use takes names of snippets/)
    assert.match((await wrong('  "a b": {}', site(to))).join(), /"a b" cannot be the name of a snippet/)
    assert.match((await wrong('  a: {}', site(`use: [[a]], ${to}`))).join(), /use\[0\] takes a string/)
    assert.match(
      (await problemsOf(`listen: [{ port: 443 }]\nsnippets: [a]\n${site(to)}`)).join(),
      /snippets takes a map of names/,
    )
  })

  it('an option that does not belong there', async () => {
    assert.match((await wrong('  a: { port: 1 }', site(`use: a, ${to}`))).join(), /3:8: unknown key port/)
    assert.match((await wrong('  a: { respond: {} }', site(`use: a, ${to}`))).join(), /unknown key respond/)
    const both = await wrong('  a: { to: "http://c.test" }', site(`use: a, routes: [{ ${to} }]`))
    assert.match(both.join(), /a site has only one of/)
  })

  it('no message quotes what came from a variable', async () => {
    const text = (
      await wrong('  a: { headers: { request: { set: { x-key: "{${KEY}}" } } } }', site(`use: a, ${to}`), {
        KEY: 'topsecretvalue',
      })
    ).join()
    assert.match(text, /KEY/)
    assert.doesNotMatch(text, /topsecretvalue|topsecret/)
    // One that is too short to be looked for everywhere is known by its place, also where it was put.
    const short = (
      await wrong('  a: { timeouts: { response: "${T}" } }', site(`use: a, ${to}`), { T: 'xy' })
    ).join()
    assert.match(short, /not \$\{T\}|not "\$\{T\}"/)
    assert.doesNotMatch(short, /xy/)
  })

  it('many that use each other twice take no time', async () => {
    const count = 30
    const doubling = Array.from({ length: count }, (_, at) => `  s${at}: { use: [s${at + 1}, s${at + 1}] }`)
    const snippets = [...doubling, `  s${count}: { compress: true }`].join('\n')
    const [a] = (await sitesOf(top(snippets, site(`use: s0, ${to}`)))) as [SiteConfig]
    assert.deepEqual(valuesOf(a, 'compress'), [{ as: 'text', value: true }])
    const deep = Array.from({ length: 40 }, (_, at) => `  s${at}: { use: s${at + 1} }`)
    assert.match(
      (await wrong([...deep, '  s40: {}'].join('\n'), site(`use: s0, ${to}`))).join(),
      /more than 32 times deep/,
    )
  })

  it('in code, messages have the place of use', async () => {
    const sites = [{ host: 'a.test', certificate: 'local', use: 'slow', to: 'http://b.test' }]
    const value = { listen: [{ port: 443 }], snippets: { slow: { timeouts: { response: 'soon' } } }, sites }
    assert.match((await problemsOfValue(value)).join(), /sites\[0\]\.timeouts\.response/)
    assert.equal(path.sep, '/')
  })
})
