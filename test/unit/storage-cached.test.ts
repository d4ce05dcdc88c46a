/** The copy beside a storage: certificates are found while it is away, and nothing is made up. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { describe, it } from 'node:test'
import { type Storage, StorageError } from '../../src/model/storage.ts'
import { cached } from '../../src/storage/cached.ts'
import { openFileStorage } from '../../src/storage/files.ts'
import { sealed } from '../../src/storage/sealed.ts'
import { behavesAsStorage, isKind } from '../harness/storage-behaviour.ts'

describe('a storage with a copy', () => {
  behavesAsStorage(async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-cached-'))
    const open = async (copy: string) =>
      cached(
        await openFileStorage(path.join(folder, 'source'), { pollMs: 20 }),
        await openFileStorage(path.join(folder, copy)),
        { prefixes: ['a/', 'c/', 't/', 'many/', 'w/'], notice: text => assert.fail(text) },
      )
    const [storage, other] = [await open('copy-1'), await open('copy-2')]
    const close = async () => {
      await storage.close()
      await other.close()
      rmSync(folder, { recursive: true })
    }
    return { storage, other, close }
  })
})

type Flaky = { readonly storage: Storage; away: boolean; holdGet: Promise<void> | null }

/** A storage that can be away. */
async function openFlaky(folder: string): Promise<Flaky> {
  const inner = await openFileStorage(folder)
  const check = () => {
    if (flaky.away) throw new StorageError('away', 'away')
  }
  const storage: Storage = {
    name: 'flaky',
    async get(key) {
      check()
      const value = await inner.get(key)
      await flaky.holdGet
      return value
    },
    put: async (key, value, options) => {
      check()
      return inner.put(key, value, options)
    },
    delete: async key => {
      check()
      return inner.delete(key)
    },
    list: async prefix => {
      check()
      return inner.list(prefix)
    },
    setAside: async key => {
      check()
      return inner.setAside(key)
    },
    lock: async name => {
      check()
      return inner.lock(name)
    },
    watch: (prefix, changed) => inner.watch(prefix, changed),
    close: () => inner.close(),
  }
  const flaky: Flaky = { storage, away: false, holdGet: null }
  return flaky
}

describe('while the storage is away', () => {
  const use =
    (
      act: (parts: { folder: string; flaky: Flaky; open(): Promise<Storage>; notices: string[] }) => Promise<void>,
    ) =>
    async () => {
      const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-cached-'))
      const opened: Storage[] = []
      try {
        const flaky = await openFlaky(path.join(folder, 'source'))
        const notices: string[] = []
        const open = async () => {
          const copy = await openFileStorage(path.join(folder, 'copy'))
          const storage = cached(flaky.storage, copy, {
            prefixes: ['certificates/'],
            notice: text => notices.push(text),
          })
          opened.push(storage)
          return storage
        }
        await act({ folder, flaky, open, notices })
      } finally {
        for (const storage of opened) await storage.close()
        rmSync(folder, { recursive: true, force: true })
      }
    }

  it(
    'what was read or written is there, also for a process that starts now, and nothing else',
    use(async ({ folder, flaky, open }) => {
      const storage = await open()
      await flaky.storage.put('certificates/read', Buffer.from('read'))
      await flaky.storage.put('certificates/unread', Buffer.from('unread'))
      await storage.put('certificates/written', Buffer.from('written'))
      await storage.put('challenges/token', Buffer.from('x'))
      await storage.get('certificates/read')
      await storage.get('challenges/token')
      flaky.away = true
      const later = await open()
      for (const each of [storage, later]) {
        assert.equal((await each.get('certificates/read'))?.toString(), 'read')
        assert.equal((await each.get('certificates/written'))?.toString(), 'written')
        assert.deepEqual(await each.list('certificates/'), ['certificates/read', 'certificates/written'])
        // It is not known that there is none.
        await assert.rejects(each.get('certificates/unread'), isKind('away'))
        await assert.rejects(each.get('challenges/token'), isKind('away'))
        await assert.rejects(each.list('challenges/'), isKind('away'))
        await assert.rejects(each.list('seal/'), isKind('away'))
        await assert.rejects(each.put('certificates/read', Buffer.from('x')), isKind('away'))
        await assert.rejects(each.delete('certificates/read'), isKind('away'))
        await assert.rejects(each.lock('l'), isKind('away'))
        assert.equal((await each.get('certificates/read'))?.toString(), 'read')
      }
      assert.ok(!readdirSync(path.join(folder, 'copy')).includes('challenges'))
    }),
  )

  it(
    'what was deleted before does not come back',
    use(async ({ flaky, open }) => {
      const storage = await open()
      for (const name of ['a', 'b', 'c', 'd']) await storage.put(`certificates/${name}`, Buffer.from(name))
      await storage.delete('certificates/a')
      await flaky.storage.delete('certificates/b')
      assert.equal(await storage.get('certificates/b'), null)
      await flaky.storage.delete('certificates/c')
      await storage.list('certificates/')
      flaky.away = true
      assert.deepEqual(await storage.list('certificates/'), ['certificates/d'])
      for (const name of ['a', 'b', 'c']) await assert.rejects(storage.get(`certificates/${name}`), isKind('away'))
    }),
  )

  it(
    'a slow read does not bring back what was written since',
    use(async ({ flaky, open }) => {
      const storage = await open()
      await storage.put('certificates/a', Buffer.from('old'))
      let go = () => {}
      flaky.holdGet = new Promise(resolve => {
        go = resolve
      })
      const slow = storage.get('certificates/a')
      await new Promise(setImmediate)
      await storage.put('certificates/a', Buffer.from('new'))
      go()
      await slow
      flaky.away = true
      assert.equal((await storage.get('certificates/a'))?.toString(), 'new')
    }),
  )

  it(
    'sealed values stay sealed in the copy, and are read with the passphrase',
    use(async ({ folder, flaky, open }) => {
      const secret = { passphrase: 'correct horse' }
      const copy = await openFileStorage(path.join(folder, 'copy'))
      const storage = await sealed(await open(), secret, [], { copy })
      await storage.put('certificates/key', Buffer.from('private'))
      flaky.away = true
      const later = await sealed(await open(), secret, [], { copy })
      assert.equal((await later.get('certificates/key'))?.toString(), 'private')
      assert.ok(!(await copy.get('certificates/key'))?.includes('private'))
      await copy.close()
    }),
  )

  it(
    'a copy that cannot be kept is said once, and fails nothing',
    use(async ({ folder, open, notices }) => {
      const storage = await open()
      await storage.put('certificates/a', Buffer.from('x'))
      rmSync(path.join(folder, 'copy'), { recursive: true })
      writeFileSync(path.join(folder, 'copy'), 'in the way')
      chmodSync(path.join(folder, 'copy'), 0o600)
      await storage.put('certificates/a', Buffer.from('y'))
      await storage.put('certificates/b', Buffer.from('y'))
      assert.equal((await storage.get('certificates/a'))?.toString(), 'y')
      assert.equal(notices.length, 1)
      assert.match(notices[0]!, /the copy in files in .* cannot be kept/)
    }),
  )
})
