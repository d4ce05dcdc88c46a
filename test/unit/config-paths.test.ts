/** `path`: where it may stand, and which combinations would let a request around its route. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RouteConfig } from '../../src/config/config.ts'
import { Problems } from '../../src/config/engine/problem.ts'
import { pathFormOf, type StageConfig } from '../../src/config/stages.ts'
import { checkPaths } from '../../src/config/validate-paths.ts'
import { type Feature, feature } from '../../src/features/feature.ts'
import { around, load, problemsOf } from './config-folder.ts'

const to = 'to: http://b.test'
const wrong = async (site: string) => (await problemsOf(around(site))).join('\n')
const routes = (...each: string[]) => `routes: [${each.map(one => `{ ${one} }`).join(', ')}]`

describe('path', () => {
  it('is made of what each level says of it', async () => {
    const { config } = await load(
      `defaults: { path: { parameters: strip, merge: false } }\n${around(
        `path: { merge: true }\n${routes(
          `match: { path: /a }, ${to}`,
          `match: { path: /b }, path: { normalize: keep, parameters: keep }, ${to}`,
          `match: { path: /c }, path: { parameters: keep }, ${to}`,
        )}`,
      )}`,
    )
    const { action } = config.sites[0]!
    assert.ok(action.kind === 'http')
    const base = { encodedSlash: false, merge: true, decode: true, dots: true, stripParameters: false }
    assert.deepEqual(
      action.routes.map(({ stages }) => pathFormOf(stages)),
      [{ ...base, stripParameters: true }, { ...base, decode: false, dots: false }, undefined],
    )
  })

  it('is no pattern: that is match.path', async () => {
    assert.match(await wrong(routes(`path: /a, ${to}`)), /path/)
    assert.match(await wrong(`${to}\npath: { merge: yes-please }`), /merge/)
    assert.match(await wrong(`${to}\npath: { encodedSlash: allow }`), /encodedSlash takes reject or keep|reject/)
  })

  it('without a normal form is not for strip and rewrite', async () => {
    for (const option of ['strip: /a', 'rewrite: { from: /a/*, to: /b/* }'])
      assert.match(await wrong(routes(`path: { normalize: keep }, ${option}, ${to}`)), /needs paths in normal form/)
    assert.match(await wrong(`path: { normalize: keep }\nstrip: /a\n${to}`), /needs paths in normal form/)
    assert.equal(await wrong(routes(`path: { merge: false, encodedSlash: keep }, strip: /a, ${to}`)), '')
  })
})

describe('encoded slashes', () => {
  const keep = 'path: { encodedSlash: keep }'
  const clients = 'clients: { ca: ca.pem, verify: optional }'
  const files = { 'ca.pem': '' }

  it('are for sites whose routes ask the same of clients', async () => {
    const site = (...each: string[]) => around(`${clients}\n${keep}\n${routes(...each)}`)
    const problems = async (...each: string[]) => (await problemsOf(site(...each), {}, files)).join('\n')
    const require = 'clients: require'
    assert.match(
      await problems(`match: { path: /admin/* }, ${require}, ${to}`, to),
      /:\d+:\d+: clients is not the same on all routes of this site\npath.encodedSlash is keep on sites\[0\]\.routes\[0\]/,
    )
    assert.match(
      await problems(`match: { path: /admin/*, client: [{ san: a.test }] }, ${to}`, to),
      /match.client is not the same/,
    )
    assert.match(await problems(`match: { path: /admin/*, ja4: t13* }, ${to}`, to), /match.ja4 is not the same/)
    assert.equal(await problems(`match: { path: /admin/* }, ${require}, ${to}`, `${require}, ${to}`), '')
  })

  it('are for sites whose routes let the same addresses in', async () => {
    const inside = 'access: { allow: [10.0.0.0/8] }'
    assert.match(
      await wrong(`${keep}\n${routes(`match: { path: /admin/* }, ${inside}, ${to}`, to)}`),
      /access is not the same on all routes/,
    )
    assert.equal(await wrong(`${keep}\n${inside}\n${routes(`match: { path: /admin/* }, ${to}`, to)}`), '')
    assert.equal(
      await wrong(`${keep}\n${routes(`match: { path: /admin/* }, ${inside}, ${to}`, `${inside}, ${to}`)}`),
      '',
    )
  })

  it('are also refused if one route alone takes them', async () => {
    const text = around(
      `${clients}\n${routes(`match: { path: /npm/* }, ${keep}, ${to}`, `match: { path: /admin/* }, clients: require, ${to}`, to)}`,
    )
    assert.match((await problemsOf(text, {}, files)).join('\n'), /clients is not the same/)
    const merges = text.replace(keep, 'path: { merge: false, parameters: strip }')
    assert.deepEqual(await problemsOf(merges, {}, files), [])
  })

  it('get around a route that refuses by its path', async () => {
    const refuses = 'match: { path: /internal/* }, respond: { status: 403 }'
    assert.match(
      await wrong(`${keep}\n${routes(refuses, to)}`),
      /this route refuses \/internal\/\* with a 403, which an encoded slash gets around/,
    )
    assert.equal(
      await wrong(`${keep}\n${routes(`match: { path: /api/* }, ${to}`, 'respond: { status: 404 }')}`),
      '',
    )
    assert.equal(await wrong(routes(refuses, to)), '')
  })
})

describe('features that decide who may send a request', () => {
  const guard = (authorizes: 'requests' | 'paths') =>
    feature({
      docs: '',
      row: { kind: { type: 'boolean' }, docs: '' },
      inherits: 'replaces',
      authorizes,
      compile: () => ({}),
      explain: () => '',
    }) as unknown as Feature
  const pathFeature = feature({
    docs: '',
    row: { kind: { type: 'boolean' }, docs: '' },
    inherits: 'replaces',
    compile: () => ({}),
    pathForm: () => ({ encodedSlash: true, merge: true, decode: true, dots: true, stripParameters: false }),
    explain: () => '',
  }) as unknown as Feature
  const stage = (name: string, ...values: unknown[]) => ({ name, values, at: [] }) as unknown as StageConfig
  const route = (at: number, ...stages: StageConfig[]) =>
    ({
      name: `${at}`,
      at: `sites[0].routes[${at}]`,
      match: { paths: [`/${at}`], clients: [], ja4: [] },
      requireClient: false,
      action: { kind: 'upstream' },
      stages,
    }) as unknown as RouteConfig
  const list = {
    kind: 'list',
    at: { source: { name: null, position: () => ({}) }, path: '', offset: 0 },
    items: [],
  }
  const found = (all: readonly RouteConfig[], authorizes: 'requests' | 'paths') => {
    const problems = new Problems()
    checkPaths(all, list as never, problems, { path: pathFeature, guard: guard(authorizes) })
    return problems.list().map(({ message }) => message)
  }
  const path = stage('path', true)

  it('are the same on all routes', () => {
    assert.deepEqual(found([route(0, path), route(1, stage('guard', 1))], 'requests'), [
      'guard is not the same on all routes of this site',
    ])
    assert.deepEqual(found([route(0, path, stage('guard', 1)), route(1, stage('guard', 2))], 'requests'), [
      'guard is not the same on all routes of this site',
    ])
    assert.deepEqual(found([route(0, path, stage('guard', 1)), route(1, stage('guard', 1))], 'requests'), [])
    assert.deepEqual(found([route(0), route(1, stage('guard', 1))], 'requests'), [])
  })

  it('and do so by the path do not go with it at all', () => {
    assert.deepEqual(found([route(0, path, stage('guard', 1))], 'paths'), [
      'guard decides by the path, which a backend may read in another way than it',
    ])
  })
})
