/** Which upstreams, endpoints and connections a reload goes on with, by the registry that keeps them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UpstreamConfig } from '../../src/config/config.ts'
import { Registries } from '../../src/gateway/registries.ts'

const config = (changes: Partial<UpstreamConfig> = {}): UpstreamConfig => ({
  name: 'orders',
  scheme: 'http',
  endpoints: [
    { host: '192.0.2.1', port: 80 },
    { host: 'backend.test', port: 80 },
  ],
  balance: 'round-robin',
  hash: null,
  outlier: null,
  tls: null,
  pool: { idle: 8 },
  http: 'auto',
  lenient: [],
  host: 'preserve',
  proxyProtocol: null,
  ...changes,
})

function inUse(answer: readonly string[] = ['192.0.2.9']) {
  let asked = 0
  const { upstreams } = new Registries(Date.now, (_host, settled) => {
    asked++
    settled(null, answer)
  })
  const first = upstreams.upstream(config(), 30_000)
  upstreams.keepOnly([first])
  const addresses = () => first.set.endpoints.map(({ place }) => place.address)
  return { upstreams, first, addresses, asked: () => asked }
}

describe('an upstream over a reload', () => {
  it('that changes nothing about it is the same, with its addresses', () => {
    const { upstreams, first, addresses, asked } = inUse()
    assert.deepEqual([addresses(), asked()], [['192.0.2.1', '192.0.2.9'], 1])
    assert.equal(upstreams.upstream(config(), 30_000), first)
    assert.equal(asked(), 1)
    upstreams.keepOnly([])
  })

  for (const [what, changes] of Object.entries({
    balance: { balance: 'random' },
    pool: { pool: { idle: 9 } },
    host: { host: 'endpoint' },
    outlier: { outlier: { consecutive: 5, ejectionMs: 30_000, maxEjectedPercent: 50, statuses: [503] } },
    hash: { hash: { as: 'text', value: 'ja4' } },
    weights: {
      endpoints: [
        { host: '192.0.2.1', port: 80, weight: 2 },
        { host: 'backend.test', port: 80 },
      ],
    },
    'endpoints, by one more': { endpoints: [...config().endpoints, { host: '192.0.2.3', port: 80 }] },
  } satisfies Record<string, Partial<UpstreamConfig>>))
    it(`that changes its ${what} is another with the same endpoints`, () => {
      const { upstreams, first, asked } = inUse()
      const before = first.set.endpoints
      const second = upstreams.upstream(config(changes), 30_000)
      assert.notEqual(second, first)
      upstreams.keepOnly([second])
      assert.deepEqual(second.set.endpoints.slice(0, 2), before)
      assert.ok(second.set.endpoints.slice(0, 2).every((each, at) => each === before[at] && !each.gone))
      assert.equal(asked(), 1)
      upstreams.keepOnly([])
    })

  it('gives endpoints that stay the weights of the new one, when it is in use', () => {
    const { upstreams, first } = inUse()
    const [heavier] = first.set.endpoints
    const second = upstreams.upstream(
      config({ endpoints: [{ host: '192.0.2.1', port: 80, weight: 3 }, ...config().endpoints.slice(1)] }),
      30_000,
    )
    assert.equal(heavier?.weight, 1)
    upstreams.keepOnly([second])
    assert.deepEqual(
      second.set.endpoints.map(({ weight }) => weight),
      [3, 1],
    )
    upstreams.keepOnly([])
  })

  it('that takes an endpoint out of it drains that one', () => {
    const { upstreams, first } = inUse()
    const [kept, taken] = first.set.endpoints
    const second = upstreams.upstream(config({ endpoints: [{ host: '192.0.2.1', port: 80 }] }), 30_000)
    assert.deepEqual([kept?.gone, taken?.gone], [false, false])
    upstreams.keepOnly([second])
    assert.deepEqual([kept?.gone, taken?.gone], [false, true])
  })

  it('that changes how it is spoken to has connections of its own', () => {
    for (const change of [{ http: 2 }, { lenient: ['bare-lf'] }] as const) {
      const { upstreams, first } = inUse()
      const [before] = first.set.endpoints
      const second = upstreams.upstream(config(change), 30_000)
      upstreams.keepOnly([second])
      assert.deepEqual([before?.gone, second.set.endpoints[0] === before], [true, false])
      upstreams.keepOnly([])
    }
  })

  it('that fails leaves it as it was', () => {
    const { upstreams, first } = inUse()
    const before = first.set.endpoints
    upstreams.upstream(config({ endpoints: [{ host: '192.0.2.7', port: 80 }] }), 30_000)
    upstreams.keepOnly([first])
    assert.equal(upstreams.upstream(config(), 30_000), first)
    assert.deepEqual([first.set.endpoints === before, before.some(({ gone }) => gone)], [true, false])
    upstreams.keepOnly([])
  })

  it('that puts another in its place shares nothing with it, whatever the two are', () => {
    const { upstreams, first } = inUse()
    const other = upstreams.upstream(config({ name: 'sites[0].to' }), 30_000)
    assert.ok(other.set.endpoints.every(each => !first.set.endpoints.includes(each)))
    upstreams.keepOnly([])
  })
})
