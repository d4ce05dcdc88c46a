/** A configuration of ten thousand sites is loaded in CPU time that grows with its sites, not with their square. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
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

describe('ten thousand sites, each with an upstream', () => {
  it('cost less than six times what a quarter of them costs', async () => {
    await cpuMs(500)
    const quarter = await cpuMs(2_500)
    const all = await cpuMs(10_000)
    assert.ok(all < 6 * quarter, `2,500 sites: ${quarter} ms of CPU, 10,000: ${all} ms`)
  })
})
