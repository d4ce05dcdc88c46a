/** An account that cannot be read as it is kept: nobody makes another, and the log says which file it is. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../harness/certificates.ts'
import { fakeAcme } from '../harness/fake-acme.ts'
import { startGateway } from '../harness/gateway.ts'

const says = (message: string) => (record: Record<string, unknown>) => record['message'] === message

test('an unreadable account is named with its key and place; restored, it is used again', async () => {
  const fake = await fakeAcme()
  const state = temporaryFolder('sallyport-state-')
  const terms = {
    state,
    log: { access: false, level: 'info' },
    sites: [{ host: 'shop.test', certificate: 'acme', routes: [{ respond: { status: 200, body: 'x' } }] }],
    acme: { directory: fake.url, challenges: ['tls-alpn-01'] },
  } as const
  const folder = path.join(state, 'storage/accounts')
  const first = await startGateway(terms as Parameters<typeof startGateway>[0])
  await first.logged(says('certificate obtained'))
  await first.stop()
  const [name] = readdirSync(folder) as [string]
  const file = path.join(folder, name)
  const account = readFileSync(file)
  rmSync(path.join(state, 'storage'), { recursive: true })
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeFileSync(file, '{}', { mode: 0o600 })
  const second = await startGateway(terms as Parameters<typeof startGateway>[0])
  const { why } = await second.logged(says('no new certificate'))
  assert.equal(
    why,
    `the account for ${fake.url} cannot be read as it is kept: restore accounts/${name} in files in ${state}/storage, or remove it to have a new account made`,
  )
  assert.equal(readFileSync(file, 'utf8'), '{}')
  assert.equal(fake.accounts.size, 1)
  writeFileSync(file, account)
  await second.gateway.managed.renew('shop.test')
  assert.equal(fake.accounts.size, 1)
  await second.stop()
  await fake.close()
})
