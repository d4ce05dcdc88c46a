/** Every mistake is reported at once, each as FILE:LINE:COLUMN: message. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConfigError } from '../../src/config/engine/problem.ts'
import { loadConfig } from '../../src/config/load.ts'
import { around, problemsOf, problemsOfValue, withFolder } from './config-folder.ts'

/** Only the first lines, without hints. */
const messages = async (yaml: string) => (await problemsOf(yaml)).map(problem => problem.split('\n')[0])

describe('errors', () => {
  it('come all at once, in file order, with line and column', async () => {
    const found = await problemsOf(
      [
        'listen:',
        '  - port: 70000',
        '  - adress: "::"',
        '    port: 80',
        'sites:',
        '  - host: a.test',
        '    certificate: local',
        '    to: http://10.0.0.1:80/api',
        '  - host: a.test',
        '    certificate: { chain: none.pem, key: none.key }',
        '    to: orders',
        'timeouts: { head: 30 }',
      ].join('\n'),
    )
    assert.deepEqual(found, [
      'sallyport.yaml:2:11: port is 0 to 65535, not 70000',
      'sallyport.yaml:3:5: unknown key adress\ndid you mean address?',
      'sallyport.yaml:8:9: http://10.0.0.1:80/api: an endpoint has no path (/api)\nrequests are forwarded with the path they came with; write http://10.0.0.1:80',
      'sallyport.yaml:9:11: a.test already belongs to the site at sites[0] (line 6)\na host has one site; give it routes there',
      'sallyport.yaml:10:27: none.pem does not exist\nlooked for FOLDER/none.pem',
      'sallyport.yaml:10:42: none.key does not exist\nlooked for FOLDER/none.key',
      'sallyport.yaml:11:9: there is no upstream orders\ndefine it under upstreams, or write a URL: http://orders:8080',
      'sallyport.yaml:12:19: head takes a duration as in 250ms, 30s, 5m, 12h or 1d, not 30\nadd the unit: 30s or 30ms',
    ])
  })

  it('carry path, line and column as fields too', async () => {
    await withFolder({ 'sallyport.yaml': around('to: http://a.test\npolicy: old') }, async cwd => {
      const error = await loadConfig({ cwd }).then(
        () => null,
        error => error,
      )
      assert.ok(error instanceof ConfigError)
      const [problem] = error.problems
      assert.equal(error.problems.length, 1)
      assert.deepEqual(
        [problem!.severity, problem!.file, problem!.line, problem!.column, problem!.path],
        ['error', 'sallyport.yaml', 6, 13, 'sites[0].policy'],
      )
    })
  })

  it('of syntax have a position', async () => {
    assert.deepEqual(await messages('listen: [\n  { port: 443 }\nsites: x'), [
      'sallyport.yaml:3:1: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ])
    assert.deepEqual(await messages('listen: []\n---\nsites: []'), [
      'sallyport.yaml:2:1: a second document begins here; a configuration is a single document',
    ])
  })

  it('of JSON have a position', async () => {
    const json =
      '{\n\t"listen": [{"port": 443}],\n\t"sites": [{"host": "a.test", "certificate": "local", "too": "http://b.test"}]\n}'
    await withFolder({ 'sallyport.json': json }, async cwd => {
      await assert.rejects(loadConfig({ cwd }), /^ConfigError: sallyport\.json:3:12: a site has one of to, routes/)
      await assert.rejects(loadConfig({ cwd }), /sallyport\.json:3:55: unknown key too\n {2}did you mean to\?/)
    })
  })

  it('of code name the value', async () => {
    const found = await problemsOfValue({
      listen: [{ port: 443 }],
      sites: [{ host: 'a b', certificate: 'local', to: ['http://b.test', 'https://b.test'] }],
    })
    assert.deepEqual(
      found.map(problem => problem.split('\n')[0]),
      [
        'configuration: sites[0].host: a b is not a host name',
        'configuration: sites[0].to[1]: https:// and http:// endpoints are mixed',
      ],
    )
  })

  it('come for what is written twice, or has no value', async () => {
    assert.deepEqual(
      await problemsOf(around('to: http://b.test', 'log: { access: true }\nlog: { access: false }\nstate:')),
      [
        'sallyport.yaml:7:1: log is written twice\nthe first is on line 6; only one of them can apply',
        'sallyport.yaml:8:7: state has no value\nas in /var/lib/sallyport, or remove the key',
      ],
    )
  })

  it('come for an empty file, an empty list, and a file that is not there', async () => {
    assert.deepEqual(await messages(''), [
      'sallyport.yaml:1:1: listen is missing',
      'sallyport.yaml:1:1: sites is missing',
    ])
    assert.deepEqual(await messages('listen: []\nsites: []'), [
      'sallyport.yaml:1:9: listen is empty',
      'sallyport.yaml:2:8: sites is empty',
    ])
    await withFolder({ 'x.conf': '' }, async cwd => {
      await assert.rejects(
        loadConfig({ cwd }),
        /there is no configuration here\n {2}looked for sallyport\.yaml, sallyport\.yml/,
      )
      await assert.rejects(loadConfig({ cwd, file: 'gone.yaml' }), /^ConfigError: gone\.yaml: does not exist/)
      await assert.rejects(loadConfig({ cwd, file: '.' }), /is a folder/)
      await assert.rejects(loadConfig({ cwd, file: 'x.conf' }), /is not a kind of file that can be read/)
    })
  })
})

describe('YAML aliases', () => {
  it('and merge keys work, and what is written beside them wins', async () => {
    const yaml = around('to: http://b.test').replace('sites:', 'timeouts: &t { head: 1s, drain: 2s }\nsites:')
    assert.deepEqual(await messages(yaml), [])
    const merged = `${around('routes:\n  - &r { match: { path: /a }, to: http://b.test }\n  - { <<: *r, match: { path: 5 } }')}`
    assert.deepEqual(await messages(merged), ['sallyport.yaml:7:34: path takes a string (path), not 5'])
  })
  it('that multiply are stopped', async () => {
    let yaml = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n'
    for (let level = 1; level <= 9; level++)
      yaml += `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(', ')}]\n`
    assert.ok((await messages(yaml)).some(message => message!.includes('aliases expand to more than 50000 values')))
  })
  it('that contain themselves are errors', async () => {
    assert.ok((await messages('listen: &l [*l]')).includes('sallyport.yaml:1:13: *l contains itself'))
    assert.ok((await messages('listen: *gone')).some(message => message!.includes('gone')))
  })
  it('nested thousands deep end in an error', async () => {
    assert.ok((await messages(`listen: ${'['.repeat(20_000)}`)).length > 0)
    assert.ok(
      (await messages(`listen: ${'['.repeat(100)}${']'.repeat(100)}`)).some(message =>
        message!.includes('nested more than'),
      ),
    )
  })
})
