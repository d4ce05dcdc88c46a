/** What users may write and what the gateway reads are inferred from the schema rows; the compiler checks this file. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ConfigInput, RouteInput, SiteInput, UpstreamInput } from '../../src/config/config.ts'
import type { Raw, Read } from '../../src/config/engine/infer.ts'
import type { logShape } from '../../src/config/schema/log.ts'
import type { routeShape } from '../../src/config/schema/route.ts'
import type { upstreamShape } from '../../src/config/schema/upstream.ts'
import type { BalanceName } from '../../src/proxy/upstream/balance/all.ts'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_ extends true>() => {}

type Upstream = Read<typeof upstreamShape>
type Route = Read<typeof routeShape>

describe('types inferred from schema rows', () => {
  it('name units, carry choices, and are null where nothing is written', () => {
    holds<Same<Upstream['balance'], BalanceName>>()
    holds<Same<Upstream['http'], 'auto' | 1 | 2>>()
    holds<Same<Upstream['pool']['idle'], number>>()
    holds<Same<Upstream['tls']['caFile'], string | null>>()
    holds<Same<Upstream['tls']['verify'], boolean>>()
    holds<Same<Route['limits']['bodyBytes'], number | null>>()
    holds<Same<Route['timeouts']['responseMs'], number | null>>()
    holds<Same<Read<typeof logShape>['format'], 'json' | 'text'>>()
    holds<Same<Raw<typeof logShape>['format'], 'json' | 'text' | undefined>>()
  })

  it('reject what the reader would reject', () => {
    const upstream: UpstreamInput = { endpoints: 'http://a', tls: { ca: 'x', spiffe: 'spiffe://a/b' }, http: 2 }
    const route: RouteInput = {
      match: { path: '/a', method: ['GET'] },
      to: upstream,
      timeouts: { response: 'none' },
    }
    const site: SiteInput = { host: 'a.test', certificate: { chain: 'a', key: 'b' }, routes: [route] }
    const config: ConfigInput = { listen: [{ port: 443 }], sites: [site], workers: 'auto' }
    assert.ok(config)
    // @ts-expect-error a misspelled key
    const misspelled: UpstreamInput = { endpoints: [], balanc: 'round-robin' }
    // @ts-expect-error not one of the choices
    const chosen: UpstreamInput = { endpoints: [], balance: 'fastest' }
    // @ts-expect-error a required key is missing
    const missing: UpstreamInput = {}
    // @ts-expect-error a duration without its unit
    const unit: RouteInput = { timeouts: { response: '30' } }
    // @ts-expect-error no such word for a timeout that must have a value
    const word: RouteInput = { timeouts: { connect: 'none' } }
    assert.ok([misspelled, chosen, missing, unit, word])
  })
})
