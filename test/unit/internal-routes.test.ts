/** Routes that features have for themselves on a site: before those of the same path, with the stages of the site. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { StageConfig } from '../../src/config/stages.ts'
import { features } from '../../src/features/all.ts'
import type { Feature } from '../../src/features/feature.ts'
import { fallbackRoute, routesOfFeatures } from '../../src/gateway/fallback.ts'
import type { Route } from '../../src/model/route.ts'
import { needsNoBody, type Origin, type StagedExchange } from '../../src/model/stage.ts'
import { routeTable } from '../../src/route/match.ts'
import { Fields } from '../../src/wire/fields.ts'
import { Noted, nothingLasts, requestHead, responseHead } from '../harness/stage-peers.ts'

const where = { paths: [], hosts: ['a.test'], isDefaultSite: false }
const origin: Origin = (_exchange, sink) => {
  sink.answer(responseHead(200), true)
  sink.end(null)
  return needsNoBody
}
const signIn = {
  ...features.strip,
  routes: () => [{ path: '/signed-in', methods: ['GET'], origin }],
} as unknown as Feature
const stages: StageConfig[] = [
  { name: 'hsts', values: [{ maxAge: 60 }], at: ['sites[0].hsts'] },
  { name: 'strip', values: [['/x']], at: ['sites[0].strip'] },
]
const plain = {
  name: 'fallback',
  match: { paths: [], methods: [], headers: [], query: [], clients: [], ja4: [], proxy: null },
} as unknown as Route
const who = { identity: null, fingerprint: null, cloud: null }

describe('a route that a feature has for itself', () => {
  const own = routesOfFeatures(stages, where, plain, nothingLasts, { strip: signIn })

  it('comes before one of the same path, for its methods', () => {
    const written = { ...plain, name: 'written', match: { ...plain.match, paths: ['/signed-in'] } }
    const table = routeTable([...own, written])
    const find = (method: string, path: string) => table.find(method, path, '', new Fields(''), who)?.name
    assert.deepEqual(
      [find('GET', '/signed-in'), find('POST', '/signed-in'), find('GET', '/other')],
      ['a.test/signed-in (strip)', 'written', undefined],
    )
  })

  it('has the stages of the site around it', () => {
    const sink = new Noted()
    const exchange = { client: { secure: true }, head: requestHead() } as unknown as StagedExchange
    own[0]?.origin(exchange, sink)
    assert.deepEqual(sink.calls, ['answer 200 strict-transport-security: max-age=60', 'end'])
  })

  it('is none where the feature is not written', () => {
    assert.deepEqual(routesOfFeatures([], where, plain, nothingLasts, { strip: signIn }), [])
    assert.deepEqual(routesOfFeatures(stages, where, plain, nothingLasts), [])
  })
})

it('sites without stages share their fallback route', () => {
  assert.equal(fallbackRoute([], where, plain, nothingLasts), plain)
  assert.notEqual(fallbackRoute(stages, where, plain, nothingLasts), plain)
})
