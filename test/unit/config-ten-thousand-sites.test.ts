/** A configuration of thousands of sites is loaded in CPU time that grows with its sites, not with their square. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { sized } from '../harness/scale.ts'
import { withFolder } from './config-folder.ts'

function sites(count: number): string {
  let yaml = 'listen:\n  - port: 443\nsites:\n'
  for (let i = 0; i < count; i++) {
    yaml += `  - host: site${i}.example.com\n    certificate: { chain: shop.pem, key: shop.key }\n    to: orders${i}\n`
  }
  yaml += 'upstreams:\n'
  for (let i = 0; i < count; i++) yaml += `  orders${i}: { endpoints: [http://10.0.0.1:3000] }\n`
  return yaml
}

/** Milliseconds of CPU that loading takes: other processes on the machine do not count. */
async function cpuMs(count: number): Promise<number> {
  let ms = 0
  await withFolder({ 'sallyport.yaml': sites(count), 'shop.pem': 'x', 'shop.key': 'x' }, async cwd => {
    const before = process.cpuUsage()
    const { config, warnings } = await loadConfig({ cwd })
    const { user, system } = process.cpuUsage(before)
    ms = (user + system) / 1000
    assert.deepEqual([config.sites.length, config.upstreams.length, warnings.length], [count, count, 0])
  })
  return ms
}

const count = sized(1_000, 2_500)

describe('thousands of sites, each with an upstream', () => {
  it('cost less than eight times what a quarter of them costs', async () => {
    await cpuMs(500)
    const least = { quarter: Number.POSITIVE_INFINITY, all: Number.POSITIVE_INFINITY }
    // A busy machine only ever adds to a measurement. What takes the square of it costs sixteen times as much.
    for (let attempt = 0; attempt < 4 && !(least.all < 8 * least.quarter); attempt++) {
      least.quarter = Math.min(least.quarter, await cpuMs(count))
      least.all = Math.min(least.all, await cpuMs(4 * count))
    }
    assert.ok(
      least.all < 8 * least.quarter,
      `${count} sites: ${least.quarter} ms of CPU, ${4 * count}: ${least.all} ms`,
    )
  })
})
