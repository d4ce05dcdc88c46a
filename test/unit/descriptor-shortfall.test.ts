/** What is said about the limit on open files: a warning to those who count on more connections than it allows. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLog } from '../../src/base/log.ts'
import type { Config, ConfigInput } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { Descriptors } from '../../src/gateway/descriptor-room.ts'
import { temporaryFolder } from '../harness/certificates.ts'

const state = temporaryFolder()

async function configWith(limits: ConfigInput['limits']): Promise<Config> {
  const listen = [{ port: 0, cleartext: 'serve' as const }]
  const sites = [{ host: 'a.test', routes: [{ respond: { body: 'a' } }] }]
  return (await loadConfig({ value: { state, listen, sites, ...(limits && { limits }) } })).config
}

/** The levels of what a gateway with that limit on open files says, over reloads */
function levels(limit: number, configs: readonly Config[]): string[] {
  let text = ''
  const log = createLog({ level: 'info', format: 'json', out: lines => void (text += lines) })
  const descriptors = new Descriptors(log, { open: 0 }, () => 0, limit)
  for (const config of configs) descriptors.use(config, config.listen.length)
  log.flush()
  const records = text.split('\n').filter(Boolean)
  return records.map(line => (JSON.parse(line) as { level: string }).level)
}

describe('a limit on open files that is too low', () => {
  it('is a warning where limits.connections is written, or the limit is low; else it is for information', async () => {
    const [silent, written] = [await configWith(undefined), await configWith({ connections: 100_000 })]
    assert.deepEqual(levels(20_000, [silent]), ['info'])
    assert.deepEqual(levels(4_095, [silent]), ['warn'])
    assert.deepEqual(levels(20_000, [written]), ['warn'])
    assert.deepEqual(levels(20_000, [silent, written, silent]), ['info', 'warn', 'info'])
    assert.deepEqual(levels(1_000_000, [silent, written]), [])
  })

  it('is looked at again with each reload, and said again when something about it has changed', async () => {
    const [few, many, more] = [
      await configWith({ connections: 10 }),
      await configWith({ connections: 50_000 }),
      await configWith({ connections: 60_000 }),
    ]
    assert.deepEqual(levels(20_000, [few, many, many, more, few, more]), ['warn', 'warn', 'warn'])
  })
})
