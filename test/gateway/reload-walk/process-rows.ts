/** Rows of the process and not of the gateway in it: changed in a process of its own, over the control socket. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { askGateway } from '../../../src/control/client.ts'
import { reload as reloadCommand } from '../../../src/control/commands/reload.ts'
import { temporaryFolder } from '../../harness/certificates.ts'
import { spawnGateway } from '../../harness/gateway-process.ts'
import { freePort } from '../../harness/ports.ts'
import { withValue } from './rows.ts'

const [port, admin, other] = [await freePort(), await freePort(), await freePort()]
const state = temporaryFolder()
const base = {
  state,
  listen: [{ port, address: '127.0.0.1', cleartext: 'serve' }],
  sites: [{ host: 'a.test', routes: [{ respond: { body: 'here' } }] }],
  admin: { listen: { port: admin } },
  log: { access: false, level: 'error' },
}

/** The status of the metrics there, or null */
const metrics = async (at: number, address = '127.0.0.1'): Promise<number | null> => {
  const answer = await fetch(`http://${address}:${at}/metrics`, { headers: { connection: 'close' } }).catch(
    () => null,
  )
  await answer?.text()
  return answer?.status ?? null
}

type ProcessEffect =
  | { readonly to: unknown; readonly look: () => Promise<unknown>; readonly sees: unknown }
  | {
      readonly to: unknown
      readonly refused: RegExp
    }

const effects: Readonly<Record<string, ProcessEffect>> = {
  admin: { to: undefined, look: () => metrics(admin), sees: null },
  'admin.listen.port': {
    to: other,
    look: async () => [await metrics(admin), await metrics(other)],
    sees: [null, 200],
  },
  'admin.listen.address': { to: '127.0.0.2', look: () => metrics(admin, '127.0.0.2'), sees: 200 },
  'admin.token': { to: 'k7b2f0c9k7b2f0c9', look: () => metrics(admin), sees: 401 },
  state: { to: temporaryFolder(), refused: /state: cannot be changed/ },
  workers: { to: 2, refused: /workers: a reload cannot change/ },
}

export const processRows: readonly string[] = Object.keys(effects)

export async function walkProcess(): Promise<void> {
  const gateway = spawnGateway(base)
  await gateway.ready
  const written = JSON.parse(readFileSync(gateway.file, 'utf8')) as object
  const reload = async (config: object): Promise<string | null> => {
    writeFileSync(gateway.file, JSON.stringify(config))
    const { error } = await askGateway(state, reloadCommand, null)
    return error ?? null
  }
  for (const [row, effect] of Object.entries(effects)) {
    const changed = withValue(written, row, effect.to)
    if ('refused' in effect) {
      assert.match(String(await reload(changed)), effect.refused)
      continue
    }
    const before = await effect.look()
    assert.equal(await reload(changed), null, row)
    assert.deepEqual(await effect.look(), effect.sees, row)
    assert.equal(await reload(written), null, row)
    assert.deepEqual(await effect.look(), before, `${row}, after the way back`)
    assert.notDeepEqual(before, effect.sees, row)
  }
  await gateway.stop()
}
