/** A Redis that has lost its data, sealed: the record of keys comes back from memory or from the copies, and nothing is unreadable. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, it } from 'node:test'
import type { Config } from '../../src/config/config.ts'
import { openStorage } from '../../src/gateway/certificates/storage.ts'
import type { Storage } from '../../src/model/storage.ts'
import { openRedisStorage } from '../../src/storage/redis.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { hasRedis, type Redis, startRedis } from '../harness/redis.ts'
import { eventually } from '../harness/until.ts'

type Seal = Config['storage']['seal']

const passphrase = (text: string, previous: NonNullable<Seal>['previous'] = []): Seal => ({
  secret: { passphrase: text },
  previous,
})

function keyFile(): { readonly keyFile: string } {
  const file = path.join(temporaryFolder('sallyport-key-'), 'seal.key')
  writeFileSync(file, randomBytes(32))
  return { keyFile: file }
}

describe('a sealed storage in a Redis that has lost its data', {
  skip: hasRedis ? false : 'no redis-server',
}, () => {
  let redis: Redis
  const opened: Storage[] = []
  const newState = () => temporaryFolder('sallyport-lost-')

  afterEach(async () => {
    for (const storage of opened.splice(0)) await storage.close()
    await redis.remove()
  })

  /** A node's storage, as its gateway opens it. */
  async function node(state: string, seal: Seal): Promise<Storage> {
    const { port } = redis
    const one = { host: '127.0.0.1', port, database: 0, tls: false, username: null, password: null }
    const config = {
      state,
      storage: { seal, redis: { ...one, prefix: 'p', caFile: null, certificate: null, leaseMs: 2_000 } },
    }
    const storage = await openStorage(config as unknown as Config, () => {})
    opened.push(storage)
    return storage
  }

  /** Values as Redis has them. */
  async function raw<T>(use: (storage: Storage) => Promise<T>): Promise<T> {
    const storage = await openRedisStorage({ server: redis.server, prefix: 'p' })
    try {
      return await use(storage)
    } finally {
      await storage.close()
    }
  }

  const record = () => raw(async storage => (await storage.get('seal/keys'))?.toString() ?? null)
  const keysOf = (text: string | null): number => JSON.parse(text as string).keys.length

  async function lose(): Promise<void> {
    await redis.kill()
    await redis.start('--appendonly', 'no')
  }

  async function stop(...storages: Storage[]): Promise<void> {
    for (const storage of storages) await storage.close()
  }

  const text = async (storage: Storage, key: string) => (await storage.get(key))?.toString()

  for (const [kind, make] of [
    ['a passphrase', () => passphrase('correct horse')],
    ['a key file', () => ({ secret: keyFile(), previous: [] })],
  ] as [string, () => Seal][]) {
    it(`${kind}: a node that runs puts the record back by itself, as it was, before any value`, async () => {
      redis = await startRedis()
      const seal = make()
      const [first, other] = [newState(), newState()]
      const storage = await node(first, seal)
      await storage.put('certificates/a', Buffer.from('a'))
      const before = await record()
      await lose()
      await eventually('the record is back', async () => (await record()) === before)
      await storage.put('certificates/a', Buffer.from('a'))
      // One with an empty copy, and one that starts again.
      for (const state of [other, first]) assert.equal(await text(await node(state, seal), 'certificates/a'), 'a')
      assert.equal(await record(), before)
    })

    it(`${kind}: two that start at once restore it from their copies, and read what was sealed before`, async () => {
      redis = await startRedis()
      const seal = make()
      const states = [newState(), newState()]
      const nodes = [await node(states[0]!, seal), await node(states[1]!, seal)]
      await nodes[0]!.put('certificates/a', Buffer.from('a'))
      const before = await record()
      const value = (await raw(storage => storage.get('certificates/a'))) as Buffer
      await stop(...nodes)
      await lose()
      const again = await Promise.all(states.map(state => node(state, seal)))
      assert.equal(await record(), before)
      await raw(storage => storage.put('certificates/a', value))
      for (const [index, storage] of again.entries()) {
        assert.equal(await text(storage, 'certificates/a'), 'a')
        await storage.put(`certificates/new${index}`, Buffer.from('new'))
      }
      for (const storage of again)
        for (const index of [0, 1]) assert.equal(await text(storage, `certificates/new${index}`), 'new')
      assert.equal(await record(), before)
    })
  }

  it('a node without a copy that comes first makes a key of its own: both are kept, and each reads the other', async () => {
    redis = await startRedis()
    const seal = passphrase('correct horse')
    const states = [newState(), newState()]
    const old = await node(states[0]!, seal)
    await old.put('certificates/old', Buffer.from('old'))
    const value = (await raw(storage => storage.get('certificates/old'))) as Buffer
    const before = JSON.parse((await record()) as string).keys[0].id
    await stop(old)
    await lose()
    const fresh = await node(states[1]!, seal)
    await fresh.put('certificates/fresh', Buffer.from('fresh'))
    assert.doesNotMatch((await record()) as string, new RegExp(before))
    const back = await node(states[0]!, seal)
    await back.put('certificates/back', Buffer.from('back'))
    await raw(storage => storage.put('certificates/old', value))
    assert.equal(keysOf(await record()), 2)
    for (const storage of [fresh, back, await node(newState(), seal)])
      for (const name of ['old', 'fresh', 'back']) assert.equal(await text(storage, `certificates/${name}`), name)
    const copy = path.join(states[0]!, 'storage-copy', `127.0.0.1-${redis.port}-0-p`, 'seal/keys')
    assert.equal(readFileSync(copy, 'utf8'), await record())
    // Lost once more, with the one that knows both: nothing is missing.
    const both = await record()
    await stop(fresh, back)
    await lose()
    await node(states[0]!, seal)
    assert.deepEqual(JSON.parse((await record()) as string), JSON.parse(both as string))
  })

  it('a previous secret is known again as well, also when it is a key file and nobody has the record', async () => {
    redis = await startRedis()
    const [state, other] = [newState(), newState()]
    const file = keyFile()
    const first = await node(state, { secret: file, previous: [] })
    await first.put('certificates/first', Buffer.from('first'))
    await stop(first)
    const second = await node(state, passphrase('second', [file]))
    await second.put('certificates/second', Buffer.from('second'))
    const third = passphrase('third', [{ passphrase: 'second' }, file])
    const storage = await node(state, third)
    const values = await raw(async all =>
      Promise.all(['first', 'second'].map(async name => (await all.get(`certificates/${name}`)) as Buffer)),
    )
    await stop(second, storage)
    await lose()
    await raw(all => all.put('certificates/first', values[0]!))
    assert.equal(await text(await node(other, third), 'certificates/first'), 'first')
    await raw(all => all.put('certificates/second', values[1]!))
    const blind = await node(other, third)
    await assert.rejects(blind.get('certificates/second'), /seal\/keys has no such key: restore seal\/keys/)
    await node(state, third)
    // Whoever could not read it can, once somebody has brought the record back.
    assert.equal(await text(blind, 'certificates/second'), 'second')
  })

  it('a wrong secret is still found by the copy, which says where it is', async () => {
    redis = await startRedis()
    const state = newState()
    await stop(await node(state, passphrase('correct horse')))
    await lose()
    await assert.rejects(node(state, passphrase('wrong horse')), error => {
      assert.match(
        String(error),
        /sealed with another secret.*the copy of its seal\/keys in files in .*storage-copy/,
      )
      assert.doesNotMatch(String(error), /horse/)
      return true
    })
    assert.equal(await record(), null)
  })

  for (const seal of [null, passphrase('correct horse')])
    it(`an account that a node has in memory is put back (${seal ? 'sealed' : 'not sealed'})`, async () => {
      redis = await startRedis()
      const states = [newState(), newState()]
      const [first, second] = [await node(states[0]!, seal), await node(states[1]!, seal)]
      const told: (string | null)[] = []
      first.watch('accounts/', key => told.push(key))
      for (const name of ['a', 'b', 'c']) await first.put(`accounts/${name}`, Buffer.from('old'))
      await second.put('accounts/b', Buffer.from('new'))
      await second.delete('accounts/c')
      await eventually('it has heard', () => told.filter(key => key === 'accounts/c').length === 2)
      // It looks at one key after another, a round trip for each that it was told of: these come behind the last.
      for (const _ of told) assert.equal(await text(first, 'accounts/other'), undefined)
      await stop(second)
      await lose()
      const now = (name: string) => text(first, `accounts/${name}`).catch(() => null)
      await eventually('it is back', async () => (await now('a')) === 'old')
      await eventually('so is the other, as it was last', async () => (await now('b')) === 'new')
      assert.equal(await now('c'), undefined)
      await redis.kill()
      await redis.start('--appendonly', 'no')
      const third = await node(newState(), seal)
      await third.put('accounts/a', Buffer.from('theirs'))
      await eventually('all is back', async () => (await now('b')) === 'new')
      // test/unit/storage-remembered.test.ts: nothing is put over what is there.
      assert.ok(['old', 'theirs'].includes((await text(third, 'accounts/a')) as string))
    })
})
