/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: one is tested to stay */
/** Configurations in TypeScript and JavaScript, and values given by the library. */
import assert from 'node:assert/strict'
import { utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { ConfigInput } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { defineConfig } from '../../src/index.ts'
import { problemsOfValue, withFolder } from './config-folder.ts'

const library = pathToFileURL(path.resolve('src/index.ts')).href

const source = (host: string) => `import { defineConfig } from '${library}'
function tag(exchange: unknown) { return null }
export default defineConfig({
  listen: [{ port: 443 as number, cleartext: undefined }],
  sites: [{ host: '${host}', certificate: 'local', routes: [{ to: 'http://b.test', filters: [tag] }] }],
  filters: [{ name: 'auth', request() { return null } } as never],
})
`

const value: ConfigInput = {
  listen: [{ port: 0 }],
  sites: [{ host: ['a.test'], certificate: 'local', to: ['http://b.test'] }],
  timeouts: { idle: 'none', head: '5s' },
  limits: { body: 1024 },
}

describe('a TypeScript configuration', () => {
  it('is found, and may hold filters', async () => {
    await withFolder({ 'sallyport.config.ts': source('a.test') }, async cwd => {
      const { config } = await loadConfig({ cwd })
      assert.deepEqual(config.sites[0]!.hosts, ['a.test'])
      assert.deepEqual(
        config.filters.map(filter => filter.name),
        ['auth'],
      )
      const action = config.sites[0]!.action
      assert.ok(action.kind === 'http')
      const filters = action.routes[0]!.filters as readonly { name: string; request?: unknown }[]
      assert.deepEqual(
        filters.map(filter => [filter.name, typeof filter.request]),
        [
          ['auth', 'function'],
          ['tag', 'function'],
        ],
      )
    })
  })
  it('is read again when it has changed', async () => {
    await withFolder({ 'sallyport.config.ts': source('a.test') }, async cwd => {
      await loadConfig({ cwd })
      const file = path.join(cwd, 'sallyport.config.ts')
      writeFileSync(file, source('b.test'))
      utimesSync(file, new Date(), new Date(Date.now() + 5_000))
      assert.deepEqual((await loadConfig({ cwd })).config.sites[0]!.hosts, ['b.test'])
    })
  })
  it('has its errors at the file and the path of the value', async () => {
    await withFolder({ 'sallyport.config.ts': source('a b').replace("'local'", "'acmee'") }, async cwd => {
      await assert.rejects(
        loadConfig({ cwd }),
        /^ConfigError: sallyport\.config\.ts: sites\[0\]\.host: a b is not a host name\nsallyport\.config\.ts: sites\[0\]\.certificate: certificate takes acme, local or vault/,
      )
    })
  })
  it('without a default export, or that throws, is an error of that file', async () => {
    await withFolder(
      { 'none.mjs': 'export const a = 1', 'throws.mjs': 'throw new Error("no database")' },
      async cwd => {
        await assert.rejects(
          loadConfig({ cwd, file: 'none.mjs' }),
          /^ConfigError: none\.mjs: has no default export/,
        )
        await assert.rejects(
          loadConfig({ cwd, file: 'throws.mjs' }),
          /^ConfigError: throws\.mjs: cannot be loaded: no database/,
        )
      },
    )
  })
})

describe('a value in code', () => {
  it('is taken as it is, and belongs to no file', async () => {
    const { config } = await loadConfig({ value: defineConfig(value), cwd: '/srv', env: {} })
    assert.deepEqual([config.file, config.state, config.listen[0]!.port], [null, '/srv/.sallyport', 0])
    assert.deepEqual([config.timeouts.idleMs, config.timeouts.headMs, config.limits.bodyBytes], [0, 5_000, 1_024])
  })
  it('keeps ${} as text: code has its own way to the environment', async () => {
    const sites = [{ host: 'a.test', certificate: 'local', routes: [{ respond: { body: '${X}' } }] }]
    const { config } = await loadConfig({ value: { ...value, sites } })
    const action = config.sites[0]!.action
    assert.ok(action.kind === 'http' && action.routes[0]!.action.kind === 'respond')
    assert.equal(action.routes[0]!.action.body, '${X}')
  })
  it('that is no configuration at all is an error', async () => {
    assert.match(
      (await problemsOfValue(5))[0]!,
      /^configuration: the configuration takes a map with listen, .*, not 5$/,
    )
    assert.match((await problemsOfValue([]))[0]!, /not a list$/)
    const circle: Record<string, unknown> = { listen: [{ port: 1 }] }
    circle['sites'] = circle
    assert.ok((await problemsOfValue(circle)).some(problem => problem.includes('contains itself')))
  })
  it('refuses a filter that would never run, or fail every request', async () => {
    class Auth {
      readonly name = 'auth'
      request() {
        return null
      }
    }
    const found = await problemsOfValue({
      ...value,
      filters: [
        new Auth(),
        { name: 'a', reqest() {} },
        { name: 'b', request() {}, reponse() {} },
        { name: 'c', request() {}, done: 5 },
        { name: 'd', helper() {} },
        { name: 'e', request() {}, helper() {} },
      ],
    })
    assert.deepEqual(
      found.map(problem => problem.split('\n')[0]),
      [
        'configuration: filters[1]: the filter a has no phase reqest',
        'configuration: filters[2]: the filter b has no phase reponse',
        'configuration: filters[3]: done of the filter c is not a function',
        'configuration: filters[4]: the filter d has none of the phases request, requestBody, attempt, response, responseBody, done',
      ],
    )
  })
  it('takes filters only as functions and named objects', async () => {
    const found = await problemsOfValue({ ...value, filters: [{ request() {} }, 'auth'] })
    assert.deepEqual(
      found.map(problem => problem.split('\n')[0]),
      [
        'configuration: filters[0]: a filter has a name',
        'configuration: filters[1]: filters[1] takes a function, or an object with phases, not "auth"',
      ],
    )
  })
})
