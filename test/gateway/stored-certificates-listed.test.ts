/** `sallyport certs list` where no gateway runs: what file storage has for the sites' names, only read. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { temporaryFolder } from '../harness/certificates.ts'
import { type FakeAcme, fakeAcme } from '../harness/fake-acme.ts'
import { startGateway } from '../harness/gateway.ts'
import { fingerprintOf } from '../harness/kept-certificate.ts'
import { main } from '../harness/sallyport.ts'

const routes = [{ respond: { status: 200, body: 'hello' } }]
type Row = { readonly names: string[]; readonly sites: string[]; readonly state: string; readonly problem: string }
type Ended = { readonly code: number | null; readonly out: string; readonly err: string }

let fake: FakeAcme
before(async () => {
  fake = await fakeAcme()
})
after(() => fake.close())

function cli(config: object, ...words: string[]): Promise<Ended> {
  const file = path.join(temporaryFolder('sallyport-run-'), 'sallyport.yaml')
  writeFileSync(file, JSON.stringify(config))
  const child = spawn(process.execPath, [main, ...words, '-c', file], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', chunk => void (out += chunk))
  child.stderr.on('data', chunk => void (err += chunk))
  return new Promise(resolve => child.on('close', code => resolve({ code, out, err })))
}

async function list(config: object): Promise<string[]> {
  const { code, out, err } = await cli(config, 'certs', 'list', '--json')
  assert.equal(code, 0, err)
  return (JSON.parse(out) as Row[])
    .map(({ names, sites, state, problem }) => `${names} ${sites} ${state}${problem ? `: ${problem}` : ''}`)
    .sort()
}

const tree = (folder: string): string[] =>
  readdirSync(folder, { recursive: true })
    .map(String)
    .sort()
    .map(name => {
      const { mtimeMs, ctimeMs, size } = lstatSync(path.join(folder, name))
      return `${name} ${mtimeMs} ${ctimeMs} ${size}`
    })

for (const seal of [undefined, { passphrase: 'correct horse battery' }])
  test(`kept names, those got on demand, and what is missing (${seal ? 'sealed' : 'not sealed'})`, async () => {
    const state = temporaryFolder('sallyport-state-')
    const config = {
      state,
      listen: [{ port: 0, address: '127.0.0.1' }],
      ...(seal && { storage: { seal } }),
      sites: [
        { host: '*.customers.test', certificate: 'acme', routes },
        { host: 'main.test', certificate: 'acme', routes },
      ],
      acme: { directory: fake.url, challenges: ['tls-alpn-01'], onDemand: { allow: ['*.customers.test'] } },
    }
    const gateway = await startGateway(config as Parameters<typeof startGateway>[0])
    await gateway.logged(record => record['message'] === 'certificate obtained')
    const shown = await fingerprintOf(gateway.port, 'shop.customers.test', fake.ca)
    await gateway.stop()
    const before = tree(state)
    const { length } = fake.seen
    const more = { ...config, sites: [...config.sites, { host: 'new.test', certificate: 'acme', routes }] }
    assert.deepEqual(await list(more), [
      'main.test main.test serving',
      'new.test new.test missing: there is none yet',
      'shop.customers.test *.customers.test serving',
    ])
    const inspected = await cli(config, 'certs', 'inspect', 'shop.customers.test')
    assert.equal(inspected.code, 0, inspected.err)
    assert.ok(inspected.out.includes(shown))
    const other = seal ? { seal: { passphrase: 'wrong horse battery' } } : undefined
    if (other) {
      const wrong = await list({ ...config, storage: other })
      assert.match(
        wrong[0] as string,
        /^main\.test main\.test missing: .*give its secret as storage\.seal\.previous/,
      )
      const { storage: _, ...without } = config as typeof config & { storage?: object }
      assert.match((await list(without))[0] as string, /values here are sealed; give the secret as storage\.seal$/)
    }
    writeFileSync(path.join(state, 'storage/certificates/main.test.ecdsa'), '{}')
    const damaged = (await list(config))[0] as string
    assert.match(damaged, /missing: certificates\/main\.test\.ecdsa in files in .* is damaged \(version undefined/)
    assert.equal((await cli(config, 'certs', 'inspect', 'main.test')).code, 2)
    // Nothing was written, touched or asked.
    const same = (lines: readonly string[]) => lines.filter(line => !/main\.test\.ecdsa/.test(line))
    assert.deepEqual(same(tree(state)), same(before))
    assert.equal(fake.seen.length, length)
  })

test('a state folder that is not there is not made; of Redis it is said that a gateway must run', async () => {
  const state = path.join(temporaryFolder('sallyport-state-'), 'none')
  const config = {
    state,
    listen: [{ port: 0 }],
    sites: [{ host: 'a.test', certificate: 'acme', routes }],
    acme: {},
  }
  assert.deepEqual(await list(config), ['a.test a.test missing: there is none yet'])
  assert.ok(!existsSync(state))
  const redis = { ...config, storage: { redis: 'redis://127.0.0.1:1' } }
  const { code, out, err } = await cli(redis, 'certs', 'list')
  assert.equal(code, 0)
  assert.equal(out, 'no certificates\n')
  assert.match(err, /the certificates of a\.test are in Redis, and only a running gateway lists those/)
  assert.ok(!existsSync(state))
  rmSync(path.dirname(state), { recursive: true })
})
