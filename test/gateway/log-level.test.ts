/** `sallyport log-level` changes what every worker logs, until a reload takes the configured level again. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { askGateway } from '../../src/control/client.ts'
import { logLevel } from '../../src/control/commands/log-level.ts'
import { reload } from '../../src/control/commands/reload.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { spawnGateway } from '../harness/gateway-process.ts'
import { freePort } from '../harness/ports.ts'

it('a changed level holds in every worker until the next reload', async () => {
  const state = temporaryFolder('sallyport-log-level-')
  const gateway = spawnGateway(
    {
      state,
      listen: [{ port: await freePort(), address: '127.0.0.1', cleartext: 'serve' }],
      sites: [{ host: 'a.test', routes: [{ respond: { body: 'here' } }] }],
      log: { level: 'error' },
    },
    { workers: 2 },
  )
  await gateway.ready
  const both = (level: string) => [1, 2].map(() => ({ level, configured: 'error' }))
  const ask = (level?: 'debug' | 'info') => askGateway(state, logLevel, { level })
  assert.deepEqual(await ask(), both('error'))
  // A reload is logged as `info`: not while the level is `error`.
  assert.deepEqual(await askGateway(state, reload, null), { reloaded: true })
  assert.deepEqual(await ask('info'), both('info'))
  await gateway.logged(({ message, level }) => message === 'log level changed' && level === 'info')
  assert.deepEqual(await ask(), both('info'))
  assert.deepEqual(await askGateway(state, reload, null), { reloaded: true })
  assert.deepEqual(await ask(), both('error'))
  await gateway.stop()
  const messages = gateway.logs().map(({ message }) => message)
  assert.equal(messages.filter(message => message === 'log level changed').length, 2)
  assert.ok(!messages.includes('reloaded'), messages.join())
})

it('a level that there is not is refused by name', () => {
  for (const level of ['verbose', '', 1, 'toString'])
    assert.throws(() => logLevel.input({ level }, 'input'), /level takes debug, info, warn, error/)
})
