/** What a configuration says when it says nothing, and where a route's own values come in. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { around, load, withFolder } from './config-folder.ts'

describe('defaults', () => {
  it('are these', async () => {
    const { config, warnings } = await load(around('to: https://b.test'))
    assert.deepEqual(warnings, [])
    assert.deepEqual(config.limits, {
      headBytes: 32_768,
      headers: 100,
      uriBytes: 8_192,
      bodyBytes: Number.POSITIVE_INFINITY,
      connections: 100_000,
      connectionsPerClient: 20_000,
      bodyRateBytes: 240,
      helloBytes: 65_536,
      streams: 128,
      memoryBytes: 0,
    })
    assert.deepEqual(config.timeouts, {
      handshakeMs: 10_000,
      headMs: 10_000,
      bodyIdleMs: 30_000,
      bodyGraceMs: 5_000,
      keepAliveMs: 60_000,
      connectMs: 5_000,
      responseMs: 60_000,
      idleMs: 300_000,
      tunnelIdleMs: null,
      filterMs: 30_000,
      totalMs: 0,
      poolIdleMs: 30_000,
      drainMs: 30_000,
      resolveMs: 30_000,
    })
    assert.deepEqual(config.log, { access: true, format: 'json', level: 'info' })
    assert.deepEqual([config.workers, config.filters], [1, []])
    assert.deepEqual(config.listen, [
      {
        name: null,
        address: '::',
        port: 443,
        unix: false,
        mode: 0o660,
        backlog: null,
        keepAliveMs: 0,
        public: null,
        proxyProtocol: null,
        trust: null,
        fields: null,
        cleartext: null,
        startTls: null,
      },
    ])
    assert.deepEqual(config.upstreams[0], {
      name: 'sites[0].to',
      scheme: 'https',
      endpoints: [{ host: 'b.test', port: 443 }],
      balance: 'round-robin',
      hash: null,
      outlier: null,
      tls: {
        caFile: null,
        serverName: null,
        spiffe: [],
        certificate: null,
        verify: true,
        weak: 'refuse',
        commonName: 'refuse',
      },
      pool: { idle: 2048 },
      host: 'preserve',
      lenient: [],
      http: 'auto',
      proxyProtocol: null,
    })
  })
  it('of an upstream in place are those of a named one', async () => {
    const { config } = await load(
      around(
        'routes: [{ match: { path: /a }, to: named }, { to: http://b.test }]',
        'upstreams: { named: { endpoints: http://b.test } }',
      ),
    )
    const [named, inPlace] = config.upstreams
    assert.deepEqual({ ...named, name: '' }, { ...inPlace, name: '' })
  })
  it('of state are $STATE_DIRECTORY, else beside the file', async () => {
    const yaml = around('to: http://b.test')
    await withFolder({ 'etc/sallyport.yaml': yaml }, async cwd => {
      const state = async (env: Record<string, string>) =>
        (await loadConfig({ cwd, file: 'etc/sallyport.yaml', env })).config.state
      assert.equal(await state({}), path.join(cwd, 'etc/.sallyport'))
      assert.equal(await state({ STATE_DIRECTORY: '/var/lib/a:/var/lib/b' }), '/var/lib/a')
    })
  })
  it('of a route are those of its site before those of the configuration', async () => {
    const written = 'timeouts: { response: 4s }\nlimits: { body: 2mb, bodyRate: 5b }'
    const above = 'timeouts: { response: 3s, connect: 1s }\nlimits: { body: 1mb, bodyRate: 6b }'
    for (const ending of [
      'to: http://b.test',
      'routes: [{ match: { path: /a }, to: http://b.test, timeouts: { response: 5s } }, { to: http://b.test }]',
    ]) {
      const { config } = await load(around(`${ending}\n${written}`, above))
      const action = config.sites[0]!.action
      assert.ok(action.kind === 'http')
      const { stages, timeouts, bodyRateBytes } = action.routes.at(-1)!
      assert.deepEqual(stages, [{ name: 'limits.body', values: [2 * 1_048_576], at: ['sites[0].limits.body'] }])
      assert.deepEqual([timeouts.responseMs, timeouts.connectMs, bodyRateBytes], [4_000, 1_000, 5])
      if (action.routes.length > 1) assert.equal(action.routes[0]!.timeouts.responseMs, 5_000)
    }
  })
  it('of a route are those of the configuration, and its own come first', async () => {
    const { config } = await load(
      around(
        'routes:\n  - { match: { path: /up }, to: http://b.test, timeouts: { response: none, idle: 2h }, limits: { body: none } }\n  - { to: http://b.test }',
        'timeouts: { response: 3s, connect: 1s }\nlimits: { body: 1mb }',
      ),
    )
    const action = config.sites[0]!.action
    assert.ok(action.kind === 'http')
    const [up, rest] = action.routes
    assert.deepEqual(
      [up!.stages, up!.timeouts.responseMs, up!.timeouts.idleMs, up!.timeouts.connectMs],
      [
        [{ name: 'limits.body', values: [Number.POSITIVE_INFINITY], at: ['sites[0].routes[0].limits.body'] }],
        0,
        7_200_000,
        1_000,
      ],
    )
    assert.deepEqual(
      [rest!.stages, rest!.timeouts.responseMs, rest!.timeouts.idleMs],
      [[{ name: 'limits.body', values: [1_048_576], at: ['limits.body'] }], 3_000, 300_000],
    )
  })
})
