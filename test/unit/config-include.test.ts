/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested */
/** `include`: what is added from other files and in which order, where their mistakes are, and where their paths begin. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { describe, it } from 'node:test'
import { ConfigError } from '../../src/config/engine/problem.ts'
import { loadConfig } from '../../src/config/load.ts'
import { type Files, load, problemsOf, withFolder } from './config-folder.ts'

const site = (host: string, to = 'http://b.test') =>
  `sites:\n  - { host: ${host}, certificate: local, to: "${to}" }\n`
const top = (include: string, rest = '') => `listen: [{ port: 443 }]\ninclude: ${include}\n${rest}`

async function hostsOf(yaml: string, files: Files, env = {}): Promise<string[]> {
  const { config, warnings } = await load(yaml, env, files)
  assert.deepEqual(warnings, [])
  return config.sites.map(({ name }) => name)
}

describe('include', () => {
  it('adds sites after those of the file, in the order of patterns and of names', async () => {
    const files = {
      'sites/b.yaml': site('b.test'),
      'sites/a.yaml': site('a.test'),
      'sites/.hidden.yaml': 'not: [read',
      'sites/a.yaml~': 'not: [read',
      'first.yml': site('first.test'),
      'more/x/c.json': '{"sites": [{"host": "c.test", "certificate": "local", "to": "http://b.test"}]}',
      'more/y/d.yaml': '',
    }
    const include = '[first.yml, sites/*.yaml, more/*/*.json, more/*/*.yaml]'
    assert.deepEqual(await hostsOf(top(include, site('top.test')), files), [
      'top.test',
      'first.test',
      'a.test',
      'b.test',
      'c.test',
    ])
    assert.deepEqual(await hostsOf(top('[first.yml, "*.yml"]'), files), ['first.test'])
    assert.deepEqual(await hostsOf(top('${WHERE}/*.yaml'), files, { WHERE: 'sites' }), ['a.test', 'b.test'])
  })

  it('adds upstreams and policies, for every file', async () => {
    const files = {
      'a.yaml': `${site('a.test', 'orders')}policies: { ours: { extends: modern } }\n`,
      'b.yaml': 'upstreams: { orders: { endpoints: [http://10.0.0.1:80] } }\n',
    }
    const own = 'policy: ours\nupstreams: { more: { endpoints: [http://10.0.0.2:80] } }\n'
    const { config } = await load(top('[a.yaml, b.yaml]', own), {}, files)
    assert.deepEqual(
      config.upstreams.map(({ name }) => name),
      ['more', 'orders'],
    )
    assert.equal(config.sites[0]!.policy, 'ours')
  })

  it('resolves paths against the file that contains them', async () => {
    const files = {
      'shop/site.yaml':
        'sites:\n  - host: a.test\n    certificate: { chain: a.pem, key: a.key }\n    to: "${file:backend}"\n',
      'shop/a.pem': 'x',
      'shop/a.key': 'x',
      'shop/backend': 'http://10.0.0.9:80\n',
    }
    await withFolder({ 'sallyport.yaml': top('shop/*.yaml'), ...files }, async cwd => {
      const { config } = await loadConfig({ cwd, env: {} })
      const [one] = config.sites
      assert.ok(one?.certificate?.kind === 'files')
      assert.equal(one.certificate.pairs[0]!.chainFile, path.join(cwd, 'shop/a.pem'))
      assert.equal(config.upstreams[0]!.endpoints[0]!.host, '10.0.0.9')
    })
  })

  it('gives mistakes their place in the included file', async () => {
    const files = {
      'sites/a.yaml': site('a.test').replace(' }', ', hots: x }'),
      'sites/b.yaml': `listen: []\nupstrems: {}\ninclude: x.yaml\n`,
      'sites/c.yaml': '- a\n',
      'sites/d.yaml': 'sites: {}\nupstreams: []\n',
    }
    assert.deepEqual(await problemsOf(top('sites/*.yaml', 'nothing: 1\n'), {}, files), [
      `sallyport.yaml:3:1: unknown key nothing\n${await hintForNothing()}`,
      'sites/a.yaml:2:62: unknown key hots\ndid you mean host?',
      'sites/b.yaml:1:1: listen can only be in the file that includes this one\nan included file may hold sites, upstreams, policies and snippets',
      'sites/b.yaml:2:1: unknown key upstrems\ndid you mean upstreams?',
      'sites/b.yaml:3:1: include can only be in the file that includes this one\nan included file may hold sites, upstreams, policies and snippets',
      'sites/c.yaml:1:1: an included file is a map with sites, upstreams, policies, snippets',
      'sites/d.yaml:1:8: sites is a list of sites\nas in sites: [{ host: shop.example.com, to: ... }]',
      'sites/d.yaml:2:12: upstreams is a map of names\nas in upstreams: { NAME: { ... } }',
    ])
    assert.deepEqual(await problemsOf(top('a.yaml'), {}, { 'a.yaml': 'sites: []\n' }), [
      'a.yaml:1:8: sites is empty\nas in [{ host: shop.example.com, certificate: local, to: "http://10.0.0.5:3000" }]',
    ])
    const broken = { 'sites/a.yaml': 'sites: [\n', 'sites/b.yaml': 'sites: }\n' }
    const found = await problemsOf(top('sites/*.yaml'), {}, broken)
    assert.match(found[0]!, /^sites\/a\.yaml:/)
    assert.match(found.at(-1)!, /^sites\/b\.yaml:/)
  })

  it('names files as the including file is named', async () => {
    const files = { 'conf/sallyport.yaml': top('sites/a.yaml'), 'conf/sites/a.yaml': 'x: 1\n' }
    await withFolder(files, async cwd => {
      const error = await loadConfig({ cwd, env: {}, file: 'conf/sallyport.yaml' }).catch(error => error)
      assert.ok(error instanceof ConfigError)
      assert.match(error.message, /^conf\/sites\/a\.yaml:1:1: unknown key x$/m)
      const direct = {
        cwd,
        env: {},
        value: { listen: [{ port: 443 }], sites: [], include: [`${cwd}/conf/sites/*.yaml`] },
      }
      const other = await loadConfig(direct).catch(error => error)
      assert.ok(other instanceof ConfigError)
      assert.ok(other.message.includes(`${cwd}/conf/sites/a.yaml:1:1: unknown key x`), other.message)
    })
  })

  it('refuses hosts and names that two files have, with both places', async () => {
    const files = {
      'sites/a.yaml': `${site('a.test')}upstreams:\n  orders: { endpoints: [http://10.0.0.1:80] }\n`,
      'sites/b.yaml': `${site('a.test')}upstreams:\n  orders: { endpoints: [http://10.0.0.1:80] }\n`,
    }
    const own = `${site('top.test')}upstreams:\n  orders: { endpoints: [http://10.0.0.1:80] }\n`
    assert.deepEqual(
      (await problemsOf(top('sites/*.yaml', own), {}, files)).filter(text => !text.includes('warning')),
      [
        'sites/a.yaml:4:3: orders is already defined under upstreams\nthe first is at sallyport.yaml:6:3; rename one of them',
        'sites/b.yaml:2:13: a.test already belongs to the site at sites/a.yaml:2:5\na host has one site; give it routes there',
        'sites/b.yaml:4:3: orders is already defined under upstreams\nthe first is at sallyport.yaml:6:3; rename one of them',
      ],
    )
  })

  it('refuses a second default site, with the place of the first', async () => {
    const byDefault = (host: string) => site(host).replace(' }', ', default: true }')
    const files = { 'a.yaml': byDefault('a.test'), 'b.yaml': byDefault('b.test') }
    assert.deepEqual(await problemsOf(top('[a.yaml, b.yaml]'), {}, files), [
      'b.yaml:2:71: two sites are the default\nthe first is a.yaml:2:5; only one can be, unless their listeners differ',
    ])
  })

  it('that matches nothing is a mistake unless it has a star', async () => {
    assert.deepEqual(await problemsOf(top('[sites/a.yaml, none/*.yaml]', site('a.test'))), [
      'sallyport.yaml:2:11: sites/a.yaml does not exist\nlooked for FOLDER/sites/a.yaml; create it, correct the path, or write a pattern with * for files that may be missing',
    ])
    const folder = { 'a.yaml/b': '' }
    assert.match(
      (await problemsOf(top('a.yaml', site('a.test')), {}, folder))[0]!,
      /2:10: a\.yaml is not a regular file\n/,
    )
    assert.deepEqual(await hostsOf(top('none/*.yaml', site('a.test')), {}), ['a.test'])
  })

  it('refuses patterns that it cannot read, and the file itself', async () => {
    const found = await problemsOf(top('["**/a.yaml", sites, "", "*.yaml"]', site('a.test')))
    assert.deepEqual(
      found.map(text => text.split('\n')[0]),
      [
        'sallyport.yaml:2:11: **/a.yaml: ** has no meaning',
        'sallyport.yaml:2:24: sites: an included file is .yaml, .yml or .json',
        'sallyport.yaml:2:31: include names no file',
        'sallyport.yaml:2:35: *.yaml includes the file that it stands in',
      ],
    )
  })

  it('keeps the names of upstreams in place when other files come', async () => {
    const files = { 'sites/b.yaml': site('b.test') }
    const before = await load(top('sites/*.yaml'), {}, files)
    const after = await load(top('sites/*.yaml'), {}, { ...files, 'sites/a.yaml': site('a.test') })
    const name = 'sites/b.yaml:sites[0].to'
    assert.deepEqual(
      before.config.upstreams.map(({ name }) => name),
      [name],
    )
    assert.ok(after.config.upstreams.some(upstream => upstream.name === name))
    assert.deepEqual(after.place('sites', 1, 'host'), {
      file: 'sites/b.yaml',
      line: 2,
      column: 13,
      path: 'sites/b.yaml:sites[0].host',
    })
  })

  it('reaches another process as it was read, from a file and from code', async () => {
    await withFolder({ 'sallyport.yaml': top('sites/*.yaml'), 'sites/a.yaml': site('a.test') }, async cwd => {
      const value = { listen: [{ port: 443 }], sites: [], include: ['sites/*.yaml'] }
      const [file, code] = await Promise.all([loadConfig({ cwd, env: {} }), loadConfig({ cwd, env: {}, value })])
      execFileSync('sh', ['-c', 'rm -r sites && mkdir sites && echo nothing > sites/b.yaml'], { cwd })
      for (const { source } of [file, code]) {
        const { config } = await loadConfig({ source: JSON.parse(JSON.stringify(source)), env: {} })
        assert.deepEqual(config.sites[0]!.hosts, ['a.test'])
      }
    })
  })

  it('is what examples/several-files shows', async () => {
    const { config, warnings } = await loadConfig({ env: {}, file: 'examples/several-files/sallyport.yaml' })
    assert.deepEqual(warnings, [])
    assert.deepEqual(
      config.sites.map(({ name }) => name),
      ['shop.localhost', 'wiki.localhost'],
    )
  })

  it('does not tell a value that names of files came from, and keeps files apart', async () => {
    const [env, files] = [{ WHERE: 'Kx42secret' }, { 'Kx42secret/a.yaml': 'x: 1\n', 'Kx42secret/b.yaml': 'x: 1\n' }]
    const first = async (pattern: string) =>
      (await problemsOf(top(pattern, site('a.test')), env, files)).map(text => text.split('\n')[0])
    assert.deepEqual(await first('"${WHERE}/*.yaml"'), [
      '${WHERE}/a.yaml:1:1: unknown key x',
      '${WHERE}/b.yaml:1:1: unknown key x',
    ])
    assert.deepEqual(await first('"${WHERE}/c.yaml"'), ['sallyport.yaml:2:10: ${WHERE}/c.yaml does not exist'])
    const sites = { 'Kx42secret/a.yaml': site('a.test'), 'Kx42secret/b.yaml': site('b.test') }
    const { config } = await load(top('"${ALL}"'), { ALL: 'Kx42secret/*.yaml' }, sites)
    assert.deepEqual(
      config.upstreams.map(({ name }) => name),
      ['${ALL}:sites[0].to', '${ALL}#2:sites[0].to'],
    )
  })
})

/** The hint lists all keys that there are. */
async function hintForNothing(): Promise<string> {
  const [found] = await problemsOf(
    'listen: [{ port: 443 }]\nsites: [{ host: a.test, certificate: local, to: "http://b.test" }]\nnothing: 1\n',
  )
  return found!.split('\n').slice(1).join('\n')
}
